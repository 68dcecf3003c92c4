"""Doctor's look at the model, against the fakes of both wires."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from aegis_sink.diagnosis.model import LLMOptions
from aegis_sink.doctor.check import Check, Health
from aegis_sink.doctor.model import check_model
from tests.fakes.ollama import (
    Drops,
    Fails,
    FakeOllama,
    Garbage,
    Says,
    Silent,
    Turn,
    serve_ollama,
)
from tests.fakes.openai_server import Completes, Refuses, serve_openai
from tests.fakes.tls_server import certificate, listening

YES = '{"answer": "yes"}'


@pytest.fixture
async def ollama() -> AsyncIterator[FakeOllama]:
    async with serve_ollama() as fake:
        fake.default = Says(YES)
        yield fake


async def checks(options: LLMOptions) -> dict[str, Check]:
    return {check.name: check async for check in check_model(options)}


def options(fake: FakeOllama) -> LLMOptions:
    return LLMOptions(url=fake.url, first_byte_timeout=10, idle_timeout=10)


async def test_an_ollama_with_the_model_is_fine_and_asked_once(ollama: FakeOllama) -> None:
    found = await checks(options(ollama))
    assert {name: check.health for name, check in found.items()} == dict.fromkeys(
        ["model server", "model", "context length", "model answer", "context window"], Health.OK
    )
    (asked,) = ollama.chats
    assert asked["format"]["required"] == ["answer"]


async def test_a_model_that_is_not_there_is_to_be_pulled(ollama: FakeOllama) -> None:
    found = await checks(replace(options(ollama), model="qwen3"))
    assert found["model"].health is Health.FAILED
    assert found["model"].fix == "ollama pull qwen3   # on that server"
    assert "llama3.2:latest" in found["model"].found
    assert ollama.chats == []


async def test_the_host_check_of_ollama_is_explained(ollama: FakeOllama) -> None:
    ollama.allowed_hosts = frozenset({"localhost"})
    found = await checks(options(ollama))
    assert "only accepts the Host names localhost" in found["model server"].found
    assert "OLLAMA_HOST=0.0.0.0" in found["model server"].fix


async def test_a_window_smaller_than_the_setting_is_told(ollama: FakeOllama) -> None:
    ollama.window = 4096
    check = (await checks(options(ollama)))["context window"]
    assert check.health is Health.FAILED
    assert check.fix.startswith("AEGIS_LLM_NUM_CTX=4096")


async def test_a_model_trained_for_less_than_the_setting_is_told(ollama: FakeOllama) -> None:
    ollama.trained = 2048
    check = (await checks(options(ollama)))["context length"]
    assert check.health is Health.FAILED
    assert check.fix == "AEGIS_LLM_NUM_CTX=2048"


async def test_an_answer_that_keeps_to_no_shape_is_told(ollama: FakeOllama) -> None:
    ollama.default = Says("Water is indeed wet, my friend.")
    check = (await checks(options(ollama)))["model answer"]
    assert check.health is Health.FAILED
    assert "does not keep to the schema" in check.found


async def test_a_model_that_fails_to_load_is_told(ollama: FakeOllama) -> None:
    ollama.default = Fails(500, "model requires more system memory (9 GiB) than is available")
    check = (await checks(options(ollama)))["model answer"]
    assert "more system memory" in check.found
    assert check.fix


@pytest.mark.parametrize("path", ["/v1", "/api", "/v1/"])
async def test_the_address_that_k8sgpt_wants_is_shortened(ollama: FakeOllama, path: str) -> None:
    check = (await checks(replace(options(ollama), url=ollama.url + path)))["model server"]
    assert check.fix.startswith(f"AEGIS_LLM_URL={ollama.url}   #")


async def test_a_model_that_thinks_and_never_answers_is_told(ollama: FakeOllama) -> None:
    ollama.default = Says("", done_reason="length", thinking="Let me think. " * 99)
    check = (await checks(options(ollama)))["model answer"]
    assert check.health is Health.FAILED
    assert "it thinks, or repeats itself" in check.found
    assert ollama.chats[0]["options"]["num_predict"] >= 512


@pytest.mark.parametrize(
    ("turn", "says", "fix"),
    [
        (
            Fails(500, "requires more system memory (9 GiB)"),
            "memory",
            "AEGIS_LLM_MODEL=llama3.2:1b",
        ),
        (Silent(), "sent nothing", "ollama ps"),
        (Fails(503, "server busy"), "busy", "ollama ps"),
        (Garbage(), "not JSON", "ollama ps"),
        (Drops(), "broke off", "ollama ps"),
    ],
)
async def test_a_model_that_does_not_answer_says_why(
    ollama: FakeOllama, turn: Turn, says: str, fix: str
) -> None:
    ollama.default = turn
    check = (await checks(replace(options(ollama), first_byte_timeout=1, idle_timeout=1)))[
        "model answer"
    ]
    assert check.health is Health.FAILED
    assert says in check.found
    assert check.fix.startswith(fix)


async def test_only_the_names_of_the_cloud_are_its_models(ollama: FakeOllama) -> None:
    ollama.models.add("mycloud:latest")
    check = (await checks(replace(options(ollama), model="mycloud", allow_cloud=True)))["model"]
    assert check.health is Health.OK


@pytest.mark.parametrize("api", ["ollama", "openai"])
async def test_a_model_behind_an_unknown_ca_is_told_with_how_to_trust_it(
    api: Literal["ollama", "openai"], tmp_path: Path
) -> None:
    async with listening(certificate(tmp_path)) as port:
        found = await checks(LLMOptions(api=api, url=f"https://127.0.0.1:{port}"))
    assert "signed by a CA that is not known here" in found["model server"].found
    assert found["model server"].fix.startswith("SSL_CERT_FILE=")


async def test_a_pod_that_asks_itself_is_pointed_at_a_service(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("aegis_sink.doctor.model.pod_namespace", lambda: "aegis")
    check = (await checks(LLMOptions(url="http://127.0.0.1:1")))["model server"]
    assert check.fix == (
        "AEGIS_LLM_URL=http://ollama.ollama.svc:11434   # 127.0.0.1 is this pod itself"
    )


async def test_a_cloud_model_is_refused_and_where_allowed_warned_of(ollama: FakeOllama) -> None:
    cloud = replace(options(ollama), model="gpt-oss:120b-cloud")
    refused = (await checks(cloud))["model"]
    assert refused.health is Health.FAILED
    ollama.models.add("gpt-oss:120b-cloud")
    allowed = (await checks(replace(cloud, allow_cloud=True)))["model"]
    assert allowed.health is Health.WARNING
    assert "leaves the cluster" in allowed.found


async def test_a_server_that_is_away_is_to_be_started() -> None:
    found = await checks(LLMOptions(url="http://127.0.0.1:1"))
    assert found["model server"].fix.startswith("ollama serve")
    assert "AEGIS_LLM_API=off" in found["model server"].fix  # who wants none is not to start one
    assert list(found) == ["model server"]


async def test_a_server_that_others_ask_is_to_listen_to_them() -> None:
    found = await checks(LLMOptions(url="http://ollama.invalid:11434"))
    assert found["model server"].fix.startswith("OLLAMA_HOST=0.0.0.0 ollama serve")


async def test_a_server_of_the_other_language_is_recognised() -> None:
    async with serve_openai() as fake:
        found = await checks(LLMOptions(url=fake.url))
    assert found["model server"].fix.startswith("AEGIS_LLM_API=openai")


async def test_an_openai_server_is_looked_at_likewise() -> None:
    async with serve_openai() as fake:
        fake.script += [Completes(YES), Completes("no JSON")]
        here = LLMOptions(api="openai", url=fake.url, model="small", token="let-me-in")
        found = await checks(here)
        assert found["model server"].health is Health.OK
        assert found["model"].health is Health.OK
        assert found["model answer"].health is Health.OK
        assert fake.tokens[-1] == "Bearer let-me-in"
        other = await checks(replace(here, model="big"))
        assert other["model"].health is Health.WARNING
        assert other["model"].fix == "AEGIS_LLM_MODEL=small"
        assert other["model answer"].health is Health.FAILED
        fake.script.append(Refuses(500, "out of slots"))
        refused = (await checks(here))["model answer"]
        assert "ollama" not in refused.fix


async def test_without_a_model_nothing_is_asked() -> None:
    assert (await checks(LLMOptions(api="off")))["model"].health is Health.SKIPPED
