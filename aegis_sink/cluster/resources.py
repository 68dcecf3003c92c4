"""Where the API server keeps each kind: group, version, plural; and requests in these words."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource of the API. `group` is "" for the core group."""

    group: str
    version: str
    plural: str
    namespaced: bool
    kind: str

    @property
    def api_version(self) -> str:
        """ "v1" or "apps/v1"."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The URL path. Every part is quoted: names come from outside."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        inside = f"/namespaces/{quote(namespace, safe='')}" if namespace and self.namespaced else ""
        tail = f"/{quote(name, safe='')}" if name else ""
        sub = f"/{subresource}" if subresource else ""
        return f"{root}{inside}/{self.plural}{tail}{sub}"

    def rule(self, verb: str, subresource: str = "") -> str:
        """The RBAC rule that would allow it, as it stands in a ClusterRole."""
        resource = f"{self.plural}/{subresource}" if subresource else self.plural
        return f'{{apiGroups: ["{self.group}"], resources: ["{resource}"], verbs: ["{verb}"]}}'


_TABLE = """
v1 Pod pods
v1 Service services
v1 PersistentVolumeClaim persistentvolumeclaims
v1 PersistentVolume persistentvolumes -
v1 Node nodes -
v1 Namespace namespaces -
v1 ConfigMap configmaps
v1 Event events
v1 ServiceAccount serviceaccounts
v1 ResourceQuota resourcequotas
v1 LimitRange limitranges
v1 ReplicationController replicationcontrollers
apps/v1 Deployment deployments
apps/v1 ReplicaSet replicasets
apps/v1 StatefulSet statefulsets
apps/v1 DaemonSet daemonsets
apps/v1 ControllerRevision controllerrevisions
batch/v1 Job jobs
batch/v1 CronJob cronjobs
discovery.k8s.io/v1 EndpointSlice endpointslices
networking.k8s.io/v1 Ingress ingresses
networking.k8s.io/v1 IngressClass ingressclasses -
networking.k8s.io/v1 NetworkPolicy networkpolicies
autoscaling/v2 HorizontalPodAutoscaler horizontalpodautoscalers
policy/v1 PodDisruptionBudget poddisruptionbudgets
storage.k8s.io/v1 StorageClass storageclasses -
storage.k8s.io/v1 CSIDriver csidrivers -
coordination.k8s.io/v1 Lease leases
admissionregistration.k8s.io/v1 ValidatingWebhookConfiguration validatingwebhookconfigurations -
admissionregistration.k8s.io/v1 MutatingWebhookConfiguration mutatingwebhookconfigurations -
rbac.authorization.k8s.io/v1 RoleBinding rolebindings
rbac.authorization.k8s.io/v1 Role roles
apiregistration.k8s.io/v1 APIService apiservices -
gateway.networking.k8s.io/v1 GatewayClass gatewayclasses -
gateway.networking.k8s.io/v1 Gateway gateways
gateway.networking.k8s.io/v1 HTTPRoute httproutes
core.k8sgpt.ai/v1alpha1 Result results
core.k8sgpt.ai/v1alpha1 K8sGPT k8sgpts
"""


def _read(line: str) -> Resource:
    api_version, kind, plural, *cluster_scoped = line.split()
    group, _, version = api_version.rpartition("/")
    return Resource(group, version, plural, not cluster_scoped, kind)


KNOWN: Mapping[str, Resource] = {
    resource.kind: resource for resource in map(_read, _TABLE.strip().splitlines())
}
"""Kinds that need no discovery. Secret is not among them and never will be: it is not read."""

NEVER_READ = frozenset({"Secret"})
