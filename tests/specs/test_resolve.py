"""How a spec's layers become what one run computes: `extends`, regimes, targets."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.specs.resolve import CyclicExtendsError, extends_chain, fingerprint, flatten, merge, resolve

Path = tuple[str, ...]
Raw = dict[str, dict[str, Any]]

keys = st.sampled_from("abcd")
values = st.integers(0, 9) | st.lists(st.integers(0, 9), max_size=2) | st.none()
mappings = st.recursive(
    st.dictionaries(keys, values, min_size=1, max_size=3),
    lambda inner: st.dictionaries(keys, values | inner, min_size=1, max_size=3),
    max_leaves=8,
)


def leaves(mapping: dict[str, Any], above: Path = ()) -> dict[Path, Any]:
    """Every value that is no mapping, by its path."""
    found: dict[Path, Any] = {}
    for key, value in mapping.items():
        if isinstance(value, dict):
            found |= leaves(value, (*above, key))
        else:
            found[(*above, key)] = value
    return found


def on_one_line(a: Path, b: Path) -> bool:
    """Whether one path begins with the other."""
    shorter = min(len(a), len(b))
    return a[:shorter] == b[:shorter]


@settings(max_examples=100, deadline=None)
@given(mappings, mappings)
def test_merging_keeps_what_is_on_top_and_below_it_what_is_not_covered(
    base: dict[str, Any], over: dict[str, Any]
) -> None:
    top = leaves(over)
    below = {path: value for path, value in leaves(base).items() if not any(on_one_line(path, other) for other in top)}
    assert leaves(merge(base, over)) == top | below


@settings(max_examples=100, deadline=None)
@given(mappings, mappings)
def test_merging_changes_neither_side(base: dict[str, Any], over: dict[str, Any]) -> None:
    before = copy.deepcopy((base, over))
    merge(base, over)
    assert (base, over) == before
    assert merge(base, base) == merge(base, {}) == merge({}, base) == base


def test_another_kind_replaces_and_the_same_kind_merges() -> None:
    base = {"clustering": {"kind": "dbscan", "eps": 0.6, "min_samples": 4}}
    other = {"kind": "hdbscan", "min_cluster_size": 4}
    assert merge(base, {"clustering": other}) == {"clustering": other}
    for over in ({"eps": 0.5}, {"kind": "dbscan", "eps": 0.5}):
        assert merge(base, {"clustering": over}) == {"clustering": {"kind": "dbscan", "eps": 0.5, "min_samples": 4}}


def test_a_start_is_replaced_as_a_whole() -> None:
    base = {"drawn": {"init": {"method": "generic", "dataset": "drawn-generic", "seeds": [0]}}}
    over = {"drawn": {"init": {"method": "source-baseline", "seed_offsets": [0]}}}
    assert merge(base, over) == over


def test_the_nearest_ancestor_wins() -> None:
    raw: Raw = {
        "root": {"name": "root", "params": {"a": 1, "b": 1, "c": 1}},
        "middle": {"name": "middle", "extends": "root", "params": {"b": 2, "c": 2}},
        "leaf": {"name": "leaf", "extends": "middle", "params": {"c": 3}},
    }
    assert extends_chain("leaf", raw) == ["leaf", "middle", "root"]
    assert flatten("leaf", raw)["params"] == {"a": 1, "b": 2, "c": 3}


def test_who_a_spec_is_it_does_not_inherit() -> None:
    own = {
        "title": "T",
        "description": "D",
        "role": "method",
        "starter": True,
        "reported": [1],
        "judged_against": ["x"],
    }
    raw: Raw = {"parent": {"name": "parent", "setting": "usl", **own}, "child": {"name": "child", "extends": "parent"}}
    assert flatten("child", raw) == {"name": "child", "extends": "parent", "setting": "usl"}


def test_a_publication_is_inherited_whole_or_not_at_all() -> None:
    paper = {"title": "Cluster Contrast", "arxiv": "2103.11568"}
    raw: Raw = {
        "parent": {"name": "parent", "paper": paper},
        "ablation": {"name": "ablation", "extends": "parent"},
        "successor": {"name": "successor", "extends": "parent", "paper": {"title": "DKD-MPL"}},
    }
    assert flatten("ablation", raw)["paper"] == paper
    assert flatten("successor", raw)["paper"] == {"title": "DKD-MPL"}


def test_ancestors_that_are_missing_or_go_round() -> None:
    raw = {"a": {"extends": "b"}, "b": {"extends": "a"}, "c": {"extends": "nobody"}}
    with pytest.raises(CyclicExtendsError) as cycle:
        flatten("a", raw)
    assert cycle.value.args[0] == ["a", "b", "a"]
    with pytest.raises(KeyError, match="nobody"):
        flatten("c", raw)


SPEC = {
    "name": "m", "setting": "usl", "algorithm": "methods.m:M", "params": {"a": 0, "b": 0, "c": 0},
    "regimes": {
        "drawn": {
            "init": "random", "compute": {"epochs": 2, "iterations": 3}, "params": {"b": 1, "c": 1},
            "targets": {"here": {"compute": {"epochs": 9}, "params": {"c": 2}}},
        },
        "paper": {"init": "imagenet", "compute": {"epochs": 50, "iterations": 200}},
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("regime", "target", "init", "params", "compute"),
    [
        ("drawn", "elsewhere", "random", {"a": 0, "b": 1, "c": 1}, {"epochs": 2, "iterations": 3}),
        ("drawn", "here", "random", {"a": 0, "b": 1, "c": 2}, {"epochs": 9, "iterations": 3}),
        ("paper", "here", "imagenet", {"a": 0, "b": 0, "c": 0}, {"epochs": 50, "iterations": 200}),
    ],
)
def test_the_target_wins_over_the_regime_over_the_method(
    regime: str, target: str, init: str, params: dict[str, int], compute: dict[str, int]
) -> None:
    resolved = resolve("m", {"m": SPEC}, {}, regime, target)
    assert (resolved["init"], resolved["params"], resolved["compute"]) == (init, params, compute)


FAMILY: Raw = {
    "parent": {
        "name": "parent", "setting": "usl", "algorithm": "methods.m:M",
        "params": {"part": {"kind": "a", "of_a": 0}, "own": 0},
        "regimes": {
            "drawn": {
                "init": "random", "compute": {"epochs": 2}, "params": {"part": {"of_a": 1}},
                "targets": {"here": {"params": {"part": {"of_a": 2}, "own": 2}}},
            },
        },
    },
    "same": {"name": "same", "extends": "parent", "params": {"part": {"of_a": 3}}},
    "other": {
        "name": "other", "extends": "parent", "params": {"part": {"kind": "b", "of_b": 4}},
        "regimes": {"drawn": {"params": {"part": {"of_b": 5}}}},
    },
}  # fmt: skip
BASES = {"drawn": {"compute": {"epochs": 9, "precision": "float32", "schedule": {"kind": "constant"}}}}


@pytest.mark.parametrize(
    ("method", "target", "params"),
    [
        ("parent", "elsewhere", {"part": {"kind": "a", "of_a": 1}, "own": 0}),
        ("parent", "here", {"part": {"kind": "a", "of_a": 2}, "own": 2}),
        ("same", "elsewhere", {"part": {"kind": "a", "of_a": 3}, "own": 0}),
        ("same", "here", {"part": {"kind": "a", "of_a": 3}, "own": 2}),
        ("other", "elsewhere", {"part": {"kind": "b", "of_b": 5}, "own": 0}),
        ("other", "here", {"part": {"kind": "b", "of_b": 5}, "own": 2}),
    ],
)
def test_what_a_spec_states_wins_over_all_that_it_inherits(method: str, target: str, params: dict[str, Any]) -> None:
    before = copy.deepcopy(FAMILY)
    assert resolve(method, FAMILY, BASES, "drawn", target)["params"] == params
    assert before == FAMILY
    if target == "elsewhere":
        assert flatten(method, FAMILY, BASES)["regimes"]["drawn"]["params"] == params


def test_a_regimes_base_lies_below_all_methods() -> None:
    raw = FAMILY | {
        "child": {
            "name": "child", "extends": "parent",
            "regimes": {"drawn": {"compute": {"schedule": {"kind": "cosine", "final": 0.1}}}},
        }
    }  # fmt: skip
    compute = {"epochs": 2, "precision": "float32", "schedule": {"kind": "constant"}}
    assert resolve("parent", raw, BASES, "drawn", "here")["compute"] == compute
    compute["schedule"] = {"kind": "cosine", "final": 0.1}
    assert resolve("child", raw, BASES, "drawn", "here")["compute"] == compute
    assert flatten("child", raw, BASES)["regimes"]["drawn"]["compute"] == compute
    assert "paper" not in flatten("child", raw, BASES | {"paper": {"compute": {}}})["regimes"]


@pytest.mark.parametrize(
    "wrong", [3, None, [], {"drawn": None}, {"drawn": {"params": 3, "targets": [1], "compute": 1}}]
)
def test_what_is_no_mapping_is_left_for_validation(wrong: object) -> None:
    assert flatten("m", {"m": {"name": "m", "params": 1, "regimes": wrong}}, BASES)["name"] == "m"


def test_a_regime_that_is_not_there() -> None:
    with pytest.raises(KeyError, match="lunar"):
        resolve("m", {"m": SPEC}, {}, "lunar", "here")


@settings(max_examples=100, deadline=None)
@given(mappings)
def test_a_fingerprint_knows_the_content_not_the_order(mapping: dict[str, Any]) -> None:
    assert fingerprint(mapping) == fingerprint(json.loads(json.dumps(dict(reversed(mapping.items())))))
    assert fingerprint(mapping) != fingerprint(mapping | {"e": 1})
