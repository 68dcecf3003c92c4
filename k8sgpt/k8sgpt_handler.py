"""Hands every change of a K8sGPT Result to AEGIS Sink. Optional, for those who run Kopf already.

    pip install 'kopf>=1.45'
    AEGIS_SINK_URL=http://aegis:TOKEN@aegis-sink.aegis.svc:8080/webhook \\
      kopf run --all-namespaces k8sgpt/k8sgpt_handler.py

K8sGPT's own sink tells of problems and never of their end; a watch sees both. The account it runs
under needs `list` and `watch` on `results.core.k8sgpt.ai`, nothing else (k8sgpt_handler-rbac.yaml).
An end that comes while it is not running is seen by nobody: `aegis-sink reconcile --once`.
It waits for K8sGPT's CRD, and ends when that goes: let a Deployment or systemd start it again.
"""

import asyncio
import io
import json
import os
from collections.abc import Mapping
from itertools import chain, repeat
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import kopf

URL = "AEGIS_SINK_URL"
DEFAULT_URL = "http://127.0.0.1:8080/webhook"
TIMEOUT = aiohttp.ClientTimeout(total=30)
PAUSES_SECONDS = (1, 2, 4, 8, 16, 32, 60)
NEVER_TAKEN = frozenset({400, 413, 415, 422})
"""Answers to the body itself, to which no second try gets another."""
GROUP = "/apis/core.k8sgpt.ai/v1alpha1"
LOGINS = (kopf.login_with_service_account, kopf.login_via_client, kopf.login_with_kubeconfig)
CRD_SECONDS = 10.0


@kopf.on.startup()
def configure(settings: kopf.OperatorSettings, **_: object) -> None:
    """Read-only: no events written, no peering objects, no search for CRDs or namespaces."""
    _url()
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.scanning.disabled = True


@kopf.on.startup()
async def wait_for_results(
    settings: kopf.OperatorSettings, logger: kopf.Logger, **_: object
) -> None:
    """Kopf looks once for what it is to watch: before there is a CRD it would serve nothing."""
    if not await _results_are_served(settings, logger):
        raise kopf.TemporaryError(
            "the cluster knows no Results; once K8sGPT's operator is installed they are watched",
            delay=CRD_SECONDS,
        )


# on.event and not on.create, on.update, on.delete: those write annotations to every Result, and a
# finalizer, with which no Result could go away while this program is not running.
@kopf.on.event("core.k8sgpt.ai", "v1alpha1", "results")
async def hand_over(type: str | None, body: kopf.Body, logger: kopf.Logger, **_: object) -> None:
    """A Result was created, updated or deleted; at the start, every Result there is."""
    document = json.dumps({"type": type or "ADDED", "object": dict(body)}, default=_plain)
    # Until it is taken: an end that is lost is told to nobody. Kopf keeps the object's latest event.
    for pause in chain(PAUSES_SECONDS, repeat(PAUSES_SECONDS[-1])):
        try:
            await _post(_url(), document)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if isinstance(error, aiohttp.ClientResponseError) and error.status in NEVER_TAKEN:
                logger.error(f"AEGIS Sink never takes it ({_words(error)}); it is left out")
                return
            logger.warning(f"AEGIS Sink did not take it ({_words(error)}); again in {pause} s")
            await asyncio.sleep(pause)
        else:
            return


async def _results_are_served(settings: kopf.OperatorSettings, logger: kopf.Logger) -> bool:
    """Whether the API server has them; True where Kopf is refused next too, and says why."""
    try:
        found = (login(settings=settings, logger=logger) for login in LOGINS)
        info = next(filter(None, found), None)
    except Exception:  # noqa: BLE001 — the packages raise whatever a kubeconfig happens to break
        info = None
    if info is None:
        return True  # Kopf logs in with the same functions, and ends with the reason
    try:
        async with (
            aiohttp.ClientSession(
                headers=info.as_http_headers(), timeout=TIMEOUT, trust_env=info.trust_env
            ) as session,
            session.get(
                f"{info.server}{GROUP}", ssl=info.as_ssl_context(), proxy=info.proxy_url
            ) as answer,
        ):
            if answer.status in (401, 403):
                return True
            if answer.status == 404:
                return False
            answer.raise_for_status()
            return any(one["name"] == "results" for one in (await answer.json())["resources"])
    except (aiohttp.ClientError, OSError, ValueError, LookupError, TypeError) as error:
        raise kopf.TemporaryError(
            f"the API server did not say whether there are Results ({_words(error)})",
            delay=CRD_SECONDS,
        ) from error


def _url() -> str:
    """The door. Its text is never said: it may hold the token."""
    url = (os.environ.get(URL) or DEFAULT_URL).strip()
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise kopf.PermanentError(f"{URL} must be like http://aegis:TOKEN@HOST:PORT/webhook")
    return url


async def _post(url: str, document: str) -> None:
    headers = {"content-type": "application/json"}
    async with (
        aiohttp.ClientSession(timeout=TIMEOUT) as session,
        session.post(
            url, data=io.BytesIO(document.encode()), headers=headers, allow_redirects=False
        ) as answer,
    ):
        if answer.status != 200:
            raise aiohttp.ClientResponseError(
                answer.request_info,
                (),
                status=answer.status,
                message=(await answer.content.read(200)).decode(errors="replace"),
            )


def _words(error: Exception) -> str:
    """Never the text of an error that may name the URL, and the token in it."""
    match error:
        case aiohttp.ClientResponseError():
            return f"{error.status} {error.message}"
        case aiohttp.ClientConnectorError():
            return str(error)
        case _:
            return type(error).__name__


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"not JSON: {value!r}")
