"""ObjectRef: the name of one Kubernetes object."""

from dataclasses import dataclass, field

_OF_PROMETHEUS = frozenset({"PrometheusConfigValidate", "PrometheusConfigRelabelReport"})


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """One object, as K8sGPT or the API server names it.

    `kind` is kept as it was written: K8sGPT's analyzers write `Security/Pod` or
    `Storage/StorageClass` (facts/analyzers.md), custom analyzers anything, also with spaces.
    `namespace` is "" for cluster-scoped objects. `api_version` ("apps/v1") is a hint for
    discovery where it is known and takes no part in equality.
    """

    kind: str
    name: str
    namespace: str = ""
    api_version: str = field(default="", compare=False)

    @property
    def resource_kind(self) -> str:
        """The Kubernetes kind behind K8sGPT's kind: "Security/Pod" → "Pod"."""
        if self.kind in _OF_PROMETHEUS:
            return "Pod"  # they name the pod whose configuration they read
        return self.kind.rsplit("/", 1)[-1]

    @property
    def path(self) -> str:
        """`namespace/name`, or `name` when cluster-scoped."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    def __str__(self) -> str:
        return f"{self.kind} {self.path}"
