"""A slice of the bench of mutated bodies: whatever comes, 200, and on the disk byte for byte."""

from tests.bench import mutation_bench


def test_every_mutated_body_is_answered_200_and_kept() -> None:
    result = mutation_bench.run(400)
    assert result["answers"] == {"200": 400.0}
    assert result["mutated bodies"]["lost"] == 0.0


def test_the_mutations_reach_both_sides_of_every_check() -> None:
    bodies = list(mutation_bench.mutated(400))
    assert len(set(bodies)) > 300
    assert bodies == list(mutation_bench.mutated(400))
