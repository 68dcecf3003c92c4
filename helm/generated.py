"""Write the parts of the chart that follow the program: settings, secrets and read rights.

`python helm/generated.py` after a setting or a kind in `aegis_sink/cluster/resources.py` changed;
tests/unit/ship compares.
"""

import json
from datetime import timedelta
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import SecretStr

from aegis_sink.cluster.resources import KNOWN, Resource
from aegis_sink.settings import Settings

CHART = Path(__file__).parent / "aegis-sink"
RBAC = CHART / "files" / "rbac.yaml"
SCHEMA = CHART / "values.schema.json"

OURS = frozenset({"host", "port", "database_url", "allow_unauthenticated"})
"""Settings that the chart decides: it needs a token, one port and one volume."""
GET_ONLY = frozenset({"ConfigMap", "Lease"})
"""Kinds that are read by name only."""
RESULT = "Result"
SECRETS = frozenset(
    name
    for name, field in Settings.model_fields.items()
    if SecretStr in (field.annotation, *get_args(field.annotation))
)

_DURATION = {
    "type": "string",
    "pattern": "^(0|([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?)$",
}
_HEAD = (
    "# Written by helm/generated.py from aegis_sink/cluster/resources.py. Read-only, no Secrets.\n"
)


def rbac() -> str:
    """files/rbac.yaml: rules for cluster-scoped kinds, for namespaced ones, and for Results."""
    rest = [r for r in KNOWN.values() if r.kind != RESULT]
    document = {
        "clusterObjects": _rules([r for r in rest if not r.namespaced]),
        "namespaced": [
            *_rules([r for r in rest if r.namespaced]),
            {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
        ],
        "results": [_rule(KNOWN[RESULT].group, [KNOWN[RESULT].plural], ["list"])],
    }
    return _HEAD + yaml.safe_dump(document, sort_keys=False, default_flow_style=None, width=100)


def schema() -> str:
    """values.schema.json with `settings` and `secrets` as the program has them now."""
    document = json.loads(SCHEMA.read_text())
    fields = Settings.model_fields
    document["properties"]["settings"]["properties"] = {
        name: {"description": info.description, **_type(info.annotation, info.metadata)}
        for name, info in fields.items()
        if name not in OURS | SECRETS
    }
    document["properties"]["secrets"]["properties"] = {
        name: {"$ref": "#/$defs/fromSecret"} for name in fields if name in SECRETS - OURS
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _rules(resources: list[Resource]) -> list[dict[str, list[str]]]:
    rules = []
    for group in dict.fromkeys(r.group for r in resources):
        inside = [r for r in resources if r.group == group]
        both = [r.plural for r in inside if r.kind not in GET_ONLY]
        one = [r.plural for r in inside if r.kind in GET_ONLY]
        rules += [_rule(group, both, ["get", "list"])] if both else []
        rules += [_rule(group, one, ["get"])] if one else []
    return rules


def _rule(group: str, plurals: list[str], verbs: list[str]) -> dict[str, list[str]]:
    return {"apiGroups": [group], "resources": plurals, "verbs": verbs}


def _type(annotation: Any, metadata: list[Any]) -> dict[str, object]:
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
    if annotation is str:
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
