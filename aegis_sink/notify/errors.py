"""What can go wrong when a message is told. A caller decides by type what may be retried.

    NotifyError
      NotifyUnavailable    away for now: try again, after `retry_after` seconds when that is known
        NotReached         no connection, or somebody else answers: the way there is to be looked at
      OutcomeUnknown       sent, but no answer came: look with `find` before posting again
      NotifyRefused        will not work until somebody acts: the text says what and where
        MessageGone        the message to edit is not there any more
        MessageFrozen      it stands, and cannot be edited any more
        MessageRefused     this message was refused, rich and plain; others may still go through

No text here ever holds a token or a webhook URL.
"""


class NotifyError(Exception):
    """A message could not be told, or it is not known whether it was."""


class NotifyUnavailable(NotifyError):
    """Away for now. Nothing was posted; try again."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class NotReached(NotifyUnavailable):
    """Nobody answers, or not who should: a firewall, a proxy, DNS, a login page."""


class OutcomeUnknown(NotifyError):
    """The request left and no answer came: it may have been posted. Search before posting again."""


class NotifyRefused(NotifyError):
    """Refused until somebody changes a setting, a scope or a channel.

    `found` is what is wrong, `fix` what to do about it, "" where the text says all. `code` is the
    other side's word for it, "" where it has none.
    """

    def __init__(self, message: str, *, fix: str = "", code: str = "") -> None:
        super().__init__(f"{message}: {fix}" if fix else message)
        self.found = message
        self.fix = fix
        self.code = code


class MessageGone(NotifyRefused):
    """The message to edit or reply to was deleted."""


class MessageFrozen(NotifyRefused):
    """The message may not be edited any more: it is another app's, or the workspace forbids it."""


class MessageRefused(NotifyRefused):
    """This one message was refused, also as plain text. `code` is the other side's error code."""
