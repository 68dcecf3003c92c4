"""The buttons below a message, and the names they come back under."""

from enum import StrEnum

from aegis_sink.model import Incident, State
from aegis_sink.notify.blocks import Button


class ActionKind(StrEnum):
    """What a person can do from Slack. The value is the button's action_id."""

    ACKNOWLEDGE = "acknowledge"
    SILENCE_HOUR = "silence_1h"
    SILENCE_DAY = "silence_1d"
    SILENCE_UNTIL_RESOLVED = "silence_until_resolved"
    END_SILENCE = "end_silence"
    DIAGNOSE_AGAIN = "diagnose_again"
    RESOLVE = "resolve"
    RIGHT = "right"
    WRONG = "wrong"


_TEXTS = {
    ActionKind.ACKNOWLEDGE: "I'm on it",
    ActionKind.SILENCE_HOUR: "Silence 1 h",
    ActionKind.SILENCE_DAY: "Silence 1 d",
    ActionKind.SILENCE_UNTIL_RESOLVED: "Silence until resolved",
    ActionKind.END_SILENCE: "End the silence",
    ActionKind.DIAGNOSE_AGAIN: "Diagnose again",
    ActionKind.RESOLVE: "Resolve",
    ActionKind.RIGHT: "👍 This was right",
    ActionKind.WRONG: "👎 This was wrong",
}


def buttons_for(incident: Incident) -> tuple[Button, ...]:
    """What makes sense for the incident as it stands."""
    kinds: list[ActionKind] = []
    if incident.state is State.OPEN:
        kinds.append(ActionKind.ACKNOWLEDGE)
    if incident.state in (State.OPEN, State.ACKNOWLEDGED):
        kinds += [
            ActionKind.SILENCE_HOUR,
            ActionKind.SILENCE_DAY,
            ActionKind.SILENCE_UNTIL_RESOLVED,
        ]
    if incident.state is State.SILENCED:
        kinds.append(ActionKind.END_SILENCE)
    if incident.state is not State.RESOLVED:
        if not incident.diagnosing:
            kinds.append(ActionKind.DIAGNOSE_AGAIN)
        kinds.append(ActionKind.RESOLVE)
    if incident.diagnosis is not None and not incident.diagnosing:
        kinds += [ActionKind.RIGHT, ActionKind.WRONG]
    return tuple(_button(kind, incident.id) for kind in kinds)


def _button(kind: ActionKind, incident_id: str) -> Button:
    return Button(
        action_id=kind,
        text=_TEXTS[kind],
        value=incident_id,
        row=1 if kind in (ActionKind.RIGHT, ActionKind.WRONG) else 0,
        style="primary" if kind is ActionKind.ACKNOWLEDGE else "",
        confirm="Close this incident by hand?" if kind is ActionKind.RESOLVE else "",
    )
