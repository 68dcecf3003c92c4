"""Why a server was not reached, from real sockets and real certificates."""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from aegis_sink.unreached import why

NOW = datetime.now(UTC)
HERE = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))


def certificate(
    folder: Path, *, until: datetime = NOW + timedelta(days=1), name: x509.GeneralName = HERE
) -> Path:
    """One that signs itself, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "api")])
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=9))
        .not_valid_after(until)
        .add_extension(x509.SubjectAlternativeName([name]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    no = serialization.NoEncryption()
    file = folder / "api.pem"
    file.write_bytes(
        signed.public_bytes(pem) + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, no)
    )
    return file


@asynccontextmanager
async def listening(file: Path | None) -> AsyncIterator[int]:
    """Answers in plain HTTP; with TLS where there is a certificate. Gives its port."""
    context = None
    if file is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(file)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


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
