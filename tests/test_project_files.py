"""The files around the code: lock, licence, types, attributes, hooks, changelog, citation."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from ruamel.yaml import YAML

from harness import __version__

ROOT = Path(__file__).parents[1]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PINNED = re.compile(
    r"^(?P<requirement>\S+==[^\\;]+?(?: ; [^\\]+?)?) \\\n(?P<hashes>(?:    --hash=\S+(?: \\)?\n)+)", re.MULTILINE
)
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def wanted() -> list[str]:
    return [*PROJECT["dependencies"], *(name for extra in PROJECT["optional-dependencies"].values() for name in extra)]


def locked() -> dict[str, list[Requirement]]:
    found: dict[str, list[Requirement]] = {}
    for match in PINNED.finditer(LOCK):
        requirement = Requirement(match["requirement"])
        found.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return found


@pytest.mark.parametrize("text", wanted())
def test_the_lock_satisfies_what_the_project_asks_for(text: str) -> None:
    requirement = Requirement(text)
    pins = locked().get(canonicalize_name(requirement.name), [])
    assert pins, f"{text} is not in requirements.lock: run `make lock`"
    for pin in pins:
        (version,) = (specifier.version for specifier in pin.specifier)
        assert requirement.specifier.contains(version, prereleases=True), f"{pin} does not fit {text}: run `make lock`"


def test_every_entry_of_the_lock_has_a_hash() -> None:
    named = [line for line in LOCK.splitlines() if line and not line.startswith((" ", "#"))]
    assert len(named) == sum(map(len, locked().values())) > 100
    assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", text) for text in re.findall(r"--hash=(\S+)", LOCK))


def test_the_lock_names_no_address_and_no_local_version() -> None:
    entries = [line for line in LOCK.splitlines() if not line.startswith(("    --hash", "    #"))]
    assert not [line for line in entries if "://" in line or " @ " in line or line.startswith(("-", "/"))]
    assert not [pin for pins in locked().values() for pin in pins if "+" in str(pin.specifier)]
    assert "://" not in LOCK


def test_the_wheel_is_typed_and_licensed(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    copy = tmp_path / "project"
    files = subprocess.run(["git", "ls-files", "harness", "methods", "*.toml", "README.md", "LICENSE"], cwd=ROOT,
                           capture_output=True, text=True, check=True).stdout.split()  # fmt: skip
    for name in files:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes((ROOT / name).read_bytes())
    subprocess.run([*command, "--wheel-dir", str(tmp_path), str(copy)], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = archive.read(next(name for name in names if name.endswith("/METADATA"))).decode()
    assert {"harness/py.typed", "methods/py.typed"} <= set(names)
    assert [name for name in names if name.endswith("licenses/LICENSE")]
    assert "License-Expression: Apache-2.0" in metadata


@pytest.mark.parametrize(
    ("path", "diff"),
    [
        ("dvc.lock", False),
        ("pipelines/sskd/dvc.lock", False),
        ("pipelines/sskd/dvc.yaml", True),
        ("results/published.json", False),
        ("requirements.lock", False),
        ("docs/results.md", True),
    ],
)
def test_generated_files_are_folded_in_reviews(path: str, diff: bool) -> None:
    command = ["git", "check-attr", "linguist-generated", "diff", "--", path]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert f"{path}: linguist-generated: set" in output
    assert (f"{path}: diff: unset" not in output) is diff


def test_hooks_run_what_the_project_has_installed() -> None:
    config = YAML(typ="safe").load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert [repository["repo"] for repository in config["repos"]] == ["local"]
    for hook in config["repos"][0]["hooks"]:
        assert hook["language"] == "system"
        assert hook["entry"].startswith(".venv/bin/")


def test_version_stands_in_citation_and_changelog() -> None:
    citation = YAML(typ="safe").load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert (citation["version"], citation["license"]) == (__version__, PROJECT["license"])
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## [{__version__}]" in changelog
    assert "`reid-v1`" in changelog


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_lead_to_files(page: str) -> None:
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", (ROOT / page).read_text(encoding="utf-8"))
    assert [link for link in links if not (ROOT / link).exists()] == []
