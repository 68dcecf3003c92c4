"""`aegis-sink replay`: posting incidents by hand."""

import json
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from aegis_sink.client import Refused
from aegis_sink.commands.terminal import (
    AsJson,
    Url,
    client,
    err,
    fail,
    out,
    print_json,
    run,
    say,
    settings_as_set,
)
from aegis_sink.diagnosis.redaction import Redactor
from aegis_sink.dialects.document import decode
from aegis_sink.dialects.errors import DialectError, NotReadable
from aegis_sink.dialects.table import read_document, read_documents
from aegis_sink.flow.door import sighting
from aegis_sink.model.codec import finding_to_json
from aegis_sink.settings import Settings

FILE_ENDINGS = (".json", ".yaml", ".yml", ".ndjson")


def replay_command(
    files: Annotated[
        list[str] | None,
        typer.Argument(help="Files, folders or - : Results, lists, watch streams, analyze JSON."),
    ] = None,
    incident: Annotated[
        str | None, typer.Option(help="Replay what an incident was made from.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the finding and its fingerprint, send nothing.")
    ] = False,
    force: Annotated[bool, typer.Option(help="Treat known problems as new.")] = False,
    wait: Annotated[float, typer.Option(help="Seconds to wait for each diagnosis.")] = 0,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Post incidents by hand through a running service's own door."""
    if bool(files) == bool(incident):
        raise typer.BadParameter("name files (or -), or --incident ID")
    settings = settings_as_set().settings
    if dry_run and incident:
        raise typer.BadParameter("--dry-run works on files")
    if dry_run:
        _dry_run(settings, files or [], as_json)
        return

    async def post() -> tuple[list[dict[str, object]], list[str]]:
        made: list[dict[str, object]] = []
        refused: list[str] = []
        async with client(url) as service:
            if incident:
                made += _made(await service.replay(incident))
                return made, refused
            documents = list(documents_in(files or []))
            with Progress(console=err, disable=len(documents) < 2) as progress:
                for where, document in progress.track(documents):
                    body = json.dumps(document).encode()
                    try:
                        made += _made(await service.post_finding(body, force=force, wait=wait))
                    except Refused as error:
                        refused.append(f"{where}: {error}")
        return made, refused

    made, refused = run(post())
    if as_json:
        print_json({"incidents": made, "refused": refused})
    else:
        for one in made:
            word = "new" if one.get("created") else "known"
            out.print(f"{one['id']}  {word}  {one.get('title', one.get('url', ''))}")
        if not made and not refused:
            out.print("nothing to report: no findings in there")
    for line in refused:
        say(line)
    raise typer.Exit(1 if refused else 0)


def documents_in(names: list[str]) -> Iterator[tuple[str, object]]:
    """Each document with where it stands: "incident.yaml", or "list.ndjson, document 3"."""
    for name in names:
        for where, text in _texts(name):
            try:
                documents = list(read_documents(text))
            except DialectError as error:
                fail(f"{where}: {error}")
            for number, document in enumerate(documents, 1):
                yield f"{where}, document {number}" if len(documents) > 1 else where, document


def _texts(name: str) -> Iterator[tuple[str, str]]:
    if name == "-":
        yield "standard input", _decoded("standard input", sys.stdin.buffer.read())
        return
    path = Path(name)
    paths = (
        sorted(p for p in path.rglob("*") if p.suffix in FILE_ENDINGS) if path.is_dir() else [path]
    )
    if not paths:
        fail(f"{name} holds no {', '.join(FILE_ENDINGS)} file")
    for one in paths:
        try:
            body = one.read_bytes()
        except OSError as error:
            fail(f"{one} cannot be read: {error.strerror}")
        yield str(one), _decoded(str(one), body)


def _decoded(where: str, body: bytes) -> str:
    try:
        return decode(body)
    except NotReadable as error:
        fail(f"{where} cannot be read: {error}")


def _dry_run(settings: Settings, names: list[str], as_json: bool) -> None:
    redact = Redactor(os.urandom(32), emails=settings.redact_emails)
    rows = []
    refused = []
    for where, document in documents_in(names):
        try:
            recognised = read_document(document, cluster=settings.cluster_name)
        except DialectError as error:
            refused.append(f"{where}: {error}")
            continue
        for finding in recognised.findings:
            seen = sighting(finding, redact=redact, now=datetime.now(UTC), incident_id="")
            rows.append(
                {
                    "finding": finding_to_json(seen.finding),
                    "fingerprint": seen.blank.fingerprint,
                    "failure_class": seen.blank.failure_class,
                    "subject": str(seen.blank.subject),
                    "subject_told_by": seen.subject_how,
                    "severity": seen.blank.severity,
                    "title": seen.blank.title,
                }
            )
    if as_json:
        print_json({"findings": rows, "refused": refused})
    else:
        for row in rows:
            for key in ("title", "subject", "severity", "failure_class", "fingerprint"):
                out.print(f"{key:14} {row[key]}")
            out.print()
        out.print(f"{len(rows)} finding{'' if len(rows) == 1 else 's'}; nothing was sent")
    for line in refused:
        say(line)
    if refused:
        raise typer.Exit(1)


def _made(answer: dict[str, object]) -> list[dict[str, object]]:
    made = answer.get("incidents")
    return [one for one in made if isinstance(one, dict)] if isinstance(made, list) else []
