"""Silences: what people do not want to hear of for a while. Nothing is dropped, only not told."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from aegis_sink.model import Incident
from aegis_sink.triage.matchers import Matcher, labels, matches


@dataclass(frozen=True, slots=True)
class Silence:
    """Mutes the incidents that all its matchers fit, from `starts_at` until before `ends_at` (UTC).

    ValueError when it ends before it starts or would mute whatever comes.
    """

    id: str
    matchers: tuple[Matcher, ...]
    starts_at: datetime
    ends_at: datetime
    author: str
    comment: str = ""

    def __post_init__(self) -> None:
        if self.ends_at <= self.starts_at:
            raise ValueError("a silence must end after it starts")
        # Alertmanager's rule: with each matcher content with "", it would fit anything at all.
        if all(matcher.fits("") for matcher in self.matchers):
            raise ValueError(
                'a silence needs a matcher that does not fit everything, such as namespace="dev"'
            )


def active(silence: Silence, now: datetime) -> bool:
    """Whether it mutes at `now`."""
    return silence.starts_at <= now < silence.ends_at


def muted_by(incident: Incident, silences: Iterable[Silence], now: datetime) -> Silence | None:
    """The active silence that mutes the incident for longest; None: none does."""
    asked = labels(incident)
    fitting = (s for s in silences if active(s, now) and matches(s.matchers, asked))
    return max(fitting, key=lambda silence: silence.ends_at, default=None)
