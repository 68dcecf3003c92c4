"""The whole examination, in the order in which a problem would show."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from urllib.parse import quote, urlsplit

import aiohttp

from aegis_sink.building.model import model_options
from aegis_sink.client import address
from aegis_sink.cluster.configuration import configured_by, lost_kubeconfig, tokenless_pod
from aegis_sink.cluster.connection import Connection
from aegis_sink.cluster.discovery import Discovery
from aegis_sink.cluster.lease import pod_namespace
from aegis_sink.cluster.reader import Budget, Reader
from aegis_sink.doctor.check import Check, Health, failed, ok, skipped, warning
from aegis_sink.doctor.cluster import check_api_server, check_crds, check_server_clock
from aegis_sink.doctor.database import check_database
from aegis_sink.doctor.model import check_model
from aegis_sink.doctor.objects import check_objects
from aegis_sink.doctor.rights import Lease, check_rights
from aegis_sink.doctor.slack import check_slack
from aegis_sink.settings import (
    Settings,
    SettingsError,
    is_loopback,
    refuse_open_door,
    unknown_variables,
    variable,
)
from aegis_sink.unreached import SILENT, why

BUDGET = Budget(calls=200, bytes=16 * 1024 * 1024, seconds=60)
REACH_SECONDS = 5.0
NEW_TOKEN = "AEGIS_WEBHOOK_TOKEN=$(openssl rand -hex 24)"  # noqa: S105


@dataclass(frozen=True, slots=True)
class Examination:
    """What to look at, and with what. `namespace`: where rights are asked for, "" for all."""

    settings: Settings
    environ: Mapping[str, str]
    namespace: str = ""
    post: bool = False
    connect: Callable[[], Connection] = Connection

    async def everything(self) -> AsyncIterator[Check]:
        """All checks, each as soon as it is known."""
        for check in self._settings():
            yield check
        async for check in self._service():
            yield check
        for check in check_database(self.settings.database_url.get_secret_value()):
            yield check
        async for check in self._cluster():
            yield check
        async for check in check_model(model_options(self.settings)):
            yield check
        async for check in self.slack():
            yield check
        async for check in self._public_url():
            yield check

    async def slack(self) -> AsyncIterator[Check]:
        """Slack alone."""
        async for check in check_slack(self.settings, post=self.post):
            yield check

    def _settings(self) -> list[Check]:
        unknown = unknown_variables(self.environ)
        checks = []
        if unknown:
            fixes = [f"{meant}=…   # for {one}" for one in unknown if (meant := _meant(one))]
            checks.append(
                warning(
                    "settings",
                    f"no setting: {', '.join(unknown)}",
                    "; ".join(fixes) or "aegis-sink settings   # lists all",
                )
            )
        try:
            refuse_open_door(self.settings)
        except SettingsError:
            where = f"{self.settings.host}:{self.settings.port}"
            checks.append(
                failed(
                    "settings",
                    f"`aegis-sink serve` refuses to listen on {where}, where others could post: "
                    "no token is set",
                    NEW_TOKEN,
                )
            )
        secret = self.settings.webhook_token
        if secret and quote(secret.get_secret_value(), safe="") != secret.get_secret_value():
            checks.append(
                warning(
                    "settings",
                    "AEGIS_WEBHOOK_TOKEN has signs that a URL takes only in another spelling, and "
                    "K8sGPT's sink is a URL",
                    NEW_TOKEN,
                )
            )
        return checks or [ok("settings", "can be used")]

    async def _service(self) -> AsyncIterator[Check]:
        name = "service"
        url = address(self.settings)
        status, text = await _get(f"{url}/readyz")
        if status == 200 and '"ready"' in text:
            yield ok(name, f"answers at {url}")
        elif status == 503 and '"ready"' in text:
            yield failed(
                name, f"answers at {url} and is not ready: {text[:200]}", f"curl {url}/readyz"
            )
        elif status:
            yield failed(
                name,
                f"something else answers at {url} ({status})",
                f"AEGIS_PORT=…   # or stop what listens on {self.settings.port}",
            )
        elif text == SILENT:
            yield failed(
                name,
                f"something listens at {url} and does not answer",
                f"curl -m 10 {url}/healthz   # or AEGIS_PORT=…",
            )
        else:
            yield skipped(name, f"none runs at {url}", "aegis-sink serve")

    async def _cluster(self) -> AsyncIterator[Check]:
        if self.settings.kubernetes == "off":
            yield skipped("kubernetes", "AEGIS_KUBERNETES=off: no evidence is read")
            return
        if self.connect is Connection and (lost := lost_kubeconfig()):
            yield failed(
                "kubernetes",
                f"KUBECONFIG={lost} names no file that can be read: no evidence is read",
                "export KUBECONFIG=~/.kube/config   # without a cluster: AEGIS_KUBERNETES=off",
            )
            return
        if self.connect is Connection and tokenless_pod():
            yield failed(
                "kubernetes",
                "this pod has no service account's token: no evidence is read",
                "automountServiceAccountToken: true   # in the pod's spec",
            )
            return
        if self.connect is Connection and not configured_by():
            yield skipped(
                "kubernetes",
                "no cluster is configured: no evidence is read",
                "export KUBECONFIG=~/.kube/config   # or run it in the cluster",
            )
            return
        connection = self.connect()
        try:
            reached = await check_api_server(connection)
            yield reached
            if reached.health is not Health.OK:
                return
            yield check_server_clock(connection)
            results = self.settings.results_namespace or ""
            lease = Lease(
                self.settings.lease_namespace or pod_namespace(), self.settings.lease_name
            )
            async for check in check_rights(
                connection, namespace=self.namespace, results_namespace=results, lease=lease
            ):
                yield check
            async for check in check_crds(connection):
                yield check
            reader = Reader(connection, Discovery(connection, clock=lambda: 0.0), BUDGET)
            now = connection.server_time(datetime.now(UTC))
            async for check in check_objects(reader, self.settings, now):
                yield check
        finally:
            await connection.close()

    async def _public_url(self) -> AsyncIterator[Check]:
        name = "public URL"
        url = self.settings.public_url
        if not url:
            yield skipped(
                name,
                "not set: messages carry no links",
                "AEGIS_PUBLIC_URL=https://aegis.example.com   # where people reach the service",
            )
            return
        host = urlsplit(url).hostname or ""
        if is_loopback(host):
            yield warning(
                name,
                f"{url} is this machine only: nobody else can open the links in Slack",
                "AEGIS_PUBLIC_URL=https://aegis.example.com",
            )
            return
        status, text = await _get(f"{url.rstrip('/')}/healthz")
        if status == 200 and text == "ok":
            yield ok(name, f"{url} leads to AEGIS Sink")
        elif status:
            yield warning(
                name,
                f"{url}/healthz answers {status}, not as AEGIS Sink would",
                "check the Ingress (ingress.paths), or AEGIS_PUBLIC_URL",
            )
        else:
            yield warning(
                name,
                f"{url} cannot be reached from here ({text})",
                f"curl -sS {url.rstrip('/')}/healthz   # from where people sit",
            )


def _meant(variable_name: str) -> str:
    """The setting that a misspelt variable is likely to mean, "" for none."""
    known = [variable(name) for name in Settings.model_fields]
    return next(iter(get_close_matches(variable_name, known, n=1, cutoff=0.8)), "")


async def _get(url: str) -> tuple[int, str]:
    """(status, body); (0, why) when nothing answers."""
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=REACH_SECONDS)) as session,
            session.get(url, allow_redirects=False) as response,
        ):
            return response.status, (await response.content.read(65_536)).decode("utf-8", "replace")
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        return 0, why(error)
