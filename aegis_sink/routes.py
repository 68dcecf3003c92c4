"""AEGIS_ROUTES as people write it (docs/routing.md): read, checked, and made into `triage.routing`."""

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, model_validator

from aegis_sink.durations import Interval, format_duration
from aegis_sink.model import Audience
from aegis_sink.triage.matchers import Matcher
from aegis_sink.triage.matchers import parse as parse_matchers
from aegis_sink.triage.routing import Route, Routes

_CHANNEL = re.compile(r"[CG][A-Z0-9]{7,}|#?[^\s#@<>,A-Z]{1,80}")
_MENTION = re.compile(r"here|channel|[UWS][A-Z0-9]{2,}")


def _matchers(value: object) -> object:
    """Alertmanager's syntax, one text or a list of them."""
    texts = [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)]
    if not texts or (isinstance(value, list) and len(texts) < len(value)):
        raise ValueError('is no matcher; write it like namespace="shop", severity=~"down|degraded"')
    return tuple(matcher for text in texts for matcher in parse_matchers(text))


def _channel(value: str) -> str:
    if _CHANNEL.fullmatch(value) is None:
        raise ValueError("is no Slack channel; write its id (C0123456789, best) or its name (#ops)")
    return value


def _mentions(value: object) -> object:
    """`here`, `channel`, `U…`, `S…`, also several, separated by spaces or commas, or a list."""
    found = tuple(value.replace(",", " ").split()) if isinstance(value, str) else value
    if not isinstance(found, tuple | list) or not all(
        isinstance(one, str) and _MENTION.fullmatch(one) for one in found
    ):
        raise ValueError(
            "is nobody Slack can call; write here, channel, the id of a user (U…) or of a user "
            "group (S…)"
        )
    return tuple(found)


class RouteSetting(BaseModel):
    """One route of AEGIS_ROUTES: for what it asks, and what is done with that."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    match: Annotated[tuple[Matcher, ...], BeforeValidator(_matchers)]
    channel: Annotated[str, AfterValidator(_channel)] | None = None
    repeat_interval: Interval | None = None
    mention: Annotated[tuple[str, ...], BeforeValidator(_mentions)] = ()

    @model_validator(mode="before")
    @classmethod
    def _members(cls, route: object) -> object:
        if not isinstance(route, dict):
            raise ValueError("is no mapping; write it like {match: …, channel: …}")
        if unknown := [str(name) for name in route if name not in cls.model_fields]:
            raise ValueError(f"has no {unknown[0]}; there are {', '.join(cls.model_fields)}")
        if "match" not in route:
            raise ValueError("has no match; what fits no route is told as usual")
        return route

    def __str__(self) -> str:
        does = [self.channel or ""]
        if self.repeat_interval is not None:
            does.append(f"every {format_duration(self.repeat_interval)}")
        if self.mention:
            does.append(f"calls {' '.join(self.mention)}")
        return f"{', '.join(map(str, self.match))} → {', '.join(filter(None, does)) or 'as usual'}"


def read_routes(value: object) -> object:
    """A list in the file, the same as YAML or JSON in an environment variable."""
    if isinstance(value, str):
        try:
            value = yaml.safe_load(value)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            where = f" at line {mark.line + 1} column {mark.column + 1}" if mark else ""
            raise ValueError(f"is not YAML{where}") from None
    if not isinstance(value, list | tuple):
        raise ValueError("is no list of routes; begin each with a dash: - match: …")
    return value


def routes_of(routes: Sequence[RouteSetting], repeat_interval: timedelta) -> Routes:
    """The routes; where one says nothing, what holds for everything else."""
    return Routes(
        tuple(
            Route(
                route.match,
                Audience(route.channel or "", route.mention),
                repeat_interval if route.repeat_interval is None else route.repeat_interval,
            )
            for route in routes
        ),
        Route((), Audience(), repeat_interval),
    )
