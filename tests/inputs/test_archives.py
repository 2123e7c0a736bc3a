import gzip
import io
import stat
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from harness.errors import UserError
from harness.inputs.archives import extract
from tests.data.official import market, tar_of, zip_of


def tree(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture
def target(tmp_path):
    folder = tmp_path / "inner" / "target"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def images(tmp_path):
    return market(tmp_path / "unpacked")


@pytest.mark.parametrize("pack", [zip_of, tar_of])
def test_an_archive_gives_the_files_that_went_in(tmp_path, images, target, pack):
    seen = []
    extract(pack(images, tmp_path / "archive"), target, lambda *step: seen.append(step))
    assert tree(target) == tree(images.parent)
    assert seen[-1][1] <= seen[-1][2]


def test_hidden_files_and_resource_forks_stay_in_the_archive(tmp_path, images, target):
    extra = {"__MACOSX/Market/._a.jpg": b"fork", "Market-1501-v15.09.15/.DS_Store": b"finder"}
    extract(zip_of(images, tmp_path / "a.zip", extra), target)
    assert tree(target) == tree(images.parent)


def test_extraction_goes_on_where_it_stopped(tmp_path, images, target):
    archive = zip_of(images, tmp_path / "a.zip")
    extract(archive, target)
    kept = target / images.name / "query" / "0001_c1s1_001051_00.jpg"
    lost = target / images.name / "query" / "0003_c6s4_015641_00.jpg"
    before = kept.stat().st_ino
    lost.unlink()
    extract(archive, target)
    assert kept.stat().st_ino == before
    assert tree(target) == tree(images.parent)


@pytest.mark.parametrize("name", ["../evil.jpg", "a/../../evil.jpg", "/evil.jpg", "C:/evil.jpg", "..\\evil.jpg"])
def test_nothing_leaves_the_folder(tmp_path, images, target, name):
    member = tarfile.TarInfo(name)
    for archive in (zip_of(images, tmp_path / "a.zip", {name: b"evil"}), tar_of(images, tmp_path / "a.tgz", member)):
        with pytest.raises(UserError, match=r"leads out of the folder; refused, nothing was added"):
            extract(archive, target)
    assert not list(tmp_path.rglob("evil*"))


def test_links_and_devices_are_refused(tmp_path, images, target):
    link = zipfile.ZipInfo("Market-1501-v15.09.15/link.jpg")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive = zip_of(images, tmp_path / "a.zip")
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr(link, "/etc/passwd")
    with pytest.raises(UserError, match="is a link or device"):
        extract(archive, target)
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
        member = tarfile.TarInfo("link.jpg")
        member.type, member.linkname = kind, "/etc/passwd"
        with pytest.raises(UserError, match="is a link or device"):
            extract(tar_of(images, tmp_path / "a.tgz", member), target)
    assert not list(target.rglob("link*"))


def test_a_decompression_bomb_is_refused_before_it_grows(tmp_path, images, target):
    member = tarfile.TarInfo("zeros.jpg")
    member.size = 80 * 2**20
    for archive in (
        zip_of(images, tmp_path / "a.zip", {"zeros.jpg": bytes(80 * 2**20)}),
        tar_of(images, tmp_path / "a.tgz", member),
    ):
        with pytest.raises(UserError, match="looks like a decompression bomb"):
            extract(archive, target)
    assert not (target / "zeros.jpg").exists()


def test_a_zip_that_lies_about_a_size_is_refused(tmp_path, target):
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.jpg", bytes(1000))
    data = archive.read_bytes().replace((1000).to_bytes(4, "little"), (999).to_bytes(4, "little"))
    archive.write_bytes(data)
    with pytest.raises(UserError, match="broken or cut short"):
        extract(archive, target)
    assert tree(target).keys() <= {".a.jpg.part"}


def test_a_password_is_asked_for_elsewhere(tmp_path, images, target):
    archive = zip_of(images, tmp_path / "a.zip")
    data = bytearray(archive.read_bytes())
    for signature, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):  # set the "encrypted" flag of every member
        at = data.find(signature)
        while at >= 0:
            data[at + offset] |= 1
            at = data.find(signature, at + 4)
    archive.write_bytes(data)
    with pytest.raises(UserError, match="protected by a password; unpack it with the password you were given"):
        extract(archive, target)


@pytest.mark.parametrize(("pack", "name"), [(zip_of, "a.zip"), (tar_of, "a.tgz")])
def test_a_truncated_archive_says_so(tmp_path, images, target, pack, name):
    archive = pack(images, tmp_path / name)
    archive.write_bytes(archive.read_bytes()[:-400])
    with pytest.raises(UserError, match=r"broken or cut short.*download it again"):
        extract(archive, target)


def test_a_damaged_member_is_not_left_behind(tmp_path, images, target):
    archive = zip_of(images, tmp_path / "a.zip")
    data = bytearray(archive.read_bytes())
    data[200] ^= 0xFF
    archive.write_bytes(data)
    with pytest.raises(UserError, match="broken or cut short"):
        extract(archive, target)
    whole = {path: content for path, content in tree(target).items() if not Path(path).name.startswith(".")}
    assert whole.items() <= tree(images.parent).items()


def test_another_kind_of_file_says_what_to_do(tmp_path, target):
    archive = tmp_path / "a.rar"
    archive.write_bytes(b"Rar!\x1a\x07\x01\x00" + io.BytesIO(bytes(100)).read())
    with pytest.raises(UserError, match="no zip or tar archive; unpack it yourself and add the folder"):
        extract(archive, target)


def tar_of_one(path, mode, name="set/a.jpg", size=70_000):
    with tarfile.open(path, mode) as tar:
        entry = tarfile.TarInfo(name)
        entry.size = size
        tar.addfile(entry, io.BytesIO(np.random.default_rng(0).bytes(size)))
    return path


@pytest.mark.parametrize(("mode", "suffix"), [("w:gz", "gz"), ("w:xz", "xz"), ("w:bz2", "bz2")])
def test_one_altered_byte_anywhere_in_the_data_is_found(tmp_path, mode, suffix):
    path = tar_of_one(tmp_path / f"a.tar.{suffix}", mode)
    whole = path.read_bytes()
    for position in [*range(200, len(whole), len(whole) // 9), len(whole) - 6]:
        damaged = bytearray(whole)
        damaged[position] ^= 4
        path.write_bytes(damaged)
        target = tmp_path / f"{suffix}{position}"
        target.mkdir()
        with pytest.raises(UserError, match="is broken or cut short"):
            extract(path, target)


def test_a_tar_that_ends_between_two_members_is_cut_short(tmp_path):
    path = tar_of_one(tmp_path / "a.tar", "w", size=512)
    path.write_bytes(path.read_bytes()[:1024])
    with pytest.raises(UserError, match="cut short"):
        extract(path, tmp_path)


@pytest.mark.parametrize("kind", [b"L", b"x", b"g"])
def test_a_name_or_header_of_a_gigabyte_is_refused_before_it_is_read(tmp_path, kind):
    path = tmp_path / "a.tar.gz"
    entry = tarfile.TarInfo("././@LongLink")
    entry.type, entry.size = kind, 2**30
    with gzip.open(path, "wb", compresslevel=1) as out:
        out.write(entry.tobuf(tarfile.GNU_FORMAT) + b"a" * 2**21)
    with pytest.raises(UserError, match="a name or header of 1,073,741,824 bytes"):
        extract(path, tmp_path)


def test_hidden_members_count_too(tmp_path):
    path = tmp_path / "a.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        entry = tarfile.TarInfo(".hidden")
        entry.size = 200 * 2**20
        tar.addfile(entry, Zeros(entry.size))
    with pytest.raises(UserError, match="decompression bomb"):
        extract(path, tmp_path)


class Zeros(io.RawIOBase):
    def __init__(self, size):
        self.left = size

    def read(self, size=-1):
        size = min(size, self.left)
        self.left -= size
        return bytes(size)


@pytest.mark.parametrize("name", ["", ".", "./", "./."])
def test_a_member_without_a_name_writes_nothing_beside_the_target(tmp_path, name):
    target = tmp_path / "target"
    target.mkdir()
    path = tar_of_one(tmp_path / "a.tar", "w", name, 10)
    with pytest.raises(UserError):
        extract(path, target)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tar", "target"]
    assert list(target.iterdir()) == []


def test_an_empty_or_undecodable_name_in_a_zip_is_refused(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("set/ü.jpg", b"x")
    whole = path.read_bytes()
    for content in (whole.replace("ü".encode(), b"\xff\xff"), whole.replace("set/ü.jpg".encode(), b"\0" * 10)):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"a\.zip"):
            extract(path, tmp_path)
