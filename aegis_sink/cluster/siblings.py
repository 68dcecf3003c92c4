"""Siblings: objects that one owner made, and findings that say the same of them (pure)."""

import re
from collections.abc import Hashable

from aegis_sink.model import Finding, ObjectRef

# Controllers build a pod's name from `metadata.generateName` and five of these characters
# (k8s.io/apimachinery util/rand).
_GENERATED = re.compile(r"(?P<stem>.+-[bcdf4-9]{6,10}-)[bcdfghjklmnpqrstvwxz2456789]{5}")
_CHANGING = re.compile(r"\d+|\s+")


def siblings(ref: ObjectRef) -> Hashable:
    """The same for pods of one ReplicaSet: only names with a template hash are taken for siblings."""
    found = _GENERATED.fullmatch(ref.name) if ref.resource_kind == "Pod" else None
    return (ref.kind, ref.namespace, found["stem"] if found else ref.name, bool(found))


def likeness(finding: Finding, subject: ObjectRef) -> Hashable:
    """The same for findings that say the same under one subject: names and numbers taken out."""
    ref = finding.object
    errors = {_CHANGING.sub("", error.replace(ref.name, "")) for error in finding.errors}
    itself = "" if subject != ref else ref.path
    return (subject, ref.kind, itself, finding.container, frozenset(errors))
