"""What can go wrong between AEGIS Sink and a model, split by what a caller can do about it.

    LLMError
    ├── ModelUnavailable   retry later: not reachable, busy, broke off
    │   ├── ModelTooSlow   one of the three waits was over: first byte, silence, deadline
    │   ├── QueueTooLong   too many other questions are before this one; it was not sent
    │   └── CircuitOpen    the server failed before and rests; it was not sent
    ├── ModelRefused       will not work until somebody acts: the text says what to do
    │   └── PromptCut      the server did not read all of the prompt: its window is too small
    └── AnswerInvalid      the model answered, twice, and neither answer can be used
        └── AnswerCut      it stopped at its limit of tokens

None of them loses a diagnosis: the playbooks' answer is complete without a model.
"""


class LLMError(Exception):
    """Root of the tree; never raised itself."""


class ModelUnavailable(LLMError):
    """Nobody has to do anything: the same request may work later."""


class ModelTooSlow(ModelUnavailable):
    """No first byte, silence in the middle, or no end within the deadline."""


class QueueTooLong(ModelUnavailable):
    """The question was not sent: too many wait, or it waited too long."""


class CircuitOpen(ModelUnavailable):
    """The question was not sent: the server failed too often and rests."""


class ModelRefused(LLMError):
    """The request fails until a person changes something."""


class PromptCut(ModelRefused):
    """The answer is to another question than the one asked: the prompt lost its beginning."""


class AnswerInvalid(LLMError):
    """The model's answer is no answer, also after one repair round."""


class AnswerCut(AnswerInvalid):
    """The answer stopped at its limit of tokens. Such an answer is never read."""
