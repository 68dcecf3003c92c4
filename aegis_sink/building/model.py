"""The language model: its adapter's options, and the diagnoser that asks it."""

from collections.abc import Callable

from aegis_sink.building.secret_settings import plain
from aegis_sink.diagnosis.adapters import build_model
from aegis_sink.diagnosis.diagnoser import Call, Diagnoser, Trust
from aegis_sink.diagnosis.model import LLMOptions
from aegis_sink.metrics import Metrics
from aegis_sink.settings import Settings


def model_options(settings: Settings) -> LLMOptions:
    """The model settings as the model's adapters take them."""
    return LLMOptions(
        api=settings.llm_api,
        url=settings.llm_url,
        model=settings.llm_model,
        num_ctx=settings.llm_num_ctx,
        concurrency=settings.llm_concurrency,
        first_byte_timeout=settings.llm_first_byte_timeout.total_seconds(),
        idle_timeout=settings.llm_idle_timeout.total_seconds(),
        deadline=settings.llm_deadline.total_seconds(),
        token=plain(settings.llm_token) or "",
        allow_cloud=settings.llm_allow_cloud,
    )


def build_diagnoser(
    settings: Settings, metrics: Metrics, *, clock: Callable[[], float]
) -> Diagnoser | None:
    """None with AEGIS_LLM_API=off: playbooks answer alone."""
    options = model_options(settings)
    model = build_model(options)
    if model is None:
        return None

    def observe(call: Call) -> None:
        metrics.observe_model(
            call.outcome,
            seconds=call.seconds,
            queue_seconds=call.queue_seconds,
            load_seconds=call.load_seconds,
            prompt_tokens=call.prompt_tokens,
            answer_tokens=call.answer_tokens,
            answer_seconds=call.answer_seconds,
            window_used=call.window_used,
            dropped=call.dropped,
        )

    return Diagnoser(model, options, trust=Trust(settings.llm_trust), observe=observe, clock=clock)
