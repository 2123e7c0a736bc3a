"""A run's key names exactly one pairing, and says nothing that a path or a shell would misread."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import UserError
from harness.specs import Pairing, parse_key
from harness.specs.base import SLUG, check_slug


def is_name(text: str) -> bool:
    try:
        return check_slug(text) == text
    except ValueError:
        return False


words = st.sampled_from(["to", "t", "o", "s0", "a", "1", "mmt", "drawn"])
lookalikes = st.lists(words, min_size=1, max_size=4).flatmap(
    lambda parts: st.sampled_from("-.").map(lambda joint: joint.join(parts))
)
names = (lookalikes | st.from_regex(SLUG, fullmatch=True)).filter(is_name)
pairings = st.builds(Pairing, names, st.none() | names, names, st.integers(0, 10**6))


@settings(max_examples=100, deadline=None)
@given(pairings)
def test_a_key_gives_its_pairing_back(pairing: Pairing) -> None:
    assert parse_key(pairing.key) == pairing


@settings(max_examples=100, deadline=None)
@given(pairings)
def test_a_key_is_one_word_for_every_tool(pairing: Pairing) -> None:
    assert re.fullmatch(r"[a-z0-9._-]+", pairing.key)
    assert not pairing.key.startswith((".", "-"))


@settings(max_examples=100, deadline=None)
@given(
    st.text(max_size=12)
    | pairings.map(lambda p: p.key).flatmap(lambda key: st.sampled_from([key[1:], key[:-1], key + "\n"]))
)
def test_what_is_parsed_is_a_key_and_nothing_else(text: str) -> None:
    try:
        pairing = parse_key(text)
    except UserError as error:
        assert repr(text) in str(error)
    else:
        assert pairing.key == text


@pytest.mark.parametrize("name", ["dkd-mpl", "market1501", "msmt17-train-only", "eps-0.5", "to", "to-do", "v1.2"])
def test_names(name: str) -> None:
    assert check_slug(name) == name


@pytest.mark.parametrize(
    ("name", "read_as"),
    [
        ("2024", "int"), ("2024-11-25", "date"), ("1.0", "float"), ("1e3", "float"), ("null", "null"), ("true", "bool"),
        ("0x1f", "int"), ("0o17", "int"), ("off", "bool"), ("no", "bool"),
    ],
)  # fmt: skip
def test_what_yaml_reads_as_something_else_is_no_name(name: str, read_as: str) -> None:
    with pytest.raises(ValueError, match=f"{re.escape(repr(name))} is not a valid name: YAML reads it as {read_as}"):
        check_slug(name)


@pytest.mark.parametrize(
    "name", ["", "A", "a b", "a_b", "a__b", "-a", "a-", "a--b", ".a", "a/b", "a@b", "ä", "a\n", "a-to-b", "a-to", "a;b"]
)
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(name))):
        check_slug(name)


@pytest.mark.parametrize(
    "key", ["", "m", "m__t", "m__t__s", "m__t__s-1", "m__t__s01", "m__t__s1.5", "__t__s0", "m____s0"]
)
def test_what_is_no_key(key: str) -> None:
    with pytest.raises(UserError, match="is not a run's key"):
        parse_key(key)
