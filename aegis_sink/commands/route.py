"""`aegis-sink route`: where incidents are told, and where one would be."""

from collections.abc import Mapping, Sequence
from typing import Annotated

import typer
from rich.table import Table

from aegis_sink.commands.terminal import (
    AsJson,
    fail,
    out,
    print_json,
    print_table,
    read_store,
    settings_as_set,
)
from aegis_sink.durations import format_duration
from aegis_sink.routes import routes_of
from aegis_sink.settings import Settings
from aegis_sink.store import incidents
from aegis_sink.triage.matchers import LABELS, labels
from aegis_sink.triage.routing import Route, Tried

app = typer.Typer(add_completion=False, help="Where incidents are told.")


@app.callback(invoke_without_command=True)
def route_list(context: typer.Context, as_json: AsJson = False) -> None:
    """List the routes in their order, and what is done with the rest."""
    if context.invoked_subcommand is not None:
        return
    settings = settings_as_set().settings
    routes = routes_of(settings.routes, settings.repeat_interval)
    every = [*routes.listed, routes.otherwise]
    if as_json:
        print_json({"routes": [route_to_json(route, settings) for route in every]})
        return
    table = Table("route", "match", "channel", "repeated", "calls", box=None)
    for number, route in enumerate(every, 1):
        table.add_row(str(number), str(route), *_does(route, settings))
    print_table(table)


@app.command("test")
def route_test(
    about: Annotated[
        list[str],
        typer.Argument(help="An incident's id, or labels like namespace=shop severity=down."),
    ],
    as_json: AsJson = False,
) -> None:
    """Show which route an incident takes, and why not one before it."""
    settings = settings_as_set().settings
    asked = _labels(about)
    tried = routes_of(settings.routes, settings.repeat_interval).tried(asked)
    if as_json:
        print_json(
            {
                "labels": dict(asked),
                "route": {"number": len(tried), **route_to_json(tried[-1].route, settings)},
                "passed_over": [
                    {"number": number, "unfit": str(one.unfit)}
                    for number, one in enumerate(tried[:-1], 1)
                ],
            }
        )
        return
    for line in route_lines(tried, asked, settings):
        out.print(line)


def route_lines(
    tried: Sequence[Tried], asked: Mapping[str, str], settings: Settings
) -> tuple[str, ...]:
    """For a person: each route up to the one that is taken, and what that does."""
    lines = []
    for number, one in enumerate(tried, 1):
        if one.unfit is not None:
            value = asked.get(one.unfit.name, "")
            lines.append(f'{number}  no   {one.unfit}, but {one.unfit.name} is "{value}"')
        else:
            channel, repeated, calls = _does(one.route, settings)
            lines.append(f"{number}  yes  {one.route}")
            lines.append(f"        told in {channel}, again every {repeated}, calls {calls}")
    return tuple(lines)


def route_to_json(route: Route, settings: Settings) -> dict[str, object]:
    """A route as it will be followed; `channel` is null where messages choose none."""
    return {
        "match": [str(matcher) for matcher in route.matchers],
        "channel": _channel(route, settings),
        "repeat_interval": format_duration(route.repeat_interval),
        "mention": list(route.audience.mentions),
    }


def _does(route: Route, settings: Settings) -> tuple[str, str, str]:
    return (
        _channel(route, settings) or _without_channel(settings),
        format_duration(route.repeat_interval),
        " ".join(route.audience.mentions) or "nobody",
    )


def _channel(route: Route, settings: Settings) -> str | None:
    if settings.slack_bot_token is None:
        return None
    return route.audience.channel or settings.slack_channel


def _without_channel(settings: Settings) -> str:
    return "the incoming webhook" if settings.slack_webhook_url is not None else "the terminal"


def _labels(about: Sequence[str]) -> Mapping[str, str]:
    if len(about) == 1 and "=" not in about[0]:
        incident = read_store(lambda c: incidents.get(c, about[0]))
        if incident is None:
            fail(f"no incident {about[0]}; `aegis-sink incidents` lists them")
        return labels(incident)
    asked = {}
    for one in about:
        name, equals, value = one.partition("=")
        if not equals or name not in LABELS:
            raise typer.BadParameter(
                f"{one} is no label; write NAME=VALUE with one of {', '.join(LABELS)}"
            )
        asked[name] = value
    return asked
