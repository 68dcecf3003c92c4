"""`aegis-sink migrate`: the database in this version's schema."""

from aegis_sink.commands.terminal import AsJson, out, print_json, settings_as_set
from aegis_sink.store.database import open_engine
from aegis_sink.store.schema import migrate


def migrate_command(as_json: AsJson = False) -> None:
    """Bring the database to this version's schema; `serve` does it too."""
    settings = settings_as_set().settings
    engine = open_engine(settings.database_url.get_secret_value())
    try:
        before, now = migrate(engine)
    finally:
        engine.dispose()
    if as_json:
        print_json({"before": before, "now": now})
    else:
        out.print(f"schema {now}" + ("" if before == now else f" (was {before or 'empty'})"))
