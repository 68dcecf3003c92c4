"""`aegis-sink settings`: what is set, and where."""

import os

from rich.table import Table

from aegis_sink.commands.terminal import (
    AsJson,
    print_json,
    print_table,
    say,
    settings_as_set,
)
from aegis_sink.settings import Settings, shown, unknown_variables, variable


def settings_command(as_json: AsJson = False) -> None:
    """Print every setting with value, default and source; secrets are masked."""
    loaded = settings_as_set()
    rows = [
        {
            "name": variable(name),
            "value": shown(name, getattr(loaded.settings, name)),
            "default": shown(name, info.default),
            "source": loaded.sources[name],
            "description": info.description or "",
        }
        for name, info in Settings.model_fields.items()
    ]
    if as_json:
        print_json({"settings": rows, "unknown": unknown_variables(os.environ)})
        return
    table = Table("setting", "value", "default", "source", box=None)
    for row in rows:
        table.add_row(row["name"], row["value"], row["default"], row["source"])
    print_table(table)
    for name in unknown_variables(os.environ):
        say(f"warning: {name} is no setting")
