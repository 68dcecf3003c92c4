"""`aegis-sink doctor`: what is wrong around the service, and what to type."""

import os
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import asdict, replace
from typing import Annotated

import typer

from aegis_sink.commands.terminal import AsJson, err, out, print_json, run, say, settings_as_set
from aegis_sink.diagnosis.redaction import Redactor
from aegis_sink.doctor.check import Check, Health, failed
from aegis_sink.doctor.examination import Examination
from aegis_sink.logs import cutting
from aegis_sink.settings import SettingsError, secret_values

SETTINGS = "env | grep AEGIS_   # what each takes: docs/settings.md"
LOOKING = "looking … (a model that must be loaded first takes minutes)"
MARKS = {Health.OK: "✓", Health.WARNING: "!", Health.FAILED: "✗", Health.SKIPPED: "–"}


def doctor_command(
    slack: Annotated[bool, typer.Option("--slack", help="Only Slack.")] = False,
    post: Annotated[
        bool, typer.Option("--post", help="With --slack: post a test message and delete it.")
    ] = False,
    namespace: Annotated[
        str, typer.Option(help="Ask for rights in this namespace, not in all.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Check everything around the service and print the fix. 1 when something failed."""
    if post and not slack:
        raise typer.BadParameter("--post goes with --slack")
    try:
        settings = settings_as_set().settings
    except SettingsError as error:
        _end([failed("settings", str(error), SETTINGS)], as_json)
    examination = Examination(settings, os.environ, namespace=namespace, post=post)
    cut = cutting(secret_values(settings))
    redact = Redactor(os.urandom(32))

    async def examine() -> list[Check]:
        checks = []
        if not err.is_terminal:
            say(LOOKING)
        with err.status(LOOKING) as status:
            async for check in _chosen(examination, slack):
                clean = replace(check, found=redact(cut(check.found)), fix=cut(check.fix))
                checks.append(clean)
                if not as_json:
                    status.stop()
                    _print(clean)
                    status.start()
        return checks

    checks = run(examine())
    _end(checks, as_json, printed=True)


def _chosen(examination: Examination, slack: bool) -> AsyncIterator[Check]:
    return examination.slack() if slack else examination.everything()


def _print(check: Check) -> None:
    out.print(f"{MARKS[check.health]} {check.name}: {check.found}")
    if check.fix:
        out.print(f"    fix: {check.fix}")


def _end(checks: list[Check], as_json: bool, *, printed: bool = False) -> None:
    count = Counter(check.health for check in checks)
    good = not count[Health.FAILED]
    if as_json:
        print_json({"ok": good, "checks": [asdict(check) for check in checks]})
    else:
        for check in () if printed else checks:
            _print(check)
        said = ", ".join(f"{count[health]} {health}" for health in Health if count[health])
        out.print(said)
    raise typer.Exit(0 if good else 1)
