"""The schema: migrations make exactly the tables, twice is once, and a newer one is refused."""

from pathlib import Path

import pytest
from sqlalchemy import text

from aegis_sink.store.database import Database, open_engine
from aegis_sink.store.errors import SchemaNewer, StoreUnusable
from aegis_sink.store.schema import check, differences, head, migrate


def test_migrations_make_exactly_the_tables(database_file: Path) -> None:
    engine = open_engine(f"sqlite:///{database_file}")
    with engine.connect() as connection:
        assert differences(connection) == []
    engine.dispose()


def test_migrating_twice_changes_nothing(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/new.db")
    assert migrate(engine) == (None, head())
    assert migrate(engine) == (head(), head())
    engine.dispose()


async def test_a_database_of_a_newer_version_is_refused(database: Database) -> None:
    await database.write(lambda c: c.execute(text("UPDATE alembic_version SET version_num='9999'")))
    with pytest.raises(StoreUnusable, match="newer AEGIS Sink"):
        migrate(database.engine)
    with pytest.raises(SchemaNewer, match="newer AEGIS Sink"):
        check(database.engine)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/nowhere/x.db")
    with pytest.raises(StoreUnusable, match=r"nowhere/x\.db cannot be opened"):
        migrate(engine)
