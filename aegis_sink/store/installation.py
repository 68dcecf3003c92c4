"""What belongs to one installation and must outlive a restart."""

from sqlalchemy import Connection, select

from aegis_sink.store.tables import installation


def touch(connection: Connection) -> None:
    """A write that changes nothing: it proves that the database takes one."""
    connection.execute(installation.update().values(id=installation.c.id))


def redaction_key(connection: Connection, fresh: bytes) -> bytes:
    """The key behind redaction placeholders: the stored one, or `fresh`, stored from now on.

    Random and never shown: with a known key a placeholder would help to guess a short secret.
    """
    stored = connection.execute(select(installation.c.redaction_key)).scalar()
    if stored is not None:
        return bytes(stored)
    connection.execute(installation.insert().values(id=1, redaction_key=fresh))
    return fresh
