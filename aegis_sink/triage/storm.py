"""A storm: more new problems at once than people can read or a model can be asked about.

K8sGPT reports a whole cluster in one analysis, so that the day it is installed, or the day a
registry is down, hundreds of problems appear within a minute.
"""

from dataclasses import dataclass
from datetime import timedelta

WINDOW = timedelta(minutes=10)
OPENED = 20
ROOTS = 6
QUESTIONS = 5


@dataclass(frozen=True, slots=True)
class Traffic:
    """What happened within `WINDOW`: incidents opened, root messages intended, model answers."""

    opened: int
    roots: int
    questions: int


def is_storm(traffic: Traffic) -> bool:
    """Whether more appear at once than are told and asked about one by one."""
    return traffic.opened > OPENED


def is_crowded(traffic: Traffic) -> bool:
    """Whether what is new gets no message of its own."""
    return is_storm(traffic) and traffic.roots >= ROOTS


def asked_enough(traffic: Traffic) -> bool:
    """Whether the model has to wait until the storm is over."""
    return is_storm(traffic) and traffic.questions >= QUESTIONS
