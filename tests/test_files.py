"""Atomic writes and JSON errors."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hearlab.errors import InputError, ParameterError
from hearlab.files import atomic_path, read_json, remove_left_over, synced_later, write_json


def test_atomic_path_keeps_the_old_file_on_an_error(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "x.json"
    write_json(path, {"a": 1})

    def fail_halfway() -> None:
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()
    assert read_json(path) == {"a": 1}
    assert list(path.parent.iterdir()) == [path]


def test_written_files_have_ordinary_permissions(tmp_path: Path) -> None:
    (tmp_path / "ordinary").write_text("")
    write_json(tmp_path / "x.json", 1)
    assert (tmp_path / "x.json").stat().st_mode == (tmp_path / "ordinary").stat().st_mode


def test_malformed_json_names_line_and_column(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text('{"a": 1,\n "b" 2}')
    with pytest.raises(InputError, match=r"x\.json: line 2 column 6: is not valid JSON"):
        read_json(path)


def test_missing_json(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_json(tmp_path / "x.json")


def test_json_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(b'"\xff"')
    with pytest.raises(InputError, match="is not UTF-8 text"):
        read_json(path)


def test_an_error_is_one_line_and_survives_pickling() -> None:
    error = ParameterError("f.json", "is\nwrong", field="a.b", found=3, wanted="4", advice="mend it")
    assert str(error) == "f.json: a.b: is wrong (found 3, wanted 4); mend it"
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert type(copy) is ParameterError
    assert str(copy) == str(error)
    assert copy.exit_code == 2


def test_files_that_are_synced_later_are_still_renamed_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    with synced_later():
        write_json(tmp_path / "a.json", 1)
    assert synced == []
    write_json(tmp_path / "b.json", 2)
    assert len(synced) == 1
    assert read_json(tmp_path / "a.json") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "b.json"]


def test_what_killed_processes_left_is_removed(tmp_path: Path) -> None:
    program = """
import os, signal, sys
from hearlab.files import atomic_path
with atomic_path(sys.argv[1]) as path:
    path.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    for name in ("times.json", "a table.csv", "no suffix"):
        done = subprocess.run([sys.executable, "-c", program, str(tmp_path / name)], check=False)
        assert done.returncode == -signal.SIGKILL
    (tmp_path / ".times.part-00000000-1-abc.json").touch()  # of another machine
    (tmp_path / ".times.part-old.json").touch()  # of somebody else
    assert len(list(tmp_path.iterdir())) == 5
    with atomic_path(tmp_path / "now.json") as path:
        path.write_text("{}")
        remove_left_over(tmp_path)
    assert {entry.name for entry in tmp_path.iterdir()} == {
        "now.json",
        ".times.part-00000000-1-abc.json",
        ".times.part-old.json",
    }
    remove_left_over(tmp_path / "nowhere")
