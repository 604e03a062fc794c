"""Objects of the store that somebody or something altered: seen, set aside, made again."""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hearlab.compute import notes as notes_module
from hearlab.compute.engine import run
from hearlab.compute.entries import StoredFile
from hearlab.compute.memo import Memo
from hearlab.compute.notes import Notes
from hearlab.compute.object_store import ObjectStore
from hearlab.compute.units import Unit
from hearlab.files import md5_of

FIRST, SECOND = Path("data/demo/first"), Path("data/demo/second")
NAMES = ("a", "b", "c")


def triple(root: Path, out: Path, *, name: str, marks: str) -> None:
    Path(marks, f"first {name}").touch()
    for part in ("x", "y"):
        (out / f"{name}.{part}").write_text((root / name).read_text() * 1000 + part)


def digest(root: Path, out: Path, *, name: str, marks: str) -> str:
    Path(marks, f"second {name}").touch()
    text = (root / FIRST / f"{name}.x").read_text()
    (out / name).write_text(hashlib.sha256(text.encode()).hexdigest())
    return text[:10]


class Pipeline:
    """Two stages in a row."""

    def __init__(self, root: Path) -> None:
        self.root, self.marks = root / "work", root / "marks"
        self.marks.mkdir()
        for name in NAMES:
            (self.root / "data").mkdir(parents=True, exist_ok=True)
            (self.root / name).write_text(name)

    def first(self) -> list[str]:
        return self._run("first", FIRST, triple, lambda name: (name,), lambda name: (f"{name}.x", f"{name}.y"))

    def second(self) -> list[str]:
        return self._run("second", SECOND, digest, lambda name: (f"{FIRST}/{name}.x",), lambda name: (name,))

    def _run(
        self,
        stage: str,
        out: Path,
        function: Callable[..., object],
        inputs: Callable[[str], tuple[str, ...]],
        outputs: Callable[[str], tuple[str, ...]],
    ) -> list[str]:
        arguments = {"marks": str(self.marks)}
        units = [Unit(n, function, {"name": n, **arguments}, inputs(n), outputs(n)) for n in NAMES]
        run(stage, units, out, Path(f"data/demo/units/{stage}.json"), root=self.root)
        ran = sorted(path.name for path in self.marks.iterdir())
        for path in self.marks.iterdir():
            path.unlink()
        return ran

    def contents(self) -> dict[str, bytes]:
        """Outputs and indexes."""
        files = (path for path in (self.root / "data").rglob("*") if path.is_file())
        return {path.relative_to(self.root).as_posix(): path.read_bytes() for path in files}

    def object(self, name: str) -> Path:
        """The object of a file of the first stage."""
        md5 = md5_of(self.root / FIRST / name)
        return self.root / ".hearlab" / "objects" / md5[:2] / md5[2:]

    def check_objects(self) -> None:
        for path in (self.root / ".hearlab" / "objects").glob("??/*"):
            assert path.is_file()
            assert not path.is_symlink()
            assert md5_of(path) == path.parent.name + path.name


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    return Pipeline(tmp_path)


def silence_half(path: Path) -> None:
    size = path.stat().st_size
    os.chmod(path, 0o644)
    with path.open("r+b") as file:
        file.write(bytes(size // 2))
    os.chmod(path, 0o444)


def truncate(path: Path) -> None:
    os.truncate(path, 100)


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "file").touch()


def other_file(path: Path) -> None:
    path.unlink()
    path.write_bytes(b"another file")


def symbolic_link(path: Path) -> None:
    kept = path.parents[3] / "users own"
    path.rename(kept)
    path.symlink_to(kept)


def empty(path: Path) -> None:
    path.unlink()
    path.touch()


ALTERATIONS = [silence_half, truncate, folder, other_file, symbolic_link, empty]


@pytest.mark.parametrize("alter", ALTERATIONS)
def test_an_altered_object_is_set_aside_and_made_again(
    pipeline: Pipeline, alter: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    assert (pipeline.first(), pipeline.second()) == (
        ["first a", "first b", "first c"],
        ["second a", "second b", "second c"],
    )
    before = pipeline.contents()
    path = pipeline.object("b.x")
    md5 = path.parent.name + path.name
    alter(path)
    assert pipeline.first() == ["first b"]
    assert pipeline.second() == []
    assert pipeline.contents() == before
    pipeline.check_objects()
    aside = pipeline.root / ".hearlab" / "set-aside" / md5
    assert os.path.lexists(aside)
    [message] = [record.getMessage() for record in caplog.records]
    assert message == (
        f"first: b: b.x: its bytes in the cache were altered; they are now {aside}, and the unit runs again"
    )
    kept = pipeline.root / "users own"
    assert kept.exists() == (alter is symbolic_link)
    # All is known again.
    caplog.clear()
    assert (pipeline.first(), pipeline.second(), caplog.records) == ([], [], [])


def test_altered_twice_both_are_kept(pipeline: Pipeline) -> None:
    pipeline.first()
    path = pipeline.object("b.x")
    for _ in range(2):
        silence_half(path)
        assert pipeline.first() == ["first b"]
    assert len(list((pipeline.root / ".hearlab" / "set-aside").iterdir())) == 2


def test_what_was_computed_from_wrong_bytes_is_not_done(pipeline: Pipeline) -> None:
    pipeline.first(), pipeline.second()
    before = pipeline.contents()
    silence_half(pipeline.object("b.x"))
    # The second stage alone, on the altered file: its result is that of the altered bytes, under their own key.
    assert pipeline.second() == ["second b"]
    wrong = pipeline.contents()
    assert wrong["data/demo/second/b"] != before["data/demo/second/b"]
    assert pipeline.first() == ["first b"]
    assert pipeline.second() == []
    assert pipeline.contents() == before
    # The other result is still known, and only for these bytes.
    (pipeline.root / FIRST / "b.x").unlink()
    (pipeline.root / FIRST / "b.x").write_bytes(wrong["data/demo/first/b.x"])
    assert pipeline.second() == []
    assert pipeline.contents()["data/demo/second/b"] == wrong["data/demo/second/b"]


@pytest.mark.parametrize("alter", [silence_half, truncate, empty])
def test_altered_before_this_workspace_has_read_it(
    pipeline: Pipeline, alter: Callable[[Path], None], tmp_path: Path
) -> None:
    """As after `dvc pull` of a damaged object: index and objects, and nothing in .hearlab."""
    pipeline.first()
    before = pipeline.contents()
    path = pipeline.object("c.y")
    (pipeline.root / ".hearlab" / "journal.jsonl").unlink()
    (pipeline.root / ".hearlab" / "identities.txt").unlink()
    alter(path)
    assert pipeline.first() == ["first c"]
    assert pipeline.contents() == before
    pipeline.check_objects()


def test_bytes_written_again_replace_a_wrong_object(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline.first()
    before = pipeline.contents()
    silence_half(pipeline.object("a.x"))
    monkeypatch.setenv("HEARLAB_MEMO", "ignore")
    assert pipeline.first() == ["first a", "first b", "first c"]
    assert pipeline.contents() == before
    pipeline.check_objects()


def test_a_copy_in_the_output_folder_is_replaced(pipeline: Pipeline) -> None:
    """Where links had fallen back to copies, or DVC's cache type is copy or reflink."""
    pipeline.first()
    before = pipeline.contents()
    for content in (before[f"{FIRST}/a.x"], b"altered"):
        (pipeline.root / FIRST / "a.x").unlink()
        (pipeline.root / FIRST / "a.x").write_bytes(content)
        assert pipeline.first() == []
        assert pipeline.contents() == before


@pytest.mark.parametrize("there", ["folder", "link to the object", "link elsewhere", "dangling link"])
def test_what_is_in_the_place_of_an_output(pipeline: Pipeline, there: str, tmp_path: Path) -> None:
    pipeline.first()
    before = pipeline.contents()
    path, elsewhere = pipeline.root / FIRST / "a.x", tmp_path / "elsewhere"
    elsewhere.write_text("users own")
    object_ = pipeline.object("a.x")
    path.unlink()
    if there == "folder":
        (path / "b").mkdir(parents=True)
    else:
        path.symlink_to({"link to the object": object_, "link elsewhere": elsewhere}.get(there, tmp_path / "nothing"))
    assert pipeline.first() == []
    assert pipeline.contents() == before
    assert elsewhere.read_text() == "users own"


def test_known_files_are_those_of_known_bytes(pipeline: Pipeline) -> None:
    pipeline.first()
    memo = Memo(pipeline.root)
    memo.load_index(pipeline.root / "data/demo/units/first.json")
    keys = list(memo.entries)
    assert len(memo.known_files(FIRST, keys)) == 6
    silence_half(pipeline.object("a.x"))
    path = pipeline.root / FIRST / "b.x"
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)  # a copy: not read, not written by us
    known = memo.known_files(FIRST, keys)
    assert set(known) == {f"{FIRST}/{name}" for name in ("a.y", "b.y", "c.x", "c.y")}
    assert all(md5_of(pipeline.root / name) == md5 for name, (md5, _) in known.items())


def test_a_sound_object_is_read_once_in_a_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count, store = 1_000, tmp_path / "store"  # each is counted, whatever their number
    files = []
    for number in range(count):
        content = f"{number}".encode() * 10
        md5 = hashlib.md5(content).hexdigest()
        path = store / md5[:2] / md5[2:]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        files.append(StoredFile(f"{number}", md5, len(content)))
    read: list[object] = []
    monkeypatch.setattr(notes_module, "md5_of", lambda path: read.append(path) or md5_of(path))
    seconds = []
    for look in range(3):
        started = time.process_time()
        notes = Notes(tmp_path / "notes.txt")
        objects = ObjectStore(store, notes, tmp_path / "aside")
        assert all(objects.content(file.md5) == file.md5 for file in files)
        notes.save()
        seconds.append(time.process_time() - started)
        assert len(read) == count, f"look {look}"
        if look == 0:
            for file in files[:100]:
                os.link(objects.path(file.md5), tmp_path / file.name)
    took = f"{seconds[0]:.2f} s of processor time when read, {seconds[1]:.3f} and {seconds[2]:.3f} s afterwards"
    sys.stdout.write(f"{count} objects: {took}\n")
