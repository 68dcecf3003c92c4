"""The entry point: `aegis-sink`, or `python -m aegis_sink`.

To read the program takes a second or more. A signal that comes meanwhile ends it without a word:
Python would print a traceback, and a container's first process would not even hear SIGTERM.
"""

import os
import signal


def main() -> None:
    """Read the program and run the command."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else it is to be ignored
        signal.signal(signal.SIGINT, _leave)
    signal.signal(signal.SIGTERM, _leave)
    from aegis_sink.cli import main as run_command

    run_command()


def _leave(number: int, frame: object) -> None:
    # Not an exception: what is being imported may catch it. Nothing has begun that must be ended.
    os._exit(128 + number)


if __name__ == "__main__":
    main()
