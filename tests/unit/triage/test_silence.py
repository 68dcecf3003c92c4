from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from aegis_sink.model import Incident, ObjectRef, Severity, State
from aegis_sink.triage.matchers import LABELS, labels, parse
from aegis_sink.triage.silence import Silence, active, muted_by

NIGHT = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)
INCIDENT = Incident(
    id="a1",
    cluster="prod",
    state=State.OPEN,
    severity=Severity.DEGRADED,
    title="",
    subject=ObjectRef("Deployment", "api", "dev"),
    objects=(ObjectRef("Pod", "api-1", "dev"),),
    errors=(),
    failure_class="container api ends: OOMKilled",
    fingerprint="abc",
    occurrences=1,
    first_seen=NIGHT,
    last_seen=NIGHT,
)
HOUR = timedelta(hours=1)
DEV = Silence("s1", parse('namespace="dev"'), NIGHT, NIGHT + HOUR, "ada", "a release")


def test_all_that_matchers_may_ask_is_there() -> None:
    assert tuple(labels(INCIDENT)) == LABELS


@pytest.mark.parametrize(
    "text",
    [
        'namespace="dev"',
        'kind=~"Pod|Deployment", name="api"',
        "severity=degraded",
        'failure_class=~".*OOMKilled"',
        "cluster=prod, fingerprint=abc",
    ],
)
def test_a_silence_mutes_what_its_matchers_fit(text: str) -> None:
    silence = replace(DEV, matchers=parse(text))
    assert muted_by(INCIDENT, (silence,), NIGHT) == silence


def test_a_silence_mutes_nothing_else() -> None:
    others = (replace(DEV, matchers=parse('namespace="dev", kind="Pod"')),)
    assert muted_by(INCIDENT, others, NIGHT) is None
    assert muted_by(INCIDENT, (), NIGHT) is None


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        (NIGHT - timedelta(seconds=1), False),
        (NIGHT, True),
        (NIGHT + HOUR - timedelta(seconds=1), True),
        (NIGHT + HOUR, False),
    ],
)
def test_a_silence_lasts_from_its_start_until_before_its_end(
    when: datetime, expected: bool
) -> None:
    assert active(DEV, when) is expected
    assert (muted_by(INCIDENT, (DEV,), when) is DEV) is expected


def test_of_several_silences_the_one_that_lasts_longest_is_named() -> None:
    longer = replace(DEV, id="s2", ends_at=NIGHT + 2 * HOUR)
    assert muted_by(INCIDENT, (DEV, longer, DEV), NIGHT) is longer


@pytest.mark.parametrize("text", ['kind=~".*"', 'namespace!="prod"', 'name!~"x|y", kind=~".*"'])
def test_a_silence_that_would_mute_whatever_comes_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="does not fit everything"):
        replace(DEV, matchers=parse(text))


def test_a_silence_without_matchers_or_of_no_length_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit everything"):
        replace(DEV, matchers=())
    with pytest.raises(ValueError, match="must end after it starts"):
        replace(DEV, ends_at=NIGHT)
