"""`python -m benchmarks NAME [--size SIZE] [--repeats N] [--no-reference] [--json]`, NAME one of the names below, or
all; `python -m benchmarks faults [--minutes N]` injects faults and counts what survives.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from benchmarks import (
    batches,
    ca_jaccard,
    choices,
    epoch,
    evaluate,
    fleet,
    gpu,
    growth,
    jaccard,
    leaderboard,
    methods,
    peers,
    rerank,
    search,
    selection,
    startup,
    statistics,
    training,
)
from benchmarks.measure import Outcome


class Benchmark(Protocol):
    """A benchmark: what each module of this package defines."""

    @property
    def SIZES(self) -> Mapping[str, Any]:  # noqa: N802 - a constant there
        """The sizes by name."""

    def run(self, size: str, repeats: int, with_reference: bool) -> Iterator[Outcome]:
        """Yield the outcomes at a named size."""


BENCHMARKS: dict[str, Benchmark] = {
    "evaluate": evaluate,
    "jaccard": jaccard,
    "ca-jaccard": ca_jaccard,
    "rerank": rerank,
    "search": search,
    "batches": batches,
    "training": training,
    "peers": peers,
    "epoch": epoch,
    "methods": methods,
    "growth": growth,
    "gpu": gpu,
    "fleet": fleet,
    "startup": startup,
    "leaderboard": leaderboard,
    "statistics": statistics,
    "selection": selection,
    "choices": choices,
}


def main() -> None:
    """Run the benchmarks named on the command line."""
    if sys.argv[1:2] == ["faults"]:
        from benchmarks.faults import campaign  # which needs what the tests need

        campaign.main(sys.argv[2:])
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", choices=[*BENCHMARKS, "all"])
    sizes = "; ".join(f"{name}: {', '.join(benchmark.SIZES)}" for name, benchmark in BENCHMARKS.items())
    parser.add_argument("--size", default="small", help=sizes)
    parser.add_argument("--repeats", type=int, default=3, help="the fastest of so many runs counts")
    parser.add_argument("--no-reference", action="store_true", help="leave out the slow reference implementation")
    parser.add_argument("--json", action="store_true", help="one JSON list instead of lines")
    options = parser.parse_args()

    chosen = BENCHMARKS if options.name == "all" else {options.name: BENCHMARKS[options.name]}
    for name, benchmark in chosen.items():
        if options.size not in benchmark.SIZES:
            sys.exit(f"{name} has no size {options.size!r}; it has {', '.join(benchmark.SIZES)}")
    outcomes = []
    for benchmark in chosen.values():
        for outcome in benchmark.run(options.size, options.repeats, not options.no_reference):
            outcomes.append(outcome.as_dict())
            if not options.json:
                print(outcome, flush=True)
    if options.json:
        print(json.dumps(outcomes, indent=2))


if __name__ == "__main__":
    main()
