"""The title grammar of facts/k8sgpt.md §1.7 and the names of §2.4, line by line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis_sink.dialects.title import parse_title, split_name
from aegis_sink.model import ObjectRef


@pytest.mark.parametrize(
    ("text", "k8sgpt", "ref", "container"),
    [
        (">*[cr] K8sGPT analysis of the Pod ns/a*", "cr", ObjectRef("Pod", "a", "ns"), ""),
        (">*K8sGPT analysis of the Pod ns/a*", "", ObjectRef("Pod", "a", "ns"), ""),
        ("*[a.b-c] K8sGPT analysis of the Node n1*", "a.b-c", ObjectRef("Node", "n1"), ""),
        (
            ">*[cr] K8sGPT analysis of the Security/Pod ns/a*",
            "cr",
            ObjectRef("Security/Pod", "a", "ns"),
            "",
        ),
        (
            ">*[cr] K8sGPT analysis of the My own kind ns/a*",
            "cr",
            ObjectRef("My own kind", "a", "ns"),
            "",
        ),
        (
            ">*[cr] K8sGPT analysis of the my custom/thing ns/a*",
            "cr",
            ObjectRef("my custom/thing", "a", "ns"),
            "",
        ),
        (
            ">*[cr] K8sGPT analysis of the ValidatingWebhookConfiguration /vpod.example.com*",
            "cr",
            ObjectRef("ValidatingWebhookConfiguration", "vpod.example.com"),
            "",
        ),
        (
            ">*[cr] K8sGPT analysis of the OperatorGroup olm*",
            "cr",
            ObjectRef("OperatorGroup", "olm", "olm"),
            "",
        ),
        (
            ">*[cr] K8sGPT analysis of the Pod ns/pod/box*",
            "cr",
            ObjectRef("Pod", "pod", "ns"),
            "box",
        ),
        (
            ">*[cr] K8sGPT analysis of the Storage/StorageClass fast*",
            "cr",
            ObjectRef("Storage/StorageClass", "fast"),
            "",
        ),
        (
            ">*[cr] K8sGPT analysis of the Pod ns/a* app=x image=y:1",
            "cr",
            ObjectRef("Pod", "a", "ns"),
            "",
        ),
        (
            ">*[cr] K8sGPT analysis of the Pod ns/a Labels app:x*",
            "cr",
            ObjectRef("Pod", "a", "ns"),
            "",
        ),
        (
            ">*[cr] K8sGPT analysis of the Pod ns/a app=web nginx*",
            "cr",
            ObjectRef("Pod", "a", "ns"),
            "",
        ),
        (
            ">*[cr] K8sGPT analysis of the Storage/Pod ns/a app=web registry/nginx X!*",
            "cr",
            ObjectRef("Storage/Pod", "a", "ns"),
            "",
        ),
        (
            ">*[cr] K8sGPT analysis of the GatewayClass eg*",
            "cr",
            ObjectRef("GatewayClass", "eg"),
            "",
        ),
    ],
)
def test_a_title_is_read(text: str, k8sgpt: str, ref: ObjectRef, container: str) -> None:
    title = parse_title(text)
    assert title is not None
    assert (title.k8sgpt, title.object, title.container) == (k8sgpt, ref, container)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        ">*[cr] K8sGPT analysis of the *",
        ">*[cr] K8sGPT analysis of the Pod*",
        ">*[cr] K8sGPT analysis of the Pod ns//a*",
        ">*[cr] K8sGPT analysis of the Pod ns/*",
        ">*[not a name] K8sGPT analysis of the Pod ns/a*",
        "before >*[cr] K8sGPT analysis of the Pod ns/a*",
        f">*[cr] K8sGPT analysis of the Pod ns/{'a' * 2048}*",
        ">*[cr] K8sGPT analysis of the Pod\nns/a*",
    ],
)
def test_what_is_no_title_is_refused(text: str) -> None:
    assert parse_title(text) is None


_label = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?", fullmatch=True)
_kind = st.from_regex(
    r"[A-Z][A-Za-z]{0,15}(/[A-Z][A-Za-z]{0,10})?( [a-z]{1,8}(/[a-z]{1,8})?){0,2}", fullmatch=True
)


@given(cr=st.none() | _label, kind=_kind, namespace=st.just("") | _label, name=_label)
def test_any_title_of_the_grammar_round_trips(
    cr: str | None, kind: str, namespace: str, name: str
) -> None:
    prefix = f"[{cr}] " if cr else ""
    path = f"{namespace}/{name}" if namespace else name
    title = parse_title(f">*{prefix}K8sGPT analysis of the {kind} {path}*")
    assert title is not None
    assert (title.k8sgpt, title.object) == (cr or "", ObjectRef(kind, name, namespace))


@given(st.text(max_size=4000))
def test_any_text_is_a_title_or_not_and_never_an_error(text: str) -> None:
    parse_title(text)
    parse_title(f">*[cr] K8sGPT analysis of the {text}*")


@pytest.mark.parametrize(
    ("kind", "name", "ref", "container"),
    [
        ("Pod", "ns/a", ObjectRef("Pod", "a", "ns"), ""),
        ("Node", "n", ObjectRef("Node", "n"), ""),
        ("ClusterPolicyReport", "/r", ObjectRef("ClusterPolicyReport", "r"), ""),
        ("Pod", "ns/p/c", ObjectRef("Pod", "p", "ns"), "c"),
        ("Other", "ns/p/c", ObjectRef("Other", "p/c", "ns"), ""),
        ("OperatorGroup", "ns", ObjectRef("OperatorGroup", "ns", "ns"), ""),
    ],
)
def test_names_are_split_as_the_analyzers_write_them(
    kind: str, name: str, ref: ObjectRef, container: str
) -> None:
    assert split_name(kind, name) == (ref, container)
