"""What the tests of the model clients share."""

from tests.fakes.ollama import ollama

__all__ = ["ollama"]
