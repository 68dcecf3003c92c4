"""What can go wrong with the cluster. A caller decides by type what to do.

ClusterError
├── ClusterUnavailable   retry later: unreachable, timed out, 429, 5xx
├── ClusterRefused       will not work until someone changes something: 401, 403, 400; holds the rule
│   └── TooLarge         the answer is longer than the bytes that are left
├── ObjectGone           404: the object, or its kind, is not there
└── BudgetSpent          this incident has used up its calls, bytes or seconds
"""


class ClusterError(Exception):
    """Base of all. The message is one line a person can act on and holds no secret."""


class ClusterUnavailable(ClusterError):
    """The API server did not answer, or said "later". The same request may work in a while.

    `retry_after` is what the server asks to wait, in seconds; 0 when it does not say.
    """

    def __init__(self, message: str, *, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ClusterRefused(ClusterError):
    """The API server said no. `rule` is the RBAC rule that would allow it, "" where none would."""

    def __init__(self, message: str, *, status: int, rule: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.rule = rule


class TooLarge(ClusterRefused):
    """The answer is longer than the bytes that the incident may still read."""


class ObjectGone(ClusterError):
    """404: there is no such object, or the API server does not know the kind."""


class BudgetSpent(ClusterError):
    """The incident's budget of calls, bytes or seconds does not allow this request."""
