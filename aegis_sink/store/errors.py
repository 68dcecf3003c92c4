"""What can go wrong with the store.

StoreError
├── StoreBusy         too many writes wait: try again in a moment (503, Retry-After)
├── StoreUnavailable  the disk or the database refuses: nothing was stored
└── StoreUnusable     wrong URL, wrong schema, another process holds it: somebody must act
"""


class StoreError(Exception):
    """Base of all store errors."""


class StoreBusy(StoreError):
    """The queue before the commit is full; nothing was stored."""


class StoreUnavailable(StoreError):
    """The disk or the database refused; nothing was stored."""


class StoreUnusable(StoreError):
    """The store cannot be opened until somebody acts; the text says what to do."""
