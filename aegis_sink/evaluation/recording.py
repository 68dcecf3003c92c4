"""Recording: a connection that answers from a case folder what an API server would.

The client, its reader and the collectors above it are the real ones: there is no second way to
make evidence.
"""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from aegis_sink.cluster.connection import JSON, Body, Connection, Request, Spend
from aegis_sink.cluster.document import Document
from aegis_sink.cluster.errors import ClusterRefused, ObjectGone
from aegis_sink.cluster.resources import KNOWN
from aegis_sink.evaluation.folder import Log

_TERM = re.compile(r"[^,(]+(?:\([^)]*\))?")
_AMONG = re.compile(r"(?P<name>\S+) (?P<how>in|notin) \((?P<values>[^)]*)\)")


class Recording(Connection):
    """The objects and logs of one case. Every read is allowed; nothing touches the network."""

    def __init__(self, objects: Iterable[Mapping[str, Any]], logs: Mapping[Log, bytes]) -> None:
        super().__init__()
        self._objects = tuple(objects)
        self._logs = logs

    def server_time(self, now: datetime) -> datetime:
        """The moment of the recording."""
        return now

    async def read(
        self,
        request: Request,
        *,
        most_bytes: int,
        keep_part: bool = False,
        seconds: float | None = None,
        spend: Spend | None = None,
    ) -> Body:
        """An object, a list of them, or a log."""
        if request.subresource == "log":
            return self._log(request, most_bytes)
        found = [o for o in self._objects if _is_of(o, request)]
        if not request.name:
            chosen = [o for o in found if _selected(o, request.query)]
            return Body(json.dumps({"metadata": {}, "items": chosen}).encode())
        one = next((o for o in found if o["metadata"]["name"] == request.name), None)
        if one is None:
            raise ObjectGone(f"gone: {request}")
        return Body(json.dumps(one).encode())

    async def read_path(self, path: str, *, most_bytes: int, accept: str = JSON) -> Body:
        """Discovery: the kinds of the recording that are not in the client's own table."""
        items = [_discovered(o) for o in self._objects if o["kind"] not in KNOWN]
        return Body(json.dumps({"items": items}).encode())

    async def close(self) -> None:
        """Nothing is open."""

    def _log(self, request: Request, most_bytes: int) -> Body:
        previous = request.query["previous"] == "true"
        container = request.query["container"]
        log = self._logs.get((request.namespace, request.name, container, previous))
        if log is None:
            which = "previous terminated container" if previous else "container"
            raise ClusterRefused(
                f"{request}: {which} {container} is not in the recording", status=400
            )
        lines = log.splitlines(keepends=True)[-int(request.query["tailLines"]) :]
        data = b"".join(lines)
        return Body(data[:most_bytes], len(data) > most_bytes)


def _is_of(one: Mapping[str, Any], request: Request) -> bool:
    group = one["apiVersion"].rpartition("/")[0]
    namespace = one["metadata"].get("namespace", "")
    same = one["kind"] == request.resource.kind and group == request.resource.group
    return same and (not request.namespace or namespace == request.namespace)


def _selected(one: Mapping[str, Any], query: Mapping[str, str]) -> bool:
    """Label and field selectors as the API reads them, in the forms the collectors write."""
    document = Document(one)
    labels = document.labels
    for term in _TERM.findall(query.get("labelSelector", "")):
        if not _has_label(labels, term.strip()):
            return False
    for term in filter(None, query.get("fieldSelector", "").split(",")):
        path, _, value = term.partition("=")
        unlike = path.endswith("!")
        if (document.text(*path.rstrip("!").split(".")) == value) is unlike:
            return False
    return True


def _has_label(labels: Mapping[str, str], term: str) -> bool:
    if among := _AMONG.fullmatch(term):
        inside = labels.get(among["name"]) in among["values"].split(",")
        return inside is (among["how"] == "in")
    name, equals, value = term.partition("=")
    if equals:
        return labels.get(name) == value
    return term[1:] not in labels if term.startswith("!") else term in labels


def _discovered(one: Mapping[str, Any]) -> Mapping[str, Any]:
    group, _, version = one["apiVersion"].rpartition("/")
    scope = "Namespaced" if one["metadata"].get("namespace") else "Cluster"
    resource = {
        "resource": one["kind"].lower() + "s",
        "scope": scope,
        "responseKind": {"kind": one["kind"]},
    }
    return {
        "metadata": {"name": group},
        "versions": [{"version": version, "resources": [resource]}],
    }
