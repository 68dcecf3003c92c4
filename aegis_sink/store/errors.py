"""What can go wrong with the store.

StoreError
├── StoreBusy         too many writes wait: try again in a moment (503, Retry-After)
├── StoreUnavailable  the disk or the database refuses: nothing was stored
└── StoreUnusable     wrong URL, another process holds it: somebody must act
    ├── SchemaOld     `aegis-sink migrate` is needed
    └── SchemaNewer   a newer version wrote it
"""

from aegis_sink.errors import Explained


class StoreError(Explained):
    """Base of all store errors."""


class StoreBusy(StoreError):
    """The queue before the commit is full; nothing was stored."""


class StoreUnavailable(StoreError):
    """The disk or the database refused; nothing was stored."""


class StoreUnusable(StoreError):
    """The store cannot be opened until somebody acts; the text says what to do."""


class SchemaOld(StoreUnusable):
    """An older version wrote it, or nobody yet."""


class SchemaNewer(StoreUnusable):
    """A newer version wrote it."""
