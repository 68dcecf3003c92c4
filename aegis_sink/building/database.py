"""The database: locked for this process, in this version's schema, and the redactor kept with it."""

import fcntl
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TextIO

from aegis_sink.diagnosis.redaction import Redactor
from aegis_sink.settings import Settings
from aegis_sink.store import installation
from aegis_sink.store.database import Database, open_engine
from aegis_sink.store.errors import StoreUnusable
from aegis_sink.store.schema import migrate


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[tuple[Database, Redactor]]:
    """The database for a command that writes while no service runs. StoreUnusable."""
    database, redact, lock = await open_database(settings)
    try:
        yield database, redact
    finally:
        await database.close()
        if lock is not None:
            lock.close()


async def open_database(settings: Settings) -> tuple[Database, Redactor, TextIO | None]:
    """The database, its redactor, and the lock to close after it. StoreUnusable."""
    engine = open_engine(settings.database_url.get_secret_value())
    lock = _lock(engine.url.database)
    try:
        migrate(engine)
    except StoreUnusable:
        engine.dispose()
        if lock is not None:
            lock.close()
        raise
    database = Database(engine)
    database.start()
    fresh_key = secrets.token_bytes(32)
    key = await database.write(lambda c: installation.redaction_key(c, fresh_key))
    redact = Redactor(key, emails=settings.redact_emails)
    return database, redact, lock


def _lock(database: str | None) -> TextIO | None:
    """One service a SQLite file: two would take each other's jobs."""
    if not database or database == ":memory:":
        return None
    path = Path(f"{database}.lock")
    try:
        lock = path.open("a")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise
    except BlockingIOError as error:
        raise StoreUnusable(
            f"another aegis-sink works on {database} (it holds {path}); stop it, or give this one "
            "its own AEGIS_DATABASE_URL"
        ) from error
    except OSError as error:
        raise StoreUnusable(
            f"{path} cannot be written: {error.strerror}; the database's folder must exist and be "
            "writable"
        ) from error
    return lock
