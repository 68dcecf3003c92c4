"""What K8sGPT objects say: their sink, their AI, and what they will do that nobody expects.

Pure: documents in, checks out. The traps are those of docs/k8sgpt-traps.md.
"""

import hmac
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import SplitResult, unquote, urlsplit

from aegis_sink.cluster.document import Document
from aegis_sink.doctor.check import Check, failed, ok, skipped, warning

AS_IN_THE_DOCUMENTS = "http://aegis-sink.aegis.svc:8080/webhook"
DOOR = "/webhook"
SELF = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0"})  # noqa: S104 — compared, not bound
LOCAL_BACKENDS = frozenset({"localai"})
OLLAMA_PORT = 11434
OF_OBJECT = "k8sgpts.k8sgpt.ai/name"
"""The label that names a Result's K8sGPT object; operators before 0.0.24 set none."""
PATIENCE = timedelta(minutes=3)
"""A Result is posted at the analysis that makes it, or the next."""


@dataclass(frozen=True, slots=True)
class ServiceAddress:
    """A Service as a URL names it."""

    name: str
    namespace: str
    port: int


def service_of(url: str, namespace: str) -> ServiceAddress | None:
    """`http://aegis-sink.aegis.svc:8080/…` → its Service; None for a host that is none.

    A bare name is a Service of `namespace`, where the operator's K8sGPT object is.
    """
    parts = urlsplit(url)
    labels = (parts.hostname or "").removesuffix(".").removesuffix(".cluster.local").split(".")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    match labels:
        case [name] if name and name not in SELF:
            return ServiceAddress(name, namespace, port)
        case [name, place] | [name, place, "svc"] if not name.isdigit():
            return ServiceAddress(name, place, port)
        case _:
            return None


def check_sink(cr: Document, *, token: str, here: str = AS_IN_THE_DOCUMENTS) -> Check:
    """Does what this object finds come here?

    `token` is AEGIS_WEBHOOK_TOKEN, "" for none. `here` is the URL that fixes name.
    """
    name = f"sink {cr.namespace}/{cr.name}"
    sink = cr.at("spec", "sink")
    url = sink.text("webhook")
    secret = sink.text("secret", "name")
    if not sink.text("type") or not (url or secret):
        return failed(name, "no sink is set: K8sGPT posts nothing", _both(cr, here, token))
    if secret and not url:
        return failed(
            name,
            f"only `secret` is set ({secret}): K8sGPT knows by `webhook` what it has posted, so "
            "every finding is posted again at every analysis",
            patch(cr, sink={"webhook": here}),
        )
    if secret:
        return _check_noted(cr, url, secret=secret, here=here)
    if trouble := _url_trouble(cr, url, token=token, here=here):
        return trouble
    return ok(name, f"posts to {_shown(url)}")


def _check_noted(cr: Document, url: str, *, secret: str, here: str) -> Check:
    """Posts go to the URL in the Secret; `webhook`, which may be any text, is only noted."""
    name = f"sink {cr.namespace}/{cr.name}"
    key = cr.at("spec", "sink").text("secret", "key")
    if not key:
        return failed(
            name,
            f"`secret` ({secret}) names no key: K8sGPT then posts to `webhook`",
            patch(cr, sink={"secret": {"name": secret, "key": "url"}}),
        )
    parts = _split(url)
    if parts and (parts.password or parts.path.removeprefix(f"{DOOR}/") not in ("", parts.path)):
        return warning(
            name,
            "`webhook` carries a token, and everybody who may read Results sees it",
            patch(cr, sink={"webhook": here}) + "   # the token stays in the Secret",
        )
    return ok(
        name,
        f"posts to the URL in Secret {secret}, key {key} (not read), noted as {_shown(url)}",
    )


def _url_trouble(cr: Document, url: str, *, token: str, here: str) -> Check | None:
    name = f"sink {cr.namespace}/{cr.name}"
    parts = _split(url)
    if re.search(r"\s", url):
        said = "`webhook` holds a space or a line end, which the operator refuses"
        return failed(name, said, patch(cr, sink={"webhook": _door("".join(url.split())) or here}))
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        return failed(name, "`webhook` is no web address", _both(cr, here, token))
    host = parts.hostname
    shown = _shown(url)
    if host == "slack.com" or host.endswith(".slack.com"):
        return failed(name, f"posts straight to Slack ({host}), not here", _both(cr, here, token))
    if host in SELF:
        return failed(
            name,
            f"posts to {host}: that is the operator's own pod",
            patch(cr, sink={"webhook": here}),
        )
    if parts.path != DOOR and not parts.path.startswith(f"{DOOR}/"):
        return failed(
            name,
            f"posts to {shown}: the door is {DOOR}, other paths answer 404",
            patch(cr, sink={"webhook": _door(url)}),
        )
    if parts.scheme == "https" and host.removesuffix(".cluster.local").endswith(".svc"):
        return failed(
            name,
            f"posts to {shown}: AEGIS Sink speaks plain HTTP inside the cluster",
            patch(cr, sink={"webhook": _door(url).replace("https:", "http:", 1)}),
        )
    if not token:
        return None
    carried = unquote(parts.password or "") or parts.path.removeprefix(DOOR).strip("/")
    if not carried:
        return failed(
            name,
            f"posts to {shown} without the token: each post is answered 401",
            _secret(cr, _door(url)),
        )
    if not hmac.compare_digest(carried.encode(), token.encode()):
        return failed(
            name,
            "posts with another token than AEGIS_WEBHOOK_TOKEN: each post is answered 401",
            _secret(cr, _door(url)),
        )
    return warning(
        name,
        "the token stands in `webhook`, and K8sGPT writes that into every Result",
        _secret(cr, _door(url)),
    )


def check_settings(cr: Document) -> Iterator[Check]:
    """What else in the object surprises people."""
    where = f"{cr.namespace}/{cr.name}"
    spec = cr.at("spec")
    yield _check_ai(cr)
    if spec.has("extraOptions") and not spec.has("extraOptions", "backstage"):
        yield failed(
            f"extraOptions {where}",
            "set without `backstage`: the operator stops with a nil pointer",
            f"kubectl -n {cr.namespace} patch k8sgpt {cr.name} --type json "
            """-p '[{"op":"remove","path":"/spec/extraOptions"}]'""",
        )
    if "ConfigMap" in spec.texts("filters"):
        rest = [kind for kind in spec.texts("filters") if kind != "ConfigMap"]
        yield warning(
            f"filters {where}",
            "ConfigMap is among them: it reports nearly every cluster",
            patch(cr, filters=rest),
        )
    if not spec.text("version"):
        yield warning(
            f"version {where}",
            "no version is set: `latest` is run, which may not fit the operator",
            patch(cr, version="v0.4.32"),
        )


def check_names(objects: Iterable[Document]) -> Iterator[Check]:
    """Objects of one name in several namespaces: a post carries the name alone (facts §1.2)."""
    places: dict[str, list[str]] = defaultdict(list)
    for one in objects:
        places[one.name].append(one.namespace)
    for name, namespaces in places.items():
        if len(namespaces) > 1:
            yield warning(
                f"name {name}",
                f"K8sGPT objects in {', '.join(sorted(namespaces))} have this name, and a post "
                "does not say whose it is",
                f"kubectl -n {max(namespaces)} get k8sgpt {name} -o yaml   # apply it under "
                "another name, delete this one",
            )


def check_posts(
    cr: Document, results: Iterable[Document], now: datetime, *, log: str
) -> Iterator[Check]:
    """Did the operator get through? It copies `webhook` into a Result once that was posted."""
    name = f"posts {cr.namespace}/{cr.name}"
    if not cr.text("spec", "sink", "webhook"):
        return  # then it never notes it
    ours = [one for one in results if one.labels.get(OF_OBJECT, cr.name) == cr.name]
    patience = max(3 * _interval(cr), PATIENCE)
    # A sink that was set a moment ago has not been posted to yet.
    writers = cr.items("metadata", "managedFields")
    changes = [at for one in writers if not one.text("subresource") and (at := one.time("time"))]
    since = [
        max([one.created, *changes])
        for one in ours
        if not one.text("status", "webhook") and one.created
    ]
    waiting = [now - at for at in since if now - at > patience]
    if waiting:
        minutes = max(waiting).total_seconds() // 60
        log = log or f"kubectl -n {cr.namespace} logs deployment/k8sgpt-operator-controller-manager"
        yield failed(
            name,
            f"{len(waiting)} of {len(ours)} Results were never posted, the oldest for "
            f"{minutes:.0f} min: the operator does not get through, or pauses after an outage",
            f"{log} | grep -iE 'sink|report'   # what it may say: k8sgpt/README.md, "
            '"When no message comes"',
        )
    elif ours:
        yield ok(name, f"{len(ours)} Results, none waits to be posted")
    else:
        yield skipped(name, "there is no Result: nothing was found, or nothing analysed yet")


def check_service(
    address: ServiceAddress, service: Document, ready: int | None, where: str
) -> Check:
    """The Service a sink names: there, the right port, somebody behind it, and is it us?

    `ready` is the number of ready addresses, None when they may not be read.
    """
    name = f"sink target {where}"
    path = f"{address.namespace}/{address.name}"
    if not service:
        return failed(
            name, f"there is no Service {path}", f"kubectl -n {address.namespace} get services"
        )
    ports = [port.number("port") for port in service.items("spec", "ports")]
    if address.port not in ports:
        said = ", ".join(map(str, ports)) or "none"
        return failed(
            name,
            f"the sink posts to port {address.port}; the ports of Service {path} are {said}",
            f"kubectl -n {address.namespace} get service {address.name}   # and set its port in "
            "the sink's URL",
        )
    if ready == 0:
        return failed(
            name,
            f"Service {path} has no ready pod behind it",
            f"kubectl -n {address.namespace} get pods,endpointslices",
        )
    if service.labels.get("app.kubernetes.io/name") != "aegis-sink":
        return warning(
            name,
            f"Service {path} is there, but its label app.kubernetes.io/name is not aegis-sink",
            f"kubectl -n {address.namespace} describe service {address.name}",
        )
    behind = "" if ready is None else f", {ready} ready behind it"
    return ok(name, f"Service {path}, port {address.port}{behind}")


def _check_ai(cr: Document) -> Check:
    name = f"ai {cr.namespace}/{cr.name}"
    ai, sink = cr.at("spec", "ai"), cr.text("spec", "sink", "type")
    if not ai:
        return failed(
            name,
            "`ai` is left out: the operator stops with a nil pointer",
            patch(cr, ai={"enabled": False, "backend": "localai"}),
        )
    if ai.flag("enabled") is not True:
        if sink in ("slack", "cloudevents"):
            return failed(
                name,
                f"AI is off and the sink's type is {sink}: posts come with an empty text",
                patch(cr, sink={"type": "mattermost"}),
            )
        return ok(name, "off: AEGIS Sink makes the diagnosis")
    backend = ai.text("backend")
    local = backend in LOCAL_BACKENDS
    if local and (trouble := _model_url_trouble(ai.text("baseUrl"))):
        url = "http://ollama.ollama.svc:11434/v1"
        return failed(name, trouble, patch(cr, ai={"baseUrl": url}) + "   # where your model is")
    if ai.flag("anonymized") is not False:
        anew = "names are masked anew in each run, so K8sGPT's cache never answers and the model is"
        if local:
            return warning(
                name,
                f"on with anonymized: true (the default) and a local model: {anew} asked every "
                "time",
                patch(cr, ai={"anonymized": False}),
            )
        return warning(
            name,
            f"on with anonymized: true (the default) and {backend}: {anew} asked, and paid, every "
            "time",
            patch(cr, ai={"enabled": False}, sink={"type": "mattermost"})
            + "   # AEGIS Sink makes the diagnosis",
        )
    return ok(name, f"on ({backend}, {ai.text('model') or 'its default model'})")


def _model_url_trouble(url: str) -> str:
    """What is wrong with the address of a local model, "" for nothing."""
    parts = _split(url)
    if parts is None or not parts.hostname:
        return f"on with no `baseUrl` that is a web address ({url or 'none'}): no model is asked"
    if parts.hostname in SELF:
        return f"on with `baseUrl` {url}: that is K8sGPT's own pod"
    if parts.port == OLLAMA_PORT and not parts.path.rstrip("/").endswith("/v1"):
        return f"on with `baseUrl` {url}: this backend speaks to Ollama under /v1"
    return ""


def _interval(cr: Document) -> timedelta:
    """`analysis.interval`, else its default (facts §1.5)."""
    found = re.fullmatch(r"(\d{1,6})([smh])", cr.text("spec", "analysis", "interval"))
    if not found:
        return timedelta(seconds=30)
    return int(found[1]) * {"s": timedelta(seconds=1), "m": timedelta(minutes=1),
                            "h": timedelta(hours=1)}[found[2]]  # fmt: skip


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts


def _both(cr: Document, here: str, token: str) -> str:
    """The whole sink, set anew; its Secret only where there is a token to keep in it."""
    if token:
        return _secret(cr, here, type="mattermost")
    return patch(cr, sink={"type": "mattermost", "webhook": here})


def patch(cr: Document, **spec: object) -> str:
    """The command that merges this into the object's spec."""
    merged = json.dumps({"spec": spec}, separators=(",", ":"))
    return f"kubectl -n {cr.namespace} patch k8sgpt {cr.name} --type merge -p '{merged}'"


def _secret(cr: Document, here: str, **more: str) -> str:
    """The Secret with the whole URL, and the sink that uses it. The token is typed, not shown."""
    secret = {"name": "aegis-sink-url", "key": "url"}
    scheme, _, rest = here.partition("://")
    return (
        "printf 'AEGIS_WEBHOOK_TOKEN: ' && read -rs TOKEN && "
        f"kubectl -n {cr.namespace} create secret generic aegis-sink-url --dry-run=client -o yaml "
        f'--from-literal=url="{scheme}://aegis:$TOKEN@{rest}" | '
        f"kubectl apply -f - && {patch(cr, sink={**more, 'webhook': here, 'secret': secret})}"
    )


def _door(url: str) -> str:
    """The door of the server that a URL names, without what the URL carries; "" for no URL."""
    parts = _split(url)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        return ""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{DOOR}"


def _shown(url: str) -> str:
    """Where a URL leads, without what may be a secret in it: whose token it is does not matter."""
    parts = _split(url)
    if parts is None or not parts.hostname:
        return "a text that is no URL"
    beyond = "" if parts.path in ("", "/", DOOR) and not parts.query else "/…"
    path = DOOR if parts.path.startswith(DOOR) else ""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{path}{beyond}"
