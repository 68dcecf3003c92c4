"""`aegis-sink quarantine`: bodies that were read but not understood."""

import sys
from typing import Annotated

import typer
from rich.progress import Progress
from rich.table import Table

from aegis_sink.commands.terminal import (
    AsJson,
    Url,
    client,
    err,
    fail,
    out,
    print_json,
    print_table,
    read_store,
    run,
)
from aegis_sink.diagnosis.redaction import redact
from aegis_sink.model.codec import rfc3339
from aegis_sink.store import quarantine

app = typer.Typer(add_completion=False, help="Bodies that were read but not understood.")


@app.callback(invoke_without_command=True)
def quarantine_list(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=500, help="Most to list.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List what is in quarantine."""
    if context.invoked_subcommand is not None:
        return
    items = read_store(lambda c: quarantine.items(c, limit=limit))
    if as_json:
        print_json({"quarantine": [_quarantined(item) for item in items]})
        return
    if not items:
        out.print("quarantine is empty")
        return
    table = Table("id", "received", "bytes", "reason", "begins with", box=None)
    for item in items:
        at = item.received_at.astimezone().strftime("%d %b %H:%M")
        table.add_row(item.id, at, str(item.size), item.reason, redact(item.first)[:60])
    print_table(table)


@app.command("show")
def quarantine_show(
    item_id: Annotated[str, typer.Argument(help="Which one.")], as_json: AsJson = False
) -> None:
    """Print one body as it came."""
    item = read_store(lambda c: quarantine.get(c, item_id))
    if item is None:
        fail(f"no quarantined body {item_id}; `aegis-sink quarantine` lists them")
    if as_json:
        text = item.body.decode("utf-8", "replace")
        print_json({**_quarantined(item), "body": text})
    else:
        sys.stdout.buffer.write(item.body + b"\n")


@app.command("retry")
def quarantine_retry(
    item_ids: Annotated[list[str] | None, typer.Argument(help="Which ones.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Try bodies again, for example after an upgrade."""
    if bool(item_ids) == everything:
        raise typer.BadParameter("name ids, or --all")
    ids = item_ids or [i.id for i in read_store(lambda c: quarantine.items(c, limit=100_000))]

    async def retry() -> list[dict[str, object]]:
        async with client(url) as service:
            with Progress(console=err, disable=len(ids) < 2) as progress:
                return [
                    {"item": item_id, **await service.retry(item_id)}
                    for item_id in progress.track(ids)
                ]

    answers = run(retry())
    if as_json:
        print_json({"retried": answers})
    for answer in answers if not as_json else ():
        out.print(f"{answer['item']}  {answer['status']}  {answer['id']}")
    raise typer.Exit(1 if any(a["status"] == "quarantined" for a in answers) else 0)


def _quarantined(item: quarantine.Quarantined) -> dict[str, object]:
    return {
        "id": item.id,
        "received_at": rfc3339(item.received_at),
        "door": item.door,
        "reason": item.reason,
        "size": item.size,
        "first": redact(item.first),
        "retries": item.retries,
    }
