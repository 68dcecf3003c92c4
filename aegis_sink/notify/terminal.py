"""The terminal: what `aegis-sink serve` shows when no other place is set."""

from collections.abc import Callable
from datetime import UTC, datetime

from rich.cells import cell_len, chop_cells

from aegis_sink.model import OWN_CHANNEL, Audience, Digest, Incident, NoticeReason, Posted
from aegis_sink.notify.digest import compose_digest
from aegis_sink.notify.message import compose
from aegis_sink.notify.plain import plain_lines

COLUMNS = 100


class TerminalNotifier:
    """Writes each telling as a block of lines, at most 100 columns wide, without colours.

    `write` gets whole lines with their newline, in one call a telling; `program` is what this
    program is called by here.
    """

    name = "terminal"
    can_edit = False

    def __init__(
        self,
        write: Callable[[str], None],
        *,
        program: str = "aegis-sink",
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._write = write
        self._program = program
        self._now = now

    async def post(
        self, incident: Incident, reason: NoticeReason, *, nonce: str, to: Audience = OWN_CHANNEL
    ) -> Posted:
        """Write the whole message."""
        now = self._now()
        message = compose(incident, reason, now=now)
        more = f"with: {self._program} incidents {incident.id}"
        self._show(plain_lines(message, now=now, more=more))
        return Posted(channel=self.name)

    async def post_digest(self, digest: Digest, *, nonce: str, channel: str = "") -> Posted:
        """Write the whole digest."""
        now = self._now()
        message = compose_digest(digest, now=now)
        self._show(plain_lines(message, now=now, more=f"with: {self._program} incidents"))
        return Posted(channel=self.name)

    async def edit_digest(self, digest: Digest, posted: Posted) -> None:
        """Nothing: what is written stays."""

    async def edit(self, incident: Incident, reason: NoticeReason, posted: Posted) -> Posted:
        """Nothing: what is written stays."""
        return posted

    async def reply(
        self,
        incident: Incident,
        reason: NoticeReason,
        posted: Posted,
        *,
        mentions: tuple[str, ...] = (),
        whole: bool = False,
    ) -> Posted:
        """Nothing: a terminal has no threads."""
        return posted

    async def find(self, nonce: str, *, since: datetime, channel: str = "") -> Posted | None:
        """None: a terminal cannot be read."""
        return None

    async def status(self) -> str:
        """Always works."""
        return "Terminal: messages are written to the program's output"

    async def close(self) -> None:
        """Nothing to let go of."""

    def _show(self, lines: list[str]) -> None:
        rule = "─" * COLUMNS
        wrapped = [piece for line in lines for piece in wrap(line)]
        self._write("\n".join([rule, *wrapped, rule]) + "\n")


def wrap(line: str) -> list[str]:
    """The line in pieces of at most 100 columns, broken at spaces; the indent is kept."""
    text = line.lstrip(" ")
    indent = line[: len(line) - len(text)]
    pieces: list[str] = []
    current = indent
    for word in text.split(" "):
        candidate = f"{current} {word}" if current != indent else indent + word
        if cell_len(candidate) <= COLUMNS:
            current = candidate
            continue
        if current != indent:
            pieces.append(current)
        *whole, current = chop_cells(indent + word, COLUMNS)
        pieces.extend(whole)
    return [*pieces, current]
