import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness.drafts import draft_folder

AT_WORK = """
import sys
from pathlib import Path
from harness.drafts import draft_folder
with draft_folder(Path(sys.argv[1]), ".draft-") as folder:
    (folder / "begun").touch()
    print(folder.name, flush=True)
    sys.stdin.read()
"""


def test_what_killed_processes_left_goes_and_what_others_are_at_stays(tmp_path: Path) -> None:
    (tmp_path / ".other-1").mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", AT_WORK, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        theirs = tmp_path / process.stdout.readline().strip()
        with draft_folder(tmp_path, ".draft-") as ours:
            assert {path.name for path in tmp_path.iterdir()} == {ours.name, theirs.name, ".other-1"}
        assert (theirs / "begun").exists()
        os.kill(process.pid, signal.SIGKILL)
    assert theirs.exists()
    with draft_folder(tmp_path, ".draft-") as ours:
        assert {path.name for path in tmp_path.iterdir()} == {ours.name, ".other-1"}


def test_a_draft_that_got_its_place_stays_there_and_a_failed_one_goes(tmp_path: Path) -> None:
    parent = tmp_path / "new"
    with draft_folder(parent, ".draft-") as folder:
        folder.replace(parent / "done")
    with pytest.raises(KeyboardInterrupt), draft_folder(parent, ".draft-"):
        raise KeyboardInterrupt
    assert [path.name for path in parent.iterdir()] == ["done"]
