"""The JSON API that reads, and the acts of a person on an incident."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from aegis_sink.diagnosis.redaction import redact
from aegis_sink.durations import parse_duration
from aegis_sink.flow import acts
from aegis_sink.flow.acts import Acted, Effect, Person
from aegis_sink.flow.progress import Progress
from aegis_sink.intake.problem import problem
from aegis_sink.model import Incident, State
from aegis_sink.model.codec import incident_summary, incident_to_json, rfc3339
from aegis_sink.store import incidents, listing, quarantine
from aegis_sink.store.database import Connection, Database
from aegis_sink.store.listing import BadCursor, Filter
from aegis_sink.store.quarantine import Quarantined
from aegis_sink.web.guard import Guard, limit_of, object_in, plain

LONGEST_SILENCE = timedelta(days=366)


class Act(Protocol):
    """What a person does with an incident (flow.acts)."""

    def __call__(self, c: Connection, incident: Incident, person: Person, *, at: datetime) -> Acted:
        """In a transaction."""


@dataclass(frozen=True, slots=True)
class Api:
    """The routes below `/v1` that read or act. `link` gives an incident's address."""

    database: Database
    guard: Guard
    progress: Progress
    clock: Callable[[], datetime]
    link: Callable[[str], str]
    wake: Callable[[], None]
    replay_bodies: Callable[[str], Awaitable[list[dict[str, object]]]]
    retry_quarantined: Callable[[Quarantined], Awaitable[dict[str, object]]]

    def routes(self) -> list[Route]:
        """For Starlette."""
        one = "/v1/incidents/{id}"
        return [
            Route("/v1/incidents", self.guard(self.list), methods=["GET"]),
            Route(one, self.guard(self.show), methods=["GET"]),
            Route(f"{one}/ack", self.guard(self.acknowledge), methods=["POST"]),
            Route(f"{one}/resolve", self.guard(self.resolve), methods=["POST"]),
            Route(f"{one}/silence", self.guard(self.silence), methods=["POST"]),
            Route(f"{one}/silence", self.guard(self.end_silence), methods=["DELETE"]),
            Route(f"{one}/replay", self.guard(self.replay), methods=["POST"]),
            Route("/v1/quarantine", self.guard(self.quarantine), methods=["GET"]),
            Route("/v1/quarantine/{id}/retry", self.guard(self.retry), methods=["POST"]),
        ]

    async def describe(self, incident_id: str, wait: float) -> dict[str, object]:
        """What `POST /v1/findings` answers of an incident: its address, or all after a wait."""
        if wait <= 0:
            return {"id": incident_id, "url": self.link(incident_id)}
        return self._whole(await self._diagnosed(incident_id, wait))

    async def list(self, request: Request) -> Response:
        """`GET /v1/incidents`."""
        try:
            wanted = _filter(request)
            page = await self.database.read(lambda c: listing.page(c, wanted))
        except (BadCursor, ValueError) as error:
            return problem(400, str(error))
        shown = [incident_summary(self._linked(incident)) for incident in page.incidents]
        return JSONResponse({"incidents": shown, "next_cursor": page.next_cursor})

    async def show(self, request: Request) -> Response:
        """`GET /v1/incidents/{id}`."""
        incident = await self.database.read(lambda c: incidents.get(c, _id(request)))
        return _unknown(request) if incident is None else JSONResponse(self._whole(incident))

    async def acknowledge(self, request: Request) -> Response:
        """`POST /v1/incidents/{id}/ack`: somebody works on it; repeats stop."""
        return await self._act(request, acts.acknowledge)

    async def resolve(self, request: Request) -> Response:
        """`POST /v1/incidents/{id}/resolve`: over, says a person."""
        return await self._act(request, acts.resolve)

    async def silence(self, request: Request) -> Response:
        """`POST /v1/incidents/{id}/silence`: nothing of this one is told for a while."""
        try:
            length = await _how_long(request)
        except ValueError as error:
            return problem(400, str(error))
        return await self._act(request, partial(acts.silence, length=length))

    async def end_silence(self, request: Request) -> Response:
        """`DELETE /v1/incidents/{id}/silence`: before its time."""
        return await self._act(request, acts.end_silence)

    async def replay(self, request: Request) -> Response:
        """`POST /v1/incidents/{id}/replay`: its raw bodies once more, as a new incident."""
        incident = await self.database.read(lambda c: incidents.get(c, _id(request)))
        if incident is None:
            return _unknown(request)
        replayed = await self.replay_bodies(incident.id)
        if not replayed:
            return problem(
                410,
                f"the bodies behind incident {incident.id} are older than AEGIS_RETENTION and gone",
            )
        return JSONResponse({"incidents": replayed})

    async def quarantine(self, request: Request) -> Response:
        """`GET /v1/quarantine`."""
        try:
            limit = limit_of(request)
        except ValueError as error:
            return problem(400, str(error))
        items = await self.database.read(lambda c: quarantine.items(c, limit=limit))
        count, stored = await self.database.read(quarantine.size)
        return JSONResponse(
            {"quarantine": [_item(i) for i in items], "count": count, "stored_bytes": stored}
        )

    async def retry(self, request: Request) -> Response:
        """`POST /v1/quarantine/{id}/retry`: perhaps this version understands it."""
        wanted = _id(request)
        item = await self.database.read(lambda c: quarantine.get(c, wanted))
        if item is None:
            return problem(404, f"no quarantined body {wanted[:64]}")
        return JSONResponse(await self.retry_quarantined(item))

    async def _act(self, request: Request, act: Act) -> Response:
        try:
            by, reason = await _who_and_why(request)
        except ValueError as error:
            return problem(400, str(error))
        now = self.clock()
        wanted = _id(request)

        def run(connection: Connection) -> tuple[Acted | None, Incident | None]:
            incident = incidents.get(connection, wanted)
            if incident is None:
                return None, None
            acted = act(connection, incident, Person(by, reason=reason), at=now)
            return acted, incidents.get(connection, incident.id)

        acted, incident = await self.database.write(run)
        if acted is None or incident is None:
            return _unknown(request)
        if acted.effect is Effect.REFUSED:
            return problem(409, acted.words)
        self.wake()
        return JSONResponse(self._whole(incident))

    async def _diagnosed(self, incident_id: str, seconds: float) -> Incident:
        """The incident once its diagnosis is there, or as it stands when time is up."""
        end = asyncio.get_running_loop().time() + seconds
        while True:
            seen = self.progress.mark()
            incident = await self.database.read(lambda c: incidents.get(c, incident_id))
            assert incident is not None
            left = end - asyncio.get_running_loop().time()
            if left <= 0 or (incident.diagnosis is not None and not incident.diagnosing):
                return incident
            await self.progress.beyond(seen, seconds=left)

    def _linked(self, incident: Incident) -> Incident:
        return replace(incident, url=self.link(incident.id))

    def _whole(self, incident: Incident) -> dict[str, object]:
        return incident_to_json(self._linked(incident))


def _id(request: Request) -> str:
    wanted: str = request.path_params["id"]
    return wanted


def _unknown(request: Request) -> Response:
    return problem(404, f"no incident {_id(request)[:64]}")


def _filter(request: Request) -> Filter:
    query = request.query_params
    state = query.get("state") or None
    if state is not None and state not in set(State):
        raise ValueError(f"state={state[:40]} is none of {', '.join(State)}")
    for name, value in query.items():
        if "\0" in value:
            raise ValueError(f"{name} holds a NUL character")
    return Filter(
        state=state,
        namespace=query.get("namespace"),
        query=query.get("q") or None,
        limit=limit_of(request),
        cursor=query.get("cursor") or None,
    )


async def _how_long(request: Request) -> timedelta | None:
    """`{"duration": "1h"}` of the body; None, until it is resolved, where it is not said."""
    data = await object_in(request, '{"duration": "1h"}')
    said = data.get("duration")
    if said is None:
        return None
    try:
        length = parse_duration(said)
    except ValueError as error:
        raise ValueError(f"duration {error}") from error
    if not timedelta(0) < length <= LONGEST_SILENCE:
        raise ValueError(f"duration is not between nothing and {LONGEST_SILENCE.days} days")
    return length


async def _who_and_why(request: Request) -> tuple[str, str]:
    """`{"by": …, "reason": …}`, both optional, as the body of an act."""
    data = await object_in(request, '{"by": "…", "reason": "…"}')
    by, reason = data.get("by") or "the API", data.get("reason") or ""
    if not isinstance(by, str) or not isinstance(reason, str):
        raise ValueError("by and reason are texts")
    return plain(by), plain(reason)


def _item(item: Quarantined) -> dict[str, object]:
    return {
        "id": item.id,
        "received_at": rfc3339(item.received_at),
        "door": item.door,
        "reason": item.reason,
        "size": item.size,
        "first": redact(item.first),
        "retries": item.retries,
    }
