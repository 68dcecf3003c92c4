"""What this account may read: every rule of the chart, asked with a SelfSubjectAccessReview.

`rbac.namespaces` of the chart limits it to some namespaces on purpose. A right that was withheld
there is no fault, and no fix here gives it.
"""

import asyncio
import shlex
from collections import defaultdict
from collections.abc import AsyncIterator, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from aegis_sink.cluster.connection import Connection, Request
from aegis_sink.cluster.errors import ClusterError, ObjectGone
from aegis_sink.cluster.resources import KNOWN
from aegis_sink.cluster.rights import Right, rights
from aegis_sink.doctor.check import Check, failed, ok, skipped, warning

T = TypeVar("T")

AT_ONCE = 8
MOST_NAMESPACES = 500
NAMESPACE_BYTES = 4 * 1024 * 1024
EVERYWHERE = ""
LEASES = KNOWN["Lease"]
TELLING = frozenset({"pods", "events", "deployments.apps"})
"""A namespace in which one of these may be listed is meant to be read."""
ASK_ONE = "aegis-sink doctor --namespace NAME   # for each of rbac.namespaces"
NOTHING = (
    "helm upgrade aegis-sink helm/aegis-sink -n NAMESPACE --reuse-values --set rbac.create=true"
)


@dataclass(frozen=True, slots=True)
class Lease:
    """The Lease by which replicas agree. No `namespace`: none is taken."""

    namespace: str
    name: str


@dataclass(slots=True)
class _Account:
    """Who asks, and the server's answers about them."""

    connection: Connection
    user: str
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def lacking(self, right: Right, namespace: str, *, name: str = "") -> tuple[str, ...]:
        """The verbs of this right that are refused in a namespace, "" for all."""
        async with self._slots:
            return tuple(
                [
                    verb
                    for verb in right.verbs
                    if not await _allowed(self.connection, right, verb, namespace, name)
                ]
            )

    async def all_lacking(
        self, asked: Iterable[Right], namespace: str
    ) -> dict[Right, tuple[str, ...]]:
        """For each of these what is refused, () where nothing is."""
        asked = tuple(asked)
        found = await _all(self.lacking(right, namespace) for right in asked)
        return dict(zip(asked, found, strict=True))


async def _all(asks: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """What each says. One that fails ends the others: they would outlive the connection."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(ask) for ask in asks]
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in tasks]


async def check_rights(
    connection: Connection, *, namespace: str, results_namespace: str, lease: Lease
) -> AsyncIterator[Check]:
    """One check for each right that lacks, one line for all that are there.

    `namespace` is where people want to know, "" for all. K8sGPT's own kinds are asked for in
    `results_namespace`, "" for all.
    """
    try:
        account = _Account(connection, await _user(connection))
    except ClusterError as error:
        yield skipped("rights", f"the API server does not say who is asking: {error}")
        return
    try:
        for check in await _checks(account, namespace, results_namespace, lease):
            yield check
    except ClusterError as error:
        yield skipped("rights", f"the API server does not say what is allowed: {error}")


async def _checks(
    account: _Account, namespace: str, results_namespace: str, lease: Lease
) -> list[Check]:
    parts: dict[str, list[Right]] = defaultdict(list)
    for right in rights():
        parts[right.part].append(right)
    objects = await account.all_lacking(parts["clusterObjects"], EVERYWHERE)
    results = await account.all_lacking(parts["results"], results_namespace)
    there = await account.all_lacking(parts["namespaced"], namespace)
    leases = await _lease(account, lease)
    if _none(there) and not namespace:
        if _none(objects) and _none(results):
            return [failed("rights", f"{account.user} may read nothing here", NOTHING)]
        limited = await _limited(account, parts["namespaced"])
        return [*limited, *_objects(account, objects), *_results(account, results, results_namespace),
                *leases]  # fmt: skip
    lacks = [
        *_lacks(account, objects, ()),
        *_lacks(account, there, (namespace,) if namespace else ()),
        *_lacks(account, results, (results_namespace,) if results_namespace else ()),
    ]
    asked = {**objects, **there, **results}
    said = f"{account.user}: {len(asked) - len(lacks)} of {len(asked)} allowed" + (
        f" in namespace {namespace}" if namespace else ""
    )
    summary = warning("rights", said, "see above") if lacks else ok("rights", said)
    return [*lacks, *leases, summary]


async def _limited(account: _Account, namespaced: list[Right]) -> list[Check]:
    """Rights in some namespaces only: which, and does one of them lack something?"""
    places = await _namespaces(account.connection)
    if places is None:
        said = f"{account.user} reads some namespaces only; which, cannot be seen from here"
        return [skipped("rights", said, ASK_ONE)]
    telling = [right for right in namespaced if right.named in TELLING]
    probes = await _all(account.all_lacking(telling, place) for place in places)
    read = [place for place, lacks in zip(places, probes, strict=True) if not _none(lacks)]
    if not read:
        return [failed("rights", f"{account.user} may read no namespace", NOTHING)]
    lacking: dict[tuple[Right, tuple[str, ...]], list[str]] = defaultdict(list)
    for place in read:
        for right, verbs in (await account.all_lacking(namespaced, place)).items():
            if verbs:
                lacking[right, verbs].append(place)
    checks = [_lack(account, right, verbs, tuple(at)) for (right, verbs), at in lacking.items()]
    more = f" and {len(read) - 5} more" if len(read) > 5 else ""
    said = f"{account.user} reads {', '.join(read[:5])}{more}, no other namespace"
    return [*checks, warning("rights", said, "see above") if checks else ok("rights", said)]


def _objects(account: _Account, lacking: dict[Right, tuple[str, ...]]) -> list[Check]:
    if not _none(lacking):
        return _lacks(account, lacking, ())
    return [skipped("rights of cluster objects", "none (rbac.clusterObjects=false): a cause that "
                    "lies with a node, a volume or a StorageClass is not found")]  # fmt: skip


def _results(account: _Account, lacking: dict[Right, tuple[str, ...]], place: str) -> list[Check]:
    if place or not any(lacking.values()):
        return _lacks(account, lacking, (place,) if place else ())
    return [failed("rights of Results", f"{account.user} may not read Results in all namespaces",
                   "AEGIS_RESULTS_NAMESPACE=NAMESPACE   # that of the K8sGPT object")]  # fmt: skip


async def _lease(account: _Account, lease: Lease) -> list[Check]:
    if not lease.namespace:
        return []
    named = Right("namespaced", LEASES.group, LEASES.plural, ("get", "update"))
    making = Right("namespaced", LEASES.group, LEASES.plural, ("create",))
    verbs = await account.lacking(named, lease.namespace, name=lease.name)
    verbs += await account.lacking(making, lease.namespace)
    if not verbs:
        return []
    # A name cannot be given to what is not there yet, so `create` is without one.
    return [warning(
        f"right {'+'.join(verbs)} lease {lease.name}",
        f"{account.user} may not {' and '.join(verbs)} lease {lease.name} in namespace "
        f"{lease.namespace}: several replicas would each read the Results",
        _grant(account.user, named, verbs, (lease.namespace,)),
    )]  # fmt: skip


def _none(lacking: dict[Right, tuple[str, ...]]) -> bool:
    """Whether nothing at all is allowed."""
    return all(verbs == right.verbs for right, verbs in lacking.items())


def _lacks(
    account: _Account, lacking: dict[Right, tuple[str, ...]], places: tuple[str, ...]
) -> list[Check]:
    return [_lack(account, right, verbs, places) for right, verbs in lacking.items() if verbs]


def _lack(
    account: _Account, right: Right, verbs: tuple[str, ...], places: tuple[str, ...]
) -> Check:
    """`places` are namespaces, () for all of the cluster."""
    where = f"in namespace {', '.join(places)}" if places else "anywhere"
    return failed(
        f"right {'+'.join(verbs)} {right.named}",
        f"{account.user} may not {' and '.join(verbs)} {right.named} {where}",
        _grant(account.user, right, verbs, places),
    )


async def _namespaces(connection: Connection) -> list[str] | None:
    """The namespaces there are, at most MOST_NAMESPACES; None when they may not be listed."""
    request = Request(KNOWN["Namespace"], query={"limit": str(MOST_NAMESPACES)})
    try:
        body = await connection.read(request, most_bytes=NAMESPACE_BYTES)
    except ClusterError:
        return None
    return [one.name for one in body.document().items("items")]


async def _user(connection: Connection) -> str:
    try:
        told = await connection.review("SelfSubjectReview")
    except ObjectGone:  # before Kubernetes 1.28
        return "this account"
    return told.text("userInfo", "username") or "this account"


async def _allowed(
    connection: Connection, right: Right, verb: str, namespace: str, name: str
) -> bool:
    plural, _, subresource = right.resource.partition("/")
    attributes = {
        "group": right.group,
        "resource": plural,
        "subresource": subresource,
        "verb": verb,
        "namespace": namespace,
        "name": name,
    }
    spec = {"resourceAttributes": {k: v for k, v in attributes.items() if v}}
    answer = await connection.review("SelfSubjectAccessReview", spec)
    return answer.flag("allowed") is True


def _grant(user: str, right: Right, verbs: tuple[str, ...], places: tuple[str, ...]) -> str:
    """The commands that give it, in a role of its own."""
    name = f"aegis-sink-{'-'.join(verbs)}-{right.named.replace('.', '-').replace('/', '-')}"
    kind = "role" if places else "clusterrole"
    where = f" -n {places[0] if len(places) == 1 else '$ns'}" if places else ""
    account = user.removeprefix("system:serviceaccount:")
    who = f"--serviceaccount={account}" if account != user else f"--user={shlex.quote(user)}"
    commands = (
        f"kubectl create {kind} {name} --verb={','.join(verbs)} --resource={right.named}{where} && "
        f"kubectl create {kind}binding {name} --{kind}={name} {who}{where}"
    )
    return commands if len(places) < 2 else f"for ns in {' '.join(places)}; do {commands}; done"
