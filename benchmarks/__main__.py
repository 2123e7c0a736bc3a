"""`python -m benchmarks NAME [--size SIZE] [--repeats N] [--no-reference] [--json]`, NAME one of the names below, or
all.
"""

import argparse
import json
import sys

from benchmarks import batches, evaluate, growth, jaccard, training

BENCHMARKS = {"evaluate": evaluate, "jaccard": jaccard, "batches": batches, "training": training}


def main() -> None:
    """Run the benchmarks named on the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", choices=[*BENCHMARKS, "growth", "all"])
    parser.add_argument("--size", default="small", help=f"one of: {', '.join(jaccard.SIZES)} (evaluate: up to msmt17)")
    parser.add_argument("--repeats", type=int, default=3, help="the fastest of so many runs counts")
    parser.add_argument("--no-reference", action="store_true", help="leave out the slow reference implementation")
    parser.add_argument("--json", action="store_true", help="one JSON list instead of lines")
    options = parser.parse_args()

    if options.name == "growth":
        if options.size not in growth.STEPS:
            sys.exit(f"growth has no size {options.size!r}; it has {', '.join(growth.STEPS)}")
        growth.write(options.size, options.repeats)
        return
    chosen = BENCHMARKS if options.name == "all" else {options.name: BENCHMARKS[options.name]}
    outcomes = []
    for name, benchmark in chosen.items():
        if options.size not in benchmark.SIZES:
            sys.exit(f"{name} has no size {options.size!r}; it has {', '.join(benchmark.SIZES)}")
        for outcome in benchmark.run(options.size, options.repeats, not options.no_reference):
            outcomes.append(outcome.as_dict())
            if not options.json:
                print(outcome, flush=True)
    if options.json:
        print(json.dumps(outcomes, indent=2))


if __name__ == "__main__":
    main()
