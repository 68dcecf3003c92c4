"""Lease: which of several replicas works, agreed through a Kubernetes Lease.

A leader that cannot renew stops its work before the others may take over: it gives up after
`renew` seconds, they wait for `duration` seconds without a renewal, counted by their own clocks
from when they saw the last one (so that clocks may differ). What the replicas agree on is a hint
to save work, not a lock: the store alone makes sure that nothing is told twice.
Why not the kubernetes package's leader election: docs/dependencies.md.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from aegis_sink.cluster.connection import Connection, Request
from aegis_sink.cluster.document import Document
from aegis_sink.cluster.errors import ClusterError, ClusterRefused, ObjectGone
from aegis_sink.cluster.resources import KNOWN

log = logging.getLogger(__name__)

LEASE = KNOWN["Lease"]
CONFLICT = 409
FORBIDDEN = 403
RELEASE_SECONDS = 5.0

_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def pod_namespace() -> str:
    """The namespace of the pod this runs in; "" outside of a cluster."""
    try:
        return _NAMESPACE.read_text("utf-8").strip()
    except OSError:
        return ""


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds: how long a lease holds, how long a leader tries to renew it, how often it is asked."""

    duration: float = 15.0
    renew: float = 10.0
    retry: float = 2.0

    def __post_init__(self) -> None:
        if not self.retry < self.renew < self.duration:
            raise ValueError("retry < renew < duration, or two could lead at once")


@dataclass(slots=True)
class Elector:
    """Leads with one Lease. `identity` is unique to this process."""

    connection: Connection
    namespace: str
    name: str
    identity: str
    jitter: Callable[[], float]
    clock: Callable[[], datetime]
    timing: Timing = Timing()
    leading: bool = False
    state: str = "not asked yet"
    """For people: "leads", "replica NAME leads", or why it works without a Lease."""
    _shared: bool = False
    """Whether it leads by the Lease, not for want of one."""
    _renewed: float = 0.0
    """When the request began that took or renewed it last, by this process's own clock."""
    _held: Document = field(default_factory=Document)
    _seen: tuple[str, str] = ("", "")
    """Holder and renewal of another's lease as it was last read, …"""
    _seen_at: float = 0.0
    """… and when that changed, by this process's own clock."""

    async def lead(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run `work` while this replica leads, again and again; it is cancelled, and has ended,
        before another replica may begin. Without end; the lease is released on cancellation.
        """
        while True:
            self._shared = shared = await self._acquire()
            self.leading = True
            working = asyncio.ensure_future(work())
            keeping = asyncio.create_task(self._keep() if shared else self._until_given())
            try:
                await asyncio.wait({working, keeping}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                keeping.cancel()
                # The order matters: the work has ended before the lease is let go.
                working.cancel()
                await asyncio.wait({working})
                self.leading = False
                if shared:
                    await self._release()
            if not working.cancelled() and (error := working.exception()):
                log.error("what the leader does has failed, it starts again", exc_info=error)
            await asyncio.sleep(self._pause())

    def holds(self) -> bool:
        """Whether nobody else can lead yet. A process that was stopped for a while finds out here
        before it is cancelled, with what its connections brought meanwhile in its hands."""
        now = asyncio.get_running_loop().time()
        return self.leading and (not self._shared or now < self._renewed + self.timing.renew)

    async def _acquire(self) -> bool:
        """Wait until the lease is ours. False: there are no leases for us, so this works alone."""
        loop = asyncio.get_running_loop()
        while True:
            begun = loop.time()
            try:
                if await self._try():
                    self.state, self._renewed = "leads", begun
                    log.info("this replica reads the Results (lease %s)", self.name)
                    return True
            except ClusterRefused as refused:
                if refused.status == FORBIDDEN:
                    return self._alone(f"{refused}; with one replica that is fine")
                log.warning("the lease cannot be had: %s", refused)
                self.state = str(refused)
            except ObjectGone:
                return self._alone(f"namespace {self.namespace} does not exist (lease_namespace)")
            except ClusterError as error:
                self.state = f"no lease yet: {error}"
            await asyncio.sleep(self._pause())

    def _alone(self, why: str) -> bool:
        self.state = f"works without a lease: {why}"
        log.warning("Results are read without a lease: %s", why)
        return False

    async def _try(self) -> bool:
        """Whether the lease is ours now."""
        loop = asyncio.get_running_loop()
        try:
            found = await self.connection.lease("get", self._request())
        except ObjectGone:
            return await self._write("create", Document())
        holder = found.text("spec", "holderIdentity")
        if holder and holder != self.identity:
            renewal = (holder, found.text("spec", "renewTime"))
            if renewal != self._seen:
                self._seen, self._seen_at = renewal, loop.time()
            seconds = found.number("spec", "leaseDurationSeconds") or self.timing.duration
            if loop.time() < self._seen_at + seconds:
                self.state = f"replica {holder} reads them"
                return False
        return await self._write("update", found)

    async def _write(self, verb: str, before: Document) -> bool:
        """Take or renew it; False when somebody else was faster (409)."""
        spec = before.at("spec")
        ours = spec.text("holderIdentity") == self.identity
        now = self.clock().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        changes = (spec.number("leaseTransitions") or 0) + (0 if ours or verb == "create" else 1)
        lease = {
            "apiVersion": LEASE.api_version,
            "kind": LEASE.kind,
            "metadata": before.at("metadata").value
            or {"name": self.name, "namespace": self.namespace},
            "spec": {
                "holderIdentity": self.identity,
                "leaseDurationSeconds": max(1, round(self.timing.duration)),
                "acquireTime": (ours and spec.text("acquireTime")) or now,
                "renewTime": now,
                "leaseTransitions": changes,
            },
        }
        try:
            if verb == "create":
                request = Request(LEASE, self.namespace)
                self._held = await self.connection.lease("create", request, lease)
            else:
                self._held = await self.connection.lease("update", self._request(), lease)
        except ClusterRefused as refused:
            if refused.status == CONFLICT:
                return False
            raise
        return True

    async def _keep(self) -> None:
        """Renew until that fails for `renew` seconds, or somebody else has it."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self.timing.retry)
            try:
                # However long one request takes: later than this, another may lead.
                async with asyncio.timeout_at(self._renewed + self.timing.renew):
                    while True:
                        begun = loop.time()
                        try:
                            ours = await self._renew()
                        except ClusterError as error:
                            log.info("the lease %s was not renewed: %s", self.name, error)
                            await asyncio.sleep(self.timing.retry / 2)
                            continue
                        if not ours:
                            log.warning("another replica took the lease %s", self.name)
                            return
                        self._renewed = begun
                        break
            except TimeoutError:
                log.warning(
                    "the lease %s was not renewed for %g s: this replica stops reading Results",
                    self.name,
                    self.timing.renew,
                )
                return

    async def _until_given(self) -> None:
        """Until there is a lease for us after all: then whoever worked alone agrees by it."""
        while True:
            await asyncio.sleep(self.timing.duration)
            with suppress(ClusterError):
                await self._try()
                log.info("there is a lease %s now: this replica asks for it", self.name)
                return

    async def _renew(self) -> bool:
        if await self._write("update", self._held):
            return True
        # Something else may have touched it (a label), or our answer was lost.
        found = await self.connection.lease("get", self._request())
        if found.text("spec", "holderIdentity") != self.identity:
            return False
        return await self._write("update", found)

    async def _release(self) -> None:
        """Let the next one begin at once. Best effort: without it they wait `duration` seconds."""
        with suppress(ClusterError, TimeoutError):
            async with asyncio.timeout(RELEASE_SECONDS):
                found = await self.connection.lease("get", self._request())
                if found.text("spec", "holderIdentity") != self.identity:
                    return
                spec = found.at("spec").value
                lease = {
                    "apiVersion": LEASE.api_version,
                    "kind": LEASE.kind,
                    "metadata": found.at("metadata").value,
                    "spec": {
                        **(spec if isinstance(spec, dict) else {}),
                        "holderIdentity": "",
                        "leaseDurationSeconds": 1,
                    },
                }
                await self.connection.lease("update", self._request(), lease)

    def _request(self) -> Request:
        return Request(LEASE, self.namespace, self.name)

    def _pause(self) -> float:
        return self.timing.retry * (0.5 + self.jitter() / 2)
