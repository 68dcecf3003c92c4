"""Api: what tests do to the real API server as its administrator. Objects are plain dicts."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from aegis_sink.cluster.resources import KNOWN, Resource
from tests.cluster.control_plane import ControlPlane

CRDS = Path(__file__).parent / "crds"
SHIPPED = Path(__file__).parents[2] / "helm" / "aegis-sink" / "files" / "rbac.yaml"
RBAC = "rbac.authorization.k8s.io"

_MORE = {
    "CustomResourceDefinition": Resource(
        "apiextensions.k8s.io", "v1", "customresourcedefinitions", False, "CustomResourceDefinition"
    ),
    "Secret": Resource("", "v1", "secrets", True, "Secret"),
    "ClusterRole": Resource(
        "rbac.authorization.k8s.io", "v1", "clusterroles", False, "ClusterRole"
    ),
    "ClusterRoleBinding": Resource(
        "rbac.authorization.k8s.io", "v1", "clusterrolebindings", False, "ClusterRoleBinding"
    ),
    "Widget": Resource("example.test", "v1", "widgets", True, "Widget"),
}

Object = dict[str, Any]


class Refused(Exception):
    """The API server said no; `status` and its words."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class Api:
    """Server-side apply, status, binding, delete, and waiting for what controllers do."""

    def __init__(self, plane: ControlPlane, session: aiohttp.ClientSession) -> None:
        self.plane = plane
        self._session = session

    async def apply(self, *objects: Object) -> list[Object]:
        """Create or change objects. A `status` in them is set through the subresource."""
        return [await self._apply(one) for one in objects]

    async def _apply(self, one: Object) -> Object:
        metadata = one["metadata"]
        path = _path(one["kind"], metadata.get("namespace", ""), metadata["name"])
        spec = {key: value for key, value in one.items() if key != "status"}
        done = await self._patch(path, spec)
        if "status" in one:
            done = await self.status(one["kind"], metadata, one["status"])
        return done

    async def status(self, kind: str, metadata: Mapping[str, str], status: Object) -> Object:
        """Set the status of an object, as a kubelet or controller would."""
        path = _path(kind, metadata.get("namespace", ""), metadata["name"])
        return await self._call(
            "PATCH",
            f"{path}/status",
            {"status": status},
            "application/strategic-merge-patch+json"
            if kind != "Result"
            else "application/merge-patch+json",
        )

    async def get(self, kind: str, namespace: str, name: str) -> Object:
        """One object."""
        return await self._call("GET", _path(kind, namespace, name))

    async def list(self, kind: str, namespace: str) -> list[Object]:
        """All objects of a kind in a namespace."""
        found: list[Object] = (await self._call("GET", _path(kind, namespace)))["items"]
        return found

    async def delete(self, kind: str, namespace: str, name: str) -> None:
        """Delete at once."""
        await self._call("DELETE", f"{_path(kind, namespace, name)}?gracePeriodSeconds=0")

    async def bind(self, namespace: str, pod: str, node: str) -> None:
        """Put a pod on a node, as the scheduler would."""
        body = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": pod, "namespace": namespace},
            "target": {"kind": "Node", "name": node},
        }
        await self._call("POST", f"{_path('Pod', namespace, pod)}/binding", body)

    async def may_evict(self, namespace: str, pod: str) -> bool:
        """Whether a drain would get the pod away; it stays where it is."""
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod, "namespace": namespace},
        }
        try:
            await self._call("POST", f"{_path('Pod', namespace, pod)}/eviction?dryRun=All", body)
        except Refused as refused:
            if refused.status != 429:
                raise
            return False
        return True

    async def token(self, namespace: str, account: str) -> str:
        """A token of a service account."""
        path = f"{_path('ServiceAccount', namespace, account)}/token"
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        return str((await self._call("POST", path, request))["status"]["token"])

    async def until_it_may(
        self, namespace: str, account: str, verb: str, resource: str, group: str = ""
    ) -> None:
        """Wait until the authorizer has heard of a service account's new role."""
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": f"system:serviceaccount:{namespace}:{account}",
                "resourceAttributes": {"verb": verb, "resource": resource, "group": group},
            },
        }
        path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"

        async def allowed() -> Object | None:
            status: Object = (await self._call("POST", path, review))["status"]
            return status if status["allowed"] else None

        await self.until(allowed)

    async def until(self, found: Callable[[], Awaitable[Object | None]]) -> Object:
        """Wait for what a controller makes; fails after 20 s."""
        async with asyncio.timeout(20):
            while not (one := await found()):  # noqa: ASYNC110 -- nothing tells
                await asyncio.sleep(0.05)
        return one

    async def _patch(self, path: str, body: Object) -> Object:
        return await self._call(
            "PATCH", f"{path}?fieldManager=tests&force=true", body, "application/apply-patch+yaml"
        )

    async def _call(
        self, method: str, path: str, body: Object | None = None, kind: str = "application/json"
    ) -> Object:
        headers = {"Authorization": f"Bearer {self.plane.token}", "Content-Type": kind}
        async with self._session.request(
            method, self.plane.url + path, json=body, headers=headers, ssl=self.plane.trust()
        ) as answer:
            if answer.content_type != "application/json":  # a path that is not served yet
                raise Refused(answer.status, (await answer.text())[:200])
            told: Object = await answer.json()
            if answer.status >= 400:
                raise Refused(answer.status, str(told.get("message")))
            return told


def crd(name: str) -> Object:
    """A CustomResourceDefinition of this directory."""
    read: Object = yaml.safe_load((CRDS / f"{name}.yaml").read_text())
    return read


def _path(kind: str, namespace: str, name: str = "") -> str:
    resource = _MORE.get(kind) or KNOWN[kind]
    return resource.path(namespace, name)


def shipped_rules() -> list[dict[str, list[str]]]:
    """The rights that the chart gives, all of them."""
    parts = yaml.safe_load(SHIPPED.read_text())
    return [rule for part in parts.values() for rule in part]


def account(name: str, namespace: str, rules: list[dict[str, list[str]]]) -> list[Object]:
    """A service account with a ClusterRole of its own."""
    subject = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
    role = {"apiGroup": RBAC, "kind": "ClusterRole", "name": name}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount",
         "metadata": {"name": name, "namespace": namespace}},
        {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRole", "metadata": {"name": name},
         "rules": rules},
        {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRoleBinding", "metadata": {"name": name},
         "roleRef": role, "subjects": [subject]},
    ]  # fmt: skip
