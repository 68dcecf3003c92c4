"""Case: what one diagnosis is made from."""

from dataclasses import dataclass, field

from aegis_sink.model import Collected, Finding, ObjectRef


@dataclass(frozen=True, slots=True)
class Case:
    """One problem as diagnosis sees it: who is sick, what K8sGPT said, what the cluster showed.

    Every text in it is already redacted. `subject` is the owner a person acts on. `findings` are
    the distinct findings of the incident; K8sGPT's `details` are never read for meaning.
    """

    cluster: str
    subject: ObjectRef
    findings: tuple[Finding, ...]
    collected: Collected = field(default_factory=Collected)

    @property
    def errors(self) -> tuple[str, ...]:
        """Every distinct error text of K8sGPT, in the order they came."""
        return tuple(dict.fromkeys(text for finding in self.findings for text in finding.errors))
