"""Write the parts of the chart that follow the program: settings, secrets and read rights.

`python helm/generated.py` after a setting, a kind in `aegis_sink/cluster/resources.py`, a right
beside it or a default in values.yaml changed; tests/unit/ship compares.
"""

import json
from datetime import time, timedelta
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import SecretStr

from aegis_sink.cluster.rights import Part, rights
from aegis_sink.routes import RouteSetting
from aegis_sink.settings import Settings

CHART = Path(__file__).parent / "aegis-sink"
RBAC = CHART / "files" / "rbac.yaml"
SCHEMA = CHART / "values.schema.json"
VALUES = CHART / "values.yaml"

OURS = frozenset(
    {"host", "port", "database_url", "allow_unauthenticated", "lease_name", "lease_namespace"}
)
"""Settings that the chart decides: it needs a token, one port, one volume and one Lease."""
SECRETS = frozenset(
    name
    for name, field in Settings.model_fields.items()
    if SecretStr in (field.annotation, *get_args(field.annotation))
)
OWN = frozenset({"resources", "labels"})
"""Maps of the user's own: their defaults may be taken away."""

_DURATION = {
    "type": "string",
    "pattern": "^(0|([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?)$",
}
_HEAD = "# Written by helm/generated.py from aegis_sink/cluster/rights.py. Read-only, no Secrets.\n"


def rbac() -> str:
    """files/rbac.yaml: rules for cluster-scoped kinds, for namespaced ones, and for K8sGPT's."""
    document = {part: _rules(part) for part in get_args(Part)}
    return _HEAD + yaml.safe_dump(document, sort_keys=False, default_flow_style=None, width=100)


def schema() -> str:
    """values.schema.json with `settings` and `secrets` as the program has them now, and what must
    be there as values.yaml has it."""
    document = json.loads(SCHEMA.read_text())
    fields = Settings.model_fields
    document["properties"]["settings"]["properties"] = {
        name: {"description": info.description, **_or_null(_type(info.annotation, info.metadata))}
        for name, info in fields.items()
        if name not in OURS | SECRETS
    }
    document["properties"]["secrets"]["properties"] = {
        name: {"$ref": "#/$defs/fromSecret"} for name in fields if name in SECRETS - OURS
    }
    _require(document, yaml.safe_load(VALUES.read_text()))
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _require(section: dict[str, Any], defaults: dict[str, Any]) -> None:
    """Names what must be there. An empty value (null) takes a default away in helm: a network
    policy would be gone in silence, a template stop at a nil pointer."""
    section["required"] = [
        name for name, default in defaults.items() if default and name not in OWN
    ]
    for name, default in defaults.items():
        below = section["properties"][name]
        if "properties" in below and name not in ("settings", "secrets"):
            _require(below, default)


def _rules(part: Part) -> list[dict[str, list[str]]]:
    """One rule for each group and set of verbs, in the order they first come up."""
    rules: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for right in rights():
        # A log has a rule of its own, so that it can be seen and taken away.
        if right.part == part and "/" not in right.resource:
            rules.setdefault((right.group, right.verbs), []).append(right.resource)
    logs = [r for r in rights() if r.part == part and "/" in r.resource]
    return [
        *(_rule(group, plurals, verbs) for (group, verbs), plurals in rules.items()),
        *(_rule(r.group, [r.resource], r.verbs) for r in logs),
    ]


def _rule(group: str, plurals: list[str], verbs: tuple[str, ...]) -> dict[str, list[str]]:
    return {"apiGroups": [group], "resources": plurals, "verbs": list(verbs)}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    """With null, by which a value of a profile is taken away again."""
    if "enum" in schema:
        return {**schema, "enum": [*schema["enum"], None]}
    return {**schema, "type": [schema["type"], "null"]}


def _type(annotation: Any, metadata: list[Any]) -> dict[str, Any]:
    if isinstance(annotation, UnionType) or get_origin(annotation) is Union:
        (annotation,) = (a for a in get_args(annotation) if a is not type(None))
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) is Literal:
        return {"enum": list(get_args(annotation))}
    if annotation is timedelta:
        return dict(_DURATION)
    if annotation is bool:
        return {"type": "boolean"}
    if annotation is int:
        limits = {"ge": "minimum", "le": "maximum"}
        found = {limits[a]: getattr(m, a) for m in metadata for a in limits if hasattr(m, a)}
        return {"type": "integer", **found}
    if annotation is time:
        return {"type": "string", "pattern": "^([01]?[0-9]|2[0-3]):[0-5][0-9]$"}
    if annotation == tuple[RouteSetting, ...]:
        members = {"type": "string", "minLength": 1}
        several = {"anyOf": [members, {"type": "array", "items": members, "minItems": 1}]}
        properties = {
            "match": several,
            "channel": members,
            "repeat_interval": dict(_DURATION),
            "mention": several,
        }
        route = {"type": "object", "required": ["match"], "additionalProperties": False}
        return {"type": "array", "items": {**route, "properties": properties}}
    if annotation is str or annotation == tuple[str, ...]:  # commas between
        return {"type": "string"}
    raise TypeError(
        f"a setting of type {annotation}: say in helm/generated.py how a chart holds it"
    )


def main() -> None:
    """Write both files."""
    RBAC.write_text(rbac())
    SCHEMA.write_text(schema())


if __name__ == "__main__":
    main()
