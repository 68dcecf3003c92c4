"""StorageClass and PersistentVolume."""

from collections.abc import Iterable

from aegis_sink.cluster.collectors.events import collect_events
from aegis_sink.cluster.collectors.generic import add_object
from aegis_sink.cluster.document import Document, say
from aegis_sink.cluster.quantity import size
from aegis_sink.cluster.visit import Visit, together
from aegis_sink.model.facts import StorageClassFacts, VolumeFacts

DEFAULT = "storageclass.kubernetes.io/is-default-class"
_IN_TREE = "kubernetes.io/"
_ZONES = ("topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone")


async def collect_storage_class(visit: Visit) -> None:
    """The class, whether it is one of several defaults, and whether its driver is registered."""
    classes = await visit.list("StorageClass")
    drivers = await visit.list("CSIDriver")
    if classes is None:
        return
    found = next((c for c in classes if c.name == visit.ref.name), None)
    names = tuple(d.name for d in drivers) if drivers is not None else None
    facts = class_facts(found, visit.ref.name, classes, names)
    visit.healthy = facts.exists and len(facts.default_classes) <= 1
    told = [
        f"provisioner: {facts.provisioner or '?'}, driver registered: {say(facts.provisioner_present)}",
        f"binding: {facts.binding_mode or '?'}, reclaim: {facts.reclaim_policy or '?'}",
        f"default classes of the cluster: {', '.join(facts.default_classes) or 'none'}",
    ]
    text = "\n".join(told) if found else "gone: it no longer exists"
    visit.add(f"StorageClass {visit.ref.name}", text, 88, facts)


async def collect_volume(visit: Visit) -> None:
    """The volume, its claim and its events."""

    async def read() -> None:
        volume = await visit.get(visit.ref)
        if volume is None:
            return
        add_object(visit, visit.ref, volume)
        facts = volume_facts(volume, visit.ref.name)
        visit.healthy = facts.phase in ("Bound", "Available") if volume else None
        told = [
            f"phase: {facts.phase or '?'} {volume.text('status', 'message')}".rstrip(),
            f"claim: {facts.claim or 'none'}, reclaim {facts.reclaim_policy or '?'}",
            f"capacity: {volume.text('spec', 'capacity', 'storage') or '?'}",
            f"zones: {', '.join(facts.zones) or '?'}, nodes: {', '.join(facts.nodes) or 'any'}",
        ]
        visit.add(f"PersistentVolume {visit.ref.name} spec", "\n".join(told), 85, facts)

    async def events() -> None:
        await collect_events(visit, visit.ref)

    await together(read(), events())


def class_facts(
    found: Document | None,
    name: str,
    classes: Iterable[Document] | None,
    drivers: tuple[str, ...] | None,
) -> StorageClassFacts:
    """A class as fields. Provisioners of outside controllers need no CSIDriver: not known then."""
    defaults = sorted(
        c.name for c in classes or () if c.text("metadata", "annotations", DEFAULT) == "true"
    )
    provisioner = found.text("provisioner") if found else ""
    present: bool | None = None
    if provisioner in (drivers or ()):
        present = True
    elif drivers is not None and ".csi." in provisioner and not provisioner.startswith(_IN_TREE):
        present = False
    return StorageClassFacts(
        name=name,
        exists=None if classes is None else found is not None,
        provisioner=provisioner,
        provisioner_present=present,
        default=name in defaults if found else None,
        binding_mode=found.text("volumeBindingMode") if found else "",
        reclaim_policy=found.text("reclaimPolicy") if found else "",
        default_classes=tuple(defaults),
    )


def volume_facts(volume: Document, name: str) -> VolumeFacts:
    """A volume as fields, with the zones and nodes it can be reached from."""
    claim = volume.at("spec", "claimRef")
    zones: set[str] = set()
    nodes: set[str] = set()
    for term in volume.items("spec", "nodeAffinity", "required", "nodeSelectorTerms"):
        for expression in term.items("matchExpressions"):
            if expression.text("key") in _ZONES:
                zones.update(expression.texts("values"))
            elif expression.text("key") == "kubernetes.io/hostname":
                nodes.update(expression.texts("values"))
    return VolumeFacts(
        name=name,
        exists=bool(volume),
        phase=volume.text("status", "phase"),
        claim=f"{claim.text('namespace')}/{claim.text('name')}" if claim else "",
        reclaim_policy=volume.text("spec", "persistentVolumeReclaimPolicy"),
        capacity=size(volume.text("spec", "capacity", "storage")),
        zones=tuple(sorted(zones)),
        nodes=tuple(sorted(nodes)),
    )
