"""`aegis-sink playbooks`: what is known about failures, and whether one's own files are sound."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from aegis_sink.commands.terminal import AsJson, out, print_json, print_table, say, settings_as_set
from aegis_sink.diagnosis.playbooks import Playbooks
from aegis_sink.diagnosis.rehearsal import check

app = typer.Typer(
    add_completion=False, help="What is known about failures, as files.", no_args_is_help=True
)

Folder = Annotated[
    Path | None, typer.Argument(help="Your playbooks; AEGIS_PLAYBOOKS_DIR when left out.")
]


@app.command("list")
def playbooks_list(folder: Folder = None, as_json: AsJson = False) -> None:
    """List the causes in use: the built-in ones and yours."""
    loaded = Playbooks.load(*_folders(folder))
    if as_json:
        causes = [
            {"playbook": p.id, "cause": c.id, "title": c.title, "source": p.source}
            for p in loaded.playbooks
            for c in p.causes
        ]
        print_json({"causes": causes, "version": loaded.version})
        return
    table = Table("playbook", "cause", "what", "file", box=None)
    for playbook in loaded.playbooks:
        for cause in playbook.causes:
            table.add_row(playbook.id, cause.id, cause.title, playbook.source)
    print_table(table)


@app.command("test")
def playbooks_test(folder: Folder = None, as_json: AsJson = False) -> None:
    """Check playbooks against the schema and run the examples inside them."""
    folders = _folders(folder)
    problems = check(*folders)
    if as_json:
        print_json({"problems": list(problems)})
    elif problems:
        for problem in problems:
            say(problem)
    else:
        loaded = Playbooks.load(*folders)
        examples = sum(len(p.examples) for p in loaded.playbooks)
        out.print(
            f"{len(loaded.playbooks)} playbooks, {len(loaded.causes)} causes, "
            f"{examples} examples: nothing is wrong"
        )
    raise typer.Exit(1 if problems else 0)


def _folders(folder: Path | None) -> tuple[Path, ...]:
    if folder is not None:
        return (folder,)
    named = settings_as_set().settings.playbooks_dir
    return (Path(named),) if named else ()
