"""Whose problem it is, as far as an object's name alone can tell (no cluster is asked).

Kubernetes builds the names of owned objects from the owner's name and a random or computed end:
a ReplicaSet is `<Deployment>-<pod template hash>`, its pod adds `-<5 random characters>`, a Job of
a CronJob is `<CronJob>-<scheduled minute since 1970>`. Random ends come from an alphabet without
vowels and without 0, 1, 3 (k8s.io/apimachinery util/rand); a template hash is at most ten of them.
Names longer than 63 characters are cut by Kubernetes and may not be recognised; the object itself
is the subject then.
"""

import re
from functools import lru_cache

from aegis_sink.model import ObjectRef, OwnerChain

SAFE = "bcdfghjklmnpqrstvwxz2456789"

# A template hash is a decimal number written in ten of the letters; the wider form is accepted
# when it holds letters and digits, so that words without vowels are not taken for hashes.
_HASH = rf"(?:[bcdf4-9]{{6,10}}|(?=[{SAFE}]*[0-9])(?=[{SAFE}]*[a-z])[{SAFE}]{{6,10}})"
_SUFFIX = rf"[{SAFE}]{{5}}"
_MINUTE = r"(?:2[5-9]|3[0-6])\d{6}"  # minutes since 1970: July 2017 to 2040; no date like 20240131
_OF_REPLICA_SET = re.compile(rf"(?P<set>(?P<name>.+)-{_HASH})-{_SUFFIX}")
_REPLICA_SET = re.compile(rf"(?P<name>.+)-{_HASH}")
_OF_CRON_JOB = re.compile(rf"(?P<job>(?P<name>.+)-{_MINUTE})(?:-\d{{1,5}})?-{_SUFFIX}")
_CRON_JOB = re.compile(rf"(?P<name>.+)-{_MINUTE}")
_ORDINAL = re.compile(r"(?P<name>.+)-(?:0|[1-9]\d{0,2})")
_RANDOM_END = re.compile(rf"(?P<name>.+)-{_SUFFIX}")

# Mirror pods are called after their node, which may end with a number; they have no owner but it.
_STATIC_PODS = ("etcd-", "kube-apiserver-", "kube-controller-manager-", "kube-scheduler-")

APPS = "apps/v1"
BATCH = "batch/v1"


@lru_cache(maxsize=4096)
def subject_from_name(ref: ObjectRef) -> OwnerChain:
    """The owner that the name of `ref` tells, `ref` itself where it tells none.

    A pod with one random end (`fluentd-x7k2p`) may belong to a DaemonSet, a Job or a ReplicaSet:
    it stays the subject, and `stem` names what it has in common with its siblings. A pod that ends
    with an ordinal (`pg-0`) is taken for a StatefulSet's, save for the mirror pods of a control
    plane: bare pods numbered by hand exist, but a wrong guess only brings such siblings together.
    """
    match ref.resource_kind:
        case "Pod":
            return _owners_of_pod(ref)
        case "ReplicaSet":
            if found := _REPLICA_SET.fullmatch(ref.name):
                deployment = _owner(ref, "Deployment", found["name"], APPS)
                return OwnerChain((ref, deployment), "its name (pod template hash)")
        case "Job":
            if found := _CRON_JOB.fullmatch(ref.name):
                cron_job = _owner(ref, "CronJob", found["name"], BATCH)
                return OwnerChain((ref, cron_job), "its name (scheduled minute)")
        case _:
            return OwnerChain((ref,), "its name (it is the subject itself)")
    return OwnerChain((ref,), "its name (which tells no owner)")


def stem(ref: ObjectRef) -> str:
    """The name without what changes when the object is made anew: `fluentd-x7k2p` → `fluentd`.

    For objects whose name tells an owner it is the owner's name; for kinds that keep their names
    it is the name. It stands for the unknown owner in a fingerprint.
    """
    owners = subject_from_name(ref)
    if len(owners.chain) > 1:
        return owners.subject.name
    if ref.resource_kind in ("Pod", "Job"):
        found = _RANDOM_END.fullmatch(ref.name)
        return found["name"] if found else ref.name
    return ref.name


def _owners_of_pod(ref: ObjectRef) -> OwnerChain:
    name = ref.name
    if found := _OF_REPLICA_SET.fullmatch(name):
        replica_set = _owner(ref, "ReplicaSet", found["set"], APPS)
        deployment = _owner(ref, "Deployment", found["name"], APPS)
        how = "its name (pod template hash and random end)"
        return OwnerChain((ref, replica_set, deployment), how)
    if found := _OF_CRON_JOB.fullmatch(name):
        job = _owner(ref, "Job", found["job"], BATCH)
        cron_job = _owner(ref, "CronJob", found["name"], BATCH)
        return OwnerChain((ref, job, cron_job), "its name (scheduled minute and random end)")
    if not name.startswith(_STATIC_PODS) and (found := _ORDINAL.fullmatch(name)):
        stateful_set = _owner(ref, "StatefulSet", found["name"], APPS)
        return OwnerChain((ref, stateful_set), "its name (ordinal)")
    return OwnerChain((ref,), "its name (which tells no owner)")


def _owner(ref: ObjectRef, kind: str, name: str, api_version: str) -> ObjectRef:
    return ObjectRef(kind, name, ref.namespace, api_version)
