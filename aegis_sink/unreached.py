"""Why a server was not reached, in words: the same for the API server, a model, and Slack."""

import os
import ssl
from collections.abc import Mapping

import aiohttp

SILENT = "no answer in time"
UNKNOWN_CA = "its certificate is signed by a CA that is not known here"
TRUST_CA = (
    "SSL_CERT_FILE=/path/to/ca.pem   # with the CA of that server, or of the proxy in between"
)
"""What to type where UNKNOWN_CA is said; a kubeconfig names its CA itself."""

# OpenSSL's numbers (X509_V_ERR_…), which say more reliably than its texts what is wrong.
_EXPIRED = 10
_NOT_YET_VALID = 9
_UNKNOWN_ISSUERS = frozenset({2, 18, 19, 20, 21})
_OTHER_NAME = frozenset({62, 64})
_CERTIFICATES: Mapping[int, str] = {
    _EXPIRED: "its certificate has expired, or the clock here is wrong",
    _NOT_YET_VALID: "its certificate is not valid yet, or the clock here is wrong",
    **dict.fromkeys(_UNKNOWN_ISSUERS, UNKNOWN_CA),
    **dict.fromkeys(_OTHER_NAME, "its certificate is for another name"),
}


def why(error: BaseException) -> str:
    """The reason behind an error of aiohttp or the system. Names no address and holds no secret."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return _certificate(error.certificate_error)
        case aiohttp.ClientConnectorSSLError() | ssl.SSLError():
            return "it does not speak TLS there, or TLS broke off (http and https confused?)"
        case aiohttp.ClientConnectorDNSError():
            return "its name is not known (DNS)"
        case aiohttp.ClientProxyConnectionError():
            return "the proxy cannot be reached (HTTP_PROXY, HTTPS_PROXY)"
        case aiohttp.ClientHttpProxyError():
            return f"the proxy answers {error.status} (HTTP_PROXY, HTTPS_PROXY)"
        case aiohttp.ClientConnectorError():
            number = error.os_error.errno  # uvloop's own text repeats the address
            return os.strerror(number).lower() if number else "cannot connect"
        case TimeoutError():
            return SILENT
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            return "the address is none"
        case aiohttp.ServerDisconnectedError():
            return "it closed the connection"
        case aiohttp.ClientPayloadError():
            return "it broke off in its answer"
        case OSError() if error.errno:
            return os.strerror(error.errno).lower()
        case _:
            return type(error).__name__


def _certificate(error: Exception) -> str:
    number = error.verify_code if isinstance(error, ssl.SSLCertVerificationError) else 0
    return _CERTIFICATES.get(number, "its certificate cannot be verified")
