"""Retention: once an hour, what is older than AEGIS_RETENTION goes."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from aegis_sink.store.database import Database
from aegis_sink.store.errors import StoreError
from aegis_sink.store.retention import drop

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 3600.0


async def keep_dropping(
    database: Database,
    *,
    clock: Callable[[], datetime],
    retention: timedelta,
    quarantine_max_bytes: int,
) -> None:
    """Drop what is old, now and every hour, until cancelled."""
    while True:
        before = clock() - retention
        try:
            dropped = await database.write(
                partial(drop, before=before, quarantine_max_bytes=quarantine_max_bytes)
            )
        except StoreError as error:
            log.error("retention cannot reach the store, trying again in an hour: %s", error)
        else:
            log.info(
                "retention dropped %d bodies, %d resolved incidents, %d answers, %d quarantined",
                dropped.deliveries,
                dropped.incidents,
                dropped.answers,
                dropped.quarantined,
            )
        await asyncio.sleep(INTERVAL_SECONDS)
