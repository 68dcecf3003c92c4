"""The events of an object, counted: the words of the scheduler, the kubelet and the controllers."""

from dataclasses import dataclass
from datetime import datetime

from aegis_sink.cluster.document import Document, say_time
from aegis_sink.cluster.visit import Visit
from aegis_sink.model import ObjectRef
from aegis_sink.model.facts import EventsFacts

MOST_READ = 1500
"""Six pages, about 1.3 of the 2 MiB an incident may read."""
MOST_TOLD = 12
LONGEST_MESSAGE = 600


@dataclass(frozen=True, slots=True)
class Told:
    """One reason and message, however often it was said."""

    reason: str
    message: str
    kind: str
    count: int
    last: datetime | None


async def collect_events(visit: Visit, ref: ObjectRef, worth: int = 80) -> tuple[Told, ...]:
    """Add the events of `ref` as evidence; they are also given back, oldest first.

    By name and kind, not by uid: a Node's events hold its name as uid, those of a gone object are
    found too, and every event that has the uid has the name. Events of cluster-scoped objects are
    in the namespace "default".

    The server lists an object's events oldest first (their names end in the time), so the list is
    read to its end and the newest are kept.
    """
    kind = ref.resource_kind
    listing = await visit.listing(
        "Event",
        ref.namespace or "default",
        fields=f"involvedObject.kind={kind},involvedObject.name={ref.name}",
        most=MOST_READ,
    )
    if listing is None:
        return ()
    told = count(listing.found, visit)
    if not told:
        return ()
    newest = told[-MOST_TOLD:]
    facts = EventsFacts(
        reasons=tuple(dict.fromkeys(t.reason for t in told)),
        messages=tuple(t.message for t in newest),
        warnings=sum(t.count for t in told if t.kind != "Normal"),
    )
    left_out = len(told) - len(newest)
    text = "\n".join(
        f"{say_time(t.last)} {t.kind} {t.reason} x{t.count}: {t.message}" for t in newest
    )
    if left_out:
        text = f"({left_out} older left out)\n{text}"
    if not listing.whole:
        text = f"{text}\n(newer ones were not read: there are more than {len(listing.found)})"
    visit.add(f"events of {kind} {ref.path}", text, worth, facts, ref, keep="end")
    return told


def count(events: tuple[Document, ...], visit: Visit) -> tuple[Told, ...]:
    """One entry for each reason and message, by the time it was last said."""
    counted: dict[tuple[str, str, str], Told] = {}
    for event in events:
        message = visit.shortened(" ".join(event.text("message").split()), LONGEST_MESSAGE)
        key = (event.text("reason"), message, event.text("type") or "Normal")
        times = event.number("series", "count") or event.number("count") or 1
        last = (
            event.time("series", "lastObservedTime")
            or event.time("lastTimestamp")
            or event.time("eventTime")
            or event.created
        )
        before = counted.get(key)
        if before:
            times += before.count
            last = max((t for t in (last, before.last) if t), default=None)
        counted[key] = Told(key[0], key[1], key[2], times, last)
    return tuple(sorted(counted.values(), key=lambda t: (say_time(t.last), t.reason, t.message)))
