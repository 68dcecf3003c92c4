"""Where an incident is told, how soon again, and whom it calls: the first route that fits.

Routes ask with matchers, as Alertmanager's do, but they are a list and no tree: a person reads it
from the top and knows. What no route asks for goes to the channel, and at the interval, of the
settings.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from aegis_sink.model import Audience
from aegis_sink.triage.matchers import Matcher, matches


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the list. Without matchers it fits everything."""

    matchers: tuple[Matcher, ...]
    audience: Audience
    repeat_interval: timedelta

    def __str__(self) -> str:
        return ", ".join(map(str, self.matchers)) or "everything else"


@dataclass(frozen=True, slots=True)
class Tried:
    """A route that was asked. `unfit` is its first matcher that does not fit; None: it was taken."""

    route: Route
    unfit: Matcher | None


@dataclass(frozen=True, slots=True)
class Routes:
    """The routes in their order, and what is done when none of them fits."""

    listed: tuple[Route, ...]
    otherwise: Route

    def of(self, labels: Mapping[str, str]) -> Route:
        """The route of an incident with these labels (`matchers.labels`)."""
        fitting = (route for route in self.listed if matches(route.matchers, labels))
        return next(fitting, self.otherwise)

    def tried(self, labels: Mapping[str, str]) -> tuple[Tried, ...]:
        """The routes from the first to the one that is taken, for a person who asks why."""
        tried = []
        for route in (*self.listed, self.otherwise):
            unfit = (m for m in route.matchers if not m.fits(labels.get(m.name, "")))
            tried.append(Tried(route, next(unfit, None)))
            if tried[-1].unfit is None:
                break
        return tuple(tried)

    @property
    def shortest_interval(self) -> timedelta:
        """The soonest that anything is told again."""
        return min(route.repeat_interval for route in (*self.listed, self.otherwise))


def unreachable(routes: tuple[tuple[Matcher, ...], ...]) -> tuple[int, int] | None:
    """The first route, by index, that an earlier one (the second index) leaves nothing to; None.

    Only what can be seen without asking what a matcher's value means: an earlier route whose
    matchers are all among the later one's.
    """
    for later, matchers in enumerate(routes):
        for earlier in range(later):
            if set(routes[earlier]) <= set(matchers):
                return later, earlier
    return None
