"""What can go wrong between AEGIS Sink and a model, split by what a caller can do about it.

    LLMError
    ├── ModelUnavailable   retry later: not reachable, busy, too slow, broke off, circuit open
    ├── ModelRefused       will not work until somebody acts: the text says what to do
    └── AnswerInvalid      the model answered, twice, and neither answer can be used

None of them loses a diagnosis: the playbooks' answer is complete without a model.
"""


class LLMError(Exception):
    """Root of the tree; never raised itself."""


class ModelUnavailable(LLMError):
    """Nobody has to do anything: the same request may work later."""


class ModelRefused(LLMError):
    """The request fails until a person changes something."""


class AnswerInvalid(LLMError):
    """The model's answer is no answer, also after one repair round."""
