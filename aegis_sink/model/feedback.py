"""Feedback: what a person says of a diagnosis."""

from dataclasses import dataclass
from datetime import datetime

from aegis_sink.model.diagnosis import Diagnosis


@dataclass(frozen=True, slots=True)
class Feedback:
    """ "This was right" or "this was wrong", and the diagnosis it was said of.

    `by` is a name for people; `user` is what tells people apart (a Slack user id). One person has
    one word on an incident: the last.
    """

    at: datetime
    by: str
    user: str
    right: bool
    diagnosis: Diagnosis
