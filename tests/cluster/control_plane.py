"""A real kube-apiserver, etcd and kube-controller-manager for tests: found, else built once.

Found through KUBEBUILDER_ASSETS (the envtest convention), else in the cache, else built into the
cache from the Go module beside this file when AEGIS_TEST_BUILD_CONTROLPLANE=1 (about 10 minutes on
two cores the first time).
"""

import fcntl
import hashlib
import os
import secrets
import shutil
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.program import free_port

MODULE = Path(__file__).parent / "controlplane"
BINARIES = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
}
BUILD = "AEGIS_TEST_BUILD_CONTROLPLANE"
START_SECONDS = 90.0


class Unavailable(Exception):
    """There is no control plane to test with; the message is the reason for the skip."""


def binaries() -> Path:
    """The directory with the three programs. Raises Unavailable with what to do."""
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    if assets:
        missing = [name for name in BINARIES if not (Path(assets) / name).is_file()]
        if missing:
            raise Unavailable(f"KUBEBUILDER_ASSETS={assets} has no {', '.join(missing)}")
        return Path(assets)
    cache = _cache()
    if _whole(cache):
        return cache
    if os.environ.get(BUILD) != "1":
        raise Unavailable(
            f"no kube-apiserver: set KUBEBUILDER_ASSETS, or {BUILD}=1 to build one from Go "
            "modules (about 10 minutes, once)"
        )
    if shutil.which("go") is None:
        raise Unavailable("no kube-apiserver: no KUBEBUILDER_ASSETS, and no Go to build one with")
    return _build(cache)


def _cache() -> Path:
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    pinned = (MODULE / "go.mod").read_bytes() + (MODULE / "go.sum").read_bytes()
    version = hashlib.sha256(pinned).hexdigest()[:12]
    return root / "aegis-sink" / "controlplane" / version


def _whole(cache: Path) -> bool:
    return all((cache / name).is_file() for name in BINARIES)


def _build(cache: Path) -> Path:
    """Built beside the cache and moved in whole; a lock lets parallel test workers build once."""
    cache.parent.mkdir(parents=True, exist_ok=True)
    with (cache.parent / "build.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _whole(cache):
            return cache
        building = cache.with_suffix(f".{os.getpid()}")
        building.mkdir()
        for name, package in BINARIES.items():
            flags = ["-p", "2", "-trimpath", "-ldflags=-s -w", "-o", str(building / name)]
            done = subprocess.run(
                ["nice", "go", "build", *flags, package],
                cwd=MODULE,
                env={**os.environ, "CGO_ENABLED": "0"},
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                shutil.rmtree(building)
                raise Unavailable(f"building {name} failed: {done.stderr.strip()[-400:]}")
        building.rename(cache)
    return cache


@dataclass
class ControlPlane:
    """A running control plane. `kubeconfig` is an administrator's; `token` is its bearer token."""

    directory: Path
    url: str
    token: str
    port: int
    etcd_port: int
    programs: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def kubeconfig(self) -> Path:
        """A kubeconfig with the administrator's token."""
        return self.write_kubeconfig("admin", self.token)

    @property
    def certificate(self) -> Path:
        """The server's self-signed certificate: whom to trust."""
        return self.directory / "certs" / "apiserver.crt"

    def write_kubeconfig(self, user: str, token: str, url: str = "") -> Path:
        """A kubeconfig for a bearer token; `url` points it elsewhere, at a proxy."""
        path = self.directory / f"{user}.kubeconfig"
        path.write_text(
            f"""apiVersion: v1
kind: Config
current-context: test
contexts: [{{name: test, context: {{cluster: test, user: {user}}}}}]
users: [{{name: {user}, user: {{token: "{token}"}}}}]
clusters:
- name: test
  cluster: {{server: "{url or self.url}", certificate-authority: "{self.certificate}"}}
"""
        )
        return path

    def trust(self) -> ssl.SSLContext:
        """What a client of this server needs."""
        return ssl.create_default_context(cafile=str(self.certificate))

    def restart_apiserver(self) -> None:
        """Kill the API server and start it anew; returns once it answers."""
        program = self.programs.pop("kube-apiserver")
        program.kill()
        program.wait(10)
        self.start_apiserver()

    def start_apiserver(self) -> None:
        """Start it and wait until it says it is ready."""
        tokens = self.directory / "tokens.csv"
        if not tokens.exists():
            tokens.write_text(f'{self.token},admin,admin,"system:masters"\n')
        key = self.directory / "service-accounts.key"
        if not key.exists():
            _make_key(key)
        self._start(
            "kube-apiserver",
            f"--etcd-servers=http://127.0.0.1:{self.etcd_port}",
            f"--secure-port={self.port}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            "--endpoint-reconciler-type=none",
            f"--cert-dir={self.directory / 'certs'}",
            f"--token-auth-file={tokens}",
            "--authorization-mode=RBAC",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--disable-admission-plugins=ServiceAccount",
            "--kubelet-preferred-address-types=InternalIP",
            "--max-requests-inflight=400",
        )
        self._until("kube-apiserver", "/readyz")

    def start_controllers(self) -> None:
        """Start the controller manager and wait for the first thing that its controllers make."""
        self._start(
            "kube-controller-manager",
            f"--kubeconfig={self.kubeconfig}",
            "--leader-elect=false",
            "--use-service-account-credentials=false",
            f"--cert-dir={self.directory / 'certs'}",
            f"--secure-port={free_port()}",
            "--bind-address=127.0.0.1",
            "--kube-api-qps=200",
            "--kube-api-burst=400",
            # Nodes of these tests have no kubelet that renews a lease.
            "--controllers=*,-node-lifecycle-controller,-nodeipam,-cloud-node-lifecycle-controller",
        )
        self._until("kube-controller-manager", "/api/v1/namespaces/default/serviceaccounts/default")

    def start_etcd(self) -> None:
        """Start etcd; durable enough for a killed API server, not for a killed machine."""
        peer = free_port()
        self._start(
            "etcd",
            f"--data-dir={self.directory / 'etcd'}",
            f"--listen-client-urls=http://127.0.0.1:{self.etcd_port}",
            f"--advertise-client-urls=http://127.0.0.1:{self.etcd_port}",
            f"--listen-peer-urls=http://127.0.0.1:{peer}",
            f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
            f"--initial-cluster=default=http://127.0.0.1:{peer}",
            "--unsafe-no-fsync",
            "--log-level=warn",
        )

    def stop(self) -> None:
        """Stop all programs, the youngest first."""
        for program in reversed(list(self.programs.values())):
            program.terminate()
        for program in self.programs.values():
            try:
                program.wait(10)
            except subprocess.TimeoutExpired:
                program.kill()
                program.wait(10)

    def _start(self, name: str, *arguments: str) -> None:
        with (self.directory / f"{name}.log").open("ab") as log:
            self.programs[name] = subprocess.Popen(
                [str(binaries() / name), *arguments], stdout=log, stderr=log
            )

    def _answers(self, path: str) -> bool:
        if not self.certificate.exists():
            return False
        request = urllib.request.Request(  # noqa: S310 -- https to 127.0.0.1
            f"{self.url}{path}", headers={"Authorization": f"Bearer {self.token}"}
        )
        try:
            with urllib.request.urlopen(request, context=self.trust(), timeout=2) as answer:  # noqa: S310
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def _until(self, name: str, path: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self._answers(path):
            log = self.directory / f"{name}.log"
            if self.programs[name].poll() is not None:
                raise RuntimeError(f"{name} ended: {log.read_text()[-2000:]}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"{name} is not ready: {log.read_text()[-2000:]}")
            time.sleep(0.1)


def _make_key(path: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    path.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    )


@contextmanager
def control_plane(directory: Path) -> Iterator[ControlPlane]:
    """A fresh control plane that lives as long as the context. Raises Unavailable."""
    binaries()
    port, etcd_port = free_port(), free_port()
    plane = ControlPlane(
        directory, f"https://127.0.0.1:{port}", secrets.token_hex(16), port, etcd_port
    )
    try:
        plane.start_etcd()
        plane.start_apiserver()
        plane.start_controllers()
        yield plane
    finally:
        plane.stop()
