"""Who may press buttons: users by id, and the members of user groups."""

from collections.abc import Awaitable, Callable, Collection
from time import monotonic

from aegis_sink.notify.errors import NotifyError

REMEMBER_SECONDS = 300.0


class People:
    """Everybody who sees the message when neither users nor groups are named.

    `members` asks Slack who is in a group, and may raise NotifyError. What it says is remembered
    for five minutes.
    """

    def __init__(
        self,
        *,
        users: Collection[str] = (),
        groups: Collection[str] = (),
        members: Callable[[str], Awaitable[frozenset[str]]],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._users = frozenset(users)
        self._groups = tuple(groups)
        self._members = members
        self._clock = clock
        self._known: dict[str, tuple[float, frozenset[str]]] = {}

    async def may_press(self, user: str) -> bool:
        """Whether this user id may act. NotifyError when Slack must be asked and does not say.

        A group that is gone shuts out nobody of the others.
        """
        if not self._users and not self._groups:
            return True
        if user in self._users:
            return True
        unsaid: NotifyError | None = None
        for group in self._groups:
            try:
                if user in await self._in(group):
                    return True
            except NotifyError as error:
                unsaid = unsaid or error
        if unsaid is not None:
            raise unsaid
        return False

    async def _in(self, group: str) -> frozenset[str]:
        asked_at, known = self._known.get(group, (float("-inf"), frozenset()))
        if self._clock() - asked_at >= REMEMBER_SECONDS:
            known = await self._members(group)
            self._known[group] = (self._clock(), known)
        return known
