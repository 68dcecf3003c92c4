"""Pictures of the message in its states, as Slack shows it, for docs/images.

    python -m tests.acceptance.slack_pictures [DIRECTORY]

The blocks are those the bot posts; only their drawing is a likeness of Slack's. Needs Chromium.
"""

import html
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aegis_sink.model import (
    Digest,
    DigestKind,
    DigestLine,
    Feedback,
    FixCheck,
    Incident,
    NoticeReason,
    ObjectRef,
    Severity,
    State,
)
from aegis_sink.notify.blocks import Rendered, render, render_parts
from aegis_sink.notify.buttons import buttons_for
from aegis_sink.notify.digest import compose_digest
from aegis_sink.notify.message import compose
from aegis_sink.notify.thread import compose_reply
from tests.fakes.notify_incidents import NOW, make_diagnosed, make_found

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "chrome")
WIDTH = 760

STYLE = """
body { margin: 0; font: 15px/1.46 Lato, "Noto Sans", "DejaVu Sans", sans-serif; color: #1d1c1d; }
main { display: flex; gap: 10px; padding: 12px 16px 14px; width: 728px; box-sizing: border-box; }
.icon { width: 36px; height: 36px; border-radius: 6px; background: #1f2a44; color: #fff;
        text-align: center; line-height: 36px; font-weight: bold; flex: none; }
.name { font-weight: 900; } .app { background: #eee; font-size: 10px; padding: 1px 3px;
        border-radius: 2px; color: #616061; } .time { color: #616061; font-size: 12px; }
h3 { font-size: 18px; line-height: 1.3; margin: 6px 0; } p { margin: 0; }
.block { margin: 0 0 8px; } ul { margin: 0; padding-left: 22px; }
pre { background: #f8f8f8; border: 1px solid #ddd; border-radius: 4px; padding: 8px; margin: 4px 0;
      font: 12px/1.5 "DejaVu Sans Mono", monospace; white-space: pre-wrap; word-break: break-word; }
a { color: #1264a3; text-decoration: none; }
button { font: bold 13px/1 Lato, "Noto Sans", "DejaVu Sans", sans-serif; padding: 8px 12px;
         margin: 0 6px 6px 0; border: 1px solid #bbb; border-radius: 4px; background: #fff; }
button.primary { background: #007a5a; color: #fff; border-color: #007a5a; }
"""


def states() -> dict[str, tuple[Incident, NoticeReason]]:
    """The states, by the name of their picture."""
    found, diagnosed = map(_with_links, (make_found(), make_diagnosed()))
    assert diagnosed.diagnosis is not None
    right = Feedback(NOW, "ada", "U1", True, diagnosed.diagnosis)
    note = "the model did not answer (connection refused): this is what the playbooks say"
    alone = replace(diagnosed.diagnosis, model="", model_note=note, explanation="", confidence=0.86)
    return {
        "slack-found": (found, NoticeReason.FIRST),
        "slack-diagnosing": (replace(found, diagnosing=True), NoticeReason.FIRST),
        "slack-diagnosed": (diagnosed, NoticeReason.DIAGNOSED),
        "slack-model-away": (
            replace(diagnosed, diagnosis=alone, severity=Severity.DEGRADED),
            NoticeReason.DIAGNOSED,
        ),
        "slack-acknowledged": (
            replace(
                diagnosed, state=State.ACKNOWLEDGED, acknowledged_by="ada", acknowledged_at=NOW
            ),
            NoticeReason.DIAGNOSED,
        ),
        "slack-silenced": (
            replace(
                diagnosed,
                state=State.SILENCED,
                silenced_by="ada",
                silenced_until=NOW + timedelta(hours=1),
            ),
            NoticeReason.DIAGNOSED,
        ),
        "slack-resolved": (
            replace(
                diagnosed,
                state=State.RESOLVED,
                resolved_at=NOW + timedelta(minutes=9),
                feedback=(right,),
            ),
            NoticeReason.RESOLVED,
        ),
    }


def _with_links(incident: Incident) -> Incident:
    """As with AEGIS_PUBLIC_URL, and a playbook that names a runbook."""
    linked = replace(incident, silence_url="https://aegis.example/v1/silences/preview")
    if incident.diagnosis is None:
        return linked
    runbook = "https://runbooks.example/memory"
    return replace(linked, diagnosis=replace(incident.diagnosis, runbook=runbook))


def pages() -> dict[str, str]:
    """The pictures as HTML, by name: each state, a thread, and a digest."""
    shown = {name: page(*state) for name, state in states().items()}
    diagnosed = _unchecked(make_diagnosed())
    parts = compose_reply(diagnosed, NoticeReason.DIAGNOSED, now=NOW)
    [reply] = render_parts(parts, more="on the incident's page")
    digest = render(compose_digest(_storm(), now=NOW), now=NOW, more="not shown here")
    return shown | {"slack-thread": _page(reply), "slack-digest": _page(digest)}


def _storm() -> Digest:
    """A registry that is down, and what else began then."""
    pulls, crash = (
        "cannot pull its image: the registry does not answer",
        "crashes since its rollout",
    )
    what = [("web", pulls), ("cart", pulls), ("search", pulls), ("mail", pulls), ("pay", crash)]
    lines = []
    for number, (name, wrong) in enumerate(what):
        ref = ObjectRef("Deployment", name, "shop")
        title, worst = f"{ref} {wrong}", Severity.DOWN if wrong == crash else Severity.DEGRADED
        lines.append(DigestLine(f"inc-{number}", title, worst, State.OPEN, ref))
    return Digest("d1", DigestKind.STORM, "prod-eu", NOW - timedelta(minutes=12), tuple(lines))


def page(incident: Incident, reason: NoticeReason) -> str:
    """The message of an incident as an HTML page."""
    message = compose(_unchecked(incident), reason, now=NOW)
    return _page(render(message, now=NOW, buttons=buttons_for(incident)))


def _page(rendered: Rendered) -> str:
    body = "".join(_block(block) for block in rendered.blocks)
    return (
        f"<!doctype html><meta charset=utf-8><style>{STYLE}</style><main>"
        "<div class=icon>Æ</div><div><span class=name>AEGIS Sink</span> <span class=app>APP</span> "
        f"<span class=time>02:26</span>{body}</div></main>"
        "<script>document.title = document.querySelector('main').offsetHeight</script>"
    )


def _unchecked(incident: Incident) -> Incident:
    """Without the answer of fix checks, which are not there yet: a picture shows what is."""
    if incident.diagnosis is None:
        return incident
    fixes = tuple(replace(fix, check=FixCheck()) for fix in incident.diagnosis.fixes)
    return replace(incident, diagnosis=replace(incident.diagnosis, fixes=fixes))


def _block(block: Mapping[str, object]) -> str:
    match block["type"]:
        case "header":
            return f"<h3>{_shown(block['text'])}</h3>"
        case "actions":
            return f"<div>{''.join(map(_button, _items(block)))}</div>"
        case _:
            return f"<div class=block>{''.join(map(_rich, _items(block)))}</div>"


def _rich(element: Mapping[str, object]) -> str:
    inner = "".join(map(_inline, _items(element)))
    match element["type"]:
        case "rich_text_list":
            items = (f"<li>{''.join(map(_inline, _items(item)))}" for item in _items(element))
            return f"<ul>{''.join(items)}</ul>"
        case "rich_text_preformatted":
            return f"<pre>{inner}</pre>"
        case _:
            return f"<p>{inner}</p>"


def _inline(element: Mapping[str, object]) -> str:
    match element["type"]:
        case "link":
            return f"<a>{html.escape(str(element['text']))}</a>"
        case "date":
            return html.escape(_date(element))
        case _:
            text = html.escape(str(element.get("text", ""))).replace("\n", "<br>")
            style = element.get("style") or {}
            tag = "b" if "bold" in str(style) else "i" if "italic" in str(style) else "span"
            return f"<{tag}>{text}</{tag}>"


def _date(element: Mapping[str, object]) -> str:
    """As Slack shows a date to a reader in UTC at the time of the picture."""
    at = datetime.fromtimestamp(int(str(element["timestamp"])), UTC)
    minutes = int((NOW - at).total_seconds() // 60)
    shown = str(element["format"]).replace("{date_short_pretty}", "today")
    shown = shown.replace("{time}", at.strftime("%H:%M"))
    return shown.replace("{ago}", f"{minutes} minutes ago")


def _button(element: Mapping[str, object]) -> str:
    return f"<button class={element.get('style', 'plain')}>{_shown(element['text'])}</button>"


def _shown(text: object) -> str:
    return html.escape(str(text["text"])) if isinstance(text, Mapping) else ""


def _items(block: Mapping[str, object]) -> Sequence[Mapping[str, object]]:
    elements = block["elements"]
    assert isinstance(elements, list)
    return elements


def main() -> int:
    """Write the pictures; 1 with what to do when there is no browser."""
    found = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if found is None:
        sys.stderr.write("No Chromium found: install it (Debian: apt-get install chromium).\n")
        return 1
    directory = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/images")
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        for name, text in pages().items():
            source = Path(scratch) / f"{name}.html"
            source.write_text(text, encoding="utf-8")
            target = directory / f"{name}.png"
            _screenshot(found, source, target, scratch)
            sys.stdout.write(f"{target}  {target.stat().st_size // 1024} KiB\n")
    return 0


def _screenshot(chromium: str, source: Path, target: Path, profile: str) -> None:
    """Twice: once to learn the height of the page, once for the picture."""
    base = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    base += [f"--user-data-dir={profile}/profile", f"--window-size={WIDTH},900"]
    dom = subprocess.run(
        [*base, "--dump-dom", source.as_uri()], capture_output=True, text=True, check=True
    )
    height = re.search(r"<title>(\d+)</title>", dom.stdout)
    assert height is not None, dom.stderr
    base[-1] = f"--window-size={WIDTH},{height.group(1)}"
    subprocess.run(
        [*base, f"--screenshot={target.absolute()}", source.as_uri()],
        capture_output=True,
        check=True,
    )


if __name__ == "__main__":
    raise SystemExit(main())
