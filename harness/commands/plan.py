"""`harness plan`: choose pairings, and write them as pipelines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from harness.errors import UserError
from harness.pipeline.pipelines import write_plan
from harness.pipeline.plan import plan_pairings, possible, with_inits
from harness.specs.pairing import Pairing
from harness.specs.registry import Registry

SHOWN = 5
"""Methods that a sentence names."""


def plan(
    registry: Registry,
    seeds: Sequence[int] | None,
    methods: Sequence[str] | None,
    targets: Sequence[str] | None,
    add: bool,
    confirm: Callable[[str], bool] | None,
) -> Iterator[str]:
    """Plan what is asked for, with `add` beside what is planned, and yield what happened, line by line.

    `confirm` is asked before pairings that are planned are dropped; None: nobody is there to ask. Raises UserError for
    unknown names, and if the answer is no; nothing is changed then.
    """
    wanted = plan_pairings(registry, seeds, methods, targets)
    if not wanted:
        raise UserError("no method fits these targets; `harness list methods` shows the regimes of each")
    before = list(registry.planned.values())
    if add:
        wanted = with_inits(registry, [*wanted, *(pairing for pairing in before if possible(registry, pairing))])
    dropped = sorted(set(before) - set(wanted))
    if dropped and confirm and not confirm(f"{_dropped(dropped)} (`--add` keeps them). Go on?"):
        raise UserError("nothing was changed; `harness plan --add` keeps what is planned")
    yield from write_plan(registry, wanted)
    end = f"; {_dropped(dropped)}, their results stay" if dropped else ""
    yield f"pipelines: {len(wanted)} pairings on {len({pairing.task for pairing in wanted})} tasks{end}"


def _dropped(pairings: Sequence[Pairing]) -> str:
    methods = Counter(pairing.method for pairing in pairings)
    named = ", ".join(f"{count} of {name}" for name, count in methods.most_common(SHOWN))
    more = f" and {len(methods) - SHOWN} other methods" if len(methods) > SHOWN else ""
    return f"{len(pairings)} planned no longer ({named}{more})"
