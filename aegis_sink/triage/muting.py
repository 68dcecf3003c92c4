"""What keeps an incident from being told: a setting, a silence, or the incident it follows from."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase

from aegis_sink.model import Incident, Mute, MuteKind, State
from aegis_sink.triage.inhibition import muted_by_parent
from aegis_sink.triage.silence import Silence, muted_by


@dataclass(frozen=True, slots=True)
class Scope:
    """Which namespaces and kinds people want to hear of; patterns like `team-*`, () is all.

    An object without a namespace is in none, so that namespaces never mute it. A kind counts when
    the subject has it or any object that shows the problem.
    """

    namespaces: tuple[str, ...] = ()
    exclude_namespaces: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    exclude_kinds: tuple[str, ...] = ()


def mute_of(
    incident: Incident,
    *,
    now: datetime,
    scope: Scope,
    silences: Iterable[Silence],
    parents: Iterable[Incident],
) -> Mute | None:
    """What mutes the incident at `now`, the most deliberate first; None: nothing does.

    A parent that a setting mutes explains nothing: nobody would hear of either.
    """
    if incident.state is State.RESOLVED:
        return None
    if (outside := _outside(incident, scope)) is not None:
        return outside
    if (silence := muted_by(incident, silences, now)) is not None:
        said = f": {silence.comment}" if silence.comment else ""
        because = f"silenced by {silence.author}{said}"
        return Mute(MuteKind.SILENCE, silence.id, because, silence.ends_at)
    told = (parent for parent in parents if _outside(parent, scope) is None)
    if (muting := muted_by_parent(incident, told)) is not None:
        return Mute(MuteKind.INCIDENT, muting.parent.id, muting.because)
    return None


def _outside(incident: Incident, scope: Scope) -> Mute | None:
    namespace = incident.subject.namespace
    kinds = {incident.subject.resource_kind, *(ref.resource_kind for ref in incident.objects)}
    if namespace and scope.namespaces and not _any(namespace, scope.namespaces):
        return _by("AEGIS_NAMESPACES", f"namespace {namespace} is not in it")
    if namespace and _any(namespace, scope.exclude_namespaces):
        return _by("AEGIS_EXCLUDE_NAMESPACES", f"namespace {namespace} is in it")
    if scope.kinds and not any(_any(kind, scope.kinds) for kind in kinds):
        return _by("AEGIS_KINDS", f"{_words(kinds)} is not in it")
    if kinds and all(_any(kind, scope.exclude_kinds) for kind in kinds):
        return _by("AEGIS_EXCLUDE_KINDS", f"{_words(kinds)} is in it")
    return None


def _by(setting: str, because: str) -> Mute:
    return Mute(MuteKind.SETTING, setting, f"{setting}: {because}")


def _any(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _words(kinds: Iterable[str]) -> str:
    return ", ".join(sorted(kinds))
