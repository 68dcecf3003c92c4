"""What doctor says of the database and of clocks."""

import errno
import os
import shutil
from collections import namedtuple
from datetime import timedelta
from pathlib import Path

import pytest

from aegis_sink.doctor.check import Check, Health
from aegis_sink.doctor.clock import check_clock
from aegis_sink.doctor.database import check_database
from aegis_sink.store.database import open_engine
from aegis_sink.store.schema import head, migrate

Usage = namedtuple("Usage", "total used free")


def checks(url: str, mounts: Path = Path("/proc/mounts")) -> dict[str, Check]:
    return {check.name: check for check in check_database(url, mounts=mounts)}


def test_a_database_of_this_version_is_fine(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/sink.db"
    engine = open_engine(url)
    migrate(engine)
    engine.dispose()
    found = checks(url)
    assert found["database"].health is Health.OK
    assert f"opens, schema {head()}" in found["database"].found
    assert found["disk speed"].found.startswith("a write is on disk after")
    assert [p.name for p in tmp_path.iterdir() if "doctor" in p.name] == []


def test_no_database_yet_is_no_fault_and_none_is_made(tmp_path: Path) -> None:
    found = checks(f"sqlite:///{tmp_path}/sink.db")
    assert found["database"].health is Health.OK
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("sqlite:////nowhere/at/all/sink.db", "does not exist"),
        ("mysql://host/db", "names mysql"),
        ("not a url", "is not a database URL"),
    ],
)
def test_a_database_that_cannot_be_is_told(url: str, says: str) -> None:
    check = checks(url)["database"]
    assert check.health is Health.FAILED
    assert says in check.found
    assert check.fix


def test_a_file_that_is_no_database_and_an_old_schema_are_told(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("this is a text, and a long one at that " * 9)
    assert checks(f"sqlite:///{tmp_path}/text.db")["database"].health is Health.FAILED
    (tmp_path / "empty.db").touch()
    old = checks(f"sqlite:///{tmp_path}/empty.db")["database"]
    assert old.fix == "aegis-sink migrate"


def test_a_folder_a_file_of_another_user_and_a_newer_schema_each_have_their_fix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = checks(f"sqlite:///{tmp_path}")["database"]
    assert "is a folder" in folder.found
    assert folder.fix == f"AEGIS_DATABASE_URL=sqlite:///{tmp_path}/aegis-sink.db"

    url = f"sqlite:///{tmp_path}/sink.db"
    engine = open_engine(url)
    migrate(engine)
    with engine.connect() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    engine.dispose()
    newer = checks(url)["database"]
    assert "was written by a newer AEGIS Sink" in newer.found
    assert "migrate" not in newer.fix

    real = os.access
    monkeypatch.setattr(os, "access", lambda p, how: real(p, how) and Path(p).is_dir())
    other = checks(url)["database"]
    assert other.health is Health.FAILED
    assert other.fix == f"chown $(id -u) {tmp_path}/sink.db*"


def test_a_file_that_is_no_database_is_not_to_be_migrated(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("this is a text, and a long one at that " * 9)
    assert "migrate" not in checks(f"sqlite:///{tmp_path}/text.db")["database"].fix


def test_postgresql_is_said_to_be_none_yet_and_its_password_is_not_shown() -> None:
    check = checks("postgresql://user:s3cret@host/db")["database"]
    assert check.health is Health.FAILED
    assert "SQLite" in check.found
    assert "s3cret" not in check.found + check.fix


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    check = checks(f"sqlite:///{tmp_path}/sink.db")["disk speed"]
    assert check.health is Health.FAILED
    assert "No space left on device" in check.found


def test_a_database_in_memory_forgets() -> None:
    assert checks("sqlite://")["database"].health is Health.WARNING


@pytest.mark.parametrize(
    ("free", "health"),
    [(50, Health.FAILED), (500, Health.WARNING), (5000, Health.OK)],
)
def test_room_on_the_disk_is_told(
    free: int, health: Health, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = Usage(10**12, 0, free * 1024 * 1024)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert checks(f"sqlite:///{tmp_path}/sink.db")["disk space"].health is health


def test_a_network_file_system_is_warned_of(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/sda / ext4 rw 0 0\nserver:/x {tmp_path.resolve()} nfs4 rw 0 0\n")
    found = checks(f"sqlite:///{tmp_path}/sink.db", mounts)
    assert "nfs4" in found["database file system"].found
    mounts.write_text("/dev/sda / ext4 rw 0 0\n")
    assert "database file system" not in checks(f"sqlite:///{tmp_path}/sink.db", mounts)


@pytest.mark.parametrize(
    ("seconds", "health", "says"),
    [
        (3, Health.OK, "agrees"),
        (40, Health.WARNING, "40 s behind"),
        (-40, Health.WARNING, "40 s ahead of"),
        (900, Health.FAILED, "refused as too old"),
    ],
)
def test_a_clock_that_is_off_is_told(seconds: int, health: Health, says: str) -> None:
    check = check_clock("Slack", timedelta(seconds=seconds))
    assert check.health is health
    assert says in check.found
