"""Any diagnosis, any Unicode, any length gives a message Slack accepts."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import regex
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from slack_sdk.models.blocks import Block

from aegis_sink.model import (
    CheckStatus,
    Diagnosis,
    Digest,
    DigestKind,
    DigestLine,
    Evidence,
    Feedback,
    Fix,
    FixAction,
    FixCheck,
    Follower,
    Incident,
    Mute,
    MuteKind,
    NoticeReason,
    ObjectRef,
    Risk,
    RuledOut,
    Severity,
    State,
    Verdict,
)
from aegis_sink.notify.blocks import Button, Rendered, blocks_size, render, render_parts
from aegis_sink.notify.buttons import buttons_for
from aegis_sink.notify.digest import compose_digest
from aegis_sink.notify.message import Part, compose
from aegis_sink.notify.plain import slack_text
from aegis_sink.notify.refusals import MESSAGE_CODES
from aegis_sink.notify.text import clean, units
from aegis_sink.notify.thread import compose_reply
from tests.fakes.notify_incidents import NOW
from tests.fakes.slack_blocks import mrkdwn_texts, problems, texts, too_long

PING = regex.compile(r"<[!@#]|@(?:channel|here|everyone|group)\b", regex.IGNORECASE)

# The longest note that follows a plain text.
REFUSED = f"(Slack refused the rich form of this message: {max(MESSAGE_CODES, key=len)})"

nasty = st.sampled_from(
    [
        "<!channel> @here <@U1|you>",
        "<https://evil.example|kubectl>",
        "```\n*bold* _i_ ~s~ `c`",
        "&lt;!everyone&gt; &amp;",
        "\x1b[31mred\x1b]8;;http://x\x07 \r\n\x00",
        "\u202etxt.exe\u202c",
        "\ud800",
        "👩‍👩‍👧‍👦🏴󠁧󠁢󠁥󠁮󠁧󠁿🇩🇪" * 40,
        "e\u0301" * 900,
        "<&>" * 1500,
        "x" * 14000,
        "\n" * 500,
        " ",
        "",
    ]
)
text = st.one_of(nasty, st.text(st.characters(), max_size=40))
texts_ = st.lists(text, max_size=12).map(tuple)
ref = st.builds(ObjectRef, kind=text, name=text, namespace=text)
times = st.datetimes(
    datetime(1990, 1, 1),  # noqa: DTZ001 - Hypothesis takes bounds without a zone
    datetime(2030, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
fix = st.builds(
    Fix,
    title=text,
    action=st.sampled_from(FixAction),
    target=ref,
    risk=st.sampled_from(Risk),
    command=text,
    runnable=st.booleans(),
    check=st.builds(FixCheck, st.sampled_from(CheckStatus), text),
)
diagnoses = st.builds(
    Diagnosis,
    verdict=st.sampled_from(Verdict),
    root_cause=text,
    confidence=st.floats(0, 1),
    ruled_out=st.lists(st.builds(RuledOut, text, text, text), max_size=5).map(tuple),
    cites=st.lists(st.sampled_from([f"E{n}" for n in range(8)]), max_size=8).map(tuple),
    missing=texts_,
    fixes=st.lists(fix, max_size=4).map(tuple),
    explanation=text,
    objection=text,
    hypothesis=st.booleans(),
    model=text,
    model_note=text,
    seconds=st.floats(0, 10_000),
)
evidence = st.lists(st.builds(Evidence, text, text, text, times), max_size=12).map(
    lambda found: tuple(replace(e, id=f"E{n}") for n, e in enumerate(found))
)
incidents = st.builds(
    Incident,
    id=st.uuids().map(str),
    cluster=text,
    state=st.sampled_from(State),
    severity=st.sampled_from(Severity),
    title=text,
    subject=ref,
    objects=st.lists(ref, max_size=12).map(tuple),
    errors=texts_,
    failure_class=text,
    fingerprint=st.just("f"),
    occurrences=st.integers(1, 1000),
    first_seen=times,
    last_seen=times,
    resolved_at=st.none() | times,
    url=st.sampled_from(["", "https://aegis.example/incidents/1"]),
    acknowledged_by=text,
    acknowledged_at=st.none() | times,
    silenced_by=text,
    silenced_until=st.none() | times,
    superseded_by=st.just("") | text,
    mute=st.none() | st.builds(Mute, st.sampled_from(MuteKind), text, text, st.none() | times),
    followers=st.lists(st.builds(Follower, text, text), max_size=8).map(tuple),
    feedback=st.lists(
        st.builds(Feedback, times, text, text, st.booleans(), diagnoses), max_size=6
    ).map(tuple),
    diagnosing=st.booleans(),
    diagnosis=st.none() | diagnoses,
    evidence=evidence,
    missing=texts_,
)
few = settings(
    max_examples=60,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def check(rendered: Rendered) -> None:
    """What Slack would say of it, and what must never be in it."""
    blocks = list(rendered.blocks)
    assert problems(blocks) == []
    assert not too_long(blocks)
    for block in blocks:
        parsed = Block.parse(block)
        assert parsed is not None
        parsed.validate_json()
        assert parsed.to_dict() == block
    assert mrkdwn_texts(blocks) == []
    for shown in (*texts(blocks), rendered.text, rendered.plain):
        assert not PING.search(shown)
        assert "\x1b" not in shown
        shown.encode()
    for parsed_by_slack in (rendered.text, rendered.plain):
        assert parsed_by_slack.strip()
        assert units(f"{parsed_by_slack}\n{REFUSED}") <= 4000
        assert "<" not in parsed_by_slack
        assert not regex.search(r"&(?!(?:amp|lt|gt);)", parsed_by_slack)


@few
@given(incident=incidents, reason=st.sampled_from(NoticeReason))
def test_slack_accepts_any_incident(incident: Incident, reason: NoticeReason) -> None:
    message = compose(incident, reason, now=NOW)
    check(render(message, now=NOW, buttons=buttons_for(incident)))


@few
@given(incident=incidents, reason=st.sampled_from(NoticeReason))
def test_slack_accepts_any_thread_reply(incident: Incident, reason: NoticeReason) -> None:
    rendered = render_parts(compose_reply(incident, reason, now=NOW), more="on the page")
    assert len(rendered) <= 3
    for reply in rendered:
        check(reply)


@few
@given(incident=incidents, reason=st.sampled_from(NoticeReason))
def test_a_webhook_takes_any_incident(incident: Incident, reason: NoticeReason) -> None:
    message = compose(incident, reason, now=NOW)
    check(render(message, now=NOW, more="on the incident's page"))


lines = st.builds(
    DigestLine, st.uuids().map(str), text, st.sampled_from(Severity), st.sampled_from(State), ref
)
digests = st.builds(
    Digest,
    st.uuids().map(str),
    st.sampled_from(DigestKind),
    text,
    times,
    st.lists(lines, max_size=60).map(tuple),
)


@few
@given(digest=digests)
def test_slack_accepts_any_digest(digest: Digest) -> None:
    check(render(compose_digest(digest, now=NOW), now=NOW, more="not shown here"))


@few
@given(incident=incidents, reason=st.sampled_from(NoticeReason))
def test_a_buttons_value_is_the_incidents_id_and_nothing_else(
    incident: Incident, reason: NoticeReason
) -> None:
    buttons = buttons_for(incident)
    assert {button.value for button in buttons} <= {incident.id}
    shown = compose(incident, reason, now=NOW)
    blocks = list(render(shown, now=NOW, buttons=buttons).blocks)
    pressed = [e for b in blocks if b["type"] == "actions" for e in _items(b)]
    assert [e["action_id"] for e in pressed] == [b.action_id for b in buttons]
    assert all(e["value"] == incident.id for e in pressed)


@few
@given(incident=incidents, reason=st.sampled_from(NoticeReason))
def test_links_and_mentions_come_from_settings_only(
    incident: Incident, reason: NoticeReason
) -> None:
    linked = replace(incident, silence_url="https://aegis.example/silence" if incident.url else "")
    rendered = render(compose(linked, reason, now=NOW), now=NOW, mentions=["S0ONCALL01", "here"])
    ours = {linked.url, linked.silence_url}
    if linked.diagnosis is not None:
        ours.add(linked.diagnosis.runbook)
    elements = [e for block in rendered.blocks for e in _nested(block)]
    assert {e["url"] for e in elements if "url" in e} <= ours
    assert [e for e in elements if e.get("type") in ("user", "usergroup", "broadcast")] == [
        {"type": "usergroup", "usergroup_id": "S0ONCALL01"},
        {"type": "broadcast", "range": "here"},
    ]
    called, _, rest = rendered.plain.partition("\n")
    assert called == "<!subteam^S0ONCALL01> <!here>"
    assert not PING.search(rest)


def test_a_plain_text_that_calls_many_is_still_one_message(diagnosed: Incident) -> None:
    long = replace(diagnosed, errors=("x" * 900,) * 9, missing=("y" * 900,) * 9)
    shown = compose(replace(long, title="z" * 5000), NoticeReason.FIRST, now=NOW)
    parts = (*shown.parts, *(Part("more", "w" * 900) for _ in range(9)))
    many = [f"U{n:08d}" for n in range(60)]
    rendered = render(replace(shown, parts=parts), now=NOW, mentions=many)
    assert units(f"{rendered.plain}\n{REFUSED}") <= 4000
    assert "<@U00000059>" in rendered.plain


@few
@given(words=text)
def test_any_answer_to_one_person_is_a_text_slack_takes(words: str) -> None:
    shown = slack_text([clean(words)])
    assert not PING.search(shown)
    assert "<" not in shown
    assert units(shown) <= 4000


def test_what_does_not_fit_is_counted(diagnosed: Incident) -> None:
    assert diagnosed.diagnosis is not None
    long = "word " * 4000
    # Every code point takes six characters of JSON here: the total is what cuts, not the texts.
    many = replace(
        diagnosed,
        missing=('"' * 3000,) * 3,
        diagnosis=replace(
            diagnosed.diagnosis, root_cause=long, objection=long, missing=(long,) * 9
        ),
    )
    rendered = render(compose(many, NoticeReason.DIAGNOSED, now=NOW), now=NOW)
    check(rendered)
    assert any(line.startswith("… 6 more in the thread") for line in texts(list(rendered.blocks)))


def test_a_list_that_is_too_long_for_a_reply_is_cut_by_lines_and_counted(found: Incident) -> None:
    many = replace(found, errors=tuple(f"{n} {'%' * 380}".replace("%", '"') for n in range(20)))
    parts = compose_reply(many, NoticeReason.CHANGED, now=NOW)
    [reply] = render_parts(parts, more="on the incident's page")
    check(reply)
    label, *lines, left = texts(list(reply.blocks))
    assert label == "The errors changed. K8sGPT now says"
    assert lines[0].startswith("0 ")
    assert len(lines) > 10
    assert left == f"… {20 - len(lines)} more on the incident's page"


def test_parts_that_fit_nowhere_are_counted_in_the_last_reply(diagnosed: Incident) -> None:
    wide = replace(
        diagnosed,
        evidence=tuple(
            Evidence(f"E{n}", "previous log of container api", '"' * 1200, NOW) for n in range(40)
        ),
    )
    replies = render_parts(
        compose_reply(wide, NoticeReason.DIAGNOSED, now=NOW), more="on the incident's page"
    )
    assert len(replies) == 3
    last = texts(list(replies[-1].blocks))
    assert "more on the incident's page" in last[-1]


def test_a_reply_that_is_read_aloud_says_more_than_its_label(diagnosed: Incident) -> None:
    parts = compose_reply(diagnosed, NoticeReason.DIAGNOSED, now=NOW)
    [reply] = render_parts(parts, more="on the incident's page")
    assert reply.text.startswith("In the model's words: The heap may grow to 512Mi")
    assert "memory limit 256Mi" in reply.text
    assert units(reply.text) <= 600


def test_a_headline_of_any_length_fits_slacks_header(found: Incident) -> None:
    message = compose(found, NoticeReason.FIRST, now=NOW)
    check(render(replace(message, headline="🇩🇪" * 300), now=NOW))


def test_a_command_is_shown_whole_or_not_at_all(diagnosed: Incident) -> None:
    assert diagnosed.diagnosis is not None
    whole = diagnosed.diagnosis.fixes[0]
    huge = replace(whole, command=f"kubectl patch -p '{'x' * 5000}'")
    cut = replace(diagnosed, diagnosis=replace(diagnosed.diagnosis, fixes=(huge,)))
    shown = texts(list(render(compose(cut, NoticeReason.DIAGNOSED, now=NOW), now=NOW).blocks))
    assert not any("kubectl patch" in line for line in shown)
    assert any("take it from the incident" in line for line in shown)


def test_a_command_with_fences_and_angle_brackets_stays_one_literal_text(
    diagnosed: Incident,
) -> None:
    assert diagnosed.diagnosis is not None
    command = "kubectl set env deploy/api A='```' B='<name>' && echo \"a > b\""
    fixes = (replace(diagnosed.diagnosis.fixes[0], command=command),)
    incident = replace(diagnosed, diagnosis=replace(diagnosed.diagnosis, fixes=fixes))
    rendered = render(compose(incident, NoticeReason.DIAGNOSED, now=NOW), now=NOW)
    assert command in texts(list(rendered.blocks))


def test_a_button_value_that_slack_would_refuse_is_an_error_of_ours(diagnosed: Incident) -> None:
    message = compose(diagnosed, NoticeReason.FIRST, now=NOW)
    with pytest.raises(ValueError, match="over 2000"):
        render(message, now=NOW, buttons=[Button("a", "b", "v" * 2001)])


def test_the_time_is_shown_in_the_readers_own_zone(found: Incident) -> None:
    rendered = render(compose(found, NoticeReason.FIRST, now=NOW), now=NOW)
    dates = [e for e in _elements(rendered.blocks[1]) if e["type"] == "date"]
    assert dates[0]["timestamp"] == int((NOW - timedelta(minutes=12)).timestamp())
    assert dates[0]["fallback"] == "since 02:14 UTC"
    assert "{ago}" in str(dates[0]["format"])


def test_an_ordinary_message_is_far_from_the_limits(diagnosed: Incident) -> None:
    rendered = render(
        compose(diagnosed, NoticeReason.DIAGNOSED, now=NOW),
        now=NOW,
        buttons=buttons_for(diagnosed),
    )
    check(rendered)
    assert blocks_size(rendered.blocks) < 6000
    assert len(rendered.blocks) < 12


_PLAIN = {"type": "plain_text", "text": "x"}


def _press(action_id: str, **more: object) -> dict[str, object]:
    return {"type": "button", "text": _PLAIN, "action_id": action_id, **more}


def _dated(form: str) -> dict[str, object]:
    date = {"type": "date", "timestamp": 1, "format": form}
    return {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": [date]}]}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda b: b[0]["text"].update(text="x" * 151),
        lambda b: b[0].update(colour="red"),
        lambda b: b[1]["elements"][0]["elements"].append({"type": "text", "text": ""}),
        lambda b: b[1]["elements"].append({"type": "rich_text_table", "elements": []}),
        lambda b: b.extend([{"type": "divider"}] * 50),
        lambda b: b[0]["text"].update(type="mrkdwn"),
        lambda b: b[0].update(block_id="x" * 256),
        lambda b: [block.update(block_id="same") for block in b],
        lambda b: b[0]["text"].update(emoji="no"),
        lambda b: b.append({"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3001}}),
        lambda b: b.append({"type": "section", "fields": [{"type": "mrkdwn", "text": "x"}] * 11}),
        lambda b: b.append({"type": "section", "text": _PLAIN, "accessory": {"type": "image"}}),
        lambda b: b.append({"type": "context", "elements": [_PLAIN] * 11}),
        lambda b: b.append({"type": "actions", "elements": [_press(str(n)) for n in range(26)]}),
        lambda b: b.append({"type": "actions", "elements": [_press("a"), _press("a")]}),
        lambda b: b.append({"type": "actions", "elements": [_press("a" * 256)]}),
        lambda b: b.append({"type": "actions", "elements": [_press("a", value="v" * 2001)]}),
        lambda b: b.append({"type": "actions", "elements": [_press("a", confirm="sure?")]}),
        lambda b: b.append(_dated("since {dawn}")),
        lambda b: b.append(_dated("no token")),
    ],
)
def test_the_check_itself_refuses_what_slack_refuses(
    found: Incident, spoil: Callable[[object], None]
) -> None:
    blocks = list(render(compose(found, NoticeReason.FIRST, now=NOW), now=NOW).blocks)
    assert problems(blocks) == []
    spoil(blocks)
    assert problems(blocks) != []


def _items(block: dict[str, object]) -> list[dict[str, object]]:
    items = block["elements"]
    assert isinstance(items, list)
    return items


def _nested(value: object) -> Iterator[dict[str, object]]:
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from _nested(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _nested(inner)


def _elements(block: dict[str, object]) -> list[dict[str, object]]:
    sections = block["elements"]
    assert isinstance(sections, list)
    return [element for section in sections for element in section["elements"]]
