"""Discovery: where the API server keeps kinds that are not in the table, custom ones above all."""

from collections.abc import Callable, Iterator

from aegis_sink.cluster.connection import DISCOVERY, Connection
from aegis_sink.cluster.document import Document
from aegis_sink.cluster.errors import ObjectGone
from aegis_sink.cluster.resources import KNOWN, NEVER_READ, Resource
from aegis_sink.cluster.shared import Shared

KEPT_SECONDS = 600.0
MOST_BYTES = 16 * 1024 * 1024


class Discovery:
    """Kinds of one API server, asked for at most every ten minutes (one request)."""

    def __init__(self, connection: Connection, *, clock: Callable[[], float]) -> None:
        self._connection = connection
        self._kinds: Shared[str, tuple[Resource, ...]] = Shared(KEPT_SECONDS, clock=clock)

    async def resource(self, kind: str, api_version: str = "") -> Resource:
        """The resource of a kind; with an api_version of just that group.

        Raises ObjectGone when the server does not know the kind, and for Secrets, which are
        never read.
        """
        if kind in NEVER_READ:
            raise ObjectGone("Secrets are never read")
        known = KNOWN.get(kind)
        group = api_version.rpartition("/")[0]
        if known and (not api_version or known.group == group):
            return known
        for resource in await self._kinds.get("all", self._ask):
            if resource.kind == kind and (not api_version or resource.group == group):
                return resource
        raise ObjectGone(f"the API server knows no kind {kind} {api_version}".rstrip())

    async def _ask(self) -> tuple[Resource, ...]:
        body = await self._connection.read_path("/apis", most_bytes=MOST_BYTES, accept=DISCOVERY)
        return tuple(_resources(body.document()))


def _resources(answer: Document) -> Iterator[Resource]:
    for group in answer.items("items"):
        for version in group.items("versions")[:1]:  # the preferred one stands first
            for resource in version.items("resources"):
                yield Resource(
                    group.name,
                    version.text("version"),
                    resource.text("resource"),
                    resource.text("scope") == "Namespaced",
                    resource.text("responseKind", "kind"),
                )
