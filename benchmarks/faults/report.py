"""docs/reliability.md, from the rows of a campaign."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.faults.fuzzing import CPU_SECONDS, MEMORY_MIB
from benchmarks.faults.row import Row
from harness import __version__


def report(rows: Sequence[Row], fuzzed: Sequence[Row], calls: Sequence[str]) -> str:
    """Return docs/reliability.md."""
    lines = [
        "# Reliability", "",
        f"Written by `python -m benchmarks faults` (version {__version__}), not edited by hand; its calls: "
        f"{', '.join(f'`{call}`' for call in calls)}.", "",
        "A case survives if the promised result comes, or one line that says what is wrong and what to do, and the "
        "next call goes on. Tracebacks, hangs, files or processes left behind and other figures are failures.", "",
        "| fault | tried | survived | what the user sees most often |", "| --- | ---: | ---: | --- |",
    ]  # fmt: skip
    for row in rows:
        seen = row.seen.most_common(1)[0][0].replace("|", "\\|") if row.seen else "the result"
        lines.append(f"| {row.what} | {row.tried:,} | {row.survived:,} | {seen if row.tried else 'not tried here'} |")
    total, seconds = sum(row.tried for row in fuzzed), sum(row.seconds for row in fuzzed)
    lines += [
        "", "## Fuzzed inputs", "",
        f"{total:,} inputs, {total / max(seconds, 1e-9):,.0f} a second of processor time, each within "
        f"{CPU_SECONDS:g} s of it and {MEMORY_MIB:,} MiB if all survived. Specs, documents, tables, images, archives "
        "and trees of files of this project are flipped, cut, doubled, spliced with what has broken parsers before, "
        "and given values of other kinds (`benchmarks/faults/`). Input N of a gate and a seed is always the same "
        "one.", "",
        "| gate | tried | survived | a CPU second |", "| --- | ---: | ---: | ---: |",
    ]  # fmt: skip
    lines += [f"| {r.what} | {r.tried:,} | {r.survived:,} | {r.tried / max(r.seconds, 1e-9):,.0f} |" for r in fuzzed]
    lines += [
        "", "## The same bytes", "",
        "On a CPU the same seed, code and libraries give the same bytes of checkpoints and ranked lists: killed and "
        "resumed or not, in one process or beside another, with one thread or two, prepared by any number of workers "
        "(rows above). Not promised: more threads with large networks, where a library may split a sum otherwise; "
        "another processor or another version of torch; GPUs, whose atomic additions come in any order. Histories also "
        "hold seconds and images a second, which no run repeats.",
    ]  # fmt: skip
    failures = [f"- {row.what}: {failure}" for row in (*rows, *fuzzed) for failure in row.failures[:3]]
    if failures:
        lines += ["", "## Failures", "", *failures]
    return "\n".join(lines) + "\n"
