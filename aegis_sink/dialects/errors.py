"""Why a body did not become findings.

DialectError
├── NotReadable   not JSON (nor YAML where that is allowed); the text says where it breaks
├── UnknownShape  readable, but no dialect; the text says what was seen
└── InvalidBody   a dialect, but its schema or grammar refuses it: `dialect`, `path`, `reason`
"""


class DialectError(Exception):
    """Base of all reasons. What it quotes from a body can be stored and sent: half surrogate pairs,
    which JSON may hold, become `?`."""

    def __init__(self, text: str) -> None:
        super().__init__(_encodable(text))


class NotReadable(DialectError):
    """Neither JSON nor, where allowed, YAML."""


class UnknownShape(DialectError):
    """A document of no known dialect."""


class InvalidBody(DialectError):
    """A document of a known dialect that breaks its rules at `path` ("$.spec.name")."""

    def __init__(self, dialect: str, path: str, reason: str) -> None:
        super().__init__(f"{dialect}: {path} {reason}")
        self.dialect = dialect
        self.path = _encodable(path)
        self.reason = reason


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
