"""Unpacking, its receipt, and checking what is there."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import random
import signal
import subprocess
import sys
import tarfile
import textwrap
from pathlib import Path

import pytest
from archives_made import (
    folders_in,
    member,
    some_bytes,
    some_files,
    tar_bytes,
    test_package,
    tree_archive,
    tree_content,
    zip_bytes,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from hearlab.datasets.packages import Package, PackageFolders, check, status, unpack
from hearlab.datasets.packages.byte_stream import ByteStream
from hearlab.datasets.packages.receipt import read_receipt
from hearlab.datasets.packages.tar_reader import TarReader
from hearlab.errors import InputError
from hearlab.progress import ByteProgress
from waits import LONGEST

FILES = some_files(60, seed=2)


def packed(files: dict[str, bytes], name: str) -> bytes:
    if name.endswith(".zip"):
        return zip_bytes([(f"clarity_data/{path}", content) for path, content in files.items()])
    archive = tree_archive(files)
    return gzip.decompress(archive) if name.endswith(".tar") else archive


def fetched(tmp_path: Path, files: dict[str, bytes] = FILES, name: str = "small.tgz") -> tuple[Package, PackageFolders]:
    """A package among the fetched ones."""
    folders = folders_in(tmp_path)
    folders.archives.mkdir(exist_ok=True)
    (folders.archives / name).write_bytes(packed(files, name))
    return test_package(file=name), folders


def unpacked(tmp_path: Path, files: dict[str, bytes] = FILES) -> tuple[Package, PackageFolders, Path]:
    package, folders = fetched(tmp_path, files)
    unpack(package, folders)
    return package, folders, folders.roots["clarity_data"]


@pytest.mark.parametrize("name", ["small.tgz", "small.tar.gz", "small.tar", "small.zip"])
def test_every_kind_of_archive(tmp_path: Path, name: str) -> None:
    package, folders = fetched(tmp_path, name=name)
    stream = io.StringIO()
    done = unpack(package, folders, progress=ByteProgress(stream))
    assert tree_content(folders.roots["clarity_data"]) == FILES
    size = sum(map(len, FILES.values()))
    assert (done.files, done.size, done.written, done.left_out) == (len(FILES), size, len(FILES), [])
    assert "unpacking small: " in stream.getvalue()
    assert "(100%)" in stream.getvalue()
    assert status(package, folders).state == "complete"
    assert sorted(path.name for path in folders.receipts.iterdir()) == ["small.jsonl"]


def test_the_receipt(tmp_path: Path) -> None:
    _, folders, _ = unpacked(tmp_path)
    lines = [json.loads(line) for line in (folders.receipts / "small.jsonl").read_text().splitlines()]
    assert lines[0]["package"] == "small"
    assert lines[0]["archive_size"] == (folders.archives / "small.tgz").stat().st_size
    assert lines[-1] == {"files": len(FILES), "bytes": sum(map(len, FILES.values())), "complete": True}
    assert lines[1:-1] == [
        {"path": path, "size": len(content), "md5": hashlib.md5(content).hexdigest()}
        for path, content in sorted(FILES.items())
    ]


def test_what_is_there_is_not_written_again(tmp_path: Path) -> None:
    package, folders, root = unpacked(tmp_path)
    times = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    again = unpack(package, folders)
    assert (again.files, again.written) == (len(FILES), 0)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == times


def test_the_archive_may_go_once_all_is_unpacked(tmp_path: Path) -> None:
    package, folders, root = unpacked(tmp_path)
    (folders.archives / "small.tgz").unlink()
    assert unpack(package, folders).files == len(FILES)
    next(path for path in root.rglob("*.wav")).unlink()
    with pytest.raises(InputError, match=r"small\.tgz: no such file \(wanted the package small\); fetch it first"):
        unpack(package, folders)


def test_an_archive_elsewhere(tmp_path: Path) -> None:
    folders = folders_in(tmp_path)
    archive = tmp_path / "download" / "other name.tgz"
    archive.parent.mkdir()
    archive.write_bytes(packed(FILES, "small.tgz"))
    unpack(test_package(), folders, archive=archive)
    assert tree_content(folders.roots["clarity_data"]) == FILES


def test_members_go_where_the_table_says(tmp_path: Path) -> None:
    folders = folders_in(tmp_path)
    folders.archives.mkdir()
    members = [
        member("songs/train/Song/mixture.wav", b"a"),
        member("songs/test/Song/train/mixture.wav", b"b"),
        member("songs/README.txt", b"c"),
        member("__MACOSX/train/Song/._mixture.wav", b"d"),
        member("songs/train/Song/.DS_Store", b"e"),
    ]
    (folders.archives / "small.tgz").write_bytes(gzip.compress(tar_bytes(members)))
    rules = [{"from": "train", "to": "task1/audio/train"}, {"from": "test", "to": "task1/audio/test"}]
    done = unpack(test_package(place=rules, root="cadenza_data"), folders)
    assert tree_content(folders.roots["cadenza_data"]) == {
        "task1/audio/train/Song/mixture.wav": b"a",
        "task1/audio/test/Song/train/mixture.wav": b"b",
    }
    assert done.left_out == [
        "songs/README.txt",
        "__MACOSX/train/Song/._mixture.wav",
        "songs/train/Song/.DS_Store",
    ]


def test_an_archive_of_something_else(tmp_path: Path) -> None:
    folders = folders_in(tmp_path)
    folders.archives.mkdir()
    (folders.archives / "small.tgz").write_bytes(tree_archive(FILES, top="other"))
    with pytest.raises(InputError, match=r"holds nothing of the package \(wanted clarity_data/\)"):
        unpack(test_package(), folders)
    assert status(test_package(), folders).state == "fetched"


def test_files_of_the_user_are_not_overwritten(tmp_path: Path) -> None:
    package, folders = fetched(tmp_path)
    root = folders.roots["clarity_data"]
    same, other = sorted(path for path, content in FILES.items() if len(content) > 10)[:2]
    for path, content in ((same, FILES[same]), (other, b"mine")):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    with pytest.raises(InputError, match=rf"{other}: is there with other bytes than in small\.tgz; move it away"):
        unpack(package, folders)
    assert (root / other).read_bytes() == b"mine"
    done = unpack(package, folders, overwrite=True)
    assert tree_content(root) == FILES
    assert done.files == len(FILES)


def test_a_later_issue_of_a_package(tmp_path: Path) -> None:
    package, folders, root = unpacked(tmp_path, {"metadata/a": b"old", "metadata/b": b"same", "metadata/c": b"gone"})
    (folders.archives / "small.tgz").write_bytes(tree_archive({"metadata/a": b"newer", "metadata/b": b"same"}))
    assert unpack(package, folders).files == 2
    assert tree_content(root) == {"metadata/a": b"newer", "metadata/b": b"same", "metadata/c": b"gone"}
    assert [str(problem) for problem in check(package, folders).problems] == ["surplus: metadata/c"]


def test_wrong_files_by_name(tmp_path: Path) -> None:
    package, folders, root = unpacked(tmp_path)
    missing, truncated, longer, altered = sorted(path for path, content in FILES.items() if len(content) > 100)[:4]
    (root / missing).unlink()
    for path, content in (
        (truncated, FILES[truncated][:-1]),
        (longer, FILES[longer] + b"x"),
        (altered, b"?" + FILES[altered][1:]),
        ("dev/scenes/surplus.wav", b"x"),
        ("metadata/.gitignore", b""),
        ("elsewhere/ours.wav", b"x"),
    ):
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_bytes(content)
    fast = check(package, folders)
    assert fast.state == "damaged"
    expected = {("missing", missing), ("truncated", truncated), ("altered", longer)}
    expected.add(("surplus", "dev/scenes/surplus.wav"))
    assert {(problem.kind, problem.path) for problem in fast.problems} == expected
    deep = check(package, folders, deep=True)
    assert {(problem.kind, problem.path) for problem in deep.problems} == expected | {("altered", altered)}
    assert str(deep) == f"small: damaged ({len(FILES)} files, {deep.size / 1000:.1f} kB, 5 wrong)"
    line = next(str(problem) for problem in deep.problems if problem.path == altered)
    digest = hashlib.md5(FILES[altered]).hexdigest()
    assert line.startswith(f"altered: {altered} (found md5 ")
    assert line.endswith(f", wanted {digest})")

    assert unpack(package, folders).written == 3  # what is altered shows by reading only
    assert unpack(package, folders, repair=True).written == 1
    assert [str(problem) for problem in check(package, folders, deep=True).problems] == [
        "surplus: dev/scenes/surplus.wav"
    ]


def test_a_file_with_links_is_repaired_by_a_new_one(tmp_path: Path) -> None:
    """What is linked to in the workspace and in DVC's cache is read-only, and never written in place."""
    package, folders, root = unpacked(tmp_path)
    name = next(path for path, content in FILES.items() if content)
    (root / name).write_bytes(bytes(len(FILES[name])))
    (root / name).chmod(0o444)
    object_ = tmp_path / "object"
    object_.hardlink_to(root / name)
    assert [problem.path for problem in check(package, folders, deep=True).problems] == [name]
    assert unpack(package, folders, repair=True).written == 1
    assert (root / name).read_bytes() == FILES[name]
    assert object_.read_bytes() == bytes(len(FILES[name]))
    assert check(package, folders, deep=True).problems == []


def test_files_of_two_packages_in_one_folder(tmp_path: Path) -> None:
    package, folders, root = unpacked(tmp_path)
    other = test_package(name="other", file="other.tgz")
    more = {"dev/scenes/more.wav": b"x", "dev/scenes/half.wav": b"x"}
    (folders.archives / "other.tgz").write_bytes(tree_archive(more))
    unpack(other, folders)
    assert check(package, folders).problems == []
    assert check(other, folders).problems == []  # its folder holds files of the first package too
    (root / "dev/scenes/more.wav").unlink()
    assert [problem.path for problem in check(other, folders).problems] == ["dev/scenes/more.wav"]


def test_how_far_a_package_is(tmp_path: Path) -> None:
    holds = {"metadata": {"files": "*.wav", "count": 1000}}
    folders = folders_in(tmp_path)
    package = test_package(holds=holds)
    assert str(status(package, folders)) == "small: absent"
    root = folders.roots["clarity_data"]
    (root / "metadata").mkdir(parents=True)
    (root / "metadata" / "a.wav").write_bytes(b"x")
    by_hand = status(package, folders)
    assert (by_hand.state, by_hand.usable, by_hand.files) == ("unpacked by hand", False, 1)
    assert by_hand.notes == ["metadata: found 1 files *.wav, expected 1000"]
    assert status(test_package(holds={"metadata": {}}), folders).usable
    (root / "metadata" / "a.wav").unlink()

    fetched(tmp_path)
    assert status(package, folders).state == "fetched"
    assert check(package, folders, deep=True).problems == []
    wrong = check(test_package(checksum={"md5": "0" * 32}), folders, deep=True)
    assert [problem.path for problem in wrong.problems] == ["small.tgz"]
    assert "truncated: small.tgz" in str(status(test_package(size=10**9), folders).problems[0])
    done = unpack(package, folders)
    count = sum(path.startswith("metadata/") for path in FILES)
    assert done.notes == [f"metadata: found {count} files *.wav, expected 1000"]
    complete = status(package, folders)
    assert (complete.state, complete.usable, complete.notes) == ("complete", True, done.notes)


def test_a_receipt_that_is_damaged(tmp_path: Path) -> None:
    package, folders, _ = unpacked(tmp_path)
    receipt = folders.receipt(package)
    whole = receipt.read_text()
    for text in (whole[: len(whole) // 2], "", whole.replace('"path": "', '"path": "../')):
        receipt.write_text(text)
        with pytest.raises(InputError, match="is no whole receipt; remove it and unpack again"):
            status(package, folders)
    receipt.unlink()
    assert unpack(package, folders).written == 0  # the files are there, and the same


NAME = st.text("aB.é漢 '-", min_size=1, max_size=60)


@settings(max_examples=40, deadline=None)
@given(
    made=st.lists(
        st.tuples(st.lists(NAME, min_size=1, max_size=6), st.binary(max_size=1500), st.booleans()),
        max_size=5,
    ),
    format=st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]),
)
def test_the_reader_agrees_with_the_standard_library(
    made: list[tuple[list[str], bytes, bool]], format: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    archive = tmp_path_factory.mktemp("tar") / "a.tar"
    members = []
    for parts, content, is_folder in made:
        name = "/".join(parts)
        members.append(member(name, type=tarfile.DIRTYPE) if is_folder else member(name, content))
    archive.write_bytes(tar_bytes(members, format))
    stream = ByteStream(archive, lambda count: None)
    reader = TarReader(stream, archive)
    ours = [(found.name.decode().rstrip("/"), found.kind == "folder", b"".join(reader.blocks())) for found in reader]
    stream.close()
    theirs = []
    with tarfile.open(archive) as tar:
        for info in tar:
            file = tar.extractfile(info) if info.isfile() else None
            theirs.append((info.name.rstrip("/"), info.isdir(), file.read() if file else b""))
    assert ours == theirs


def test_numbers_in_binary(tmp_path: Path) -> None:
    """GNU tar writes sizes of 8 GiB and more in binary; the form is the same for small ones."""
    header = bytearray(member("clarity_data/x", b"12345")[0].tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b"\x80" + (5).to_bytes(11, "big")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    folders = folders_in(tmp_path)
    folders.archives.mkdir()
    content = bytes(header) + b"12345".ljust(512, b"\0") + bytes(1024)
    (folders.archives / "small.tgz").write_bytes(gzip.compress(content))
    unpack(test_package(), folders)
    assert tree_content(folders.roots["clarity_data"]) == {"x": b"12345"}


def test_the_oldest_format(tmp_path: Path) -> None:
    """Before ustar a folder was a name that ends in a slash."""
    content = bytearray(tar_bytes([member("clarity_data/metadata/", b""), member("clarity_data/metadata/x", b"x")]))
    for at in (0, 512):
        content[at + 257 : at + 265] = bytes(8)
        content[at + 156] = 0
        content[at + 148 : at + 156] = b" " * 8
        content[at + 148 : at + 156] = b"%06o\0 " % sum(content[at : at + 512])
    folders = folders_in(tmp_path)
    folders.archives.mkdir()
    (folders.archives / "small.tgz").write_bytes(gzip.compress(bytes(content)))
    unpack(test_package(), folders)
    assert tree_content(folders.roots["clarity_data"]) == {"metadata/x": b"x"}


CHILD = """
    import os, signal, sys
    from pathlib import Path
    from archives_made import folders_in, test_package
    from hearlab.datasets.packages import unpack

    left = int(sys.argv[3])

    def count(event, arguments):
        # Every file that is opened and every renaming is a point to die at.
        global left
        if event in ("open", "os.rename", "os.remove"):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    package, folders = test_package(file=sys.argv[2]), folders_in(Path(sys.argv[1]))
    sys.addaudithook(count)
    print(unpack(package, folders, workers=2).written, -left)
"""


def run_child(folder: Path, name: str, dies_after: int) -> tuple[int, str, str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-c", textwrap.dedent(CHILD), str(folder), name, str(dies_after)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=LONGEST)
    return done.returncode, done.stdout, done.stderr


def kill_and_go_on(tmp_path: Path, name: str, count: int, kills: int) -> None:
    """Unpack with so many kills: every file is whole or not there, none that was named is written again, and the end
    state is that of a run without a kill."""
    files = some_files(count, seed=8)
    undisturbed = tmp_path / "undisturbed"
    undisturbed.mkdir()
    fetched(undisturbed, files, name)
    code, out, errors = run_child(undisturbed, name, 1 << 30)
    assert code == 0, errors
    assert int(out.split()[0]) == count
    points = (1 << 30) + int(out.split()[1])

    draw = random.Random(4)
    package, folders = fetched(tmp_path, files, name)
    root = folders.roots["clarity_data"]
    for _ in range(kills):
        code, _, errors = run_child(tmp_path, name, draw.randrange(1, points * 3 // (2 * kills)))
        assert code == -signal.SIGKILL, errors
        for path, content in tree_content(root).items() if root.exists() else ():
            if not path.startswith(".small.part-"):
                assert files[path] == content, f"{path} is half-written"
        assert status(package, folders).state in ("fetched", "partly unpacked")
    there = sum((root / path).exists() for path in files)
    assert 0 < there < count
    code, out, errors = run_child(tmp_path, name, 1 << 30)
    assert code == 0, errors
    assert int(out.split()[0]) == count - there
    assert tree_content(root) == files
    receipt, wanted = (folder / "receipts" / "small.jsonl" for folder in (tmp_path, undisturbed))
    assert receipt.read_bytes() == wanted.read_bytes()
    assert check(package, folders, deep=True).state == "complete"


@pytest.mark.parametrize("name", ["small.tgz", "small.zip"])
def test_kills(tmp_path: Path, name: str) -> None:
    kill_and_go_on(tmp_path, name, count=30, kills=2)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["small.tgz", "small.zip"])
def test_twenty_kills_at_random_points(tmp_path: Path, name: str) -> None:
    kill_and_go_on(tmp_path, name, count=300, kills=20)


def test_a_crash_of_the_machine(tmp_path: Path) -> None:
    """After another boot, files that were noted but not brought to the disk for certain are written again."""
    package, folders, root = unpacked(tmp_path)
    receipt = read_receipt(folders.receipt(package))
    assert receipt is not None
    folders.receipt(package).unlink()
    lines = [json.dumps({**line.as_dict(), "mine": True}) for line in receipt.files.values()]
    size = (folders.archives / "small.tgz").stat().st_size
    header = json.dumps({"archive_size": size, "archive_md5": None, "boot": "an earlier one"})
    journal = folders.receipts / "small.journal"
    # The power went while the file after the last mark was written: its bytes are lost, its length is not.
    lost = list(receipt.files)[20]
    (root / lost).write_bytes(bytes(receipt.files[lost].size))
    journal.write_text("\n".join([header, *lines[:20], '{"synced": 20}', *lines[20:], '{"path": "torn']))
    assert unpack(package, folders).written == len(FILES) - 20
    assert tree_content(root) == FILES


def test_two_at_once(tmp_path: Path) -> None:
    from hearlab.datasets.download.journal import only_one

    package, folders = fetched(tmp_path)
    with (
        only_one(folders.receipts / ".small.lock", "unpacking small"),
        pytest.raises(InputError, match="another process is unpacking small; wait for it"),
    ):
        unpack(package, folders)
    unpack(package, folders)


def test_a_disk_that_fills_up(small_disk: Path, tmp_path: Path) -> None:
    """Without a figure in the table only the archive's size is known before; what was written is gone on with."""
    files = {f"metadata/{k:02d}": bytes([k]) * 100_000 for k in range(30)}
    folders = PackageFolders(tmp_path / "packages", tmp_path / "receipts", {"clarity_data": small_disk / "data"})
    folders.archives.mkdir()
    (folders.archives / "small.tgz").write_bytes(tree_archive(files))
    with pytest.raises(InputError, match=r"disk/data: the disk is full; free some space and unpack again"):
        unpack(test_package(), folders)
    there = tree_content(small_disk / "data")
    assert 15 < len(there) < 21
    assert all(files[path] == content for path, content in there.items())
    with pytest.raises(InputError, match=r"not enough disk space .*about 1\.\d MB for the unpacked files"):
        unpack(test_package(unpacked=3_000_000), folders)
    subprocess.run(["mount", "-o", "remount,size=4M", str(small_disk)], check=True)
    done = unpack(test_package(), folders)
    assert done.written == 30 - len(there)
    assert tree_content(small_disk / "data") == files


def test_a_zip_tells_what_it_needs(small_disk: Path, tmp_path: Path) -> None:
    folders = PackageFolders(tmp_path / "packages", tmp_path / "receipts", {"clarity_data": small_disk / "data"})
    folders.archives.mkdir()
    (folders.archives / "small.zip").write_bytes(zip_bytes([("clarity_data/x", bytes(3_000_000))]))
    with pytest.raises(InputError, match=r"not enough disk space .*wanted 3\.0 MB: 3\.0 MB for the unpacked files"):
        unpack(test_package(file="small.zip"), folders)
    assert tree_content(small_disk) == {}


def test_large_files_pass_through_in_pieces(tmp_path: Path) -> None:
    files = {"dev/scenes/large.wav": some_bytes(9_000_000), "dev/scenes/after.wav": b"x"}
    _, _, root = unpacked(tmp_path, files)
    assert tree_content(root) == files
