"""Reading a body without holding up the event loop, and how many findings one may hold."""

import asyncio

from aegis_sink.dialects.errors import InvalidBody
from aegis_sink.dialects.table import Recognised, read

LONG_BYTES = 32 * 1024
FINDINGS_LIMIT = 10_000  # making incidents of as many takes some seconds, and posts wait behind it


async def read_aside(body: bytes, *, cluster: str, yaml: bool = False) -> Recognised:
    """`read`, on a thread where it takes long: the operator's next post is not to wait for it.

    InvalidBody, too, when the body holds more than FINDINGS_LIMIT.
    """
    if len(body) <= LONG_BYTES and not yaml:
        return read(body, cluster=cluster)
    recognised = await asyncio.to_thread(read, body, cluster=cluster, yaml=yaml)
    count = len(recognised.findings)
    if count > FINDINGS_LIMIT:
        what = f"holds {count} findings; send at most {FINDINGS_LIMIT} at a time"
        raise InvalidBody(recognised.dialect, "$", what)
    return recognised
