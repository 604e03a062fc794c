"""A process that dies in a unit: the next one knows in which."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import hearlab
from hearlab.compute.attempts.in_flight import LONGEST as LONGEST_NOTES
from hearlab.compute.attempts.in_flight import MOST, Apart, InFlight, named
from hearlab.compute.attempts.outcomes import outcomes
from hearlab.compute.units import Unit
from waits import LONGEST, until

PROGRAM = """
import ctypes, faulthandler, os, sys
from pathlib import Path

from hearlab.compute.attempts.failures import UnitsFailed
from hearlab.compute.engine import run
from hearlab.compute.units import Unit


def unit(root, out, *, number):
    print("working on", number)
    if number in (1, 3):
        kind = (root / "kind").read_text()
        if kind == "segfault":
            ctypes.string_at(0)
        elif kind == "exit":
            os._exit(7)
    return number


if __name__ == "__main__":
    import program

    faulthandler.enable()
    units = [Unit(f"S{n}", program.unit, {"number": n}) for n in range(4)]
    try:
        print(run("enhance test", units, None, Path("units.json")))
    except UnitsFailed as error:
        print(error)
"""

CRASHING = PROGRAM.splitlines().index("            ctypes.string_at(0)") + 1


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "program.py").write_text(PROGRAM)
    return tmp_path


def start(folder: Path, kind: str) -> subprocess.CompletedProcess[str]:
    (folder / "kind").write_text(kind)
    paths = os.pathsep.join([str(folder), str(Path(hearlab.__file__).parents[1]), *filter(None, sys.path)])
    return subprocess.run(
        [sys.executable, "program.py"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths, "HEARLAB_WORKERS": "1"},
        capture_output=True,
        text=True,
        timeout=LONGEST,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "code", "how"),
    [
        ("segfault", -signal.SIGSEGV, f"SIGSEGV: Segmentation fault; program.py: line {CRASHING}, in unit"),
        ("exit", 7, "exit code 7"),
    ],
)
def test_a_death_is_named_and_then_a_failure_of_its_unit(folder: Path, kind: str, code: int, how: str) -> None:
    died = start(folder, kind)
    assert died.returncode == code
    if kind == "segfault":
        assert "Fatal Python error: Segmentation fault" in died.stderr
        assert "program.py" in died.stderr
    (note,) = (folder / ".hearlab").glob("in-flight-*")
    assert note.read_text() == "\tS1"
    told = "enhance test: an earlier run ended without a word in {}: now units run in a process of their own"
    for names in ("S1", "S1, S3"):  # each further run knows them, too, and finishes the others
        again = start(folder, kind)
        assert again.returncode == 0, again.stderr
        assert told.format(names) in again.stderr
        assert again.stdout == f"enhance test: 2 of 4 units failed\n  2 units (S1, S3): its process died ({how})\n"
        # One short trace for both: not a page for each, with all that is loaded.
        assert again.stderr.count(f"program.py, line {CRASHING}, in unit\n") == (kind == "segfault")
        assert "Extension modules" not in again.stderr
        assert len(again.stderr.splitlines()) < 15
    mended = start(folder, "none")
    assert mended.stdout == "[0, 1, 2, 3]\n"
    assert told.format("S1, S3") in mended.stderr
    assert "enhance test: S3: working on 3" in mended.stderr
    assert not note.exists()
    assert "process of their own" not in start(folder, "none").stderr


def process_id(root: Path, out: Path) -> int:
    return os.getpid()


def lingering(root: Path, out: Path) -> None:
    (root / "pid").write_text(str(os.getpid()))
    time.sleep(600)


def runs(process: int) -> bool:
    """Whether there is such a process that has not ended."""
    try:
        return "State:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except OSError:
        return False


def leaving_a_child(root: Path, out: Path) -> None:
    child = os.fork()
    if child == 0:
        time.sleep(600)
        os._exit(0)
    (root / "child").write_text(str(child))
    os._exit(7)


def test_a_child_of_a_dead_process_does_not_hold_up_its_stage(tmp_path: Path) -> None:
    """It holds the socket of the process that it was forked from."""
    try:
        with Apart() as apart:
            outcome, died = apart.run(Unit("S1", leaving_a_child), tmp_path, tmp_path / "out")
    finally:
        os.kill(int((tmp_path / "child").read_text()), signal.SIGKILL)
    assert died
    assert outcome.failure is not None
    assert outcome.failure.cause == "its process died (exit code 7)"


KILLED = """
from pathlib import Path

from hearlab.compute.attempts.in_flight import Apart
from hearlab.compute.units import Unit

if __name__ == "__main__":
    import test_in_flight

    with Apart() as apart:
        apart.run(Unit("S1", test_in_flight.lingering), Path(), Path("out"))
"""


def test_the_process_of_its_own_ends_with_the_one_that_is_killed(tmp_path: Path) -> None:
    """Else it would write into what the next run begins anew."""
    (tmp_path / "program.py").write_text(KILLED)
    paths = [str(Path(__file__).parent), str(Path(hearlab.__file__).parents[1]), *filter(None, sys.path)]
    program = subprocess.Popen(
        [sys.executable, "program.py"], cwd=tmp_path, env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    )
    until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text(), program)
    program.kill()
    program.wait()
    child = int((tmp_path / "pid").read_text())
    until(lambda: not runs(child), what="the end of the process of its own")


def test_nothing_is_in_flight_after_a_run_that_ends(tmp_path: Path) -> None:
    unit = Unit("S1 L1", lingering, code=("my_lab.net:Mine",))

    def ends_by(error: type[BaseException]) -> None:
        with InFlight(tmp_path, "enhance_speech").noted() as note:
            note(unit)
            assert InFlight(tmp_path, "enhance_speech").died == [named(unit)]
            raise error

    for error in (KeyboardInterrupt, ValueError):
        with pytest.raises(error):
            ends_by(error)
        assert InFlight(tmp_path, "enhance_speech").died == []


def test_a_unit_that_died_with_another_system_did_not_die(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEARLAB_WORKERS", "1")
    this, other = "hearlab.named:load_named", "hearlab.text:few"  # as good as systems
    for died, told in ((other, False), (this, True)):
        (tmp_path / "in-flight-test.txt").write_text(f"{died}\tS1")
        todo = [Unit("S1", process_id, code=(this,)), Unit("S2", process_id)]
        found = list(
            outcomes(todo, tmp_path, tmp_path, "test", idle=lambda: None, in_flight=InFlight(tmp_path, "test"))
        )
        assert [outcome.result != os.getpid() for _, outcome in found] == [told, told]


def test_what_died_is_known_until_it_has_ended_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither another system that runs in between, nor a run that does not come to the unit, takes its note away."""
    monkeypatch.setenv("HEARLAB_WORKERS", "1")
    this, other = "hearlab.named:load_named", "hearlab.text:few"  # as good as systems

    def run(*todo: Unit, most: int = 2) -> list[bool]:
        """Whether units ran in a process of their own."""
        found = outcomes(todo, tmp_path, tmp_path, "test", idle=lambda: None, in_flight=InFlight(tmp_path, "test"))
        with contextlib.closing(found):
            return [outcome.result != os.getpid() for _, outcome in itertools.islice(found, most)]

    (tmp_path / "in-flight-test.txt").write_text(f"{this}\tS1\n{this}\tS2")
    first, second, third = (Unit(name, process_id, code=(this,)) for name in ("S1", "S2", "S3"))
    assert run(*(Unit(name, process_id, code=(other,)) for name in ("S1", "S2"))) == [False, False]
    assert run(third) == [False]
    assert run(third, second, first, most=1) == [True]
    assert InFlight(tmp_path, "test").died == [named(first)], "the run ended before the other one"
    assert run(third, second, first, most=3) == [True, True, True]
    assert not (tmp_path / "in-flight-test.txt").exists()


def test_so_many_notes_are_kept_of_each_system(tmp_path: Path) -> None:
    systems, units = ("my_lab.net:First", "my_lab.net:Second"), 2 * MOST
    for system in systems:
        notes = InFlight(tmp_path, "test")
        with notes.noted():
            for number in range(units):
                notes.has_died(Unit(f"S{number}", lingering, code=(system,)))
    kept = InFlight(tmp_path, "test").died
    assert kept == [f"{system}\tS{number}" for system in systems for number in range(units - MOST, units)]
    long = Unit("S" * (LONGEST_NOTES // 2), lingering)
    with InFlight(tmp_path, "test").noted() as note:
        note(long)
        assert InFlight(tmp_path, "test").died == [*kept, named(long)]
    assert InFlight(tmp_path, "test").died == kept


def test_a_note_that_is_no_text_is_no_unit(tmp_path: Path) -> None:
    (tmp_path / "in-flight-render_scenes-dev.txt").write_bytes(b"\xff\x00\n" * 5000)
    assert set(InFlight(tmp_path, "render_scenes dev").died) <= {"\ufffd\x00", "\ufffd"}
    assert InFlight(tmp_path, "render_scenes train").died == []
