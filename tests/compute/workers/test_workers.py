"""Worker processes of this machine: real ones, which die, are killed with their stage, and are of other code."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import importlib
import inspect
import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from light_units import process_id

import hearlab
from hearlab.compute import timings
from hearlab.compute.attempts import outcomes as where
from hearlab.compute.attempts.failures import UnitsFailed
from hearlab.compute.engine import run
from hearlab.compute.execution import Outcome
from hearlab.compute.memo import FOLDER
from hearlab.compute.timings import WorkersStart
from hearlab.compute.units import Unit
from hearlab.compute.workers import processes
from hearlab.compute.workers.groups import GIVE_BACK_SECONDS, Groups
from hearlab.compute.workers.processes import Workers
from hearlab.compute.workers.worker import READY
from hearlab.errors import InputError
from waits import LONGEST, until

INDEX = Path("units.json")


def deadly(root: Path, out: Path, *, number: int, kind: str) -> int:
    if number == 3:
        if kind == "exit":
            os._exit(9)
        if kind == "segfault":
            ctypes.string_at(0)
        os.kill(os.getpid(), signal.SIGKILL)
    sys.stdout.write(f"number {number}\n")
    logging.getLogger("hearlab.test").warning("warned of %d", number)
    return number


CRASHING = inspect.getsourcelines(deadly)[1] + inspect.getsource(deadly).splitlines().index(
    "            ctypes.string_at(0)"
)
HERE = os.path.relpath(__file__)


def once_deadly(root: Path, out: Path, *, number: int) -> int:
    mark = root / "died"
    if number == 5 and not mark.exists():
        mark.touch()
        os._exit(1)
    return number


def writing(root: Path, out: Path, *, number: int) -> None:
    (out / f"{number}.txt").write_text(f"this is {number}")


def unsendable(root: Path, out: Path, *, number: int) -> Any:
    if number == 1:
        return lambda: None
    if number == 2:
        raise InputError("x.wav", "is even", found=number)
    return number


def timed(root: Path, out: Path, *, number: int) -> list[float]:
    began = time.monotonic()
    time.sleep(0.05)
    return [began, time.monotonic()]


def slow_or_quick(root: Path, out: Path, *, number: int) -> int:
    if number == 10:
        time.sleep(GIVE_BACK_SECONDS + 0.2)
    return os.getpid()


def leaving(root: Path, out: Path, *, number: int) -> str:
    text = (root / "input.txt").read_text()
    os.chdir("/")
    return text


def python_path(root: Path, out: Path, *, number: int) -> str | None:
    return os.environ.get("PYTHONPATH")


def cleaning_up(root: Path, out: Path, *, number: int) -> None:
    atexit.register((root / f"{number}.cleaned").touch)


def told_to_end_in_a_callback(root: Path, out: Path) -> None:
    """Where Python prints an interruption and goes on."""

    def gone(reference: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(600)

    thing = {1}
    reference = weakref.ref(thing, gone)
    assert reference() is thing
    del thing
    time.sleep(600)


def first_one_slow(root: Path, out: Path, *, number: int) -> bool:
    end = time.monotonic() + LONGEST
    others = [root / f"{n}.done" for n in range(1, 4)]
    while number == 0 and not all(other.exists() for other in others) and time.monotonic() < end:
        time.sleep(0.01)
    (root / f"{number}.done").touch()
    return time.monotonic() < end


def units(function: Any, count: int, **more: Any) -> list[Unit]:
    return [Unit(f"S{n}", function, {"number": n, **more}) for n in range(count)]


def all_of(todo: list[Unit], root: Path, count: int = 2) -> dict[str, Outcome]:
    """What workers make of units, by their ids."""
    staging = root / "staging"
    staging.mkdir(exist_ok=True)
    with Workers(count, Groups(todo), root, staging, Unit.code_identity) as workers:
        found = [(unit.id, outcome) for unit, outcome in workers.rest(lambda: None)]
    assert len(found) == len(dict(found)) == len(todo)
    return dict(found)


@pytest.mark.slow
def test_all_units_run_once_in_the_workers(tmp_path: Path) -> None:
    found = all_of(units(process_id, 300), tmp_path)
    assert {outcome.failure for outcome in found.values()} == {None}
    processes = {outcome.result for outcome in found.values()}
    assert 1 <= len(processes) <= 2  # all of them may be done before the second one is ready
    assert os.getpid() not in processes


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "cause"),
    [
        ("exit", "its process died (exit code 9)"),
        ("segfault", f"its process died (SIGSEGV: Segmentation fault; {HERE}: line {CRASHING}, in deadly)"),
        pytest.param(
            "kill",
            "its worker process died 4 times (SIGKILL: Killed; out of memory?); set HEARLAB_WORKERS lower, or to 1 to "
            "see where",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_death_is_the_failure_of_its_unit_alone(
    kind: str, cause: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(where._Choice, "of", lambda *unused: where.WORKERS)
    monkeypatch.setenv("HEARLAB_WORKERS", "2")
    # One group, which goes to a worker at once: none of it runs here.
    todo = [replace(unit, group="all") for unit in units(deadly, 6, kind=kind)]
    with pytest.raises(UnitsFailed) as caught:
        run("test", todo, None, INDEX, root=tmp_path)
    assert str(caught.value) == f"test: 1 of 6 units failed\n  S3: {cause}"
    shown = capfd.readouterr().err  # of the workers, too
    assert "test: starting 2 worker processes\n" in shown
    assert "Extension modules" not in shown
    assert shown.count(f"test_workers.py, line {CRASHING}, in deadly\n") == (kind == "segfault")
    for n in (0, 1, 2, 4, 5):
        assert shown.count(f"test: S{n}: number {n}\n") == 1
    assert shown.count("warning: warned of") == 3
    assert "2 more warnings like" in shown


@pytest.mark.slow
def test_a_unit_whose_worker_died_once_is_tried_again(tmp_path: Path) -> None:
    found = all_of(units(once_deadly, 20), tmp_path)
    assert {id: outcome.result for id, outcome in found.items()} == {f"S{n}": n for n in range(20)}
    assert (tmp_path / "died").exists()


@pytest.mark.slow
def test_what_fails_in_a_group_fails_alone(tmp_path: Path) -> None:
    found = all_of([replace(unit, group="all") for unit in units(unsendable, 8)], tmp_path, count=1)
    failures = {id: outcome.failure.cause for id, outcome in found.items() if outcome.failure}
    assert failures.keys() == {"S1", "S2"}
    assert failures["S1"].startswith("its result cannot be sent: ")
    assert failures["S2"] == "x.wav: is even (found 2)"


@pytest.mark.slow
def test_units_behind_a_slow_one_go_to_another_worker(tmp_path: Path) -> None:
    """The group was made when units were quick."""
    groups = Groups(units(slow_or_quick, 400))
    groups.took(1, 1e-6)
    (tmp_path / "staging").mkdir()
    with Workers(2, groups, tmp_path, tmp_path / "staging", Unit.code_identity) as workers:
        found = {unit.id: outcome.result for unit, outcome in workers.rest(lambda: None)}
    assert len(found) == 400
    slow = found["S10"]
    behind = [found[f"S{n}"] for n in range(11, 400)]
    assert behind.count(slow) < len(behind)


@pytest.mark.slow
def test_files_and_their_digests_come_from_the_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    todo = [Unit(f"S{n}", writing, {"number": n}, outputs=(f"{n}.txt",), group="all") for n in range(8)]

    def not_here(path: str) -> str:
        raise AssertionError(f"{path} is read again")

    monkeypatch.setattr("hearlab.compute.object_store.md5_of", not_here)
    monkeypatch.setattr(where._Choice, "of", lambda *unused: where.WORKERS)
    monkeypatch.setenv("HEARLAB_WORKERS", "1")
    run("test", todo, Path("out"), INDEX, root=tmp_path)
    assert {path.name: path.read_text() for path in (tmp_path / "out").iterdir()} == {
        f"{n}.txt": f"this is {n}" for n in range(8)
    }
    monkeypatch.undo()
    index = (tmp_path / INDEX).read_bytes()
    other = tmp_path / "other"
    other.mkdir()
    run("test", todo, Path("out"), INDEX, root=other)
    assert (other / INDEX).read_bytes() == index


@pytest.mark.slow
def test_no_more_units_at_once_than_memory_allows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "usable_memory", lambda: 1 << 30)
    todo = [replace(unit, memory=600 << 20) for unit in units(timed, 12)]
    times = sorted(outcome.result for outcome in all_of(todo, tmp_path).values())
    assert all(one[1] <= other[0] for one, other in pairwise(times))


def test_a_module_in_a_folder_with_a_colon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It cannot be named in PYTHONPATH."""
    folder = tmp_path / "at 12:30"
    folder.mkdir()
    (folder / "beside_a_colon.py").write_text("def unit(root, out):\n    return 1\n")
    monkeypatch.syspath_prepend(folder)
    unit = importlib.import_module("beside_a_colon").unit
    assert all_of([Unit("S1", unit)], tmp_path)["S1"].result == 1


def test_a_single_worker_is_not_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where memory is for one unit at a time, this process is as fast."""
    monkeypatch.setattr(processes, "usable_memory", lambda: 1 << 30)
    monkeypatch.setenv("HEARLAB_WORKERS", "2")
    choice = where._Choice(units(process_id, 100), WorkersStart(None))
    choice.times.append(1e6)
    assert choice.of(Groups([replace(unit, memory=300 << 20) for unit in units(process_id, 100)])) == where.WORKERS
    assert choice.of(Groups([replace(unit, memory=600 << 20) for unit in units(process_id, 100)])) is None


@pytest.mark.slow
def test_units_that_leave_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "input.txt").write_text("read")
    monkeypatch.chdir(tmp_path)
    found = all_of(units(leaving, 4), tmp_path)
    assert {outcome.result for outcome in found.values()} == {"read"}
    assert run("test", units(leaving, 4), None, INDEX) == ["read"] * 4
    assert Path.cwd() == tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("path", [None, "own"])
def test_what_workers_need_to_start_is_nothing_for_units(
    path: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A unit may start another Python, for which the modules of this one are wrong."""
    monkeypatch.delenv("PYTHONPATH", raising=False)
    if path is not None:
        monkeypatch.setenv("PYTHONPATH", path)
    assert {outcome.result for outcome in all_of(units(python_path, 2), tmp_path).values()} == {path}


@pytest.mark.slow
def test_what_units_leave_to_the_end_of_their_process_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as the removal of temporary files."""
    monkeypatch.setattr(processes, "ENDING_SECONDS", LONGEST)
    all_of(units(cleaning_up, 4), tmp_path)
    assert len(list(tmp_path.glob("*.cleaned"))) == 4


@pytest.mark.slow
def test_the_last_units_go_to_workers_that_have_nothing(tmp_path: Path) -> None:
    """None waits behind a unit that is slower than those before, which here ends when all others have."""
    groups = Groups(units(first_one_slow, 4))
    groups.took(100, 1e-3)
    (tmp_path / "staging").mkdir()
    with Workers(2, groups, tmp_path, tmp_path / "staging", Unit.code_identity) as workers:
        assert [outcome.result for _, outcome in workers.rest(lambda: None)] == [True] * 4


@pytest.mark.slow
def test_a_worker_with_other_code_ends_the_stage(tmp_path: Path) -> None:
    (tmp_path / "staging").mkdir()
    groups = Groups(units(process_id, 4))

    def runs() -> Iterator[object]:
        with Workers(1, groups, tmp_path, tmp_path / "staging", lambda unit: "other") as workers:
            yield from workers.rest(lambda: None)

    with pytest.raises(InputError, match="a worker process: has other code than the stage that started it"):
        list(runs())


def test_a_process_that_ends_while_it_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(InputError, match=r"ended while it started \(found exit code 1\); HEARLAB_WORKERS=1 goes"):
        all_of(units(process_id, 4), tmp_path)


PROGRAM = """
import os, sys, time
from pathlib import Path
from hearlab.compute.attempts import outcomes
from hearlab.compute.engine import run
from hearlab.compute.process import sigterm_interrupts
from hearlab.compute.units import Unit
import work

outcomes._Choice.of = lambda *unused: outcomes.WORKERS
units = [Unit(f"S{n}", work.unit, {"number": n}, outputs=(f"{n}.txt",)) for n in range(200)]
try:
    with sigterm_interrupts():
        run("test", units, Path("out"), Path("units.json"))
except KeyboardInterrupt:
    sys.exit(130)
"""
WORK = """
import os, time
from pathlib import Path


def unit(root, out, *, number):
    with open("workers", "a") as file:
        file.write(f"{os.getpid()}\\n")
    (out / f"{number}.txt").write_text(str(number))
    time.sleep(0.01)
    # The first run is not done before it is ended, wherever its units run, and has kept something by then.
    while number > 100 and Path("hold").exists():
        time.sleep(0.01)
    with open("ran", "a") as file:
        file.write(f"S{number} ")
"""

WITH_PROGRAMS = """
import subprocess


def unit(root, out, *, number):
    subprocess.run(["sh", "-c", "echo $$ >> workers; exec sleep 600"])
"""
HOLDING_THE_LOCK = """
import ctypes, os


def unit(root, out, *, number):
    with open("workers", "a") as file:
        file.write(f"{os.getpid()}\\n")
    ctypes.PyDLL(None).sleep(600)
"""


def start(folder: Path, work: str = WORK) -> subprocess.Popen[bytes]:
    """A program without a guard of its main module, whose units take two workers."""
    (folder / "program.py").write_text(PROGRAM)
    (folder / "work.py").write_text(work)
    paths = [str(Path(hearlab.__file__).parents[1]), *filter(None, sys.path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "HEARLAB_WORKERS": "2"}
    with (folder / "stderr").open("wb") as file:
        command = [sys.executable, "program.py"]
        return subprocess.Popen(command, cwd=folder, env=environment, stderr=file, start_new_session=True)


def workers_of(folder: Path, program: int) -> set[int]:
    path = folder / "workers"
    return {int(line) for line in path.read_text().splitlines()} - {program} if path.exists() else set()


def kept(folder: Path) -> set[str]:
    path = folder / ".hearlab" / "journal.jsonl"
    return {json.loads(line)["id"] for line in path.read_text().splitlines()} if path.exists() else set()


def runs(process: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="finds processes in /proc")
@pytest.mark.parametrize(
    "signum",
    [
        signal.SIGKILL,
        pytest.param(signal.SIGINT, marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, marks=pytest.mark.slow),
    ],
)
def test_workers_end_with_their_stage_and_another_run_goes_on(tmp_path: Path, signum: signal.Signals) -> None:
    (tmp_path / "hold").touch()
    program = start(tmp_path)
    until(lambda: len(workers_of(tmp_path, program.pid)) == 2 and kept(tmp_path), program, "two workers and a result")
    program.send_signal(signum)
    assert program.wait(LONGEST) == (-signum if signum == signal.SIGKILL else 130)
    for worker in workers_of(tmp_path, program.pid):
        until(lambda worker=worker: not runs(worker), what="the end of a worker")
    before = kept(tmp_path)
    assert 0 < len(before) < 200
    (tmp_path / "ran").unlink()
    (tmp_path / "hold").unlink()
    again = start(tmp_path)
    assert again.wait(LONGEST) == 0
    assert {path.name: path.read_text() for path in (tmp_path / "out").iterdir()} == {
        f"{n}.txt": str(n) for n in range(200)
    }
    assert set((tmp_path / "ran").read_text().split()) == {f"S{n}" for n in range(200)} - before
    assert list((tmp_path / ".hearlab" / "staging").iterdir()) == []


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="finds processes in /proc")
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_ends_the_programs_that_units_have_started(tmp_path: Path, signum: signal.Signals) -> None:
    """A terminal sends Ctrl-C to all processes: workers do not mind, what they have started does."""
    program = start(tmp_path, WITH_PROGRAMS)
    # Of two workers, and of the process that started them.
    until(lambda: len(workers_of(tmp_path, program.pid)) == 3, program, "three programs")
    (os.killpg if signum == signal.SIGINT else os.kill)(program.pid, signum)
    assert program.wait(LONGEST) == 130
    for started in workers_of(tmp_path, program.pid):
        until(lambda started=started: not runs(started), what="the end of a program")
    assert "Traceback" not in (tmp_path / "stderr").read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="Linux kills a process with its parent")
def test_a_killed_stage_leaves_no_worker_that_hangs(tmp_path: Path) -> None:
    """Compiled code may keep Python's lock: no other thread of the worker sees that the stage is gone."""
    program = start(tmp_path, HOLDING_THE_LOCK)
    until(lambda: len(workers_of(tmp_path, program.pid)) == 2, program, "two workers")
    program.kill()
    program.wait(LONGEST)
    try:
        for worker in workers_of(tmp_path, program.pid):
            until(lambda worker=worker: not runs(worker), what="the end of a worker")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(program.pid, signal.SIGKILL)


def minds_ctrl_c(process: int) -> bool:
    """Whether a process has begun to run Python, which gives SIGINT a meaning."""
    caught = re.search(r"SigCgt:\s*(\w+)", Path(f"/proc/{process}/status").read_text())
    return caught is not None and int(caught[1], 16) & 1 << signal.SIGINT - 1 != 0


def test_a_worker_that_is_told_to_end_ends_wherever_it_is(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    unit = Unit("S1", told_to_end_in_a_callback)
    worker = processes.WorkerProcess(__name__, tmp_path, tmp_path)
    assert worker.pipe.recv() == READY
    worker.pipe.send(([unit], [unit.code_identity()]))
    assert worker.process.wait(LONGEST) == 128 + signal.SIGTERM
    worker.end(0)
    assert capfd.readouterr().err == ""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="finds processes in /proc")
def test_ctrl_c_while_a_worker_starts(tmp_path: Path) -> None:
    """It goes on, and says no word: what becomes of it is for the process that started it."""
    worker = processes.WorkerProcess(__name__, tmp_path, tmp_path)
    end = time.monotonic() + LONGEST
    while not minds_ctrl_c(worker.process.pid):
        assert time.monotonic() < end
        time.sleep(0.001)
    worker.process.send_signal(signal.SIGINT)
    assert worker.pipe.recv() == READY
    worker.end(LONGEST)
    assert worker.process.returncode == 0


def test_workers_start_before_any_unit_runs_where_units_say_that_they_take_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEARLAB_WORKERS", "2")
    todo = [replace(unit, seconds=1e6) for unit in units(process_id, 4)]
    assert os.getpid() not in run("test", todo, None, INDEX, root=tmp_path)


def test_workers_start_before_any_unit_runs_where_units_took_long_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEARLAB_WORKERS", "2")
    assert set(run("test", units(process_id, 4), None, INDEX, root=tmp_path)) == {os.getpid()}
    timings.note_unit_seconds(tmp_path / FOLDER, INDEX.name, [1e6])
    others = [replace(unit, id=f"{unit.id} again") for unit in units(process_id, 4)]
    assert os.getpid() not in run("test", others, None, INDEX, root=tmp_path)


@pytest.mark.parametrize("seconds", [0.001, 0.0])
def test_quick_units_run_in_this_process_from_the_first_on(
    seconds: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEARLAB_WORKERS", "2")
    todo = [replace(unit, seconds=seconds) for unit in units(process_id, 4)]
    assert set(run("test", todo, None, INDEX, root=tmp_path)) == {os.getpid()}
