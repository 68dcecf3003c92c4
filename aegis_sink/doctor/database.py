"""The database: can it be opened, is its schema this version's, is there room, is the disk quick?"""

import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from aegis_sink.doctor.check import Check, failed, ok, warning
from aegis_sink.store.database import open_engine
from aegis_sink.store.errors import SchemaNewer, SchemaOld, StoreError
from aegis_sink.store.schema import check as check_schema
from aegis_sink.store.schema import head

MEBIBYTE = 1024 * 1024
LITTLE_ROOM = 1024 * MEBIBYTE
NO_ROOM = 100 * MEBIBYTE
SLOW_SYNC_SECONDS = 0.05
SYNCS = 5
NETWORK_FILE_SYSTEMS = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "glusterfs"})
FOLDER_FIX = "mkdir -p {folder} && chown $(id -u) {folder}   # or another AEGIS_DATABASE_URL"


def check_database(url: str, *, mounts: Path = Path("/proc/mounts")) -> Iterator[Check]:
    """All about the database of `url`. Writes nothing but a file that it deletes."""
    name = "database"
    try:
        engine = open_engine(url)
    except StoreError as error:
        yield failed(name, str(error), "AEGIS_DATABASE_URL=sqlite:////data/aegis-sink.db")
        return
    file = engine.url.database
    if not file or file == ":memory:":
        yield warning(
            name,
            "it is in memory: a restart forgets all incidents, and tells them again",
            "AEGIS_DATABASE_URL=sqlite:///aegis-sink.db",
        )
        return
    path = Path(file).absolute()
    folder = path.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        state = "cannot be written" if folder.is_dir() else "does not exist"
        yield failed(name, f"the folder {folder} {state}", FOLDER_FIX.format(folder=folder))
        return
    if path.is_dir():
        fix = f"AEGIS_DATABASE_URL=sqlite:///{path}/aegis-sink.db"
        yield failed(name, f"{path} is a folder, not a file", fix)
        return
    if path.exists() and not os.access(path, os.R_OK | os.W_OK):
        # SQLite keeps two files beside it, which come from the same user.
        yield failed(name, f"{path} cannot be read and written", f"chown $(id -u) {path}*")
    elif path.exists():
        try:
            check_schema(engine)
        except StoreError as error:
            yield failed(name, str(error), _fix(error, path))
        else:
            size = path.stat().st_size / MEBIBYTE
            yield ok(name, f"{path}: opens, schema {head()}, {size:.1f} MiB")
        finally:
            engine.dispose()
    else:
        yield ok(name, f"{path} is not there yet; `aegis-sink serve` makes it")
    yield _room(folder)
    yield _sync(folder)
    if (system := _file_system(folder, mounts)) in NETWORK_FILE_SYSTEMS:
        yield warning(
            "database file system",
            f"{folder} is on {system}: SQLite's locks do not hold on network file systems",
            "AEGIS_DATABASE_URL=sqlite:////a/local/disk/aegis-sink.db   # in Kubernetes: a "
            "ReadWriteOnce block volume (persistence.storageClass)",
        )


def _fix(error: StoreError, path: Path) -> str:
    match error:
        case SchemaOld():
            return "aegis-sink migrate"
        case SchemaNewer():
            return f"AEGIS_DATABASE_URL=sqlite:///{path}.new   # or run the newer version"
        case _:
            return f"AEGIS_DATABASE_URL=sqlite:///{path}.new   # or look at {path} with sqlite3"


def _room(folder: Path) -> Check:
    name = "disk space"
    free = shutil.disk_usage(folder).free
    said = f"{free / MEBIBYTE:,.0f} MiB free in {folder}"
    fix = f"df -h {folder}   # make room, or lower AEGIS_RETENTION and AEGIS_QUARANTINE_MAX_BYTES"
    if free < NO_ROOM:
        return failed(name, f"{said}: posts are answered 503 when it is full", fix)
    return warning(name, said, fix) if free < LITTLE_ROOM else ok(name, said)


def _sync(folder: Path) -> Check:
    """How long a small write takes until it is on disk: K8sGPT waits for one at every post."""
    name = "disk speed"
    took = []
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".aegis-sink-doctor-") as file:
            for _ in range(SYNCS):
                started = time.perf_counter()
                file.write(b"x" * 4096)
                file.flush()
                os.fsync(file.fileno())
                took.append(time.perf_counter() - started)
    except OSError as error:
        return failed(name, f"{folder} cannot be written: {error.strerror}", f"df -hi {folder}")
    middle = statistics.median(took)
    said = f"a write is on disk after {middle * 1000:.1f} ms"
    if middle > SLOW_SYNC_SECONDS:
        return warning(
            name,
            f"{said}; K8sGPT waits that long at every post",
            "put the database on a local or block volume (persistence.storageClass)",
        )
    return ok(name, said)


def _file_system(folder: Path, mounts: Path) -> str:
    """The type of the file system that `folder` is on, "" where that cannot be told."""
    try:
        lines = [line.split() for line in mounts.read_text().splitlines()]
    except OSError:
        return ""
    within = [
        (len(fields[1]), fields[2])
        for fields in lines
        if len(fields) > 2 and folder.resolve().is_relative_to(fields[1])
    ]
    return max(within, default=(0, ""))[1]
