"""The time and random ids: handed as arguments to whatever decides, so that tests can hold them."""

import secrets
from datetime import UTC, datetime

_PAGE = 256

_ids: list[str] = []


def utc_now() -> datetime:
    """The real clock."""
    return datetime.now(UTC)


def new_id() -> str:
    """Sixteen random hex digits: incidents, deliveries, nonces. They guard nothing.

    Drawn from the system a page at a time: one call for each would cost more than parsing a body.
    """
    while True:
        try:
            return _ids.pop()  # atomic: the writer's thread draws here too
        except IndexError:
            drawn = secrets.token_hex(8 * _PAGE)
            _ids.extend(drawn[n : n + 16] for n in range(0, len(drawn), 16))
