"""Owners: from an object up to the one a person would act on, by `metadata.ownerReferences`."""

from collections.abc import Callable
from dataclasses import replace

from aegis_sink.cluster.errors import BudgetSpent, ClusterRefused, ObjectGone
from aegis_sink.cluster.reader import Reader
from aegis_sink.model import Finding, ObjectRef, OwnerChain

FromName = Callable[[ObjectRef], OwnerChain]

MOST_OWNERS = 8

# K8sGPT names these by something that is not the object's name (facts/k8sgpt.md §2.4).
_NAMED_OTHERWISE = frozenset(
    {"ValidatingWebhookConfiguration", "MutatingWebhookConfiguration", "OperatorGroup"}
)


async def owners(finding: Finding, reader: Reader, from_name: FromName) -> OwnerChain:
    """The chain of a finding's object.

    Gone objects are told by the first owner that still exists, else by their name. What may not be
    read ends the chain at what is known. Raises ClusterUnavailable.
    """
    ref = finding.object
    if ref.resource_kind in _NAMED_OTHERWISE:
        return OwnerChain((ref,), "its name (it is the subject itself)")
    try:
        return OwnerChain((ref, *await _above(ref, reader)), "owner references")
    except ObjectGone:
        return await _of_gone(ref, reader, from_name)
    except (ClusterRefused, BudgetSpent) as refused:
        told = from_name(ref)
        return OwnerChain(told.chain, f"{told.how} ({refused})")


async def _above(ref: ObjectRef, reader: Reader) -> tuple[ObjectRef, ...]:
    """The owners of an object that must exist; those further up may be unreadable."""
    found = [ref]
    while len(found) <= MOST_OWNERS:
        try:
            document = await reader.get(found[-1], metadata_only=True)
        except (ObjectGone, ClusterRefused, BudgetSpent):
            if len(found) == 1:
                raise
            break
        if not document.namespace:  # a cluster-scoped owner of a namespaced object
            found[-1] = replace(found[-1], namespace="")
        owner = document.controller
        # A mirror pod of a control plane is owned by its Node, which nobody would act on.
        if owner is None or owner.kind == "Node" or owner in found:
            break
        found.append(owner)
    return tuple(found[1:])


async def _of_gone(ref: ObjectRef, reader: Reader, from_name: FromName) -> OwnerChain:
    told = from_name(ref)
    for owner in told.chain[1:]:
        try:
            above = await _above(owner, reader)
        except (ObjectGone, ClusterRefused, BudgetSpent):
            continue
        how = f"its {owner.kind} (the {ref.resource_kind.lower()} is gone)"
        return OwnerChain((ref, owner, *above), how)
    return OwnerChain(told.chain, f"{told.how} (the {ref.resource_kind.lower()} is gone)")
