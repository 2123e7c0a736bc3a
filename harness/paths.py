"""Where everything lies under a project's root."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from harness.errors import DiskError, UserError
from harness.inputs.files import kind

PIPELINES = Path("pipelines")
CODE_HASHES = Path("results/code.json")


def project_root() -> Path:
    """Return the nearest folder, from the current one upwards, that holds `dvc.yaml` and `methods/`.

    Raises UserError outside a project, and in one whose code is not the code that runs.
    """
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "dvc.yaml").exists() and (folder / "methods").is_dir():
            _refuse_other_code(folder)
            return folder
    raise UserError(f"{here}: not inside a project: no dvc.yaml with a methods/ folder beside it, here or above")


def _refuse_other_code(root: Path) -> None:
    """Raise UserError if `root` has code of its own but another checkout's runs: records would name what never ran."""
    for package in ("harness", "methods"):
        own = root / package / "__init__.py"
        found = find_spec(package)
        runs = Path(found.origin) if found and found.origin else None
        if own.exists() and runs is not None and runs.resolve() != own.resolve():
            raise UserError(
                f"{root}: this environment runs the {package!r} of {runs.parent.parent}, not this project's own, so "
                "every record would name code that did not run; call this project's .venv/bin/harness, or run here: "
                "pip install -e ."
            )


def raw_folder(root: Path, dataset: str) -> Path:
    """A dataset's original images."""
    return root / "data" / "raw" / dataset


def prepared_folder(root: Path, dataset: str) -> Path:
    """A dataset's manifest and decoded images."""
    return root / "data" / "prepared" / dataset


def dataset_spec_file(root: Path, dataset: str) -> Path:
    """What can change an image of a dataset, out of its spec; drawing and preparing depend on this, not on the YAML."""
    return root / "results" / "datasets" / f"{dataset}.json"


def spec_file(root: Path, method: str, task: str) -> Path:
    """What `method` computes on `task`, resolved; training depends on this file, not on the YAML."""
    return root / "results" / "specs" / method / f"{task}.json"


def run_folder(root: Path, key: str) -> Path:
    """A run's results."""
    return runs_folder(root) / key


def runs_folder(root: Path) -> Path:
    """The folders of all runs."""
    return root / "results" / "runs"


def all_attempts_folder(root: Path) -> Path:
    """The folders of the attempts at each run."""
    return root / "results" / "attempts"


def attempts_folder(root: Path, key: str) -> Path:
    """One JSON document per attempt at a run, outside DVC."""
    return all_attempts_folder(root) / key


FROM = ".from."
"""Between a method and a lab, in the key of a result that the lab computed: never the same as a run of one's own."""


def imported_folder(root: Path) -> Path:
    """The runs of other labs, by lab; also features of methods trained elsewhere, scored here."""
    return root / "results" / "imported"


def community_folder(root: Path) -> Path:
    """The runs of other labs that git carries, one JSON document each, by lab."""
    return root / "results" / "community"


def foreign_key(key: str, lab: str) -> str:
    """The key under which another lab's run stands beside one's own."""
    method, _, rest = key.partition("__")
    return f"{method}{FROM}{lab}__{rest}"


def result_folder(root: Path, key: str) -> Path:
    """A run's results: one's own, or those of another lab if the key is of one."""
    method, _, rest = key.partition("__")
    name, separator, lab = method.rpartition(FROM)
    if not separator or lab.startswith("."):
        return run_folder(root, key)
    return imported_folder(root) / lab / f"{name}__{rest}"


def published_file(root: Path) -> Path:
    """The snapshot of results that git carries."""
    return root / "results" / "published.json"


def published_lists_file(root: Path) -> Path:
    """The compact ranked lists that git carries."""
    return root / "results" / "published-lists.parquet"


def database_file(root: Path) -> Path:
    """The SQLite database: an index over `results/`, rebuilt at any time."""
    return root / "results" / "leaderboard.db"


def map_file(root: Path, key: str) -> Path:
    """The map of a run's features, which `harness inspect` writes, outside DVC."""
    return root / "results" / "maps" / f"{key}.parquet"


def work_file(root: Path, key: str) -> Path:
    """The state of an unfinished run, outside DVC, so that it survives DVC's removal of a stage's outs."""
    return root / "results" / "work" / f"{key}.safetensors"


def place_file(root: Path) -> Path:
    """The name of this project folder in a database that several share, outside DVC."""
    return root / "results" / ".place"


def fleet_file(root: Path) -> Path:
    """What a fleet was at when its head last looked, outside DVC."""
    return root / "results" / "fleet.json"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that takes its place if the block succeeds, and is removed if it fails.

    Raises DiskError if the disk is full or the folder read-only, and UserError where `path` is a device or pipe, as
    /dev/null is: root could replace it, for the whole machine.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise UserError(f"{path}: is a {kind(path.stat().st_mode)}, not a regular file; name another file")
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        partial.replace(path)
    except OSError as error:
        raise DiskError(
            f"{path}: cannot be written: {error.strerror or error}; free space or mend permissions"
        ) from error
    finally:
        if partial.exists():
            partial.unlink()


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically (errors as in `replacing`)."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")
