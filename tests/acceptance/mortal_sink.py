"""The real program, which kills itself (SIGKILL) at one named place.

    python mortal_sink.py aegis_sink.store.notices:intend_root before 1

kills right before the first call of that function would run; `after` kills right after it ran.
Without arguments it is the program as it is.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any


def die() -> None:
    """As `kill -9` does: nothing is flushed, closed or answered."""
    os.kill(os.getpid(), signal.SIGKILL)


def deadly(run: Callable[..., Any], *, after: bool, call: int) -> Callable[..., Any]:
    """`run`, which ends the process at its `call`-th call."""
    calls = 0

    def due() -> bool:
        nonlocal calls
        calls += 1
        return calls == call

    def plain(*args: Any, **options: Any) -> Any:
        last = due()
        if last and not after:
            die()
        result = run(*args, **options)
        if last:
            die()
        return result

    async def waiting(*args: Any, **options: Any) -> Any:
        last = due()
        if last and not after:
            die()
        result = await run(*args, **options)
        if last:
            die()
        return result

    return waiting if asyncio.iscoroutinefunction(run) else plain


def plant(place: str, when: str, call: str) -> None:
    """Put a bomb at `module:name` or `module:Class.name`."""
    module, _, path = place.partition(":")
    owner: Any = import_module(module)
    *outer, name = path.split(".")
    for part in outer:
        owner = getattr(owner, part)
    setattr(owner, name, deadly(getattr(owner, name), after=when == "after", call=int(call)))


if __name__ == "__main__":
    from aegis_sink.cli import main
    from aegis_sink.notify.pacer import Pacer

    # One message a second is Slack's wish, and not what dies here.
    (Pacer.__init__.__kwdefaults__ or {})["interval"] = 0.02
    bomb = sys.argv[1:]
    sys.argv[1:] = ["serve"]
    if bomb:
        plant(*bomb)
    main()
