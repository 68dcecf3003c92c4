"""Objects for tests, as small as they can be."""

from typing import Any

from aegis_sink.model import Collected, Finding, ObjectRef, OwnerChain

Object = dict[str, Any]


def finding(kind: str, name: str, *errors: str, namespace: str = "shop") -> Finding:
    return Finding("default", ObjectRef(kind, name, namespace), "slack", errors=errors)


def alone(one: Finding) -> OwnerChain:
    return OwnerChain((one.object,), "its name")


def by_name(ref: ObjectRef) -> OwnerChain:
    return OwnerChain((ref,), "its name")


def facts_of(collected: Collected, kind: type[Any]) -> Any:
    found = [e.facts for e in collected.evidence if isinstance(e.facts, kind)]
    assert found, [(e.source, collected.missing) for e in collected.evidence]
    return found[0]


def metadata(name: str, namespace: str = "shop", **more: Any) -> Object:
    return {"name": name, "namespace": namespace, "uid": f"uid-{name}", **more}


def owned_by(kind: str, name: str, api_version: str = "apps/v1") -> Object:
    reference = {"apiVersion": api_version, "kind": kind, "name": name, "controller": True}
    return {"ownerReferences": [reference]}


def pod(name: str = "api-1", namespace: str = "shop", **more: Any) -> Object:
    """A crashing pod with one container "api"."""
    spec = {"nodeName": "n1", "containers": [{"name": "api", "image": "shop/api:2"}]}
    terminated = {
        "exitCode": 137,
        "reason": "OOMKilled",
        "startedAt": "2026-03-01T10:00:00Z",
        "finishedAt": "2026-03-01T10:00:09Z",
    }
    status = {
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": "False"}],
        "containerStatuses": [
            {
                "name": "api",
                "restartCount": 3,
                "ready": False,
                "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "lastState": {"terminated": terminated},
            }
        ],
    }
    return {
        "kind": "Pod",
        "metadata": metadata(name, namespace, **more.pop("metadata", {})),
        "spec": {**spec, **more.pop("spec", {})},
        "status": {**status, **more.pop("status", {})},
    }


def event(number: int, name: str, reason: str = "BackOff", message: str = "again") -> Object:
    return {
        "kind": "Event",
        "metadata": metadata(f"{name}.{number:06}"),
        "involvedObject": {"kind": "Pod", "name": name, "namespace": "shop"},
        "type": "Warning",
        "reason": reason,
        "message": message,
        "lastTimestamp": "2026-03-01T10:05:00Z",
    }
