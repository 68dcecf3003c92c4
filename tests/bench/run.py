"""`make bench`: measures, prints a table, writes bench/results.json. Decides nothing."""

import json
import sys
from pathlib import Path

from tests.bench import ack_bench, collect_bench, mutation_bench

RESULTS = Path("bench/results.json")


def main() -> None:
    """Run every bench."""
    results = {
        "acknowledgements": ack_bench.run(),
        "mutated bodies": mutation_bench.run(),
        "evidence": collect_bench.run(),
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    for bench, rows in results.items():
        sys.stdout.write(f"\n{bench}\n")
        for name, numbers in rows.items():
            shown = "  ".join(f"{key} {value:.2f}" for key, value in numbers.items())
            sys.stdout.write(f"  {name:18} {shown}\n")
    sys.stdout.write(f"\nwritten to {RESULTS}\n")


if __name__ == "__main__":
    main()
