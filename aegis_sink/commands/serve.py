"""`aegis-sink serve`: the service."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from aegis_sink.commands.replay import documents_in
from aegis_sink.commands.terminal import run, say, settings_as_set
from aegis_sink.diagnosis.redaction import Redactor
from aegis_sink.logs import set_up
from aegis_sink.server import serve
from aegis_sink.settings import refuse_open_door, secret_values, unknown_variables


def serve_command(
    replay: Annotated[
        Path | None, typer.Option(help="Post this file through the door once the service answers.")
    ] = None,
    once: Annotated[bool, typer.Option(help="Stop when the replayed incident was told.")] = False,
) -> None:
    """Run the service."""
    settings = settings_as_set().settings
    set_up(
        form=settings.log_format,
        level=settings.log_level,
        redact=Redactor(os.urandom(32), emails=settings.redact_emails),
        secrets=secret_values(settings),
    )
    for name in unknown_variables(os.environ):
        say(f"warning: {name} is no setting; `aegis-sink settings` lists them")
    refuse_open_door(settings)
    documents = [json.dumps(d).encode() for _, d in documents_in([str(replay)])] if replay else []
    ok = run(serve(settings, replay=documents, once=once, say=say))
    raise typer.Exit(0 if ok else 1)
