"""`aegis-sink silence`: what nobody wants to hear of for a while."""

import getpass
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Table

from aegis_sink.client import Answer
from aegis_sink.commands.terminal import (
    AsJson,
    Url,
    client,
    out,
    print_json,
    print_table,
    read_store,
    run,
)
from aegis_sink.store import silences
from aegis_sink.web.silences import silence_to_json

app = typer.Typer(add_completion=False, help="What nobody wants to hear of for a while.")

Matchers = Annotated[
    list[str], typer.Argument(help="Like 'namespace=\"dev\"' 'kind=~\"Pod|Job\"'.")
]


@app.callback(invoke_without_command=True)
def silence_list(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=500, help="Most to list.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List silences, ended ones too."""
    if context.invoked_subcommand is not None:
        return
    found = read_store(lambda c: silences.all_of_them(c, limit=limit))
    now = datetime.now(UTC)
    if as_json:
        print_json({"silences": [silence_to_json(one, now=now) for one in found]})
        return
    if not found:
        out.print("no silences")
        return
    table = Table("id", "status", "ends", "author", "matchers", "comment", box=None)
    for one in found:
        ends = one.ends_at.astimezone().strftime("%d %b %H:%M")
        status = str(silence_to_json(one, now=now)["status"])
        matchers = ", ".join(map(str, one.matchers))
        table.add_row(one.id, status, ends, one.author, matchers, one.comment)
    print_table(table)


@app.command("add")
def silence_add(
    matchers: Matchers,
    duration: Annotated[str, typer.Option("--for", help="How long, like 2h or 7d.")],
    author: Annotated[str, typer.Option("--by", help="Who mutes it.")] = "",
    comment: Annotated[str, typer.Option(help="Why.")] = "",
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Mute what all the matchers fit."""
    silence = {
        "matchers": ",".join(matchers),
        "duration": duration,
        "author": author or _user(),
        "comment": comment,
    }

    async def add() -> Answer:
        async with client(url) as service:
            return await service.add_silence(silence)

    answer = run(add())
    if as_json:
        print_json(answer)
    else:
        out.print(f"{answer['id']}  until {answer['ends_at']}  mutes {answer['incidents']} now")


@app.command("preview")
def silence_preview(matchers: Matchers, url: Url = None, as_json: AsJson = False) -> None:
    """Show which open incidents the matchers fit; nothing is muted."""

    async def preview() -> Answer:
        async with client(url) as service:
            return await service.preview_silence(",".join(matchers))

    answer = run(preview())
    if as_json:
        print_json(answer)
        return
    out.print(f"would mute {answer['count']}")
    shown = answer["incidents"]
    for one in shown if isinstance(shown, list) else ():
        out.print(f"{one['id']}  {one['severity']}  {one['title']}")


@app.command("end")
def silence_end(
    silence_id: Annotated[str, typer.Argument(help="Which one.")],
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """End a silence now; what it muted is told if it is still there."""

    async def end() -> Answer:
        async with client(url) as service:
            return await service.end_silence(silence_id)

    answer = run(end())
    if as_json:
        print_json(answer)
    else:
        out.print(f"{silence_id}  ended")


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user id without a name
        return "the command line"
