"""Evidence as a person reads it: which pieces come first, and the one line that tells."""

from aegis_sink.model import Evidence, Incident
from aegis_sink.model.facts import ContainerFacts, EventsFacts, LogFacts, PodFacts, RolloutFacts
from aegis_sink.notify.text import clamp, one_line

LINE_CHARACTERS = 220
SOURCE_CHARACTERS = 80

# What a container does and did stands before what it is made of.
_STATE = ("waiting:", "running", "terminated:", "last run:", "restarts:", "limits:")


def cited(incident: Incident) -> tuple[Evidence, ...]:
    """The evidence the diagnosis rests on, else the most telling there is; best first."""
    by_id = {e.id: e for e in incident.evidence}
    cites = incident.diagnosis.cites if incident.diagnosis else ()
    chosen = tuple(by_id[i] for i in dict.fromkeys(cites) if i in by_id)
    return chosen or tuple(sorted(incident.evidence, key=lambda e: -e.worth))


def evidence_line(evidence: Evidence) -> str:
    """One line of proof: its id, where it was read, what it says; the thread has it whole."""
    source = clamp(one_line(evidence.source), SOURCE_CHARACTERS)
    told = " · ".join(filter(None, map(one_line, _telling(evidence))))
    return clamp(f"{evidence.id} {source}: {told}", LINE_CHARACTERS)


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
            return sorted(lines, key=lambda line: not _is_state(line))
        case PodFacts() as facts if facts.unschedulable_message:
            return [facts.unschedulable_message]
        case RolloutFacts():
            # "~" is what changed, "+" and "-" what came and went; the rest names the revisions.
            return sorted((line.rstrip(":") for line in lines), key=_is_change)
        case _:
            return lines


def _is_change(line: str) -> int:
    return 0 if line.startswith("~") else 1 if line.startswith(("+", "-")) else 2


def _is_state(line: str) -> bool:
    return line.startswith(_STATE) and line != "limits: none"
