"""The playbooks in use: the built-in ones, and those an operator added."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from importlib.resources import as_file, files
from typing import TYPE_CHECKING

from aegis_sink.diagnosis.playbook import Playbook, PlaybookError
from aegis_sink.diagnosis.playbook_file import read_playbook, relation_problems

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from aegis_sink.diagnosis.playbook import Cause


@dataclass(frozen=True, slots=True)
class Playbooks:
    """All playbooks in use. `version` changes when any byte of them does."""

    playbooks: tuple[Playbook, ...]
    version: str

    @classmethod
    def load(cls, *folders: Path, runbook_url: str = "") -> Playbooks:
        """The built-in playbooks and those of the folders; raises PlaybookError with every fault.

        A playbook of a folder replaces the built-in one of the same id. `runbook_url`, with
        `{cause}` in it, stands for the runbooks of the built-in ones, and where one of a folder
        names none.
        """
        digest = hashlib.sha256()
        found: dict[str, Playbook] = {}
        problems: list[str] = []
        with as_file(files("aegis_sink.diagnosis") / "playbooks") as builtin:
            for folder in (builtin, *folders):
                if not folder.is_dir():
                    problems.append(f"{folder}: there is no such folder; create it or unset it")
                    continue
                for path in sorted(folder.glob("*.y*ml")):
                    try:
                        text = path.read_text(encoding="utf-8")
                        digest.update(text.encode())
                        playbook = read_playbook(text, source=path.name)
                    except (OSError, UnicodeDecodeError) as error:
                        problems.append(f"{path.name}: cannot be read: {error}")
                    except PlaybookError as error:
                        problems.extend(error.problems)
                    else:
                        names_its_own = folder is not builtin
                        found[playbook.id] = _with_runbooks(
                            playbook, runbook_url, keep=names_its_own
                        )
        playbooks = tuple(found.values())
        problems.extend(relation_problems(playbooks))
        if problems:
            raise PlaybookError(tuple(problems))
        return cls(playbooks, digest.hexdigest()[:16])

    @property
    def causes(self) -> Mapping[str, Cause]:
        """Every cause by its id."""
        return {c.id: c for p in self.playbooks for c in p.causes}


def _with_runbooks(playbook: Playbook, runbook_url: str, *, keep: bool) -> Playbook:
    if not runbook_url:
        return playbook
    causes = (
        cause
        if keep and cause.runbook
        else replace(cause, runbook=runbook_url.replace("{cause}", cause.id))
        for cause in playbook.causes
    )
    return replace(playbook, causes=tuple(causes))
