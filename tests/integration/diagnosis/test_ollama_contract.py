"""The native wire against every fault of facts/ollama.md §3.5 and §4."""

import asyncio

import aiohttp
import pytest

from aegis_sink.diagnosis.errors import AnswerInvalid, ModelRefused, ModelUnavailable
from aegis_sink.diagnosis.model import Ask, LLMOptions, Message
from aegis_sink.diagnosis.ollama import OllamaModel, tagged
from aegis_sink.diagnosis.wire import MOST_BYTES, RETRIES, Wire
from tests.fakes.ollama import (
    Drops,
    ErrorInside,
    Fails,
    FakeOllama,
    Floods,
    Garbage,
    NeverDone,
    Says,
    Silent,
    Stalls,
)

SCHEMA = {"type": "object", "properties": {"cause": {"type": "string"}}}
ASK = Ask((Message("system", "Rules."), Message("user", "Why?")), SCHEMA, max_tokens=100)


async def _no_wait(_: float) -> None:
    pass


def _model(ollama: FakeOllama, **changes: object) -> OllamaModel:
    settings = {"first_byte_timeout": 5.0, "idle_timeout": 5.0, **changes}
    options = LLMOptions(url=ollama.url, **settings)  # type: ignore[arg-type]
    return OllamaModel(options, wire=Wire(options, sleep=_no_wait))


async def test_an_answer_comes_with_its_counts(ollama: FakeOllama) -> None:
    ollama.script.append(Says('{"cause": "x"}' * 20, prompt_tokens=77))
    model = _model(ollama)
    reply = await model.answer(ASK)
    await model.close()
    assert reply.text == '{"cause": "x"}' * 20
    assert (reply.prompt_tokens, reply.answer_tokens, reply.cut) == (77, 40, False)
    assert reply.load_seconds == pytest.approx(0.5)


async def test_constant_options_are_sent_with_every_request_and_the_warm_up(
    ollama: FakeOllama,
) -> None:
    ollama.script.extend([Says("{}"), Says("{}")])
    model = _model(ollama)
    await model.warm_up()
    await model.answer(ASK)
    await model.answer(ASK)
    await model.close()
    for body in ollama.chats:
        assert body["truncate"] is False
        assert body["shift"] is False
        assert body["think"] is False
        assert body["stream"] is True
        assert body["format"] == SCHEMA
        assert body["options"]["temperature"] == 0
    reloading = [
        {k: v for k, v in b["options"].items() if k != "num_predict"} for b in ollama.chats
    ]
    assert reloading == [ollama.loads[0]["options"]] * 2
    assert ollama.loads[0]["keep_alive"] == ollama.chats[0]["keep_alive"] == "30m"
    assert ollama.loads[0]["shift"] is False


async def test_a_missing_model_says_which_command_brings_it(ollama: FakeOllama) -> None:
    ollama.models.clear()
    model = _model(ollama)
    with pytest.raises(ModelRefused, match=r"ollama pull llama3\.2:latest"):
        await model.answer(ASK)
    assert "ollama pull" in await model.status()
    await model.close()


async def test_another_server_is_told_to_use_the_other_api(ollama: FakeOllama) -> None:
    ollama.script.append(Fails(404, "404 page not found"))
    model = _model(ollama)
    with pytest.raises(ModelRefused, match="AEGIS_LLM_API=openai"):
        await model.answer(ASK)
    await model.close()


async def test_the_host_check_is_explained(ollama: FakeOllama) -> None:
    ollama.allowed_hosts = frozenset({"localhost"})
    model = _model(ollama)
    with pytest.raises(ModelRefused, match=r"OLLAMA_HOST=0\.0\.0\.0"):
        await model.answer(ASK)
    assert "OLLAMA_HOST" in await model.status()
    await model.close()


@pytest.mark.parametrize(
    "passing",
    [
        Fails(503, "server busy, please try again.  maximum pending requests exceeded"),
        Fails(502, "bad gateway"),
        Fails(500, "model runner has unexpectedly stopped, this may be due to resource limits"),
        Fails(500, "llama-server process has terminated: signal: killed"),
    ],
)
async def test_a_passing_fault_is_tried_again(ollama: FakeOllama, passing: Fails) -> None:
    ollama.script.extend([passing, Says("{}")])
    model = _model(ollama)
    assert (await model.answer(ASK)).text == "{}"
    await model.close()


async def test_a_busy_server_is_left_alone_after_a_few_tries(ollama: FakeOllama) -> None:
    ollama.default = Fails(503, "server busy")
    model = _model(ollama)
    with pytest.raises(ModelUnavailable, match="busy"):
        await model.answer(ASK)
    await model.close()
    assert len(ollama.chats) == RETRIES + 1


@pytest.mark.parametrize("status", [400, 401, 405])
async def test_a_refusal_is_not_tried_again(ollama: FakeOllama, status: int) -> None:
    ollama.default = Fails(status, "no")
    model = _model(ollama)
    with pytest.raises(ModelRefused):
        await model.answer(ASK)
    await model.close()
    assert len(ollama.chats) == 1


async def test_a_failed_load_is_retried_later(ollama: FakeOllama) -> None:
    ollama.default = Fails(500, "timed out waiting for llama-server to start")
    model = _model(ollama)
    with pytest.raises(ModelUnavailable, match="timed out waiting"):
        await model.answer(ASK)
    await model.close()


async def test_a_cold_model_is_waited_for_and_never_asked_twice(ollama: FakeOllama) -> None:
    ollama.default = Silent()
    model = _model(ollama, first_byte_timeout=0.2, idle_timeout=0.01)
    with pytest.raises(ModelUnavailable, match="AEGIS_LLM_FIRST_BYTE_TIMEOUT"):
        await model.answer(ASK)
    async with asyncio.timeout(5):
        await ollama.gone.wait()
    await model.close()
    assert len(ollama.chats) == 1


async def test_a_stream_that_falls_silent_is_dead(ollama: FakeOllama) -> None:
    ollama.default = Stalls()
    model = _model(ollama, idle_timeout=0.1)
    with pytest.raises(ModelUnavailable, match="AEGIS_LLM_IDLE_TIMEOUT"):
        await model.answer(ASK)
    async with asyncio.timeout(5):
        await ollama.gone.wait()
    await model.close()
    assert len(ollama.chats) == 1


async def test_a_cancelled_question_hangs_up(ollama: FakeOllama) -> None:
    ollama.default = Silent()
    model = _model(ollama)
    asking = asyncio.create_task(model.answer(ASK))
    await ollama.arrived.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    async with asyncio.timeout(5):
        await ollama.gone.wait()
    await model.close()


async def test_an_error_line_inside_the_stream_is_an_error(ollama: FakeOllama) -> None:
    ollama.default = ErrorInside("an error was encountered while running the model")
    model = _model(ollama)
    with pytest.raises(ModelUnavailable, match="an error was encountered"):
        await model.answer(ASK)
    await model.close()


async def test_a_stream_without_its_last_line_is_no_answer(ollama: FakeOllama) -> None:
    ollama.default = NeverDone('{"cause": "x"}')
    model = _model(ollama)
    with pytest.raises(AnswerInvalid, match="without being finished"):
        await model.answer(ASK)
    await model.close()


async def test_a_connection_that_breaks_is_retried_later(ollama: FakeOllama) -> None:
    ollama.default = Drops()
    model = _model(ollama)
    with pytest.raises((ModelUnavailable, AnswerInvalid)):
        await model.answer(ASK)
    await model.close()


async def test_an_endless_answer_is_cut_at_the_byte_cap(ollama: FakeOllama) -> None:
    ollama.default = Floods()
    model = _model(ollama)
    with pytest.raises(AnswerInvalid, match=str(MOST_BYTES)):
        await model.answer(ASK)
    await model.close()


async def test_a_proxy_page_is_no_answer(ollama: FakeOllama) -> None:
    ollama.default = Garbage()
    model = _model(ollama)
    with pytest.raises(ModelUnavailable, match="proxy"):
        await model.answer(ASK)
    await model.close()


async def test_a_cut_answer_says_so(ollama: FakeOllama) -> None:
    ollama.script.append(Says('{"cause": "x', done_reason="length"))
    model = _model(ollama)
    assert (await model.answer(ASK)).cut
    await model.close()


async def test_a_thinking_model_that_says_nothing_is_asked_without_the_switch(
    ollama: FakeOllama,
) -> None:
    ollama.script.extend([Says("", thinking="Let me see …"), Says("{}")])
    model = _model(ollama)
    assert (await model.answer(ASK)).text == "{}"
    await model.close()
    assert ["think" in body for body in ollama.chats] == [True, False]


async def test_gpt_oss_is_told_a_level(ollama: FakeOllama) -> None:
    ollama.models.add("gpt-oss:20b")
    ollama.script.append(Says("{}"))
    model = _model(ollama, model="gpt-oss:20b")
    await model.answer(ASK)
    await model.close()
    assert ollama.chats[0]["think"] == "low"


async def test_a_prompt_over_the_window_names_the_setting(ollama: FakeOllama) -> None:
    ollama.window = 10
    model = _model(ollama)
    long = Ask((Message("user", "x" * 4000),), SCHEMA, 100)
    with pytest.raises(ModelRefused, match="AEGIS_LLM_NUM_CTX"):
        await model.answer(long)
    await model.close()


async def test_an_absent_server_is_retried_later() -> None:
    options = LLMOptions(url="http://127.0.0.1:9", first_byte_timeout=5)
    model = OllamaModel(options, wire=Wire(options, sleep=_no_wait))
    with pytest.raises(ModelUnavailable, match="AEGIS_LLM_URL"):
        await model.answer(ASK)
    assert "AEGIS_LLM_URL" in await model.status()
    await model.close()


@pytest.mark.parametrize("name", ["gpt-oss:120b-cloud", "qwen3-coder:cloud"])
def test_a_cloud_model_is_refused_unless_allowed(name: str) -> None:
    with pytest.raises(ModelRefused, match="leave it"):
        OllamaModel(LLMOptions(model=name))
    assert OllamaModel(LLMOptions(model=name, allow_cloud=True)).name == name


async def test_the_status_tells_a_window_smaller_than_asked(ollama: FakeOllama) -> None:
    ollama.window = 2048
    model = _model(ollama)
    assert "not loaded" in await model.status()
    with pytest.raises(ModelRefused):
        await model.warm_up()
    assert "window of 2048" in await model.status()
    await model.close()


async def test_the_token_goes_to_the_server_and_into_no_text(ollama: FakeOllama) -> None:
    options = LLMOptions(url=ollama.url, token="very-secret")
    assert "very-secret" not in repr(options)
    ollama.default = Fails(401, "no")
    model = OllamaModel(options, wire=Wire(options, sleep=_no_wait))
    with pytest.raises(ModelRefused) as refused:
        await model.answer(ASK)
    await model.close()
    assert "very-secret" not in str(refused.value)


def test_names_are_compared_with_their_tag() -> None:
    assert tagged("llama3.2") == "llama3.2:latest"
    assert tagged("reg:5000/llama") == "reg:5000/llama:latest"
    assert tagged("a/b:7b") == "a/b:7b"


async def test_the_fake_refuses_what_ollama_does_not_know(ollama: FakeOllama) -> None:
    body = {"model": "llama3.2", "messages": [], "temperatur": 0}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{ollama.url}/api/chat", json=body) as response,
    ):
        assert response.status == 400


async def test_a_model_that_cannot_think_is_asked_without_the_switch(ollama: FakeOllama) -> None:
    ollama.script.extend([Fails(400, '"llama3.2" does not support thinking'), Says("{}")])
    model = _model(ollama)
    assert (await model.answer(ASK)).text == "{}"
    await model.close()
    assert ["think" in body for body in ollama.chats] == [True, False]


@pytest.mark.parametrize(("thinks", "asked"), [(True, 2), (False, 1)])
async def test_a_thinking_model_that_forgets_the_schema_is_asked_without_the_switch(
    ollama: FakeOllama, *, thinks: bool, asked: int
) -> None:
    if thinks:
        ollama.thinking_models.add("llama3.2:latest")
    ollama.script.extend([Says("It is the database."), Says("{}")])
    model = _model(ollama)
    repaired = Ask((*ASK.messages, Message("assistant", "?"), Message("user", "Again.")), SCHEMA, 9)
    assert (await model.answer(repaired)).text == ("{}" if thinks else "It is the database.")
    await model.close()
    assert ["think" in body for body in ollama.chats] == [True, False][:asked]


async def test_the_warm_up_tells_a_window_smaller_than_asked(ollama: FakeOllama) -> None:
    ollama.window = 2048
    model = _model(ollama)
    with pytest.raises(ModelRefused, match="window of 2048"):
        await model.warm_up()
    await model.close()


async def test_an_answer_tells_how_long_its_tokens_took(ollama: FakeOllama) -> None:
    ollama.script.append(Says("{}"))
    model = _model(ollama)
    reply = await model.answer(ASK)
    await model.close()
    assert reply.answer_seconds == pytest.approx(1.25)
