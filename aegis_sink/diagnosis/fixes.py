"""Fixes: structures from which code renders one kubectl command. A model never writes one.

Nothing here can delete, taint, drain, exec or apply. Every changing command names a namespace.
A value which is not known becomes a placeholder in angle brackets, and the fix is not runnable;
the placeholder is quoted like any value, since bare it would be a redirection to a shell.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from aegis_sink.diagnosis.filling import Values, fill_or_ask
from aegis_sink.model import Fix, FixAction, ObjectRef

if TYPE_CHECKING:
    from aegis_sink.diagnosis.playbook import FixPlan

ROLLED_OUT = frozenset({"Deployment", "StatefulSet", "DaemonSet"})
"""Kinds with a rollout: they can be restarted and rolled back."""

TEMPLATED = ROLLED_OUT | {"ReplicaSet"}
"""Kinds whose pod template can be changed. A Job's and a Pod's cannot (Kubernetes API: immutable)."""

SCALED = frozenset({"Deployment", "StatefulSet", "ReplicaSet"})

INSPECTIONS: Mapping[str, str] = {
    "describe": "describe {target}",
    "get": "get {target} -o yaml",
    "events": "get events --field-selector involvedObject.name={name}",
    "logs": "logs {target} --all-containers --tail=100",
    "previous_logs": "logs {target} --previous --tail=100",
    "history": "rollout history {target}",
    "pods": "get pods -o wide",
    "pods_with_labels": "get pods --show-labels",
    "services": "get services,endpointslices",
    "configmaps": "get configmaps",
    "claims": "get pvc,events",
    "quotas": "describe quota,limitrange",
    "top": "top pod --containers",
    "nodes": "get nodes -o wide",
    "nodes_described": "describe nodes",
    "storage_classes": "get storageclass",
    "ingress_classes": "get ingressclass",
    "metrics_api": "get apiservice v1beta1.metrics.k8s.io",
    "dns": "-n kube-system get pods -l k8s-app=kube-dns",
}
"""What `inspect` can look at: a closed set of reading commands."""

CLUSTER_WIDE = frozenset(
    {"nodes", "nodes_described", "storage_classes", "ingress_classes", "metrics_api", "dns"}
)

_NAME = re.compile(r"^[a-z0-9]([-a-z0-9.:]*[a-z0-9])?$")
_PLACEHOLDER = re.compile(r"<[a-z][a-z -]*>")


def render(plan: FixPlan, values: Values, subject: ObjectRef, about: ObjectRef) -> Fix:
    """The fix with its command and patch, as far as the values are known."""
    title, _ = fill_or_ask(plan.title, values)
    target, asked = _target(plan.target, values, subject, about)
    parameters: dict[str, str] = {}
    for key, template in (plan.parameters or {}).items():
        parameters[key], unknown = fill_or_ask(template, values)
        asked = asked or unknown
    patch = None
    if plan.patch is not None:
        filled, unknown = _filled(plan.patch, values)
        patch, asked = json.dumps(filled, separators=(",", ":")), asked or unknown
    fix = Fix(
        title=title,
        action=plan.action,
        target=target,
        risk=plan.risk,
        patch=patch,
        parameters=parameters,
    )
    words = _command(fix)
    if words is None:
        return replace(fix, action=FixAction.ADVISE, patch=None)
    command = shlex.join(words)
    return replace(fix, command=command, runnable=not (asked or _PLACEHOLDER.search(command)))


def _target(
    on: str, values: Values, subject: ObjectRef, about: ObjectRef
) -> tuple[ObjectRef, bool]:
    if on == "subject":
        return subject, False
    if on == "object":
        return about, False
    kind, _, template = on.partition("/")
    name, asked = fill_or_ask(template, values)
    namespace = subject.namespace or about.namespace
    bare = name.rpartition("/")[2]
    if not asked and not _NAME.match(bare):
        return ObjectRef(kind, "<name>", namespace), True
    return ObjectRef(kind, bare, namespace), asked


def _filled(value: object, values: Values) -> tuple[object, bool]:
    if isinstance(value, str):
        return fill_or_ask(value, values)
    if isinstance(value, Mapping):
        pairs = [(_filled(k, values), _filled(v, values)) for k, v in value.items()]
        asked = any(a or b for (_, a), (_, b) in pairs)
        return {str(k): v for (k, _), (v, _) in pairs}, asked
    if isinstance(value, Sequence):
        items = [_filled(item, values) for item in value]
        return [item for item, _ in items], any(asked for _, asked in items)
    return value, False


def _command(fix: Fix) -> list[str] | None:
    """The words of the command; None where the action has none on that target."""
    match fix.action:
        case FixAction.ADVISE:
            return None
        case FixAction.INSPECT:
            return _inspect(fix)
        case _ if not fix.target.namespace:
            return None
        case _:
            return _change(fix)


def _inspect(fix: Fix) -> list[str] | None:
    look = fix.parameters.get("look", "describe")
    template = INSPECTIONS.get(look)
    if template is None:
        return None
    path = f"{fix.target.resource_kind.lower()}/{fix.target.name}"
    words = [w.format(target=path, name=fix.target.name) for w in template.split()]
    if "container" in fix.parameters and look == "previous_logs":
        words[2:2] = ["-c", fix.parameters["container"]]
    scope = ["-n", fix.target.namespace] if fix.target.namespace else []
    return ["kubectl", *([] if look in CLUSTER_WIDE else scope), *words]


def _change(fix: Fix) -> list[str] | None:
    kind, given = fix.target.resource_kind, fix.parameters
    path = f"{kind.lower()}/{fix.target.name}"
    kubectl = ["kubectl", "-n", fix.target.namespace]
    match fix.action:
        case FixAction.SET_IMAGE if kind in TEMPLATED:
            return [*kubectl, "set", "image", path, f"{given['container']}={given['image']}"]
        case FixAction.SET_RESOURCES if kind in TEMPLATED:
            return [
                *(*kubectl, "set", "resources", path, f"--containers={given['container']}"),
                *_sizes(given),
            ]
        case FixAction.SET_ENV if kind in TEMPLATED:
            return [
                *kubectl,
                *("set", "env", path, f"--containers={given['container']}"),
                f"{given['name']}={given['value']}",
            ]
        case FixAction.PATCH if fix.patch is not None:
            strategy = given.get("type", "strategic")
            return [*kubectl, "patch", path, f"--type={strategy}", f"--patch={fix.patch}"]
        case FixAction.CREATE:
            return _create(kubectl, fix)
        case FixAction.ROLL_BACK if kind in ROLLED_OUT:
            return [*kubectl, "rollout", "undo", path, f"--to-revision={given['revision']}"]
        case FixAction.RESTART if kind in ROLLED_OUT:
            return [*kubectl, "rollout", "restart", path]
        case FixAction.SCALE if kind in SCALED:
            return [*kubectl, "scale", path, f"--replicas={given['replicas']}"]
        case FixAction.LABEL:
            return [*kubectl, "label", path, f"{given['label']}={given['value']}", "--overwrite"]
        case _:
            return None


def _sizes(given: Mapping[str, str]) -> list[str]:
    """{"limits.memory": "512Mi"} → ["--limits=memory=512Mi"]."""
    sizes: dict[str, list[str]] = {}
    for name, value in given.items():
        group, _, resource = name.partition(".")
        if resource:
            sizes.setdefault(group, []).append(f"{resource}={value}")
    return [f"--{group}={','.join(items)}" for group, items in sizes.items()]


def _create(kubectl: list[str], fix: Fix) -> list[str] | None:
    name, given = fix.target.name, fix.parameters
    match fix.target.resource_kind:
        case "ConfigMap":
            key = given.get("key", "<key>")
            return [*kubectl, "create", "configmap", name, f"--from-literal={key}=<value>"]
        case "ServiceAccount":
            return [*kubectl, "create", "serviceaccount", name]
        case "Service":
            port = given.get("port", "<port>")
            return [*kubectl, "create", "service", "clusterip", name, f"--tcp={port}"]
        case _:
            return None
