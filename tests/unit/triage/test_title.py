from typing import Protocol

from aegis_sink.model import ObjectRef
from aegis_sink.triage.title import title


class Template(Protocol):
    ref: ObjectRef
    text: str
    title: str


API = ObjectRef("Deployment", "api", "shop")


def test_every_text_of_k8sgpt_reads_like_a_sentence(template: Template) -> None:
    assert title(template.ref, (template.text,)) == template.title


def test_the_subject_is_named_not_the_pod_that_shows_it() -> None:
    text = "the last termination reason is OOMKilled container=api pod=api-66959989c5-d222p"
    assert title(API, (text,)) == "Deployment shop/api: container api was OOM-killed"


def test_the_same_words_are_said_once() -> None:
    texts = (
        "Service has no endpoints, expected label app=checkout",
        "Service has no endpoints, expected label tier=web",
    )
    service = ObjectRef("Service", "checkout", "shop")
    assert title(service, texts) == "Service shop/checkout has no endpoints"


def test_of_several_errors_the_most_telling_is_named_and_the_others_counted() -> None:
    texts = (
        "Ingress uses the secret shop/web-tls as a TLS certificate which does not exist.",
        "Ingress uses the service shop/web-v2 which does not exist.",
        "something new",
    )
    ingress = ObjectRef("Ingress", "web", "shop")
    assert title(ingress, texts) == (
        "Ingress shop/web uses service shop/web-v2, which does not exist (and 2 more)"
    )


def test_a_long_unknown_text_is_cut_at_a_word_and_only_its_first_line_is_shown() -> None:
    text = "something that nobody has ever seen before " * 5 + "\nsecond line"
    shown = title(API, (text,))
    assert len(shown) <= 120
    assert shown.endswith("…")
    assert not shown.removesuffix("…").endswith(" ")
    assert shown.removesuffix("…").rpartition(" ")[2] in text.split()


def test_one_long_word_is_cut_where_it_must_be() -> None:
    assert len(title(API, ("x" * 5000,))) == 120


def test_an_error_that_repeats_its_subject_is_not_read_twice() -> None:
    text = "Deployment shop/api has a problem that is new"
    assert title(API, (text,)) == "Deployment shop/api has a problem that is new"


def test_without_errors_the_title_says_who_reports() -> None:
    assert title(API, ()) == "Deployment shop/api: K8sGPT reports a problem"
    assert title(API, ("", "\n")) == "Deployment shop/api: K8sGPT reports a problem"
