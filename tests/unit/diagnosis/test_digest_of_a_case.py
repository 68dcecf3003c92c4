"""The digest: same problem, same key."""

from aegis_sink.model.facts import ContainerFacts, LogFacts
from tests.fakes.diagnosis_cases import assessed, evidence, make_case


def key(
    limit: int = 1, restarts: int = 1, error: str = "boom", line: str = "at 12:00:01 error 5"
) -> str:
    facts = ContainerFacts(name="a", memory_limit=limit, restarts=restarts)
    log = LogFacts(container="a", previous=True, empty=False, error_lines=(line,))
    return assessed(
        make_case(error, seen=(evidence(1, f"restarts {restarts}", facts), evidence(2, line, log)))
    ).key


def test_counters_times_and_numbers_in_logs_do_not_change_the_key() -> None:
    assert key() == key(restarts=9) == key(line="at 13:30:59 error 7")


def test_generated_names_and_addresses_do_not_change_the_key() -> None:
    first = key(
        error="pod ledger-6f9d7c5b48-x2lqk at 10.0.0.1:80 uid 0b6a1c9e-1111-2222-3333-444455556666"
    )
    second = key(
        error="pod ledger-7d9c5bb69d-zzkqp at 10.0.3.9:81 uid 1b6a1c9e-1111-2222-3333-444455556677"
    )
    assert first == second


def test_a_changed_limit_is_a_changed_case() -> None:
    assert key(limit=128 << 20) != key(limit=256 << 20)


def test_another_error_is_another_case() -> None:
    assert key() != key(error="bang")
