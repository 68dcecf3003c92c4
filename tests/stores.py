"""A database as the program makes it, made once: most tests are not about the migrations."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from aegis_sink.store.database import open_engine
from aegis_sink.store.schema import migrate


def new_store(file: Path) -> None:
    """An empty database of this version's schema, unless there is one."""
    if not file.exists():
        file.write_bytes(_empty())


@cache
def _empty() -> bytes:
    with TemporaryDirectory() as folder:
        file = Path(folder, "empty.db")
        engine = open_engine(f"sqlite:///{file}")
        migrate(engine)
        engine.dispose()
        return file.read_bytes()
