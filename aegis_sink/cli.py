"""The commands. Human text on a terminal, `--json` everywhere; 0 fine, 1 not, 2 wrong usage.

Each is read when it is asked for: `aegis-sink why` need not wait for all that `serve` needs.
"""

from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from aegis_sink import __version__
from aegis_sink.errors import Explained

COMMANDS = {
    "serve": "serve_command",
    "incidents": "incidents_command",
    "why": "why_command",
    "replay": "replay_command",
    "silence": "app",
    "route": "app",
    "reconcile": "reconcile_command",
    "quarantine": "app",
    "playbooks": "app",
    "eval": "app",
    "doctor": "doctor_command",
    "settings": "settings_command",
    "migrate": "migrate_command",
    "version": "version_command",
}
"""Module of `commands` → what it is there: a function, or an `app` with commands of its own."""


class Commands(TyperGroup):
    """A group whose commands are read one by one."""

    def list_commands(self, ctx: Any) -> list[str]:
        """All names, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The one with this name."""
        if cmd_name not in COMMANDS:
            return None
        found = getattr(import_module(f"aegis_sink.commands.{cmd_name}"), COMMANDS[cmd_name])
        if not isinstance(found, typer.Typer):
            alone = typer.Typer(add_completion=False)
            alone.command(cmd_name)(found)
            found = alone
        command = typer.main.get_command(found)
        command.name = cmd_name
        return command


app = typer.Typer(
    name="aegis-sink",
    cls=Commands,
    help="The receiver behind K8sGPT's webhook: says why, shows the proof, and says it once.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """What holds for no command in particular."""


def main() -> None:
    """Run the command of the command line."""
    try:
        app()
    except Explained as error:
        typer.echo(f"aegis-sink: {error}", err=True)
        raise SystemExit(1) from None
