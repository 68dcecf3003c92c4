"""`aegis-sink version`."""

from aegis_sink import __version__
from aegis_sink.commands.terminal import AsJson, out, print_json


def version_command(as_json: AsJson = False) -> None:
    """Print the version."""
    if as_json:
        print_json({"version": __version__})
    else:
        out.print(__version__)
