"""Private folders: gone afterwards, and after a kill with the next command; those in use stay."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hearlab.versions import scratch
from hearlab.versions.scratch import clear_scratch, scratch_folder

HOLD = (
    "import sys; from pathlib import Path; from hearlab.versions.scratch import scratch_folder\n"
    "with scratch_folder(Path(sys.argv[1]), 'verify-') as folder:\n"
    "  (folder / 'work').mkdir(); print('here', flush=True); sys.stdin.read()\n"
)


def test_what_a_killed_process_left_is_cleared_and_what_is_in_use_is_not(tmp_path: Path) -> None:
    source = {**os.environ, "PYTHONPATH": str(Path(scratch.__file__).resolve().parents[2])}
    command = (sys.executable, "-c", HOLD, str(tmp_path))
    with subprocess.Popen(command, env=source, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"here\n"
        with scratch_folder(tmp_path, "verify-") as mine:
            clear_scratch(tmp_path, "verify-")
            assert len(list(tmp_path.iterdir())) == 2
        assert not mine.exists()
        process.send_signal(signal.SIGKILL)
    assert len(list(tmp_path.iterdir())) == 1
    clear_scratch(tmp_path, "verify-")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("step", ["mkdtemp", "open", "flock"])
def test_killed_while_it_is_made(tmp_path: Path, step: str) -> None:
    """At the moments between the folder, its lock file and its lock."""
    kill = "import os, fcntl, tempfile; "
    kill += {
        "mkdtemp": "m = os.open; os.open = lambda *a, **k: os.kill(os.getpid(), 9)",
        "open": "fcntl.flock = lambda *a: os.kill(os.getpid(), 9)",
        "flock": "os.path.samestat = lambda *a: os.kill(os.getpid(), 9)",
    }[step]
    source = {**os.environ, "PYTHONPATH": str(Path(scratch.__file__).resolve().parents[2])}
    command = (sys.executable, "-c", f"import hearlab.versions.scratch\n{kill}\n{HOLD}", str(tmp_path))
    done = subprocess.run(command, env=source, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 1
    with scratch_folder(tmp_path, "verify-"):
        assert len(list(tmp_path.iterdir())) == 1
    assert list(tmp_path.iterdir()) == []


def test_folders_without_permissions_and_links_are_removed(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/file").write_text("mine")
    with scratch_folder(tmp_path, "verify-") as folder:
        (folder / "work/deep/deeper").mkdir(parents=True)
        (folder / "work/deep/deeper/file").write_text("x")
        (folder / "work/out").symlink_to(tmp_path / "mine")
        (folder / "link").symlink_to(tmp_path / "mine")
        for path in ("work/deep/deeper", "work/deep", "work"):
            (folder / path).chmod(0)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    assert (tmp_path / "mine/file").read_text() == "mine"


def test_a_link_in_place_of_a_folder_or_a_lock_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/file").write_text("mine")
    (tmp_path / "parent/verify-b").mkdir(parents=True)
    (tmp_path / "parent/verify-a").symlink_to(tmp_path / "mine")
    (tmp_path / "parent/verify-b/lock").symlink_to(tmp_path / "mine/made")
    clear_scratch(tmp_path / "parent", "verify-")
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == ["file"]
