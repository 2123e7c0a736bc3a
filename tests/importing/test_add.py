import errno
import itertools
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import harness.importing.add as adding
import harness.inputs.archives as archives
from harness.data import read_dataset
from harness.data.manifest import read_manifest
from harness.data.prepare import prepare
from harness.errors import UserError
from harness.importing.add import add_dataset
from harness.importing.verify import MANIFEST, verify_dataset
from tests.data.official import (
    PROJECT,
    duke,
    example,
    expecting_what_is_there,
    market,
    msmt17,
    msmt17_repacked,
    picture,
    shipped,
    tar_of,
    veri,
    zip_of,
)


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


@pytest.fixture
def source(tmp_path):
    return market(tmp_path / "source")


@pytest.fixture
def spec(source):
    return expecting_what_is_there(shipped("market1501"), source)


def msmt17_v2(folder: Path) -> Path:
    return msmt17(folder, "mask_train_v2", "mask_test_v2", "\r\n")


def names(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


@pytest.mark.parametrize(
    ("name", "make", "pack", "archive"),
    [
        ("market1501", market, zip_of, "Market-1501-v15.09.15.zip"),
        ("dukemtmc", duke, zip_of, "DukeMTMC-reID.zip"),
        ("msmt17", msmt17, tar_of, "MSMT17_V1.tar.gz"),
        ("msmt17", msmt17_v2, zip_of, "MSMT17_V2.zip"),
        ("msmt17", msmt17_repacked, zip_of, "MSMT17_V1.zip"),
        ("msmt17-train-only", msmt17, tar_of, "MSMT17_V1.tar.gz"),
        ("veri776", veri, zip_of, "VeRi.zip"),
    ],
)
def test_every_official_archive_becomes_a_raw_folder(tmp_path, project, name, make, pack, archive):
    source = make(tmp_path / "source")
    spec = expecting_what_is_there(shipped(name), source)
    added = add_dataset(spec, pack(source, tmp_path / archive), project, workers=1)
    assert added.folder == project / "data" / "raw" / name
    assert added.images == added.verification.manifest.num_rows
    assert read_dataset(spec, added.folder).splits == read_dataset(spec, source).splits
    assert names(added.folder) == sorted([*names(source), MANIFEST])
    assert [path.name for path in added.folder.parent.iterdir()] == [name]
    assert not added.versioned  # no DVC repository here
    prepared = prepare(spec, added.folder, project / "data" / "prepared" / name, workers=1)
    assert read_manifest(prepared.folder / "manifest.parquet") == added.verification.manifest


def test_a_second_time_it_does_nothing(project, source, spec):
    first = add_dataset(spec, source, project, workers=1)
    before = {path: path.stat().st_mtime_ns for path in first.folder.rglob("*")}
    second = add_dataset(spec, source, project, workers=1)
    assert second.verification is None
    assert second.images == first.images == 9
    assert {path: path.stat().st_mtime_ns for path in first.folder.rglob("*")} == before


def test_a_folder_is_copied_hard_linked_or_linked(project, source, spec):
    for link in ("copy", "hardlink", "symlink"):
        added = add_dataset(spec, source, project, link=link, workers=1)
        image = added.folder / "query" / "0001_c1s1_001051_00.jpg"
        original = source / "query" / "0001_c1s1_001051_00.jpg"
        assert image.read_bytes() == original.read_bytes()
        assert image.is_symlink() == (link == "symlink")
        assert (image.lstat().st_ino == original.stat().st_ino) == (link == "hardlink")
        shutil.rmtree(added.folder)


def test_an_imported_folder_can_be_imported_again_elsewhere_and_stays_as_it_is(tmp_path, project, source, spec):
    first = add_dataset(spec, source, project, workers=1).folder
    before = {path: path.read_bytes() for path in first.rglob("*") if path.is_file()}
    second = add_dataset(spec, first, tmp_path / "elsewhere", link="hardlink", workers=1).folder
    assert names(second) == names(first)
    assert (second / MANIFEST).stat().st_ino != (first / MANIFEST).stat().st_ino
    assert {path: path.read_bytes() for path in first.rglob("*") if path.is_file()} == before


def test_only_the_dataset_is_taken_from_a_bigger_folder(project, source, spec):
    picture(source.parent / "holiday" / "beach.jpg")
    added = add_dataset(spec, source.parent, project, workers=1)
    assert names(added.folder) == sorted([*names(source), MANIFEST])


def test_an_archive_cannot_be_linked(tmp_path, project, source, spec):
    with pytest.raises(UserError, match="an archive is unpacked, it cannot be linked"):
        add_dataset(spec, zip_of(source, tmp_path / "a.zip"), project, link="hardlink", workers=1)


def left(project: Path) -> list[str]:
    folder = project / "data" / "raw"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_differences_are_listed_and_can_be_accepted(project, source):
    with pytest.raises(
        UserError, match=r"not Market-1501 as published; nothing was registered:\n  - train: 3 images"
    ) as error:
        add_dataset(shipped("market1501"), source, project, workers=1)
    assert "add --allow-mismatch" in str(error.value)
    assert left(project) == []
    added = add_dataset(shipped("market1501"), source, project, allow_mismatch=True, workers=1)
    assert len(added.verification.at("difference")) == 3


def test_unusable_images_are_never_accepted(project, source, spec):
    (source / "query" / "0001_c1s1_001051_00.jpg").write_bytes(b"")
    with pytest.raises(UserError, match=r"0001_c1s1_001051_00.jpg is empty \(0 bytes\)") as error:
        add_dataset(spec, source, project, allow_mismatch=True, workers=1)
    assert "--allow-mismatch" not in str(error.value)
    assert left(project) == []


def test_the_wrong_archive_for_the_name(tmp_path, project, spec):
    archive = zip_of(duke(tmp_path / "other"), tmp_path / "DukeMTMC-reID.zip")
    with pytest.raises(UserError, match="this is not Market-1501"):
        add_dataset(spec, archive, project, workers=1)
    assert left(project) == []


@pytest.mark.parametrize("content", [b"", b"not a zip"])
def test_a_file_that_is_no_archive(tmp_path, project, spec, content):
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(UserError, match="broken or cut short; download it again"):
        add_dataset(spec, tmp_path / "a.zip", project, workers=1)
    with pytest.raises(UserError, match="no such file or folder"):
        add_dataset(spec, tmp_path / "b.zip", project, workers=1)
    assert left(project) == []


def test_a_drawn_dataset_is_not_imported(project, source):
    with pytest.raises(UserError, match="drawn-winter is drawn, not imported; run: dvc repro prepare@drawn-winter"):
        add_dataset(shipped("drawn-winter"), source, project)


def test_a_folder_of_another_origin_is_not_touched(project, source, spec):
    (project / "data" / "raw" / "market1501").mkdir(parents=True)
    with pytest.raises(UserError, match="exists, but was not written by 'harness data add'"):
        add_dataset(spec, source, project, workers=1)


KILLED = """
import os, signal, sys
from pathlib import Path
from harness.importing.add import add_dataset
from tests.data.official import shipped

def kill(label, done, total):
    if (label, done) == (sys.argv[3], int(sys.argv[4])):
        os.kill(os.getpid(), signal.SIGKILL)

add_dataset(shipped("market1501"), Path(sys.argv[1]), Path(sys.argv[2]), progress=kill, workers=1)
"""


def killed_while(label: str, done: int, path: Path, project: Path) -> None:
    """Run an import in a process of its own that dies without a chance to clean up."""
    command = [sys.executable, "-c", KILLED, str(path), str(project), label, str(done)]
    assert subprocess.run(command, cwd=PROJECT, check=False).returncode == -signal.SIGKILL


def test_a_killed_import_goes_on_where_it_stopped(tmp_path, project, source, spec):
    archive = zip_of(source, tmp_path / "a.zip")
    killed_while("unpack a.zip", 6, archive, project)
    assert left(project) == [".market1501.partial", ".market1501.source"]
    kept = {path.name: path.stat().st_ino for path in (project / "data" / "raw").rglob("*.jpg")}
    assert kept
    added = add_dataset(spec, archive, project, workers=1)
    assert kept.items() <= {path.name: path.stat().st_ino for path in added.folder.rglob("*.jpg")}.items()
    assert names(added.folder) == sorted([*names(source), MANIFEST])
    assert left(project) == ["market1501"]


def test_what_another_source_left_behind_is_not_mixed_in(tmp_path, project, source, spec):
    other = market(tmp_path / "other")
    picture(other / "bounding_box_train" / "0999_c1s1_000001_01.jpg")
    killed_while("verify market1501 train", 4, other, project)
    added = add_dataset(spec, source, project, workers=1)
    assert names(added.folder) == sorted([*names(source), MANIFEST])
    assert left(project) == ["market1501"]


def full_after(calls: int, function: Callable[..., object]) -> Callable[..., object]:
    """`function`, until the disk is full."""
    count = itertools.count()

    def limited(*arguments: object, **options: object) -> object:
        if next(count) >= calls:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return function(*arguments, **options)

    return limited


@pytest.mark.parametrize(
    ("module", "function", "calls", "pack"),
    [
        (shutil, "copy2", 5, lambda source: source),
        (archives, "_write", 5, lambda source: zip_of(source, source.parent / "a.zip")),
        (archives, "_write", 5, lambda source: tar_of(source, source.parent / "a.tar.gz")),
        (adding, "write_manifest", 0, lambda source: source),
    ],
)
def test_a_full_disk_registers_nothing_and_a_rerun_completes(
    project, source, spec, monkeypatch, module, function, calls, pack
):
    path = pack(source)
    with monkeypatch.context() as patch:
        patch.setattr(module, function, full_after(calls, getattr(module, function)))
        with pytest.raises(UserError, match="the disk is full; nothing was registered"):
            add_dataset(spec, path, project, workers=1)
    assert left(project) == [".market1501.partial", ".market1501.source"]
    kept = {file.name: file.stat().st_ino for file in (project / "data" / "raw").rglob("*.jpg")}
    added = add_dataset(spec, path, project, workers=1)
    assert kept.items() <= {file.name: file.stat().st_ino for file in added.folder.rglob("*.jpg")}.items()
    assert added.images == 9
    assert left(project) == ["market1501"]


def test_an_unreadable_folder_is_told_and_leaves_nothing(project, source, spec, unreadable):
    unreadable(source / "query")
    with pytest.raises(UserError, match=r"query: cannot be read: Permission denied"):
        add_dataset(spec, source, project, workers=1)
    assert left(project) == []


@pytest.mark.parametrize(("pack", "archive"), [(zip_of, "Fotos für Zoë.zip"), (tar_of, "Fotos für Zoë.tar.gz")])
def test_names_with_spaces_and_other_scripts(tmp_path, project, pack, archive):
    spec = example(project)
    images = ["train/zoë krüger/1 a.jpg", "train/李雷/копия 2.jpg", "query/bob/3.png", "gallery/bob/4.jpeg"]
    for name in images:
        picture(tmp_path / "meine Bilder" / name)
    added = add_dataset(spec, pack(tmp_path / "meine Bilder", tmp_path / archive), project, workers=1)
    rows = read_manifest(added.folder / MANIFEST).to_pylist()
    assert [(row["path"], row["identity"], row["camera"]) for row in rows] == [
        (images[0], 1, -1),
        (images[1], 2, -1),
        (images[2], 0, -2),
        (images[3], 0, -1),
    ]
    assert any(text.startswith("no camera labels") for text in added.verification.at("notice"))
    prepared = prepare(spec, added.folder, project / "prepared", workers=1)
    assert prepared.split("train").paths == images[:2]


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    return subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def test_dvc_versions_the_folder_and_git_sees_only_its_dvc_file(project, source, spec):
    shutil.copy(PROJECT / ".gitignore", project)
    git(project, "init", "-q")
    subprocess.run([sys.executable, "-m", "dvc", "init", "-q"], cwd=project, check=True)
    git(project, "add", "-A")
    git(project, "commit", "-qm", "start")
    added = add_dataset(spec, source, project, link="symlink", workers=1)
    assert added.versioned
    assert git(project, "status", "--short", "-uall", "data").split() == ["??", "data/raw/market1501.dvc"]
    status = subprocess.run(
        [sys.executable, "-m", "dvc", "status"], cwd=project, check=True, capture_output=True, text=True
    )
    assert "up to date" in status.stdout
    assert (added.folder / "query" / "0001_c1s1_001051_00.jpg").is_symlink()
    assert (source / "query" / "0001_c1s1_001051_00.jpg").stat().st_nlink == 1
    assert add_dataset(spec, source, project, workers=1).versioned


def test_dvcs_cache_may_lie_on_another_disk(project, source, spec, tmp_path):
    """The project then holds links out of it, which only an import refuses to copy from; the source may be one, too."""
    git(project, "init", "-q")
    dvc = [sys.executable, "-m", "dvc"]
    for command in (["init"], ["cache", "dir", str(tmp_path / "large")], ["config", "cache.type", "symlink"]):
        subprocess.run([*dvc, *command, "-q"], cwd=project, check=True)
    (tmp_path / "link").symlink_to(source)
    added = add_dataset(spec, tmp_path / "link", project, workers=1)
    shutil.rmtree(added.folder)
    subprocess.run([*dvc, "checkout", "-q"], cwd=project, check=True)
    images = list(added.folder.rglob("*.jpg"))
    assert images
    assert all(path.is_symlink() and tmp_path / "large" in path.resolve().parents for path in images)
    assert verify_dataset(spec, added.folder, workers=1).ok
    (tmp_path / "disk").mkdir()
    (project / "data" / "prepared").symlink_to(tmp_path / "disk")
    prepared = prepare(spec, added.folder, project / "data" / "prepared" / spec.name, workers=1)
    assert len(prepared.split("train")) == 3
    assert add_dataset(spec, source, project, workers=1).verification is None  # it is there
    with pytest.raises(UserError, match=r"lead out of this folder: .*`cp -rL` first"):
        add_dataset(spec, added.folder, tmp_path / "elsewhere", workers=1)


def test_if_dvc_fails_nothing_is_registered_and_a_rerun_completes(project, source, spec):
    (project / ".dvc").mkdir()  # looks like a DVC repository, but is none
    with pytest.raises(UserError, match="DVC could not version it; nothing was registered"):
        add_dataset(spec, source, project, workers=1)
    assert not (project / "data" / "raw" / "market1501").exists()
    shutil.rmtree(project / ".dvc")
    assert add_dataset(spec, source, project, workers=1).images == 9
    assert left(project) == ["market1501"]


@pytest.mark.parametrize("before", [None, "outs: of a colleague"])
def test_a_disk_that_is_full_for_dvc_leaves_no_pointer(project, source, spec, monkeypatch, before):
    """DVC 3 writes the .dvc file before it has copied everything to its cache, and leaves it there."""
    pointer = project / "data" / "raw" / "market1501.dvc"
    pointer.parent.mkdir(parents=True)
    if before:
        pointer.write_text(before)

    def dvc_add(command, **_):
        pointer.write_text("outs: half")
        said = "ERROR: failed to transfer 'f3'\nERROR: No space left on device\n\nHaving any troubles?"
        return subprocess.CompletedProcess(command, 255, stdout="", stderr=said)

    (project / ".dvc").mkdir()
    monkeypatch.setattr(subprocess, "run", dvc_add)
    with pytest.raises(UserError, match=r"nothing was registered.*run the same command again: ERROR: No space left"):
        add_dataset(spec, source, project, workers=1)
    assert (pointer.read_text() if pointer.exists() else None) == before
    assert not (project / "data" / "raw" / "market1501").exists()
