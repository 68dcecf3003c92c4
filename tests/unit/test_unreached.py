"""Why a server was not reached, from real sockets and real certificates."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509

from aegis_sink.unreached import why
from tests.fakes.tls_server import NOW, certificate, listening


async def reason(url: str, *, trusting: Path | None = None, proxy: str | None = None) -> str:
    context = ssl.create_default_context(cafile=str(trusting) if trusting else None)
    # Python 3.13 asks for extensions that a certificate made in a test has not.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        with pytest.raises((aiohttp.ClientError, OSError, TimeoutError)) as error:
            await session.get(url, ssl=context, proxy=proxy)
    return why(error.value)


@pytest.mark.parametrize(
    ("make", "trusted", "says"),
    [
        (certificate, False, "signed by a CA that is not known"),
        (lambda folder: certificate(folder, until=NOW - timedelta(days=1)), True, "has expired"),
        (lambda folder: certificate(folder, name=x509.DNSName("other")), True, "another name"),
    ],
)
async def test_a_certificate_that_is_not_taken_says_why(
    tmp_path: Path, make: Callable[[Path], Path], trusted: bool, says: str
) -> None:
    file = make(tmp_path)
    async with listening(file) as port:
        said = await reason(f"https://127.0.0.1:{port}", trusting=file if trusted else None)
    assert says in said


async def test_http_and_https_confused_are_told_as_such() -> None:
    async with listening(None) as port:
        assert "TLS" in await reason(f"https://127.0.0.1:{port}")


async def test_nobody_there_a_name_unknown_and_a_proxy_away_are_told_apart(
    unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = f"http://127.0.0.1:{unused_tcp_port}"
    assert await reason(here) == "connection refused"
    assert "the proxy" in await reason("http://10.0.0.1", proxy=here)

    async def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", unknown)
    assert "name is not known" in await reason("http://model.test")


async def test_what_nobody_foresaw_is_named_without_its_text() -> None:
    assert why(RuntimeError("token=abc")) == "RuntimeError"
