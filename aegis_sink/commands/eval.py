"""`aegis-sink eval`: how good the diagnoses are, on recorded incidents."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress
from rich.table import Table
from typer.core import TyperGroup

from aegis_sink.building.model import model_options
from aegis_sink.commands.terminal import (
    AsJson,
    err,
    fail,
    out,
    print_json,
    print_table,
    read_store,
    run,
    say,
    settings_as_set,
)
from aegis_sink.diagnosis.adapters import build_model
from aegis_sink.diagnosis.diagnoser import Diagnoser, Trust
from aegis_sink.diagnosis.playbooks import Playbooks
from aegis_sink.evaluation.export import case_files, write_case
from aegis_sink.evaluation.folder import CaseError, EvalCase, read_cases
from aegis_sink.evaluation.run import evaluate
from aegis_sink.evaluation.score import Score, Totals, totals
from aegis_sink.model import Finding, Incident
from aegis_sink.settings import Settings
from aegis_sink.store import incidents
from aegis_sink.store.database import Connection
from aegis_sink.store.feedback import judged_incidents


class _RunsByDefault(TyperGroup):
    """`eval DIR` is `eval run DIR`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As click's."""
        if args and args[0] not in self.commands and args[0] != "--help":
            args = ["run", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_RunsByDefault,
    add_completion=False,
    no_args_is_help=True,
    help="How good the diagnoses are: `eval DIR` runs recorded incidents (docs/evals.md).",
)


@app.command("run")
def eval_run(
    folder: Annotated[Path, typer.Argument(help="A folder of case folders, or one case.")],
    model: Annotated[
        bool, typer.Option("--model", help="Ask the configured model (AEGIS_LLM_*) too.")
    ] = False,
    floor: Annotated[
        float, typer.Option(min=0, max=1, help="Least share of causes right; below it: exit 1.")
    ] = 0.7,
    most_wrong: Annotated[
        int, typer.Option(min=0, help="Most confidently wrong cases; above it: exit 1.")
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Diagnose recorded incidents and compare with what is true of them (docs/evals.md)."""
    try:
        cases = read_cases(folder)
    except CaseError as error:
        say(f"aegis-sink: these cases cannot be run:\n{error}")
        raise typer.Exit(2) from error
    settings = settings_as_set().settings
    if model and settings.llm_api == "off":
        raise typer.BadParameter("--model needs a model: AEGIS_LLM_API is off")
    scores = run(_all(cases, settings, ask=model))
    found = totals(scores)
    if as_json:
        print_json({"cases": [_as_json(s) for s in scores], "totals": asdict(found)})
    else:
        _show(scores, found)
    fine = found.cause_right >= floor and found.confidently_wrong <= most_wrong
    raise typer.Exit(0 if fine else 1)


@app.command("export")
def eval_export(
    folder: Annotated[Path, typer.Argument(help="Where to write the case folders.")],
    as_json: AsJson = False,
) -> None:
    """Write incidents whose diagnosis somebody judged (right, wrong) as cases."""
    written: list[str] = []
    kept: list[str] = []
    for incident, findings in read_store(_judged):
        name = incident.id
        try:
            done = write_case(folder / name, case_files(incident, findings))
        except OSError as error:
            fail(f"{folder / name} cannot be written: {error.strerror}")
        (written if done else kept).append(name)
    if as_json:
        print_json({"written": written, "kept": kept})
        return
    for name in written:
        out.print(str(folder / name))
    out.print(f"{len(written)} cases written, {len(kept)} were there already and stay as they are")


def _judged(connection: Connection) -> list[tuple[Incident, tuple[Finding, ...]]]:
    judged = ((one, incidents.get(connection, one)) for one in judged_incidents(connection))
    return [
        (incident, tuple(s.finding for s in incidents.findings_of(connection, incident.id)))
        for _, incident in judged
        if incident is not None and incident.feedback
    ]


async def _all(cases: tuple[EvalCase, ...], settings: Settings, *, ask: bool) -> list[Score]:
    folders = (Path(settings.playbooks_dir),) if settings.playbooks_dir else ()
    playbooks = Playbooks.load(*folders)
    options = model_options(settings)
    model = build_model(options) if ask else None
    diagnoser = Diagnoser(model, options, trust=Trust(settings.llm_trust)) if model else None
    scores: list[Score] = []
    try:
        with Progress(console=err, transient=True, disable=diagnoser is None) as progress:
            for case in progress.track(cases):
                one = await evaluate(
                    case,
                    playbooks,
                    diagnoser,
                    always_ask=settings.llm_always_ask,
                    clock=time.monotonic,
                )
                scores.append(one)
    finally:
        if diagnoser is not None:
            await diagnoser.close()
    return scores


def _show(scores: list[Score], found: Totals) -> None:
    table = Table(
        "case",
        "cause",
        "evidence",
        "fix",
        "verdict",
        "says",
        "how sure",
        "tokens",
        "why not",
        box=None,
    )
    for one in scores:
        said = one.diagnosis
        tokens = f"{said.prompt_tokens}/{said.answer_tokens}" if said.prompt_tokens else "-"
        table.add_row(
            one.name,
            "WRONG, SURE" if one.confidently_wrong else _mark(one.cause_right),
            _mark(one.evidence_right),
            _mark(one.fix_right),
            said.verdict,
            said.cause_id or "-",
            f"{said.confidence:.2f}",
            tokens,
            "; ".join(one.why),
        )
    print_table(table)
    out.print("")
    for name, value in (
        ("cases", str(found.cases)),
        ("cause right", _percent(found.cause_right)),
        ("evidence right", _percent(found.evidence_right)),
        ("fix right", _percent(found.fix_right)),
        ("confidently wrong", str(found.confidently_wrong)),
        ("cannot tell", str(found.cannot_tell)),
        ("settled without a model", _percent(found.settled)),
        ("a model answered", str(found.asked)),
        ("prompt tokens (mean)", f"{found.prompt_tokens:.0f}"),
        ("answer tokens (mean)", f"{found.answer_tokens:.0f}"),
        ("seconds", f"{found.seconds:.2f}"),
    ):
        out.print(f"{name:24} {value}")


def _mark(right: bool | None) -> str:
    return "-" if right is None else "right" if right else "wrong"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"


def _as_json(one: Score) -> dict[str, object]:
    said = one.diagnosis
    return {
        "case": one.name,
        "cause_right": one.cause_right,
        "evidence_right": one.evidence_right,
        "fix_right": one.fix_right,
        "confidently_wrong": one.confidently_wrong,
        "cannot_tell": one.cannot_tell,
        "settled": one.settled,
        "verdict": said.verdict,
        "cause_id": said.cause_id,
        "root_cause": said.root_cause,
        "confidence": said.confidence,
        "cites": list(said.cites),
        "model_note": said.model_note,
        "prompt_tokens": said.prompt_tokens,
        "answer_tokens": said.answer_tokens,
        "seconds": round(one.seconds, 3),
        "why": list(one.why),
    }
