"""The OpenAI wire for LocalAI, vLLM and llama.cpp."""

from collections.abc import AsyncIterator

import pytest

from aegis_sink.diagnosis.adapters import build_model
from aegis_sink.diagnosis.errors import AnswerInvalid, ModelRefused, ModelUnavailable
from aegis_sink.diagnosis.model import Ask, LLMOptions, Message
from aegis_sink.diagnosis.openai import OpenAIModel
from tests.fakes.openai_server import Completes, FakeOpenAI, Refuses, serve_openai

ASK = Ask((Message("system", "Rules."), Message("user", "Why?")), {"type": "object"}, 100)


@pytest.fixture
async def server() -> AsyncIterator[FakeOpenAI]:
    async with serve_openai() as fake:
        yield fake


@pytest.fixture
async def model(server: FakeOpenAI) -> AsyncIterator[OpenAIModel]:
    made = OpenAIModel(LLMOptions(api="openai", url=server.url, model="small", token="t0ken"))
    yield made
    await made.close()


async def test_an_answer_is_put_together_from_its_events(
    server: FakeOpenAI, model: OpenAIModel
) -> None:
    server.script.append(Completes('{"cause": "x"}' * 9))
    reply = await model.answer(ASK)
    assert reply.text == '{"cause": "x"}' * 9
    assert (reply.prompt_tokens, reply.answer_tokens, reply.cut) == (900, 30, False)
    sent = server.chats[0]
    assert sent["response_format"]["json_schema"]["schema"] == {"type": "object"}
    assert sent["temperature"] == 0
    assert server.tokens == ["Bearer t0ken"]


async def test_an_answer_stopped_by_its_length_is_cut(
    server: FakeOpenAI, model: OpenAIModel
) -> None:
    server.script.append(Completes('{"cause"', finish="length", usage=False))
    reply = await model.answer(ASK)
    assert reply.cut
    assert reply.prompt_tokens == 0


async def test_a_stream_without_an_end_is_no_answer(server: FakeOpenAI, model: OpenAIModel) -> None:
    server.script.append(Completes("{}", finish=""))
    with pytest.raises(AnswerInvalid):
        await model.answer(ASK)


async def test_an_error_event_is_an_error(server: FakeOpenAI, model: OpenAIModel) -> None:
    server.error_inside = "out of slots"
    server.script.append(Completes("{}"))
    with pytest.raises(ModelUnavailable, match="out of slots"):
        await model.answer(ASK)


@pytest.mark.parametrize(
    ("refusal", "advice"),
    [
        (Refuses(404, "model not found"), "AEGIS_LLM_API=ollama"),
        (Refuses(401, "no key"), "AEGIS_LLM_TOKEN"),
        (Refuses(400, "the request exceeds the available context size"), "AEGIS_LLM_NUM_CTX"),
        (Refuses(422, "bad"), "422"),
    ],
)
async def test_a_refusal_says_what_to_do(
    server: FakeOpenAI, model: OpenAIModel, refusal: Refuses, advice: str
) -> None:
    server.script.append(refusal)
    with pytest.raises(ModelRefused, match=advice):
        await model.answer(ASK)
    assert len(server.chats) == 1


async def test_too_many_requests_are_a_matter_of_time(
    server: FakeOpenAI, model: OpenAIModel
) -> None:
    server.script.append(Refuses(429, "slow down"))
    with pytest.raises(ModelUnavailable, match="slow down"):
        await model.answer(ASK)


async def test_the_status_says_whether_the_model_is_listed(
    server: FakeOpenAI, model: OpenAIModel
) -> None:
    assert "small is there" in await model.status()
    other = OpenAIModel(LLMOptions(api="openai", url=f"{server.url}/v1", model="big"))
    assert "it lists: small" in await other.status()
    await other.close()


async def test_the_warm_up_asks_for_one_token(server: FakeOpenAI, model: OpenAIModel) -> None:
    server.script.append(Completes("{", finish="length"))
    await model.warm_up()
    assert server.chats[0]["max_tokens"] == 1


def test_the_options_choose_the_adapter() -> None:
    assert build_model(LLMOptions(api="off")) is None
    made = build_model(LLMOptions(api="openai", model="m"))
    assert isinstance(made, OpenAIModel)
