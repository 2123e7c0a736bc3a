import os
import time
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from harness.errors import UserError
from harness.inputs.yaml import read_yaml
from harness.specs import DatasetSpec, Registry
from harness.specs.yamlfile import validate
from tests.store.factory import Project

WRONG: dict[str, tuple[str | bytes, str]] = {
    "nested": ("a: " + "[" * 1000, r"x.yaml:1: more than 64 levels"),
    "very nested": ("a: " + "[" * 100_000, r"x.yaml:1: more than 64 levels"),
    "nested blocks": ("\n".join(" " * n + "a:" for n in range(200)), r"x.yaml:65: more than 64 levels"),
    "a bomb": ("a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{name}: &{name} [{','.join(['*' + last] * 9)}]\n" for last, name in zip("abcdefgh", "bcdefghi", strict=True)
    ), r"with its aliases it holds more than 2,000,000 values"),
    "a circle": ("a: &a {b: *a}", r"x.yaml:1: an alias of what it stands in"),
    "a date": ("a: 1\nb: 2024-13-45\n", r"x.yaml:2: '2024-13-45' is not a valid timestamp; quote it"),
    "a word as integer": ("b: !!int abc", r"x.yaml:1: 'abc' is not a valid int"),
    "many digits": ("a: " + "9" * 5000, r"x.yaml:1: '9+' is not a valid int"),
    "a boolean": ("a: !!bool perhaps", r"x.yaml:1: 'perhaps' is not a valid bool"),
    "code": ("a: !!python/object/apply:os.system [touch /tmp/x]", r"x.yaml:1: could not determine a constructor"),
    "64 bits": ("a: 18446744073709551616", r"x.yaml: a: an integer of more than 64 bits"),
    "no text": (b"a: b\nc: \xff", r"x.yaml:2: byte 0xff is not utf-8"),
    "a duplicate": ("a: 1\na: 2\n", r"x.yaml:2: found duplicate key"),
    "a list": ("- a", r"x.yaml:1: expected a mapping"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_not_a_spec_is_refused_with_file_and_line(tmp_path: Path, name: str) -> None:
    content, message = WRONG[name]
    path = tmp_path / "x.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=message):
        read_yaml(path)


@pytest.mark.parametrize(("end", "said"), [("k1: 2", r"x.yaml:25001: "), ("b: 2024-13-45", "month")])
def test_a_large_broken_file_is_not_read_by_the_slow_parser(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str, said: str
) -> None:
    def parser(**options: Any) -> YAML:
        assert not options.get("pure"), "it takes seconds for a megabyte"
        return YAML(**options)

    monkeypatch.setattr("harness.inputs.yaml.YAML", parser)
    path = tmp_path / "x.yaml"
    path.write_text("".join(f"k{number}: 1\n" for number in range(25_000)) + f"{end}\n")
    with pytest.raises(UserError, match=said):
        read_yaml(path)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["pipe", "folder"])
def test_only_a_regular_file_is_read(tmp_path: Path, make) -> None:  # type: ignore[no-untyped-def]
    make(tmp_path / "x.yaml")
    with pytest.raises(UserError, match="not a regular file"):
        read_yaml(tmp_path / "x.yaml")


def test_an_unknown_key_may_begin_with_a_capital_and_hold_a_tab(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("name: x\nTitle: x\nDISTRACTOR_IDS:\t[0]\n")
    with pytest.raises(UserError) as caught:
        validate(DatasetSpec, read_yaml(path), [path])
    assert f"{path}:2: Title: unknown key; did you mean 'title'?" in str(caught.value)
    assert f"{path}:3: DISTRACTOR_IDS: unknown key" in str(caught.value)


def test_many_mistakes_are_counted_not_all_listed(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("name: x\n" + "".join(f"key{number}: 1\n" for number in range(3000)))
    begun = time.process_time()
    with pytest.raises(UserError, match=r"and \d+ more mistakes"):
        validate(DatasetSpec, read_yaml(path), [path])
    assert time.process_time() - begun < 5


def test_extends_must_be_one_name(project: Project) -> None:
    project.method("other", extends=["cluster-contrast"])
    problems = Registry.load(project.root).problems
    assert problems == (
        "methods/other.yaml:30: extends: must be the name of one spec (found ['cluster-contrast'])",
    ) or problems[0].endswith("extends: must be the name of one spec (found ['cluster-contrast'])")


def test_the_wrong_pipe_among_the_specs_is_named(project: Project) -> None:
    os.mkfifo(project.root / "methods" / "pipe.yaml")
    assert any(
        "methods/pipe.yaml: cannot be read: it is a named pipe" in p for p in Registry.load(project.root).problems
    )
