"""What an experiment in a folder of its own has computed is known to the user's workspace and to other experiments."""

from __future__ import annotations

from pathlib import Path

import pytest

from hearlab.compute.engine import run
from hearlab.compute.memo import Memo
from hearlab.compute.units import Unit


def work(root: Path, out: Path, *, name: str, marks: str) -> None:
    with Path(marks, name).open("a") as file:
        file.write("ran ")
    (out / name).write_text(name)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's workspace, to which DVC says that experiments belong."""
    home = tmp_path / "home"
    (home / ".dvc").mkdir(parents=True)
    (home / ".dvc" / "config").touch()
    (home / "params.yaml").touch()
    (tmp_path / "marks").mkdir()
    monkeypatch.setenv("DVC_ROOT", str(home))
    return home


def experiment(folder: Path, cache: Path) -> Path:
    """A folder as DVC makes it for an experiment."""
    (folder / ".dvc").mkdir(parents=True)
    (folder / ".dvc" / "config").touch()
    (folder / ".dvc" / "config.local").write_text(f"[cache]\n    dir = {cache}\n")
    return folder


def ran(root: Path, marks: Path, *names: str) -> dict[str, int]:
    """Run units in a folder; gives how often each ran there or anywhere before."""
    units = [Unit(name, work, {"name": name, "marks": str(marks)}, outputs=(name,)) for name in names]
    run("stage", units, Path("out"), Path("units.json"), root=root)
    assert sorted(path.name for path in (root / "out").iterdir()) == sorted(names)
    return {path.name: path.read_text().count("ran") for path in marks.iterdir()}


def test_experiments_compute_once_what_they_have_in_common(home: Path, tmp_path: Path) -> None:
    marks, cache = tmp_path / "marks", home / ".dvc" / "cache"
    assert ran(experiment(tmp_path / "one", cache), marks, "a", "b") == {"a": 1, "b": 1}
    assert ran(experiment(tmp_path / "two", cache), marks, "b", "c") == {"a": 1, "b": 1, "c": 1}
    assert ran(home, marks, "a", "c", "d") == {"a": 1, "b": 1, "c": 1, "d": 1}
    assert ran(experiment(tmp_path / "three", cache), marks, "d") == {"a": 1, "b": 1, "c": 1, "d": 1}


def test_what_the_workspace_has_read_is_not_read_again(home: Path, tmp_path: Path) -> None:
    marks, cache = tmp_path / "marks", home / ".dvc" / "cache"
    ran(home, marks, "a", "b")
    memo = Memo(experiment(tmp_path / "one", cache))
    assert [entry.id for entry in memo.entries.values() if memo.find(entry.key)] == ["a", "b"]
    assert memo.notes.files_read == 0
    (home / ".hearlab" / "identities.txt").unlink()
    memo = Memo(tmp_path / "one")
    assert [entry.id for entry in memo.entries.values() if memo.find(entry.key)] == ["a", "b"]
    assert memo.notes.files_read == 2


def test_a_folder_with_another_cache_is_by_itself(home: Path, tmp_path: Path) -> None:
    """Such as a stranger's revision that is checked: what its journal says would not be found in the user's cache."""
    marks = tmp_path / "marks"
    other = experiment(tmp_path / "other", tmp_path / "cache")
    assert ran(home, marks, "a") == {"a": 1}
    assert ran(other, marks, "a") == {"a": 2}
    assert (other / ".hearlab" / "journal.jsonl").is_file()
