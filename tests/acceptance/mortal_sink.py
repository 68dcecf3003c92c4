"""The real program, which kills itself (SIGKILL) at one named place.

`("aegis_sink.store.notices:intend_root", "before", 1)` kills right before the first call of that
function would run; `after` kills right after it ran. Without it, it is the program as it is.
"""

import asyncio
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

Bomb = tuple[str, str, int]


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


def plant(place: str, when: str, call: int) -> None:
    """Put a bomb at `module:name` or `module:Class.name`."""
    module, _, path = place.partition(":")
    owner: Any = import_module(module)
    *outer, name = path.split(".")
    for part in outer:
        owner = getattr(owner, part)
    setattr(owner, name, deadly(getattr(owner, name), after=when == "after", call=call))


def start(bomb: Bomb | None, environment: Mapping[str, str], said: Path) -> ForkServerProcess:
    """`aegis-sink serve` in a process of its own; `said` becomes what it writes to stderr.

    It is forked from a process that has done nothing but import the program and read its playbooks,
    which takes longer than most of these tests; threads, sockets and files it has none of.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.acceptance.preloaded"])
    process = context.Process(target=_serve, args=(bomb, dict(environment), said))
    process.start()
    return process


def _serve(bomb: Bomb | None, environment: dict[str, str], said: Path) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)

    from aegis_sink.cli import main
    from aegis_sink.notify.pacer import Pacer

    # One message a second is Slack's wish, and not what dies here.
    (Pacer.__init__.__kwdefaults__ or {})["interval"] = 0.02
    if bomb is not None:
        plant(*bomb)
    sys.argv[:] = ["aegis-sink", "serve"]
    main()
