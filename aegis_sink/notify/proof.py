"""Evidence as a person reads it: which pieces come first, and the one line that tells."""

import regex

from aegis_sink.model import Evidence, Incident
from aegis_sink.model.facts import (
    ContainerFacts,
    EventsFacts,
    LogFacts,
    NodeFacts,
    PodFacts,
    RolloutFacts,
)
from aegis_sink.notify.text import clamp, one_line

LINE_CHARACTERS = 220
SOURCE_CHARACTERS = 80
GIST_CHARACTERS = 100
ALIKE_CHARACTERS = 40
"""So much must be the same for two texts to say the same."""

_EVENT = regex.compile(r"^(?:Warning|Normal) \S+ x\d+: ")
_CONDITION = regex.compile(r"condition (?!\w*Fail)\w+=True ")
# What a container does and did, in place of what it is made of.
_STATE = (
    "waiting:",
    "running",
    "ended:",
    "last run:",
    "restarts:",
    "limits:",
    "requests:",
)
_SAYS_NOTHING = ("limits: none", "requests: none", "restarts: 0")


def cited(incident: Incident) -> tuple[Evidence, ...]:
    """The evidence the diagnosis rests on, else the most telling there is; best first."""
    by_id = {e.id: e for e in incident.evidence}
    cites = incident.diagnosis.cites if incident.diagnosis else ()
    chosen = tuple(by_id[i] for i in dict.fromkeys(cites) if i in by_id)
    return chosen or tuple(sorted(incident.evidence, key=lambda e: -e.worth))


def proof_lines(incident: Incident, *, shown: int) -> tuple[str, ...]:
    """The first lines of proof, without those that say what one before them says: an event and the
    condition of its pod often have the same words."""
    lines: list[str] = []
    gists: list[str] = []
    for evidence in cited(incident):
        gist = _EVENT.sub("", _told(evidence))[:GIST_CHARACTERS]
        if any(_alike(gist, one) for one in gists):
            continue
        if len(lines) == shown:
            break
        lines.append(evidence_line(evidence))
        gists.append(gist)
    return tuple(lines)


def evidence_line(evidence: Evidence) -> str:
    """One line of proof: its id, where it was read, what it says; the thread has it whole."""
    source = clamp(one_line(evidence.source), SOURCE_CHARACTERS)
    return clamp(f"{evidence.id} {source}: {_told(evidence)}", LINE_CHARACTERS)


def _alike(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    return one == other if len(short) < ALIKE_CHARACTERS else long.startswith(short)


def _told(evidence: Evidence) -> str:
    return " · ".join(filter(None, map(one_line, _telling(evidence))))


def _telling(evidence: Evidence) -> list[str]:
    """The lines of its text, what a person would look for first."""
    lines = evidence.text.splitlines()
    match evidence.facts:
        case LogFacts() as facts:
            # The last error is what a person would scroll to.
            return [(facts.error_lines or (facts.last_line or evidence.text,))[-1]]
        case EventsFacts():
            # "2026-03-03T09:39:00Z Warning BackOff x9: …": newest last, and the time is the least.
            newest = [line.partition(" ")[2] or line for line in reversed(lines)]
            # That a kubelet waits before it tries again says not why.
            return sorted(
                newest, key=lambda line: (not line.startswith("Warning "), " BackOff " in line)
            )
        case ContainerFacts() as facts:
            if facts.waiting_reason == "CrashLoopBackOff":
                # Its message says only that it waits.
                lines = [
                    "waiting: CrashLoopBackOff" if line.startswith("waiting:") else line
                    for line in lines
                ]
            # What it is made of is in the thread.
            runs = any(line.startswith("running") for line in lines)
            told = [line for line in lines if _is_state(line) or (runs and _is_door(line))]
            return told or lines
        case PodFacts() as facts if facts.unschedulable_message:
            return [facts.unschedulable_message]
        case RolloutFacts():
            # "~" is what changed, "+" and "-" what came and went; the rest names the revisions.
            return sorted((line.rstrip(":") for line in lines), key=_is_change)
        case NodeFacts():
            return sorted(lines, key=_is_healthy_node)
        case _:
            return sorted(lines, key=_is_background)


def _is_healthy_node(line: str) -> int:
    """A node is ill when it is not ready, or when another of its conditions is true."""
    ready = line.startswith("condition Ready=")
    if ready and not line.startswith("condition Ready=True"):
        return 0
    return 1 if not ready and _CONDITION.match(line) else 2


def _is_background(line: str) -> int:
    """When it was made, and what is as it should be, stand last."""
    return 2 if line.startswith("created ") else 1 if _CONDITION.match(line) else 0


def _is_change(line: str) -> int:
    return 0 if line.startswith("~") else 1 if line.startswith(("+", "-")) else 2


def _is_door(line: str) -> bool:
    """Where one that runs is asked whether it is ready."""
    return line.startswith("ports:") or " probe: " in line


def _is_state(line: str) -> bool:
    return line.startswith(_STATE) and line not in _SAYS_NOTHING
