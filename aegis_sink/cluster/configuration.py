"""Which cluster is configured, and with whose credentials: the kubernetes package finds both.

It knows kubeconfigs, exec plugins, service account tokens and their refresh.
"""

import asyncio
import os
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import aiohttp
import yaml

from aegis_sink.cluster.errors import ClusterUnavailable

POOL_SIZE = 32
IN_CLUSTER = "in-cluster"
LOAD_SECONDS = 60.0
"""An exec plugin asks a cloud for a token; one without a network may never end."""

_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
_DEFAULT = "~/.kube/config"
_MEMBERS = frozenset({"apiVersion", "clusters", "contexts", "current-context", "users"})


class Credentials(Protocol):
    """What is used of `kubernetes.aio.client.Configuration`."""

    host: str

    async def get_api_key_with_prefix(self, identifier: str) -> str | None: ...


class Response(Protocol):
    """What is used of the package's response: the aiohttp response inside it."""

    response: aiohttp.ClientResponse


class Transport(Protocol):
    """What is used of `kubernetes.aio.client.rest.RESTClientObject`."""

    async def request(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        body: object = None,
        *,
        _request_timeout: aiohttp.ClientTimeout,
    ) -> Response: ...

    async def close(self) -> None: ...


Loader = Callable[[], Awaitable[tuple[Credentials, Transport]]]


def configured_by() -> str:
    """Where the cluster's address would come from: "in-cluster", a kubeconfig's path, or ""."""
    if os.environ.get("KUBERNETES_SERVICE_HOST") and _SERVICE_ACCOUNT.is_file():
        return IN_CLUSTER
    return _named() if next(_files(), None) else ""


def lost_kubeconfig() -> str:
    """The KUBECONFIG that somebody set and that names nothing which is there, else ""."""
    said = os.environ.get("KUBECONFIG", "")
    return said if said and not configured_by() else ""


def tokenless_pod() -> bool:
    """Whether this is a pod that was given no token, and no kubeconfig in its place."""
    return bool(os.environ.get("KUBERNETES_SERVICE_HOST")) and not configured_by()


async def load_transport() -> tuple[Credentials, Transport]:
    """Credentials and transport of the cluster that is configured. ClusterUnavailable.

    Importing the kubernetes package takes seconds on a slow machine: once, when it is first needed,
    and on a thread, so that the operator's post is answered meanwhile.
    """
    for name in ("kubernetes.aio.config", "kubernetes.aio.client.rest"):
        await asyncio.to_thread(import_module, name)
    from kubernetes.aio.client.configuration import Configuration
    from kubernetes.aio.client.rest import RESTClientObject

    configuration = Configuration()
    configuration.connection_pool_maxsize = POOL_SIZE
    by = configured_by() or _named()
    try:
        async with asyncio.timeout(LOAD_SECONDS):
            await _load(configuration, by)
        return configuration, RESTClientObject(configuration)
    except TimeoutError as error:
        raise _unusable(by, f"its plugin gave no token within {LOAD_SECONDS:.0f} s") from error
    except ClusterUnavailable:
        raise
    except Exception as error:  # the package raises whatever its YAML happens to break
        raise _unusable(by, _words(error)) from error


async def _load(configuration: Any, by: str) -> None:
    from kubernetes.aio import config

    if by == IN_CLUSTER:
        config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        return
    documents = [_document(path) for path in _files()]
    await config.load_kube_config(  # type: ignore[no-untyped-call]
        config_file=by, client_configuration=configuration, persist_config=False
    )
    host = urlsplit(configuration.host)
    if host.scheme not in ("http", "https") or not host.hostname:
        raise _unusable(by, "its cluster names no server like https://HOST:PORT")
    # The package only logs that a plugin failed, and goes on without credentials.
    plugin = _plugin(documents)
    if plugin and not (configuration.api_key or configuration.cert_file):
        raise _unusable(by, f"its plugin {plugin} gave no credentials; run it by hand")


def _named() -> str:
    return os.environ.get("KUBECONFIG") or _DEFAULT


def _files() -> Iterator[Path]:
    """The kubeconfigs that are there."""
    for name in filter(None, _named().split(os.pathsep)):
        # A container's user often has no home, or one that it may not enter: then there is none.
        with suppress(RuntimeError, OSError):
            path = Path(name).expanduser()
            if path.is_file():
                yield path


def _document(path: Path) -> Mapping[str, Any]:
    """A kubeconfig. Errors quote nothing of it: it holds secrets."""
    try:
        document = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise _unusable(str(path), f"it cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise _unusable(str(path), "it is no text") from error
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1} column {mark.column + 1}" if mark else ""
        raise _unusable(str(path), f"it is not YAML{where}") from None
    if document is None:
        raise _unusable(str(path), "it is empty")
    if not isinstance(document, dict) or not _MEMBERS & set(document):
        raise _unusable(str(path), "it is no kubeconfig")
    return document


def _plugin(documents: list[Mapping[str, Any]]) -> str:
    """The command that the current context's user gets its token from, "" for none."""
    current = next((d["current-context"] for d in documents if d.get("current-context")), None)
    contexts = {
        c["name"]: c.get("context") or {} for d in documents for c in d.get("contexts") or ()
    }
    users = {u["name"]: u.get("user") or {} for d in documents for u in d.get("users") or ()}
    user = users.get(contexts.get(current, {}).get("user"), {})
    return str((user.get("exec") or {}).get("command", ""))


def _words(error: Exception) -> str:
    """The package's own words, without what they quote of the file: a token may stand there."""
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return re.sub(r"\{.*\}", "…", " ".join(said.split()))[:200] or type(error).__name__


def _unusable(by: str, what: str) -> ClusterUnavailable:
    return ClusterUnavailable(
        f"the cluster's configuration ({by}) cannot be used: {what}; "
        "set KUBECONFIG to a working kubeconfig, or AEGIS_KUBERNETES=off"
    )
