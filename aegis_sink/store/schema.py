"""The schema of the database: brought up to date at start, compared in a test."""

from pathlib import Path
from sqlite3 import DatabaseError  # raw from the pragmas that each new connection runs

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from aegis_sink.store.errors import SchemaNewer, SchemaOld, StoreUnusable
from aegis_sink.store.tables import metadata

MIGRATIONS = Path(__file__).parent / "migrations"
_NEWER = (
    "the database was written by a newer AEGIS Sink (its schema is not known here): run that "
    "version, or point AEGIS_DATABASE_URL at another file"
)


def migrate(engine: Engine) -> tuple[str | None, str]:
    """Bring the database to this version's schema: (revision before, revision now).

    StoreUnusable when it cannot be opened or was written by a newer version.
    """
    try:
        writing = engine.connect().execution_options(aegis_write=True)
        with writing as connection, connection.begin():
            before = current(connection)
            command.upgrade(_config(connection), "head")
            return before, head()
    except CommandError as error:
        raise SchemaNewer(f"{_NEWER} ({error})") from error
    except (SQLAlchemyError, DatabaseError) as error:
        raise _cannot_open(engine, error) from error


def check(engine: Engine) -> None:
    """StoreUnusable unless there is a database with this version's schema. Writes nothing."""
    file = engine.url.database
    if file and file != ":memory:" and not Path(file).exists():
        raise StoreUnusable(
            f"there is no database at {file}: `aegis-sink serve` or `aegis-sink migrate` makes it; "
            "AEGIS_DATABASE_URL names another"
        )
    try:
        with engine.connect() as connection:
            found = current(connection)
    except (SQLAlchemyError, DatabaseError) as error:
        raise _cannot_open(engine, error) from error
    if found and found not in {one.revision for one in _scripts().walk_revisions()}:
        raise SchemaNewer(f"{_NEWER} (schema {found})")
    if found != head():
        raise SchemaOld(
            f"the database's schema is {found or 'empty'}, this version's is {head()}: "
            "run `aegis-sink migrate`"
        )


def current(connection: Connection) -> str | None:
    """The revision the database is at; None for an empty one."""
    return MigrationContext.configure(connection).get_current_revision()


def head() -> str:
    """The revision this version wants."""
    newest = _scripts().get_current_head()
    assert newest is not None
    return newest


def differences(connection: Connection) -> list[object]:
    """What a migration would still have to do to make the database look like `tables`."""
    return list(compare_metadata(MigrationContext.configure(connection), metadata))


def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(MIGRATIONS))


def _cannot_open(engine: Engine, error: Exception) -> StoreUnusable:
    where = engine.url.render_as_string(hide_password=True)
    return StoreUnusable(
        f"the database {where} cannot be opened: {getattr(error, 'orig', error)}; check that "
        "its folder exists, is writable and has room"
    )


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config
