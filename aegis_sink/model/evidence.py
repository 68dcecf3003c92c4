"""Evidence: one redacted fact from the cluster, and what a collection of them looked like."""

from dataclasses import dataclass, field
from datetime import datetime

from aegis_sink.model.facts import Facts
from aegis_sink.model.objects import ObjectRef


@dataclass(frozen=True, slots=True)
class Evidence:
    """One redacted fact from the cluster.

    `id` is "E1" … "En" within one incident. `source` is what a person would call the place:
    "events of Pod shop/api-1", "previous log of container api", "Deployment shop/api spec".
    `text` is what is shown and prompted. `cut` is how many characters were left out of `text`,
    0 when it is whole. `facts` is the same statement as fields, for predicates; None when the
    text is all there is. `worth` orders evidence for a small budget: higher discriminates more.
    """

    id: str
    source: str
    text: str
    read_at: datetime
    cut: int = 0
    object: ObjectRef | None = None
    facts: Facts | None = None
    worth: int = 0


@dataclass(frozen=True, slots=True)
class OwnerChain:
    """From an object to the owner a person would act on.

    `chain` starts with the object and ends with the subject. `how` says how the subject was
    found: "owner references", "its ReplicaSet (the pod is gone)", "its name (no cluster)".
    """

    chain: tuple[ObjectRef, ...]
    how: str

    @property
    def subject(self) -> ObjectRef:
        """The last owner: Deployment, StatefulSet, CronJob, Node …, or the object itself."""
        return self.chain[-1]


@dataclass(frozen=True, slots=True)
class Collected:
    """What one visit to the cluster brought back.

    `missing` names, for a person, what could not be read and why, with what would allow it.
    `healthy` is True/False when the object itself could be judged, None when not.
    """

    evidence: tuple[Evidence, ...] = ()
    missing: tuple[str, ...] = ()
    owners: OwnerChain | None = None
    healthy: bool | None = None
    calls: int = 0
    seconds: float = 0.0
    nodes: tuple[str, ...] = field(default=())
