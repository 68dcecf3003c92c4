"""Clocks: signatures, tokens and ages are only as good as this machine's time."""

from datetime import timedelta

from aegis_sink.doctor.check import Check, failed, ok, warning

SMALL = timedelta(seconds=5)
"""A Date header has whole seconds, and the answer was under way."""
REFUSED_AFTER = timedelta(minutes=5)
"""Signatures older than this are not accepted, here and at Slack."""
FIX = "timedatectl set-ntp true   # on the node; `chronyc tracking` says how far it is off"


def check_clock(whose: str, ahead: timedelta) -> Check:
    """`ahead`: how far the other's clock is before this machine's."""
    name = "clock"
    if abs(ahead) <= SMALL:
        return ok(name, f"agrees with {whose}'s")
    way = "behind" if ahead > timedelta() else "ahead of"
    said = f"this machine is {abs(ahead).total_seconds():.0f} s {way} {whose}"
    if abs(ahead) >= REFUSED_AFTER:
        return failed(name, f"{said}: signatures will be refused as too old", FIX)
    return warning(name, said, FIX)
