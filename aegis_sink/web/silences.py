"""Silences over HTTP: who mutes what until when, and what that would hide."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from aegis_sink.durations import parse_duration
from aegis_sink.flow.muting import Muting, fitting
from aegis_sink.intake.problem import problem
from aegis_sink.model import Incident
from aegis_sink.model.codec import incident_summary, rfc3339
from aegis_sink.store import incidents, silences
from aegis_sink.store.database import Connection, Database
from aegis_sink.triage.matchers import Matcher, Operator, labels, parse
from aegis_sink.triage.silence import Silence
from aegis_sink.web.guard import LIST_LIMIT, Guard, limit_of, object_in, plain

EXAMPLE = '{"matchers": "namespace=\\"dev\\"", "duration": "2h", "author": "…", "comment": "…"}'
LONGEST = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class SilenceApi:
    """The routes below `/v1/silences`."""

    database: Database
    guard: Guard
    muting: Muting
    clock: Callable[[], datetime]
    new_id: Callable[[], str]
    wake: Callable[[], None]

    def routes(self) -> list[Route]:
        """For Starlette."""
        all_of_them = "/v1/silences"
        return [
            Route(all_of_them, self.guard(self.list), methods=["GET"]),
            Route(all_of_them, self.guard(self.add), methods=["POST"]),
            Route(f"{all_of_them}/preview", self.guard(self.preview), methods=["POST"]),
            Route(f"{all_of_them}/preview", self.guard(self.preview_of_one), methods=["GET"]),
            Route(f"{all_of_them}/{{id}}", self.guard(self.end), methods=["DELETE"]),
        ]

    async def list(self, request: Request) -> Response:
        """`GET /v1/silences`: those that end last first, ended ones too."""
        try:
            limit = limit_of(request)
        except ValueError as error:
            return problem(400, str(error))
        found = await self.database.read(lambda c: silences.all_of_them(c, limit=limit))
        now = self.clock()
        return JSONResponse({"silences": [silence_to_json(one, now=now) for one in found]})

    async def add(self, request: Request) -> Response:
        """`POST /v1/silences`."""
        now = self.clock()
        try:
            silence = _silence(await object_in(request, EXAMPLE), self.new_id(), now)
        except ValueError as error:
            return problem(400, str(error))

        def put(connection: Connection) -> tuple[Incident, ...]:
            silences.put(connection, silence)
            self.muting.silence_began(connection, silence)
            return fitting(connection, silence)

        muted = await self.database.write(put)
        self.wake()
        return JSONResponse({**silence_to_json(silence, now=now), "incidents": len(muted)})

    async def preview(self, request: Request) -> Response:
        """`POST /v1/silences/preview`: the open incidents that the matchers fit."""
        now = self.clock()
        try:
            data = await object_in(request, EXAMPLE)
            silence = _silence({"duration": "1h", **data}, "preview", now)
        except ValueError as error:
            return problem(400, str(error))
        found = await self.database.read(lambda c: fitting(c, silence))
        shown = [incident_summary(one) for one in found[:LIST_LIMIT]]
        return JSONResponse({"count": len(found), "incidents": shown})

    async def preview_of_one(self, request: Request) -> Response:
        """`GET /v1/silences/preview?incident=`: a silence for what an incident is about, what it
        would hide, and how to make it."""
        wanted = request.query_params.get("incident", "")
        incident = await self.database.read(lambda c: incidents.get(c, wanted))
        if incident is None:
            return problem(404, f"no incident {wanted[:64]}; ask with ?incident=ID")
        asked = labels(incident)
        matchers = tuple(
            Matcher(name, Operator.EQUAL, asked[name])
            for name in ("cluster", "namespace", "kind", "name")
        )
        now = self.clock()
        silence = _silence(
            {"duration": "4h", "matchers": ", ".join(map(str, matchers))}, "preview", now
        )
        found = await self.database.read(lambda c: fitting(c, silence))
        text = ", ".join(map(str, matchers))
        return JSONResponse(
            {
                "matchers": [str(matcher) for matcher in matchers],
                "count": len(found),
                "incidents": [incident_summary(one) for one in found[:LIST_LIMIT]],
                "command": f"aegis-sink silence add {shlex.quote(text)} --for 4h",
            }
        )

    async def end(self, request: Request) -> Response:
        """`DELETE /v1/silences/{id}`: it mutes no longer; what it was stays listed."""
        wanted: str = request.path_params["id"]
        now = self.clock()

        def end(connection: Connection) -> Silence | None:
            silence = silences.get(connection, wanted)
            if silence is not None:
                silences.end(connection, wanted, now=now)
                self.muting.silence_ended(connection, wanted)
            return silence

        silence = await self.database.write(end)
        if silence is None:
            return problem(404, f"no silence {wanted[:64]}")
        self.wake()
        return JSONResponse({"id": wanted, "status": "ended"})


def silence_to_json(silence: Silence, *, now: datetime) -> dict[str, object]:
    """As the outside interface shows it; `status` is pending, active or ended."""
    begun, over = silence.starts_at <= now, silence.ends_at <= now
    return {
        "id": silence.id,
        "status": "ended" if over else "active" if begun else "pending",
        "matchers": [str(matcher) for matcher in silence.matchers],
        "starts_at": rfc3339(silence.starts_at),
        "ends_at": rfc3339(silence.ends_at),
        "author": silence.author,
        "comment": silence.comment,
    }


def _silence(data: dict[str, object], silence_id: str, now: datetime) -> Silence:
    """ValueError says which member is wrong and how it is written."""
    unknown = set(data) - {"matchers", "duration", "starts_at", "ends_at", "author", "comment"}
    if unknown:
        raise ValueError(f"{min(unknown)[:40]} is no member of a silence; write {EXAMPLE}")
    starts_at = _time(data, "starts_at") or now
    ends_at = _time(data, "ends_at")
    if ends_at is None:
        if "duration" not in data:
            raise ValueError('say for how long, like "duration": "2h", or when it "ends_at"')
        try:
            ends_at = starts_at + parse_duration(data["duration"])
        except (ValueError, OverflowError) as error:
            raise ValueError(f"duration {error}") from error
    if ends_at <= now:
        raise ValueError("the silence would be over already")
    if ends_at - now > LONGEST:
        raise ValueError(f"a silence may last {LONGEST.days} days at the most")
    author, comment = data.get("author") or "the API", data.get("comment") or ""
    if not isinstance(author, str) or not isinstance(comment, str):
        raise ValueError("author and comment are texts")
    matchers = _matchers(data.get("matchers"))
    return Silence(silence_id, matchers, starts_at, ends_at, plain(author), plain(comment))


def _matchers(value: object) -> tuple[Matcher, ...]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"matchers is a text or a list of texts; write {EXAMPLE}")
    return tuple(matcher for text in texts for matcher in parse(text))


def _time(data: dict[str, object], name: str) -> datetime | None:
    value = data.get(name)
    if value is None:
        return None
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise ValueError(f"{name} is no time with a zone; write it like 2026-03-01T18:00:00Z")
    return at.astimezone(UTC)
