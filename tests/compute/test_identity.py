"""Content identities, and what DVC's own files tell."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from hearlab.compute.identity import Identities
from hearlab.compute.notes import Notes
from hearlab.compute.object_store import ObjectStore
from hearlab.errors import InputError
from hearlab.versions.dvc_files import cache_folder
from hearlab.versions.lock import lock_records


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def put(root: Path, name: str, text: str) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def cached(cache: Path, text: str) -> Path:
    return put(cache, f"{md5(text)[:2]}/{md5(text)[2:]}", text)


class Looked(Identities):
    """Identities with notes of their own, as a new run has them."""

    def __init__(self, root: Path, cache: Path | None = None, records: dict[str, str] | None = None) -> None:
        self.notes = Notes(root / "notes.txt")
        self.store = None if cache is None else ObjectStore(cache, self.notes, root / "aside")
        super().__init__(root, self.notes, self.store, records)


def test_a_file_is_read_once(tmp_path: Path) -> None:
    put(tmp_path, "x", "text")
    identities = Looked(tmp_path)
    assert identities.of("x") == md5("text")
    assert identities.of("x") == md5("text")
    assert identities.notes.files_read == 1
    identities.save()
    again = Looked(tmp_path)
    assert again.of("x") == md5("text")
    assert again.notes.files_read == 0


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = put(tmp_path, "x", "text")
    identities = Looked(tmp_path)
    identities.of("x")
    path.write_text("other")
    assert identities.of("x") == md5("other")
    # The same size, but another file in its place.
    os.replace(put(tmp_path, "y", "OTHER"), path)
    assert identities.of("x") == md5("OTHER")
    # At once after it was read, in place, of the same size: file systems' clocks tick in steps.
    for text in ("first", "secon", "third"):
        path.write_text(text)
        assert identities.of("x") == md5(text)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        Looked(tmp_path).of("x")


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b'{"x": [4,',
        lambda content: content[: len(content) // 2],
        lambda content: content.replace(md5("text").encode(), md5("oops").encode()),
        lambda content: b"\xff\0" * 50,
        lambda content: b"00000000 a b c d e\n",
        lambda content: b"",
    ],
)
def test_damaged_notes_cost_time_only(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    put(tmp_path, "x", "text")
    identities = Looked(tmp_path)
    identities.of("x")
    identities.save()
    notes = tmp_path / "notes.txt"
    notes.write_bytes(damage(notes.read_bytes()))
    for count in (1, 0):  # what was damaged is made again
        identities = Looked(tmp_path)
        assert identities.of("x") == md5("text")
        assert identities.notes.files_read == count
        identities.save()


def test_notes_that_cannot_be_written_cost_time_only(tmp_path: Path) -> None:
    put(tmp_path, "x", "text")
    (tmp_path / "notes.txt").mkdir()
    identities = Looked(tmp_path)
    assert identities.of("x") == md5("text")
    identities.save()


def test_notes_do_not_grow_with_each_run(tmp_path: Path) -> None:
    for number in range(20):
        put(tmp_path, "x", f"text {number}")
        identities = Looked(tmp_path)
        assert identities.of("x") == md5(f"text {number}")
        identities.save()
    assert len((tmp_path / "notes.txt").read_text().split()) < 40


@pytest.mark.parametrize("kind", ["hardlink", "symlink"])
def test_an_object_in_the_cache_is_read_once_for_all_links_to_it(tmp_path: Path, kind: str) -> None:
    cache = tmp_path / "cache"
    source = cached(cache, "text")
    for name in ("x", "y"):
        (os.link if kind == "hardlink" else os.symlink)(source, tmp_path / name)
    identities = Looked(tmp_path, cache, {"x": md5("text"), "y": md5("text")})
    assert [identities.of(name) for name in ("x", "y")] == [md5("text")] * 2
    assert identities.notes.files_read == 1
    identities.save()
    os.link(source, tmp_path / "another link")
    again = Looked(tmp_path, cache, {"x": md5("text"), "y": md5("text")})
    assert [again.of(name) for name in ("x", "y")] == [md5("text")] * 2
    assert again.store is not None
    assert again.store.content(md5("text")) == md5("text")
    assert again.notes.files_read == 0


@pytest.mark.parametrize("kind", ["hardlink", "symlink"])
@pytest.mark.parametrize("known", [True, False])
def test_a_link_to_an_altered_object_has_its_true_md5(
    tmp_path: Path, kind: str, known: bool, caplog: pytest.LogCaptureFixture
) -> None:
    cache = tmp_path / "cache"
    source = cached(cache, "text")
    (os.link if kind == "hardlink" else os.symlink)(source, tmp_path / "x")
    if known:
        identities = Looked(tmp_path, cache, {"x": md5("text")})
        identities.of("x")
        identities.save()
    with source.open("r+") as file:
        file.write("TEXT")
    for _ in range(2):
        identities = Looked(tmp_path, cache, {"x": md5("text")})
        assert identities.of("x") == md5("TEXT")
        identities.save()
    assert (tmp_path / "x").read_text() == "TEXT"
    assert not source.exists()
    assert (tmp_path / "aside" / md5("text")).read_text() == "TEXT"
    [record] = caplog.records
    assert record.getMessage().startswith("x: was altered in place")


def test_a_record_alone_is_not_believed(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cached(cache, "text")
    put(tmp_path, "x", "other")
    os.link(tmp_path / "x", tmp_path / "second name")
    identities = Looked(tmp_path, cache, {"x": md5("text")})
    assert identities.of("x") == md5("other")
    assert identities.notes.files_read == 1


def test_a_link_to_something_else_in_the_cache_is_read(tmp_path: Path) -> None:
    listing = put(tmp_path / "cache", f"{md5('[]')[:2]}/{md5('[]')[2:]}.dir", "[]")
    os.symlink(listing, tmp_path / "x")
    assert Looked(tmp_path, tmp_path / "cache").of("x") == md5("[]")
    assert listing.exists()


@pytest.mark.parametrize("wrong", ["../../secret", "/etc/hostname", "", "A" * 32, f"{'a' * 32}\n", "../x.dir"])
def test_what_is_no_md5_in_dvc_lock_is_no_record(tmp_path: Path, wrong: str) -> None:
    stages = {"s": {"cmd": "x", "outs": [{"path": "x", "md5": wrong}, {"path": "y", "md5": md5("y")}]}}
    put(tmp_path, "dvc.lock", json.dumps({"schema": "2.0", "stages": stages}))
    assert lock_records(tmp_path, tmp_path / "cache") == {"y": md5("y")}


def test_records_of_dvc_lock_and_its_folders(tmp_path: Path) -> None:
    (tmp_path / ".dvc").mkdir()
    cache = cache_folder(tmp_path)
    assert cache == tmp_path / ".dvc" / "cache" / "files" / "md5"
    listing = json.dumps([{"relpath": "a/b.wav", "md5": md5("b")}, {"relpath": "c.wav", "md5": md5("c")}])
    folder = md5(listing)
    put(cache, f"{folder[:2]}/{folder[2:]}.dir", listing)
    put(
        tmp_path,
        "dvc.lock",
        f"schema: '2.0'\nstages:\n  s:\n    cmd: x\n    outs:\n    - path: data/out\n      md5: {folder}.dir\n"
        f"    - path: table.csv\n      md5: {md5('t')}\n  t:\n    cmd: y\n",
    )
    assert lock_records(tmp_path, cache) == {
        "data/out/a/b.wav": md5("b"),
        "data/out/c.wav": md5("c"),
        "table.csv": md5("t"),
    }


def test_no_dvc_no_records(tmp_path: Path) -> None:
    assert cache_folder(tmp_path) is None
    assert lock_records(tmp_path, None) == {}
    put(tmp_path, "dvc.lock", "stages: [")
    assert lock_records(tmp_path, None) == {}


def test_a_configured_cache_folder(tmp_path: Path) -> None:
    put(tmp_path, ".dvc/config", "[core]\n    analytics = false\n[cache]\n    type = hardlink\n")
    put(tmp_path, ".dvc/config.local", "[cache]\n    dir = ../../shared-cache\n")
    found = cache_folder(tmp_path)
    assert found is not None
    assert found.resolve() == (tmp_path / "../shared-cache/files/md5").resolve()
