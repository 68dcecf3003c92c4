"""Finding: one statement by K8sGPT about one object."""

from dataclasses import dataclass

from aegis_sink.model.objects import ObjectRef


@dataclass(frozen=True, slots=True)
class ResultRef:
    """The Result object a finding was read from, or was completed from.

    `name` is not unique across kinds (facts/k8sgpt.md §0.10): it finds a Result, it never keys
    an incident.
    """

    namespace: str
    name: str
    uid: str = ""
    resource_version: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One statement by K8sGPT about one object.

    `k8sgpt` is the name of the K8sGPT CR, "" when the body does not say. `errors` are K8sGPT's
    error texts in the order they came, () when the body carries none (slack, CloudEvents): then
    `needs_completion` is true and the Result is asked. `details` is K8sGPT's own model text:
    untrusted, never parsed for meaning. `container` is set by the Log analyzer only.
    `gone` is true for a watch event DELETED: the problem is over. `completed` is true once `errors`
    were read from the Result because the body had none.
    """

    cluster: str
    object: ObjectRef
    dialect: str
    k8sgpt: str = ""
    container: str = ""
    errors: tuple[str, ...] = ()
    details: str = ""
    parent: str = ""
    result: ResultRef | None = None
    gone: bool = False
    completed: bool = False

    @property
    def needs_completion(self) -> bool:
        """The body carried no error texts, so that the Result must be asked, each time anew."""
        return (self.completed or not self.errors) and not self.gone
