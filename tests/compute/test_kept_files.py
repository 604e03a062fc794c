"""The files of `.hearlab`, damaged, in the way, or not to be written: right results, and one warning at most."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_disk_full import PROGRAM as STAGE
from test_disk_full import REPOSITORY

from damaged_files import AS_ANYBODY, DRAWN, HOWS, damage, need_anybody
from forked import Forks, forks
from hearlab.compute import memo_maintenance, timings
from hearlab.compute.engine import run
from hearlab.compute.memo import Memo
from hearlab.compute.timings import stage_times, timed, unit_seconds
from hearlab.compute.units import Unit
from hearlab.files import md5_of

SEED = 20261130
OUT, INDEX = Path("out"), Path("units.json")
NAMES = ("a", "b", "c")


def double(root: Path, out: Path, *, name: str) -> dict[str, float]:
    (out / name).write_text(2 * (root / "in" / name).read_text())
    return {"score": 0.123456789}


def start(root: Path) -> tuple[list[Any], dict[str, bytes]]:
    """Run the stage; gives its results, outputs and index."""
    units = [Unit(name, double, {"name": name}, (f"in/{name}",), (name,)) for name in NAMES]
    with timed("stage", "demo", root):
        results = run("stage", units, OUT, INDEX, root=root)
    files = [*(root / OUT).iterdir(), root / INDEX]
    return results, {path.name: path.read_bytes() for path in sorted(files)}


def copied(made: Path, root: Path) -> Path:
    shutil.copytree(made, root, dirs_exist_ok=True)
    return root


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which the stage was run, then interrupted before the index was written: the journal is needed."""
    root = tmp_path_factory.mktemp("made")
    (root / "in").mkdir()
    for name in NAMES:
        (root / "in" / name).write_text(f"input {name}\n" * 100)
    start(root)
    (root / INDEX).unlink()
    return root


def kept(root: Path) -> list[str]:
    folder = root / ".hearlab"
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("how", HOWS)
def test_a_damaged_file_costs_time_only(made, tmp_path, caplog, how):
    rng = random.Random(f"{SEED} {how}")
    wanted = start(copied(made, tmp_path / "whole"))
    caplog.clear()
    for name in kept(made):
        for turn in range(3 if how in DRAWN else 1):
            root = copied(made, tmp_path / f"{name.replace('/', '.')} {turn}")
            damage(root / ".hearlab" / name, how, rng)
            case = f"{SEED}, {how}, {name}, {turn}"
            assert start(root) == wanted, case
            assert len(caplog.messages) <= 1, case
            unit_seconds(root / ".hearlab")
            stage_times(root, "demo", {"stage": md5_of(root / INDEX)})
            assert len(caplog.messages) <= 1, case
            caplog.clear()
            (root / INDEX).unlink()
            assert start(root) == wanted, case
            memo_maintenance.collect_garbage(root)
            assert memo_maintenance.verify(root).wrong == (), case
            assert not caplog.messages, case


@pytest.mark.parametrize("name", ["journal.jsonl", "identities.txt", "timings.jsonl", "unit-times.json", "stage.lock"])
def test_a_folder_in_the_way_is_set_aside_and_named(made, tmp_path, caplog, name):
    root = copied(made, tmp_path / "work")
    (root / ".hearlab" / name).unlink()
    (root / ".hearlab" / name / "inner").mkdir(parents=True)
    start(root)
    unit_seconds(root / ".hearlab")
    assert len(caplog.messages) == 1
    assert str(root / ".hearlab" / name) in caplog.messages[0]
    assert (root / ".hearlab" / "set-aside" / name / "inner").is_dir()
    assert not (root / ".hearlab" / name).is_dir()


def test_times_that_are_no_times_are_not_known(tmp_path):
    folder = tmp_path / ".hearlab"
    folder.mkdir()
    line = {"stage": "stage", "dataset": "demo", "finished": True, "wall": 1.0, "core": 1.0}
    wrong = [{"wall": "1"}, {"wall": -1.0}, {"core": None}, {"ran": "x"}, {"units": 1.5}, {"wall": float("nan")}]
    wrong += [{"stage": ["stage"]}, {"core": float("inf")}, {"wall": True}, {"index": 5}]
    for change in wrong:
        (folder / timings.FILE).write_text(json.dumps({**line, **change}) + "\n")
        assert stage_times(tmp_path, "demo", {"stage": None}) == {}, change
    times = '{"a": NaN, "b": -1, "c": "x", "d": 1e999, "e": true, "f": [1], "g": 2.5}'
    (folder / timings.UNITS_FILE).write_text(times)
    assert unit_seconds(folder) == {"g": 2.5}


def test_an_altered_time_is_not_believed(tmp_path):
    with timed("stage", "demo", tmp_path):
        pass
    path = tmp_path / ".hearlab" / timings.FILE
    assert "stage" in stage_times(tmp_path, "demo", {"stage": None})
    text = path.read_text()
    place = text.index('"wall": ') + 8
    path.write_text(text[:place] + str(9 - int(text[place])) + text[place + 1 :])
    assert stage_times(tmp_path, "demo", {"stage": None}) == {}


def test_a_wrong_entry_is_told_once(made, tmp_path, caplog):
    root = copied(made, tmp_path / "work")
    journal = root / ".hearlab" / "journal.jsonl"
    journal.write_text(journal.read_text().replace("0.123456789", "0.987654321"))
    Memo(root)
    assert len(caplog.messages) == 1
    assert "3 entries are wrong" in caplog.messages[0]
    caplog.clear()
    assert not Memo(root).entries
    assert not caplog.messages


def test_what_was_dropped_stays_so_whatever_happens_to_the_journal(made, tmp_path):
    root = copied(made, tmp_path / "work")
    memo = Memo(root)
    gone = sorted(memo.entries)[0]
    memo.drop([gone])
    lines = (root / ".hearlab" / "journal.jsonl").read_bytes().splitlines()
    for number in range(len(lines)):
        (root / ".hearlab" / "journal.jsonl").write_bytes(b"\n".join(lines[:number] + lines[number + 1 :]))
        assert gone not in Memo(root).entries


IMPORTS = f"""
import sys
sys.path[:0] = [{str(Path(__file__).parent)!r}, {str(Path(__file__).parents[1])!r}]
import test_kept_files
"""
PROGRAM = """
import logging
from pathlib import Path
import test_kept_files
logging.basicConfig(format="%(message)s")
print(test_kept_files.start(Path.cwd())[0])
test_kept_files.unit_seconds(Path(".hearlab").absolute())
"""


@pytest.fixture(scope="module")
def anybody() -> Iterator[Forks]:
    """Processes without the right to read any file."""
    need_anybody()
    with forks(IMPORTS, *AS_ANYBODY) as processes:
        yield processes


@pytest.mark.parametrize("name", ["journal.jsonl", "identities.txt", "timings.jsonl", "unit-times.json", "stage.lock"])
def test_files_without_permission(anybody, made, tmp_path, name):
    root = copied(made, tmp_path / "work")
    (root / ".hearlab" / name).chmod(0)
    lines = anybody.run(root, PROGRAM).splitlines()
    assert sum("0.123456789" in line for line in lines) == 1
    [line] = [line for line in lines if not line.startswith("stage: ") and "0.123456789" not in line]
    assert line.startswith(str(root / ".hearlab" / name))


def test_notes_that_cannot_be_written(made, tmp_path, caplog, monkeypatch):
    root = copied(made, tmp_path / "work")
    for name in ("identities.txt", timings.UNITS_FILE, timings.FILE):
        (root / ".hearlab" / name).unlink()
        (root / ".hearlab" / name).symlink_to("/proc/version")  # root may write to all else
    wanted = start(copied(made, tmp_path / "whole"))
    assert start(root) == wanted
    for name in ("identities.txt", timings.UNITS_FILE, timings.FILE):
        assert sum(str(root / ".hearlab" / name) in line for line in caplog.messages) <= 1
    assert any("identities.txt" in line for line in caplog.messages)


@pytest.mark.slow
def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    need_anybody()
    (tmp_path / "program.py").write_text(textwrap.dedent(STAGE))
    root, marks = tmp_path / "work", tmp_path / "marks"
    (root / "in").mkdir(parents=True)
    marks.mkdir()
    shutil.copy(REPOSITORY / "params.yaml", root)
    for name in "abcd":
        (root / "in" / name).write_text(name)
    environment = {**os.environ, "MARKS": str(marks), "COMMIT_SECONDS": "0", "HEARLAB_WORKERS": "1"}
    program = [*AS_ANYBODY, sys.executable, str(tmp_path / "program.py")]
    for closed in (root / ".hearlab", root / ".hearlab" / "staging"):
        closed.mkdir(parents=True, exist_ok=True)
        closed.chmod(0o500)
        done = subprocess.run(program, cwd=root, env=environment, capture_output=True, text=True, check=False)
        closed.chmod(0o700)
        assert done.returncode == 1
        [line] = done.stderr.splitlines()
        assert line.startswith(f"hearlab: {closed}/"), line
        assert line.endswith("Permission denied")
    done = subprocess.run(program, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(list(marks.iterdir())) == 4
