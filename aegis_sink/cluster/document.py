"""Document: a typed view of JSON from the API server, the parser's edge of this room.

Objects of a cluster may lack any field (no status yet) or hold a wrong type (custom resources):
every reading has a type and a default, none raises.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from aegis_sink.model import ObjectRef


@dataclass(frozen=True, slots=True)
class Document:
    """One JSON value. Paths are given as separate keys: `pod.text("spec", "nodeName")`."""

    value: object = None

    def __bool__(self) -> bool:
        return bool(self.value)

    def at(self, *path: str) -> "Document":
        """What stands under the path; an empty Document when something on the way is missing."""
        value = self.value
        for key in path:
            if not isinstance(value, dict):
                return Document()
            value = value.get(key)
        return Document(value)

    def has(self, *path: str) -> bool:
        """Something other than null stands there."""
        return self.at(*path).value is not None

    def text(self, *path: str) -> str:
        """A string; numbers and booleans as JSON writes them; "" for all else."""
        value = self.at(*path).value
        if isinstance(value, bool):
            return "true" if value else "false"
        return str(value) if isinstance(value, (str, int, float)) else ""

    def number(self, *path: str) -> int | None:
        """An integer, None when there is none."""
        value = self.at(*path).value
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def flag(self, *path: str) -> bool | None:
        """A boolean, None when there is none."""
        value = self.at(*path).value
        return value if isinstance(value, bool) else None

    def items(self, *path: str) -> tuple["Document", ...]:
        """The elements of an array."""
        value = self.at(*path).value
        return tuple(Document(item) for item in value) if isinstance(value, list) else ()

    def texts(self, *path: str) -> tuple[str, ...]:
        """The strings of an array."""
        return tuple(item.text() for item in self.items(*path))

    def names(self, *path: str) -> tuple[str, ...]:
        """The names of an object's members, sorted."""
        value = self.at(*path).value
        return tuple(sorted(str(key) for key in value)) if isinstance(value, dict) else ()

    def mapping(self, *path: str) -> dict[str, str]:
        """An object of scalars, sorted by name (labels, quantities)."""
        at = self.at(*path)
        return {key: at.text(key) for key in at.names()}

    def members(self, *path: str) -> Iterator[tuple[str, "Document"]]:
        """Name and value of an object's members, sorted by name."""
        at = self.at(*path)
        return ((key, at.at(key)) for key in at.names())

    def time(self, *path: str) -> datetime | None:
        """An RFC 3339 time in UTC, None when there is none or it is unreadable."""
        return read_time(self.text(*path))

    @property
    def name(self) -> str:
        """`metadata.name`."""
        return self.text("metadata", "name")

    @property
    def namespace(self) -> str:
        """`metadata.namespace`, "" for cluster-scoped objects."""
        return self.text("metadata", "namespace")

    @property
    def uid(self) -> str:
        """`metadata.uid`."""
        return self.text("metadata", "uid")

    @property
    def labels(self) -> dict[str, str]:
        """`metadata.labels`."""
        return self.mapping("metadata", "labels")

    @property
    def created(self) -> datetime | None:
        """`metadata.creationTimestamp`."""
        return self.time("metadata", "creationTimestamp")

    @property
    def controller(self) -> ObjectRef | None:
        """The owner that controls it, else the first owner, None when nobody owns it."""
        owners = self.items("metadata", "ownerReferences")
        owner = next((o for o in owners if o.flag("controller")), owners[0] if owners else None)
        if owner is None or not owner.text("kind") or not owner.text("name"):
            return None
        return ObjectRef(
            owner.text("kind"), owner.text("name"), self.namespace, owner.text("apiVersion")
        )

    def condition(self, kind: str) -> "Document":
        """The entry of `status.conditions` with this type."""
        found = (c for c in self.items("status", "conditions") if c.text("type") == kind)
        return next(found, Document())


def read_time(text: str) -> datetime | None:
    """RFC 3339 as Kubernetes writes it ("2026-03-01T10:21:07Z"), None when it is not one."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


def say(value: int | bool | None) -> str:
    """ "3", "yes" or "no"; "?" when not known."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "?" if value is None else str(value)


def say_time(at: datetime | None) -> str:
    """Absolute, so that the same cluster gives the same bytes; "?" when not known."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ") if at else "?"
