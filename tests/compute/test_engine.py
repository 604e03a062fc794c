"""Running units: order, worker counts, failures, interruption."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from hearlab.compute.engine import UnitsFailed, run, worker_count
from hearlab.compute.units import Unit
from hearlab.errors import InputError, ParameterError


def noise(seed: int) -> np.ndarray:
    """A unit whose result comes from its own seed; module-level, as workers need it."""
    return np.random.RandomState(seed).standard_normal(1000) @ np.ones(1000)


def odd_only(number: int, folder: str) -> int:
    Path(folder, str(number)).touch()
    if number == 4:
        raise ZeroDivisionError("four")
    if number % 2 == 0:
        raise InputError("x.wav", "is even", found=number)
    logging.getLogger("hearlab.test").warning("number %d is odd", number)
    return number


def process_id(wait: float) -> int:
    time.sleep(wait)
    return os.getpid()


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_results_come_in_the_order_of_the_units_whatever_the_workers(workers: int) -> None:
    units = [Unit(f"u{seed}", noise, {"seed": seed}) for seed in (5, 3, 9, 1)]
    assert run("test", units, workers=workers) == [noise(seed) for seed in (5, 3, 9, 1)]


def test_work_is_spread_over_processes() -> None:
    results = run("test", [Unit(str(n), process_id, {"wait": 0.3}) for n in range(6)], workers=2)
    assert len(set(results)) == 2
    assert os.getpid() not in results


def test_little_work_stays_in_this_process() -> None:
    assert run("test", [Unit("a", process_id, {"wait": 0})]) == [os.getpid()]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_failing_unit_does_not_stop_the_others(
    tmp_path: Path, workers: int, capsys: pytest.CaptureFixture[str]
) -> None:
    units = [Unit(f"unit {n}", odd_only, {"number": n, "folder": str(tmp_path)}) for n in range(1, 6)]
    with pytest.raises(UnitsFailed) as caught:
        run("test", units, workers=workers)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2", "3", "4", "5"]
    lines = str(caught.value).splitlines()
    assert lines[0] == "test: 2 of 5 units failed"
    assert lines[1] == "  unit 2: x.wav: is even (found 2)"
    assert lines[2].startswith("  unit 4: ZeroDivisionError: four (test_engine.py line ")
    assert "Traceback" in caught.value.failures[1].trace
    shown = capsys.readouterr().err
    assert "unit 1: warning: number 1 is odd" in shown
    assert "test: 5/5" in shown
    assert "2 failed" in shown


def test_a_dead_worker_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    units = [Unit(str(n), os._exit, {"status": 9}) for n in range(3)]
    with pytest.raises(UnitsFailed, match="the worker process died"):
        run("test", units, workers=2)


def test_repeated_warnings_are_counted(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    units = [Unit(str(n), odd_only, {"number": n, "folder": str(tmp_path)}) for n in range(1, 21, 2)]
    run("test", units, workers=1)
    shown = capsys.readouterr().err
    assert shown.count(": warning: number") == 3
    assert "7 more warnings like: number %d is odd" in shown


def test_a_unit_listed_twice() -> None:
    with pytest.raises(InputError, match="listed twice"):
        run("test", [Unit("a", noise, {"seed": 1}), Unit("a", noise, {"seed": 2})])


def test_no_units() -> None:
    assert run("test", []) == []


def test_worker_count_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEARLAB_WORKERS", "7")
    assert worker_count() == 7
    monkeypatch.setenv("HEARLAB_WORKERS", "many")
    with pytest.raises(ParameterError, match="HEARLAB_WORKERS"):
        worker_count()


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_interruption_ends_at_a_unit_boundary(tmp_path: Path, signum: signal.Signals) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        textwrap.dedent(
            """
            import sys, time
            from pathlib import Path
            from hearlab.compute.engine import run, sigterm_interrupts
            from hearlab.compute.units import Unit

            def work(number, folder):
                Path(folder, f"{number}.begun").touch()
                time.sleep(0.4)
                Path(folder, f"{number}.done").touch()

            if __name__ == "__main__":
                units = [Unit(str(n), work, {"number": n, "folder": sys.argv[1]}) for n in range(100)]
                try:
                    with sigterm_interrupts():
                        run("test", units, workers=2)
                except KeyboardInterrupt:
                    sys.exit(130)
            """
        )
    )
    marks = tmp_path / "marks"
    marks.mkdir()
    # A session of its own, so that the signal reaches the whole group as Ctrl-C does.
    process = subprocess.Popen([sys.executable, str(program), str(marks)], start_new_session=True)
    deadline = time.monotonic() + 60
    while not list(marks.glob("*.done")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signum) if signum == signal.SIGINT else process.send_signal(signum)
    assert process.wait(timeout=30) == 130
    begun = {path.stem for path in marks.glob("*.begun")}
    done = {path.stem for path in marks.glob("*.done")}
    assert begun == done
    assert 1 <= len(done) < 100
