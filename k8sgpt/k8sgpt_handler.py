"""Hands every change of a K8sGPT Result to AEGIS Sink. Optional, for those who run Kopf already.

    pip install kopf
    AEGIS_SINK_URL=http://aegis:TOKEN@aegis-sink.aegis.svc:8080/webhook \\
      kopf run --all-namespaces k8sgpt/k8sgpt_handler.py

K8sGPT's own sink tells of problems and never of their end; a watch sees both. The account it runs
under needs `list` and `watch` on `results.core.k8sgpt.ai`, nothing else.
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
TOO_LARGE = 413


@kopf.on.startup()
def configure(settings: kopf.OperatorSettings, **_: object) -> None:
    """Read-only: no events written, no peering objects, no search for CRDs or namespaces."""
    _url()
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.scanning.disabled = True


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
        except (aiohttp.ClientError, TimeoutError) as error:
            if isinstance(error, aiohttp.ClientResponseError) and error.status == TOO_LARGE:
                logger.error(f"AEGIS Sink never takes it ({error.message}); it is left out")
                return
            logger.warning(f"AEGIS Sink did not take it ({_words(error)}); again in {pause} s")
            await asyncio.sleep(pause)
        else:
            return


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
                answer.request_info, (), status=answer.status, message=(await answer.text())[:200]
            )


def _words(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientResponseError):
        return f"{error.status} {error.message}"  # its own text names the URL
    return str(error) or type(error).__name__


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"not JSON: {value!r}")
