import pytest

from aegis_sink.model import ObjectRef
from aegis_sink.triage.subject import stem, subject_from_name


def chain(kind: str, name: str) -> list[str]:
    owners = subject_from_name(ObjectRef(kind, name, "shop"))
    assert all(ref.namespace == "shop" for ref in owners.chain)
    return [f"{ref.kind}/{ref.name}" for ref in owners.chain[1:]]


@pytest.mark.parametrize(
    ("kind", "name", "owners"),
    [
        (
            "Pod",
            "payments-api-66959989c5-d222p",
            ["ReplicaSet/payments-api-66959989c5", "Deployment/payments-api"],
        ),
        (
            "Pod",
            "broken-image-8896f7cf4-vf47k",
            ["ReplicaSet/broken-image-8896f7cf4", "Deployment/broken-image"],
        ),
        ("Pod", "api-7d9c5b6f4-zq2lm", ["ReplicaSet/api-7d9c5b6f4", "Deployment/api"]),
        # A template hash without a digit is possible: about one in a thousand.
        ("Pod", "api-bcdfbcdfb-zq2lm", ["ReplicaSet/api-bcdfbcdfb", "Deployment/api"]),
        ("ReplicaSet", "web-7c5ddbdf54", ["Deployment/web"]),
        (
            "Pod",
            "etl-nightly-28765430-x7k2p",
            ["Job/etl-nightly-28765430", "CronJob/etl-nightly"],
        ),
        # A pod of an indexed Job carries its index.
        ("Pod", "etl-28765430-3-x7k2p", ["Job/etl-28765430", "CronJob/etl"]),
        ("Job", "backup-28765430", ["CronJob/backup"]),
        ("Pod", "pg-0", ["StatefulSet/pg"]),
        ("Pod", "kafka-broker-12", ["StatefulSet/kafka-broker"]),
    ],
)
def test_a_name_tells_the_owner(kind: str, name: str, owners: list[str]) -> None:
    assert chain(kind, name) == owners


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("Pod", "fluentd-x7k2p"),
        ("Pod", "nginx"),
        ("Pod", "node-exporter-x7k2p"),
        ("Pod", "etcd-master-0"),
        ("Pod", "kube-apiserver-control-plane-1"),
        ("Pod", "backup-20240131-x7k2p"),
        ("Pod", "pg-007"),
        ("Job", "backup-20240131"),
        ("Job", "migrate"),
        ("ReplicaSet", "web"),
        ("ReplicaSet", "web-controller"),
        ("Deployment", "web-7c5ddbdf54"),
        ("PersistentVolumeClaim", "data-pg-0"),
        ("Node", "worker-1"),
        ("My Custom Kind", "web-7c5ddbdf54-x7k2p"),
    ],
)
def test_a_name_that_tells_no_owner_leaves_the_object_as_the_subject(kind: str, name: str) -> None:
    owners = subject_from_name(ObjectRef(kind, name, "shop"))
    assert owners.chain == (ObjectRef(kind, name, "shop"),)
    assert owners.how.startswith("its name (")


def test_the_owner_of_a_pod_seen_by_the_security_analyzer_is_the_deployment() -> None:
    assert chain("Security/Pod", "api-7d9c5b6f4-zq2lm")[-1] == "Deployment/api"


def test_owners_carry_their_api_version_and_the_reason() -> None:
    owners = subject_from_name(ObjectRef("Pod", "etl-28765430-x7k2p", "batch"))
    assert [ref.api_version for ref in owners.chain] == ["", "batch/v1", "batch/v1"]
    assert owners.how == "its name (scheduled minute and random end)"


@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        ("Pod", "fluentd-x7k2p", "fluentd"),
        ("Pod", "fluentd-bqrst", "fluentd"),
        ("Security/Pod", "fluentd-x7k2p", "fluentd"),
        ("Pod", "api-7d9c5b6f4-zq2lm", "api"),
        ("Pod", "pg-0", "pg"),
        ("Pod", "nginx", "nginx"),
        ("Job", "etl-x7k2p", "etl"),
        ("Job", "backup-28765430", "backup"),
        ("ReplicaSet", "web-7c5ddbdf54", "web"),
        ("PersistentVolumeClaim", "data-pg-0", "data-pg-0"),
        ("Service", "fluentd-x7k2p", "fluentd-x7k2p"),
    ],
)
def test_the_stem_is_what_siblings_and_successors_share(
    kind: str, name: str, expected: str
) -> None:
    assert stem(ObjectRef(kind, name, "shop")) == expected


def test_a_very_long_name_is_judged_in_linear_time() -> None:
    name = "b4" * 50_000
    assert stem(ObjectRef("Pod", name, "shop")) == name
