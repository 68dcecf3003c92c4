"""What doctor says of the database and of clocks."""

import shutil
from collections import namedtuple
from datetime import timedelta
from pathlib import Path

import pytest

from aegis_sink.doctor.check import Check, Health
from aegis_sink.doctor.clock import check_clock
from aegis_sink.doctor.database import check_database
from aegis_sink.store.database import open_engine
from aegis_sink.store.schema import migrate

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
    assert "opens, schema 0001" in found["database"].found
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
