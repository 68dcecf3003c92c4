"""A PersistentVolumeClaim: its class, provisioner, volume and consumers."""

from aegis_sink.cluster.collectors.events import collect_events
from aegis_sink.cluster.collectors.generic import add_object, condition_lines
from aegis_sink.cluster.collectors.storage import class_facts, volume_facts
from aegis_sink.cluster.document import Document, say_time
from aegis_sink.cluster.quantity import size
from aegis_sink.cluster.visit import Visit, together
from aegis_sink.model import ObjectRef
from aegis_sink.model.facts import ClaimFacts

MOST_PODS = 250


async def collect_finding_claim(visit: Visit) -> None:
    """The finding's own claim."""
    await collect_claim(visit, visit.ref)


async def collect_claim(visit: Visit, ref: ObjectRef) -> None:
    """A claim with everything that could hold it back."""
    claim = await visit.get(ref)
    if claim is None:
        return
    if not claim:
        add_object(visit, ref, claim)
        return
    classes: list[Document] | None = None
    drivers: tuple[str, ...] | None = None
    volume: Document | None = None
    consumers: tuple[str, ...] | None = None
    volume_name = claim.text("spec", "volumeName")

    async def read_classes() -> None:
        nonlocal classes
        found = await visit.list("StorageClass")
        classes = None if found is None else list(found)

    async def read_drivers() -> None:
        nonlocal drivers
        found = await visit.list("CSIDriver")
        drivers = None if found is None else tuple(d.name for d in found)

    async def read_volume() -> None:
        nonlocal volume
        if volume_name:
            volume = await visit.get(ObjectRef("PersistentVolume", volume_name))

    async def read_consumers() -> None:
        nonlocal consumers
        listing = await visit.listing("Pod", ref.namespace, most=MOST_PODS)
        if listing is None:
            return
        used = tuple(
            sorted(
                p.name
                for p in listing.found
                if any(
                    v.text("persistentVolumeClaim", "claimName") == ref.name
                    for v in p.items("spec", "volumes")
                )
            )
        )
        # In a part of the list nobody uses it: somebody still may.
        consumers = used if used or listing.whole else None

    async def read_events() -> None:
        await collect_events(visit, ref)

    await together(read_classes(), read_drivers(), read_volume(), read_consumers(), read_events())
    facts = claim_facts(claim, classes, drivers, volume, consumers)
    if ref == visit.ref:
        visit.healthy = facts.phase == "Bound"
    visit.add(f"PersistentVolumeClaim {ref.path}", "\n".join(_lines(claim, facts)), 88, facts, ref)
    if volume:
        found = volume_facts(volume, volume_name)
        told = f"phase: {found.phase}, reclaim {found.reclaim_policy}, zones {', '.join(found.zones) or '?'}"
        visit.add(f"PersistentVolume {volume_name}", told, 60, found)


def claim_facts(
    claim: Document,
    classes: list[Document] | None,
    drivers: tuple[str, ...] | None,
    volume: Document | None,
    consumers: tuple[str, ...] | None,
) -> ClaimFacts:
    """A claim as fields. None for what could not be read."""
    # "" asks for a volume without a class on purpose; no member asks for the default class.
    named = claim.has("spec", "storageClassName")
    wanted = claim.text("spec", "storageClassName")
    found = next((c for c in classes or () if c.name == wanted), None)
    told = class_facts(found, wanted, classes, drivers) if found else None
    all_classes = class_facts(None, wanted, classes, drivers)
    return ClaimFacts(
        name=claim.name,
        phase=claim.text("status", "phase"),
        storage_class=wanted,
        class_named=named,
        class_exists=None if classes is None or not wanted else found is not None,
        default_class=", ".join(all_classes.default_classes),
        classes=tuple(sorted(c.name for c in classes or ())),
        provisioner=told.provisioner if told else "",
        provisioner_present=told.provisioner_present if told else None,
        binding_mode=told.binding_mode if told else "",
        access_modes=claim.texts("spec", "accessModes"),
        requested=size(claim.text("spec", "resources", "requests", "storage")),
        volume=claim.text("spec", "volumeName"),
        volume_exists=None if volume is None else bool(volume),
        volume_phase=volume.text("status", "phase") if volume else "",
        volume_zones=volume_facts(volume, volume.name).zones if volume else (),
        consumers=consumers,
    )


def _lines(claim: Document, facts: ClaimFacts) -> list[str]:
    nobody = "none" if facts.consumers is not None else "not known"
    exists = {True: "exists", False: "does not exist", None: "not known"}[facts.class_exists]
    wanted = f"{facts.storage_class} ({exists})" if facts.storage_class else "none named"
    lines = [
        f"phase: {facts.phase or '?'}, created {say_time(claim.created)}",
        f"storage class: {wanted}",
        f"storage classes of the cluster: {', '.join(facts.classes) or 'none'}; "
        f"default: {facts.default_class or 'none'}",
        f"asks for: {claim.text('spec', 'resources', 'requests', 'storage') or '?'} "
        f"{', '.join(facts.access_modes)}",
        f"used by pods: {', '.join(facts.consumers or ()) or nobody}",
    ]
    if facts.provisioner:
        present = {True: "present", False: "its driver is not registered", None: "not known"}
        lines.append(
            f"provisioner: {facts.provisioner} ({present[facts.provisioner_present]}), "
            f"binding {facts.binding_mode}"
        )
    if facts.volume:
        lines.append(f"volume: {facts.volume} {facts.volume_phase}".rstrip())
    return lines + condition_lines(claim)
