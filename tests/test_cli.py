"""The command line: exit codes, messages instead of tracebacks, output for scripts, valid scaffolds."""

from __future__ import annotations

import json
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness import __version__
from harness.cli import main
from harness.cli_apps import fleet, results
from harness.inputs.text import HARMFUL as WRITTEN
from harness.specs import Registry
from tests.pipeline.conftest import tiny
from tests.pipeline.tiny import Tiny, read
from tests.specs.conftest import Specs, small, specs

__all__ = ["small", "specs", "tiny"]

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """Run `harness` in a folder: exit code, standard output, standard error."""

    def command(folder: Path, *arguments: str) -> tuple[int, str, str]:
        monkeypatch.chdir(folder)
        monkeypatch.setattr("sys.argv", ["harness", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return int(ended.value.code or 0), out, err

    before = signal.getsignal(signal.SIGTERM)
    yield command
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def project(specs: Specs) -> Path:
    """A small project, planned, in which nothing has run."""
    (specs.root / "dvc.yaml").touch()
    return specs.root


MISTAKES = {
    "nothing of that kind": (["list", "sheep"], "list one of: datasets, methods, pairings, runs"),
    "no whole numbers": (["plan", "--seeds", "0,a"], "--seeds 0,a: expected whole numbers separated by commas"),
    "a seed that only looks like a number": (["plan", "--seeds", "²"], "--seeds ²: expected whole numbers"),
    "an unknown method to plan": (["plan", "--methods", "move"], "no method is called 'move'; did you mean 'moved'?"),
    "an unknown target to plan": (["plan", "--targets", "sprin"], "no dataset is called 'sprin'; did you mean"),
    "a run that is not planned": (["run", "clusters__sprin__s0"], "no planned pairing is called 'clusters__sprin__s0'"),
    "a pattern that fits nothing": (["run", "x*"], "no planned pairing is called 'x*'; `harness list pairings` shows"),
    "an unknown test-time step": (["evaluate", "clusters__spring__s0", "--test-time", "rank"], "you mean 'rerank'?"),
    "an unknown design": (["evaluate", "clusters__spring__s0", "--design", "draw"], "did you mean 'draws'?"),
    "a protocol that none is": (["leaderboard", "--protocol", "reid-v1+best"], "no protocol is called 'reid-v1+best'"),
    "a protocol of no run": (["leaderboard", "--protocol", "reid-v1+flip"], "no run was scored by 'reid-v1+flip'"),
    "nothing at once": (["run", "--jobs", "0"], "--jobs 0: expected at least 1"),
    "no DVC repository": (["run", "teacher__*"], "DVC"),
    "no key to train": (["train", "clusters"], "'clusters' is not a run's key"),
    "an unknown method to train": (["train", "cluster__spring__s0"], "no method is called 'cluster'; did you mean"),
    "a usl method with a source": (["train", "clusters__autumn-to-spring__s0"], "a 'usl' method: it takes no source"),
    "a direct method without": (["train", "moved__spring__s0"], "a 'direct' method: it needs a labeled source"),
    "data that are not prepared": (["train", "teacher__spring__s0"], "run: dvc repro prepare@spring"),
    "nothing to evaluate": (["evaluate", "teacher__spring__s0"], "no such checkpoint"),
    "a spec for an unknown task": (["spec", "teacher", "sprin"], "no dataset is called 'sprin'; did you mean 'spring'"),
    "an unknown dataset to draw": (["data", "draw", "sprin"], "no dataset is called 'sprin'; did you mean 'spring'"),
    "a drawn dataset to add": (["data", "add", "spring", "."], "spring is drawn, not imported; run: dvc repro"),
    "nothing to verify": (["data", "verify", "spring"], "spring"),
    "nothing to show": (["data", "show", "spring"], "spring is not here yet; run: dvc repro prepare@spring"),
    "nothing to prepare": (["data", "prepare", "spring"], "spring"),
    "a name that is none": (["new", "method", "My_Method", "--from", "teacher"], "'My_Method' is not a valid name"),
    "a name that is taken": (["new", "method", "moved", "--from", "teacher"], "exists already; choose another name"),
    "an unknown origin": (["new", "method", "mine", "--from", "teachr"], "no method is called 'teachr'; did you mean"),
    "unknown methods to compare": (["compare", "a", "b", "--target", "spring"], "'a'"),
    "an unknown format": (["leaderboard", "--format", "docx"], "docx"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_a_message_and_exit_code_1(harness: Command, project: Path, mistake: str) -> None:
    arguments, said = MISTAKES[mistake]
    code, out, err = harness(project, *arguments)
    assert code == 1
    assert out == ""
    assert err.startswith("error: ")
    assert said in err


HARMFUL = "a\x1b[2Jb\u202ec\u2066d\x9be"
SHOWN = [["list", "methods"], ["list", "methods", "--json"], ["leaderboard"], ["leaderboard", "--format", "json"],
         ["check"], ["data", "add", HARMFUL, "."], ["show", HARMFUL], ["list", HARMFUL]]  # fmt: skip


@pytest.mark.parametrize("arguments", SHOWN, ids=range(len(SHOWN)))
def test_nothing_that_others_wrote_moves_the_terminals_cursor(
    harness: Command, specs: Specs, project: Path, arguments: list[str]
) -> None:
    path = project / "methods" / "teacher.yaml"
    path.write_text(re.sub("title: .*", r'title: "a\\e[2Jb\\u202Ec\\u2066d\\x9be"', path.read_text(), count=1))
    _, out, err = harness(project, *arguments)
    assert not WRITTEN.search(out + err)
    if arguments[0] == "list" and "methods" in arguments:
        assert "2Jb" in out


def test_a_harmful_title_leaves_by_no_file(harness: Command, specs: Specs, project: Path) -> None:
    for form in ("csv", "md", "latex", "json", "html"):
        code, _, _ = harness(project, "leaderboard", "--format", form, "--output", f"board.{form}")
        assert code == 0
        assert not WRITTEN.search((project / f"board.{form}").read_text())


@pytest.mark.parametrize("arguments", [["sheep"], ["train"], ["list", "--jso"], ["plan", "--seeds"], ["data", "sheer"]])
def test_bad_usage_is_exit_code_2(harness: Command, project: Path, arguments: list[str]) -> None:
    code, _, err = harness(project, *arguments)
    assert code == 2
    assert "Error: " in err or "error: " in err


def test_outside_a_project(harness: Command, tmp_path: Path) -> None:
    code, _, err = harness(tmp_path, "list")
    assert code == 1
    assert "not inside a project: no dvc.yaml with a methods/ folder beside it, here or above" in err


def test_below_a_projects_root(harness: Command, project: Path) -> None:
    code, out, _ = harness(project / "methods", "check")
    assert (code, out) == (0, "3 methods, 2 datasets, 6 pairings: all fine\n")


def test_help_names_every_command(harness: Command, project: Path) -> None:
    code, out, _ = harness(project, "--help")
    assert code == 0
    for command in ("list", "check", "plan", "train", "evaluate", "leaderboard", "compare", "doctor", "data", "new"):
        assert f" {command} " in out


@pytest.mark.parametrize(("what", "rows"), [("datasets", 2), ("methods", 3), ("pairings", 6), ("runs", 6)])
def test_lists_are_tables_or_json(harness: Command, project: Path, what: str, rows: int) -> None:
    code, out, _ = harness(project, "list", what, "--json")
    listed = json.loads(out)
    assert (code, len(listed)) == (0, rows)
    code, table, _ = harness(project, "list", what)
    names, line, *body = table.splitlines()
    assert (code, len(body)) == (0, rows)
    assert names.split() == list(listed[0])
    assert set(line) == {"-", " "}


def test_stage_names_for_scripts(harness: Command, project: Path) -> None:
    _, out, _ = harness(project, "list", "pairings", "--stages")
    planned = Registry.load(project).planned.items()
    assert sorted(out.split()) == sorted(f"pipelines/{run.method}/dvc.yaml:evaluate@{key}" for key, run in planned)


def test_check_lists_what_is_wrong_and_counts_it(harness: Command, specs: Specs, project: Path) -> None:
    specs.edit("methods/clusters.yaml", "epochs: 2", "epochs: two")
    specs.edit("methods/moved.yaml", "epochs: 2", "epoch: 2")
    code, _, err = harness(project, "check")
    assert code == 1
    assert "methods/clusters.yaml:21: regimes.drawn.compute.epochs" in err
    assert "regimes.drawn.compute.epoch: unknown key; did you mean 'epochs'?" in err
    assert err.splitlines()[-1] == "3 problems"


def test_plan_writes_what_check_then_accepts(harness: Command, project: Path) -> None:
    code, out, _ = harness(project, "plan", "--seeds", "0,5", "--methods", "moved", "--targets", "spring")
    removed = "pipelines/clusters: removed; no run of clusters is planned"
    dropped = "4 planned no longer (2 of clusters, 1 of moved, 1 of teacher), their results stay"
    assert (code, out) == (0, f"{removed}\npipelines: 4 pairings on 2 tasks; {dropped}\n")
    assert set(Registry.load(project).planned) == {
        f"{run}__s{seed}" for run in ("moved__autumn-to-spring", "teacher__autumn") for seed in (0, 5)
    }
    code, out, _ = harness(project, "check")
    assert code == 0
    assert out.splitlines()[-1] == "in no planned pairing: clusters; to plan them too: harness plan --add"


def test_plan_add_keeps_what_is_planned(harness: Command, project: Path) -> None:
    before = set(Registry.load(project).planned)
    code, out, _ = harness(project, "plan", "--add", "--seeds", "5", "--methods", "moved", "--targets", "spring")
    assert (code, out) == (0, "pipelines: 8 pairings on 4 tasks\n")
    assert set(Registry.load(project).planned) == before | {"moved__autumn-to-spring__s5", "teacher__autumn__s5"}


@pytest.mark.parametrize(("answer", "exit_code"), [("n", 1), ("y", 0)])
def test_plan_asks_before_it_drops(
    harness: Command, project: Path, monkeypatch: pytest.MonkeyPatch, answer: str, exit_code: int
) -> None:
    asked: list[str] = []

    def confirm(question: str, **_: object) -> bool:
        asked.append(question)
        return answer == "y"

    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("typer.confirm", confirm)
    before = set(Registry.load(project).planned)
    code, _, err = harness(project, "plan", "--methods", "teacher")
    assert code == exit_code
    assert asked == ["4 planned no longer (2 of clusters, 2 of moved) (`--add` keeps them). Go on?"]
    after = set(Registry.load(project).planned)
    assert (after == before) == (answer == "n")
    assert answer == "y" or "nothing was changed" in err
    asked.clear()
    assert harness(project, "plan", "--methods", "teacher", "--seeds", "0", "--yes")[0] == 0
    assert asked == []


def test_run_refuses_pipelines_that_are_not_as_planned(harness: Command, project: Path) -> None:
    path = project / "pipelines" / "teacher" / "dvc.yaml"
    path.write_text(path.read_text().replace("harness train", "harness  train"))
    code, _, err = harness(project, "run", "teacher__spring__s0")
    assert (code, err) == (1, "error: pipelines/teacher/dvc.yaml: was edited by hand; run: harness plan --add\n")
    (project / "methods" / "clusters.yaml").write_text(
        (project / "methods" / "clusters.yaml").read_text().replace("seeds: [0]", "seeds: [1]")
    )
    code, _, err = harness(project, "run", "clusters__spring__s0")
    assert code == 1
    assert "start from runs that are not planned: teacher__autumn__s1; run: harness plan --add" in err


def test_the_version_is_said_outside_a_project_too(harness: Command, tmp_path: Path) -> None:
    assert harness(tmp_path, "--version") == (0, f"reid-harness {__version__}\n", "")


@pytest.mark.parametrize("origin", ["teacher", "clusters", "moved"])
@pytest.mark.parametrize("code", [[], ["--code"]])
def test_a_scaffold_passes_check_at_once(
    harness: Command, project: Path, monkeypatch: pytest.MonkeyPatch, origin: str, code: list[str]
) -> None:
    name = f"my-{origin}"
    ended, out, _ = harness(project, "new", "method", name, "--from", origin, *code)
    assert ended == 0
    written = [Path(line.removeprefix("wrote ")) for line in out.splitlines()]
    assert [path.suffix for path in written] == ([".py", ".yaml"] if code else [".yaml"]) or code
    assert all(path.is_file() for path in written)
    if code:  # the project's own folder of methods stands for the installed one
        import methods

        monkeypatch.setattr(methods, "__path__", [*methods.__path__, str(project / "methods")])
    assert harness(project, "plan", "--add", "--seeds", "0")[0] == 0
    ended, out, err = harness(project, "check")
    assert (ended, err) == (0, "")
    assert out.startswith("4 methods, ")


def test_schemas_are_written_where_asked(harness: Command, project: Path, tmp_path: Path) -> None:
    code, out, _ = harness(project, "schema", str(tmp_path / "schemas"))
    assert code == 0
    for line in out.splitlines():
        assert json.loads(Path(line).read_text())


def test_doctor_says_what_is_here_and_what_is_missing(harness: Command, project: Path) -> None:
    code, out, _ = harness(project, "doctor")
    assert code == 0
    assert {line.split()[0 if line.startswith(" ") else 1] for line in out.splitlines()} >= {
        "python",
        "torch",
        "disk",
        "dataset",
    }


def test_a_run_from_the_command_line(harness: Command, tiny: Tiny, tmp_path: Path) -> None:
    pairing = tiny.pairing("colour-histogram")
    root = tiny.fresh(tmp_path / "project", pairing).root
    shutil.copy(tiny.root / "dvc.yaml", root)
    assert harness(root, "plan", "--seeds", "0", "--methods", "colour-histogram", "--targets", pairing.target)[0] == 0
    assert harness(root, "spec", "colour-histogram", pairing.target)[0] == 0
    code, out, err = harness(root, "train", pairing.key)
    assert (code, out) == (0, "")
    assert re.fullmatch(rf"{pairing.key}: trained in \d+\.\d s; next: harness evaluate {pairing.key}\n", err)
    code, _, err = harness(root, "evaluate", pairing.key)
    assert code == 0
    assert err.startswith(f"{pairing.key}: mAP ")
    (run,) = json.loads(harness(root, "list", "runs", "--json")[1])
    assert run["status"] == "finished"
    assert run["mAP"] == read(root / "results" / "runs" / pairing.key / "metrics.json")["map"]
    code, out, _ = harness(root, "leaderboard", "--format", "json")
    assert code == 0
    rows = [row for task in json.loads(out) for row in task["rows"]]
    assert any("Colour histogram" in row.values() and run["mAP"] in row.values() for row in rows), rows


def test_stage_commands_are_hidden_and_every_help_has_an_example(harness: Command, project: Path) -> None:
    _, out, _ = harness(project, "--help")
    commands = [line.split()[0] for line in out.split("Commands:")[1].splitlines() if line.strip()]
    assert not {"code", "spec"} & set(commands)
    assert {"show", "app", "site", "inspect"} <= set(commands)
    for command in set(commands) - {"data", "fleet", "new", "results", "weights"}:
        assert "Example: harness " in harness(project, command, "--help")[1], command
    for group, names in {"fleet": fleet.app, "results": results.app}.items():
        for name in (str(registered.name) for registered in names.registered_commands):
            assert f"Example: harness {group} " in harness(project, group, name, "--help")[1], name


def test_runs_are_filtered_and_published_ones_known(harness: Command, project: Path) -> None:
    everything = json.loads(harness(project, "list", "runs", "--json")[1])
    some = json.loads(harness(project, "list", "runs", "--json", "--method", "moved", "--status", "queued")[1])
    assert {row["method"] for row in some} == {"moved"}
    assert len(some) < len(everything)
    key = some[0]["key"]
    scores = {"map": 55.5, "rank1": 70.0}
    (project / "results").mkdir(exist_ok=True)
    (project / "results" / "published.json").write_text(json.dumps({"runs": {key: {"metrics": scores}}}))
    (row,) = json.loads(harness(project, "list", "runs", "--json", "--status", "published")[1])
    assert (row["key"], row["mAP"]) == (key, 55.5)
    code, _, err = harness(project, "list", "runs", "--status", "finish")
    assert (code, err) == (1, "error: no status is called 'finish'; did you mean 'finished'?\n")
    code, _, err = harness(project, "list", "runs", "--task", "autum")
    assert code == 1
    assert "did you mean 'autumn'?" in err


def test_a_planned_run_is_shown_with_its_command(harness: Command, project: Path) -> None:
    key = next(iter(Registry.load(project).planned))
    code, out, _ = harness(project, "show", key)
    assert (code, out) == (0, f"{key}: queued (planned, not started)\n  to run it: harness run {key}\n")
    code, _, err = harness(project, "show", "nobody__autumn__s0")
    assert code == 1
    assert "there is no run 'nobody__autumn__s0'" in err
