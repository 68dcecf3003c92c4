"""Every setting, in one typed class, with where each value came from.

Order: environment `AEGIS_*`, then the YAML file named by `AEGIS_CONFIG`, then the default. An empty
environment variable counts as not set, because that is how charts pass "nothing".
"""

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import time, timedelta
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)

from aegis_sink.durations import Duration, Interval, format_duration
from aegis_sink.errors import Explained
from aegis_sink.routes import RouteSetting, read_routes
from aegis_sink.triage.routing import unreachable

PREFIX = "AEGIS_"
CONFIG_VARIABLE = "AEGIS_CONFIG"

_TIME_OF_DAY = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")


class SettingsError(Explained):
    """The settings cannot be used; the text names each one, its source, and what is expected."""


def _off(value: object) -> object:
    """YAML reads a bare `off` as false."""
    return "off" if value is False else value


def _patterns(value: object) -> object:
    """`a,b-*` or a list in YAML."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _web_address(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("is not a web address; write it like http://host:port")
    return value


def _is_private(address: str) -> bool:
    """Whether an address is encrypted on its way, or does not leave the machine or the cluster."""
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    if parts.scheme == "https":
        return bool(host)
    inside = "." not in host or host.endswith((".svc", ".cluster.local"))
    return parts.scheme == "http" and bool(host) and (inside or is_loopback(host))


def _slack_ids(first: str, what: str) -> Callable[[str], str]:
    """A list of ids that names at least one: a name in it, or an empty list, would say nothing of
    who may and who may not."""

    def check(value: str) -> str:
        ids = value.replace(",", " ").split()
        if not ids or not all(re.fullmatch(f"{first}[A-Z0-9]{{2,}}", one) for one in ids):
            raise ValueError(f"is not a list of {what}, separated by spaces or commas")
        return " ".join(ids)

    return check


def _time_of_day(value: object) -> object:
    """`09:00`; YAML reads it as minutes since midnight."""
    if isinstance(value, int) and 0 <= value < 24 * 60:
        return time(*divmod(value, 60))
    if isinstance(value, str) and (found := _TIME_OF_DAY.fullmatch(value.strip())):
        return time(int(found[1]), int(found[2]))
    if isinstance(value, time):
        return value
    raise ValueError("is not a time of day; write it like 09:00")


TimeOfDay = Annotated[time, BeforeValidator(_time_of_day)]
Patterns = Annotated[tuple[str, ...], BeforeValidator(_patterns)]
WebAddress = Annotated[str, AfterValidator(_web_address)]
SlackUsers = Annotated[str, AfterValidator(_slack_ids("[UW]", "user ids (U…)"))]
SlackGroups = Annotated[str, AfterValidator(_slack_ids("S", "user group ids (S…)"))]


class Settings(BaseModel):
    """All settings. Names are the environment's without `AEGIS_`, in lower case."""

    # Secrets are made with `echo` and from files: a line end at a token would fit no URL.
    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, str_strip_whitespace=True
    )

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8080, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    database_url: SecretStr = Field(
        SecretStr("sqlite:///aegis-sink.db"),
        description="Where incidents are kept: `sqlite:///FILE`.",
    )
    cluster_name: str = Field(
        "default",
        min_length=1,
        max_length=253,
        description="The name of this cluster; K8sGPT's body does not carry one.",
    )
    kubernetes: Annotated[Literal["auto", "off"], BeforeValidator(_off)] = Field(
        "auto", description="`auto` (in-cluster, else kubeconfig, else off) or `off`."
    )
    results_namespace: str | None = Field(
        None, description="Where Results are read; all namespaces when not set."
    )
    resync_interval: Interval = Field(
        timedelta(minutes=10),
        description="Results are listed anew after this, besides being watched.",
    )
    lease_name: str = Field(
        "aegis-sink",
        min_length=1,
        max_length=63,
        description="The Lease by which several replicas agree who watches Results.",
    )
    lease_namespace: str | None = Field(
        None,
        description="The namespace of that Lease; the pod's own when not set. Outside of a "
        "cluster, and without one, no Lease is taken.",
    )
    webhook_token: SecretStr | None = Field(
        None,
        description="Required on `/webhook` when set: last path segment, or Basic password in the URL.",
    )
    api_token: SecretStr | None = Field(None, description="Bearer token for `/v1`.")
    signing_secret: SecretStr | None = Field(
        None,
        description="`whsec_…`: a Standard Webhooks signature is accepted on `/v1/findings`; "
        "several, separated by spaces, for rotation.",
    )
    llm_api: Annotated[Literal["ollama", "openai", "off"], BeforeValidator(_off)] = Field(
        "ollama", description="How the model is spoken to; `openai` for LocalAI, vLLM, llama.cpp."
    )
    llm_url: WebAddress = Field("http://127.0.0.1:11434", description="Where the model answers.")
    llm_model: str = Field("llama3.2:latest", min_length=1, description="The model's name.")
    llm_token: SecretStr | None = Field(
        None, description="Bearer token, for a model server behind a proxy that wants one."
    )
    llm_num_ctx: int = Field(
        8192, ge=1024, le=1_048_576, description="Context window; a change makes Ollama reload."
    )
    llm_concurrency: int = Field(
        1, ge=1, le=64, description="Questions at once; set it to Ollama's OLLAMA_NUM_PARALLEL."
    )
    llm_first_byte_timeout: Duration = Field(
        timedelta(minutes=5), description="Wait for the first byte: a cold load takes minutes."
    )
    llm_idle_timeout: Duration = Field(
        timedelta(seconds=30), description="Wait between tokens: a silent stream is dead."
    )
    llm_deadline: Duration = Field(
        timedelta(minutes=10), description="Longest a question may take."
    )
    llm_trust: Literal["explain", "tiebreak", "choose"] = Field(
        "tiebreak", description="How much the model decides."
    )
    llm_always_ask: bool = Field(
        False, description="Ask the model also where the evidence settles the cause."
    )
    llm_allow_cloud: bool = Field(
        False, description="Allow `:cloud` models: evidence then leaves the cluster."
    )
    playbooks_dir: str | None = Field(
        None, description="A folder with your own playbooks, read after the built-in ones."
    )
    runbook_url: WebAddress | None = Field(
        None,
        description="Your runbooks: `{cause}` in it stands for the cause's id, as in "
        "`https://wiki.example.org/runbooks/{cause}`. When not set, the playbooks' own.",
    )
    slack_bot_token: SecretStr | None = Field(None, description="`xoxb-…`: full mode.")
    slack_channel: str | None = Field(None, description="Channel id (best) or name for the bot.")
    slack_webhook_url: SecretStr | None = Field(
        None, description="Incoming webhook, the lesser mode: no edits, no threads."
    )
    slack_api_url: WebAddress = Field(
        "https://slack.com/api/", description="Slack's Web API, for proxies and tests."
    )
    slack_signing_secret: SecretStr | None = Field(
        None, description="Buttons over HTTP: Slack posts presses to `/slack/actions`, signed."
    )
    slack_app_token: SecretStr | None = Field(
        None, description="`xapp-…`: buttons over Socket Mode; no public address needed."
    )
    slack_allowed_users: SlackUsers | None = Field(
        None, description="User ids that may press buttons (`U…`, separated by spaces)."
    )
    slack_allowed_groups: SlackGroups | None = Field(
        None,
        description="User groups whose members may press buttons (`S…`); with neither list everybody "
        "in the channel may.",
    )
    namespaces: Patterns = Field(
        (),
        description="Tell only of these namespaces: names and patterns like `team-*`, commas between.",
    )
    exclude_namespaces: Patterns = Field((), description="Tell nothing of these namespaces.")
    kinds: Patterns = Field(
        (),
        description="Tell only of these kinds: the owner's, or that of an object which shows it.",
    )
    exclude_kinds: Patterns = Field((), description="Tell nothing of these kinds.")
    hints: Literal["digest", "now", "never"] = Field(
        "digest", description="When hints are told: in a digest once a day, like any other, or not."
    )
    digest_at: TimeOfDay = Field(time(9), description="Time of day of that digest, in UTC.")
    routes: Annotated[tuple[RouteSetting, ...], BeforeValidator(read_routes)] = Field(
        (),
        description="Which incidents go to another channel, are told again sooner or later, or "
        "call somebody: a list, the first that fits counts (docs/routing.md).",
    )
    group_wait: Duration = Field(
        timedelta(seconds=10), description="Wait before an incident's first message."
    )
    repeat_interval: Interval = Field(
        timedelta(hours=4), description="Tell an open incident again after this."
    )
    resolve_hold: Duration = Field(
        timedelta(seconds=90), description="How long a problem must be gone to count as resolved."
    )
    public_url: WebAddress | None = Field(
        None, description="Links in Slack start with this address."
    )
    forward_url: SecretStr | None = Field(
        None, description="CloudEvents of incidents are posted to this address."
    )
    forward_secret: SecretStr | None = Field(
        None, description="`whsec_…`: those events are signed by Standard Webhooks."
    )
    retention: Duration = Field(
        timedelta(days=14), description="Keeps raw bodies, evidence and resolved incidents."
    )
    redact_emails: bool = Field(
        False, description="Takes e-mail addresses out of findings, evidence and logs too."
    )
    quarantine_max_bytes: int = Field(
        64 * 1024 * 1024, ge=0, description="Quarantine beyond this drops the oldest first."
    )
    allow_unauthenticated: bool = Field(
        False, description="Needed to listen beyond loopback without a token."
    )
    log_format: Literal["text", "json"] = Field("text", description="`json` for clusters.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Log level."
    )

    @model_validator(mode="after")
    def _buttons_need_a_bot(self) -> Self:
        for name in ("slack_signing_secret", "slack_app_token"):
            if getattr(self, name) is not None and self.slack_bot_token is None:
                raise ValueError(
                    f"{variable(name)} is set but AEGIS_SLACK_BOT_TOKEN is not: "
                    "only a bot's messages have buttons"
                )
        return self

    @model_validator(mode="after")
    def _events_stay_private(self) -> Self:
        if self.forward_url is not None and not _is_private(self.forward_url.get_secret_value()):
            # The address itself may hold a secret, so it is not shown.
            raise ValueError(
                "AEGIS_FORWARD_URL: write it like https://host/path; http is taken only on this "
                "machine and for names inside the cluster (http://name.namespace.svc/path)"
            )
        if self.forward_secret is not None and self.forward_url is None:
            raise ValueError("AEGIS_FORWARD_SECRET is set but AEGIS_FORWARD_URL is not")
        return self

    @model_validator(mode="after")
    def _every_route_is_reached(self) -> Self:
        if found := unreachable(tuple(route.match for route in self.routes)):
            later, earlier = found
            raise ValueError(
                f"AEGIS_ROUTES: route {later + 1} is never reached, since route {earlier + 1} "
                "takes all that fits it; put it before that one"
            )
        if self.slack_webhook_url is not None and self.slack_bot_token is None:
            for number, route in enumerate(self.routes, 1):
                if route.channel is not None:
                    raise ValueError(
                        f"AEGIS_ROUTES: route {number} names a channel, but an incoming webhook "
                        "posts to its own only; set AEGIS_SLACK_BOT_TOKEN"
                    )
        return self

    @model_validator(mode="after")
    def _a_bot_needs_a_channel(self) -> Self:
        if self.slack_bot_token is not None and not self.slack_channel:
            raise ValueError(
                "AEGIS_SLACK_BOT_TOKEN is set but AEGIS_SLACK_CHANNEL is not: "
                "name the channel the bot posts to (its id is best)"
            )
        return self


def variable(name: str) -> str:
    """`host` → `AEGIS_HOST`."""
    return PREFIX + name.upper()


def secret_values(settings: Settings) -> frozenset[str]:
    """Every secret that the settings hold, for the log to cut out; also passwords within URLs."""
    found: set[str] = set()
    for name in Settings.model_fields:
        value = getattr(settings, name)
        text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        if "://" in text:
            found |= set(re.findall(r"://[^/\s]*?:(.+)@", text))
        if isinstance(value, SecretStr) and name != "database_url":
            found |= {text, *text.split()}  # signing secrets stand side by side
    return frozenset(found)


def shown(name: str, value: object) -> str:
    """A setting's value as it may be printed: secrets masked, durations short."""
    if value is None:
        return "none"
    if isinstance(value, SecretStr):
        return mask_url(value.get_secret_value()) if name == "database_url" else "********"
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, time):
        return value.isoformat("minutes")
    if isinstance(value, tuple):
        between = "; " if name == "routes" else ","
        return between.join(map(str, value)) or "none"
    return mask_url(str(value)) if "://" in str(value) else str(value)


def mask_url(url: str) -> str:
    """A URL without what may be secret in it: user, password, and values of its query."""
    # Greedy up to the last @: a password may hold any sign, and need not be escaped properly.
    return re.sub(r"(=)[^&\s]*", r"\1***", re.sub(r"://.*@", "://***@", url))


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings and, for each, `default`, `environment` or the file's path."""

    settings: Settings
    sources: Mapping[str, str]


def load(environ: Mapping[str, str]) -> Loaded:
    """Read settings from an environment and the file it names; SettingsError lists every fault."""
    raw: dict[str, object] = {}
    sources = dict.fromkeys(Settings.model_fields, "default")
    problems: list[str] = []
    if path := environ.get(CONFIG_VARIABLE):
        for key, value in _read_file(path).items():
            name = key.removeprefix(PREFIX).lower()
            if name not in sources:
                problems.append(
                    f"{key} in {path} is not a setting; `aegis-sink settings` lists them"
                )
            elif value is not None and not (isinstance(value, str) and _blank(value)):
                raw[name], sources[name] = value, path
    for key, text in environ.items():
        if not key.startswith(PREFIX) or key == CONFIG_VARIABLE or _blank(text):
            continue
        name = key.removeprefix(PREFIX).lower()
        if name in sources:
            raw[name], sources[name] = text, "environment"
    try:
        settings = Settings.model_validate(raw)
    except ValidationError as error:
        for fault in error.errors():
            text = fault["msg"].removeprefix("Value error, ")
            if fault["loc"]:
                first, *within = fault["loc"]
                name = str(first)
                text = f"{variable(name)} ({sources[name]}): {_place(within)}{text}"
            problems.append(text)
    if problems:
        raise SettingsError("the settings cannot be used:\n  " + "\n  ".join(problems))
    return Loaded(settings, sources)


def _blank(text: str) -> bool:
    """Not set: an empty token would be one that everybody knows."""
    return not text.strip()


def _place(within: Sequence[int | str]) -> str:
    """`(1, "channel")` → "route 2, channel: "."""
    parts = [f"route {one + 1}" if isinstance(one, int) else one for one in within]
    return f"{', '.join(parts)}: " if parts else ""


def unknown_variables(environ: Mapping[str, str]) -> tuple[str, ...]:
    """`AEGIS_*` variables that are no setting: usually a typing error, never fatal."""
    known = {variable(name) for name in Settings.model_fields} | {CONFIG_VARIABLE}
    ours = ("AEGIS_TEST_", "AEGIS_SINK_")  # Kubernetes' service links write AEGIS_SINK_PORT=tcp://…
    return tuple(
        sorted(
            key
            for key in environ
            if key.startswith(PREFIX) and key not in known and not key.startswith(ours)
        )
    )


def refuse_open_door(settings: Settings) -> None:
    """SettingsError when the webhook would be open to others than this machine without a token."""
    if settings.webhook_token or settings.allow_unauthenticated or is_loopback(settings.host):
        return
    raise SettingsError(
        f"refusing to listen on {settings.host}:{settings.port} without a token: anybody who "
        "reaches this port could post incidents.\n"
        "  Set AEGIS_WEBHOOK_TOKEN (and put it into K8sGPT's sink URL: /webhook/TOKEN), "
        "or AEGIS_HOST=127.0.0.1,\n"
        "  or, when a NetworkPolicy guards the port, AEGIS_ALLOW_UNAUTHENTICATED=true."
    )


def is_loopback(host: str) -> bool:
    """Whether an address only this machine reaches; names other than localhost count as not."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _read_file(path: str) -> dict[str, object]:
    try:
        text = Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SettingsError(f"{CONFIG_VARIABLE}={path} cannot be read: {why}") from error
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        # The error's own text quotes the line, and a secret may stand in it.
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1} column {mark.column + 1}" if mark else ""
        raise SettingsError(f"{CONFIG_VARIABLE}={path} is not YAML{where}") from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise SettingsError(f"{CONFIG_VARIABLE}={path} must be a mapping of settings to values")
    return {str(key): value for key, value in document.items()}
