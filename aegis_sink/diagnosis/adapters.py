"""The adapters of a model server, one a wire format; chosen by the options."""

from aegis_sink.diagnosis.model import LLMOptions, Model
from aegis_sink.diagnosis.ollama import OllamaModel
from aegis_sink.diagnosis.openai import OpenAIModel


def build_model(options: LLMOptions) -> Model | None:
    """The adapter for the options; None when no model is wanted. Raises ModelRefused."""
    match options.api:
        case "ollama":
            return OllamaModel(options)
        case "openai":
            return OpenAIModel(options)
        case "off":
            return None
