"""When workers are started: where they save more than they cost, on the machine as it is now."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest

from hearlab.compute.attempts import worth
from hearlab.compute.attempts.worth import load_of_others, slowdown, worth_workers
from hearlab.compute.timings import START_FILE, START_SECONDS, WorkersStart


@pytest.mark.parametrize(
    ("seconds", "workers", "cores", "others", "wanted"),
    [
        (13, 2, 2, 0, False),  # 13 s, of which a second core saves 6.5, and 10 s to start
        (30, 2, 2, 0, True),
        (30, 2, 2, 4, False),  # on a machine at work: the start takes three times as long
        (600, 2, 2, 4, True),  # long work gets a larger share with two processes
        (13, 16, 16, 0, True),
        (13, 16, 16, 100, False),
        (1e6, 1, 2, 0, False),  # one worker saves nothing
        (0, 2, 2, 0, False),
    ],
)
def test_the_decision(seconds: float, workers: int, cores: int, others: float, wanted: bool) -> None:
    assert worth_workers(seconds, workers, cores, others, 10.0) is wanted


def test_more_work_or_a_quicker_start_never_speaks_against_it() -> None:
    for others in (0, 1, 3.5, 20):
        for workers in (2, 4, 64):
            found = [worth_workers(seconds, workers, 4, others, 10.0) for seconds in range(0, 2000, 50)]
            assert found == sorted(found)
            starts = [worth_workers(100, workers, 4, others, start) for start in range(200, 0, -5)]
            assert starts == sorted(starts)


def test_the_load_is_that_of_others_on_the_cores_that_may_be_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    running = tmp_path / "loadavg"
    running.write_text("9.00 9.00 9.00 100/200 4711\n")
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(worth, "usable_cores", lambda: 2)
    for load, others in ((0.0, 0.0), (1.0, 0.0), (5.0, 1.0), (9.0, 2.0)):
        monkeypatch.setattr(os, "getloadavg", lambda load=load: (load, 0.0, 0.0))
        assert load_of_others(str(running)) == others

    # What ran in the last minute and runs no more is no load.
    running.write_text("9.00 9.00 9.00 1/200 4711\n")
    assert load_of_others(str(running)) == 0.0
    for text in ("", "9.00", "a b c d"):
        running.write_text(text)
        assert load_of_others(str(running)) == 0.0

    def unknown() -> tuple[float, float, float]:
        raise OSError

    monkeypatch.setattr(os, "getloadavg", unknown)
    assert load_of_others() == 0.0
    assert slowdown(2, 0) == 1.0


def test_what_this_machine_measured_is_taken(tmp_path: Path) -> None:
    assert WorkersStart(tmp_path).seconds == START_SECONDS
    for seconds in (3.0, 100.0, 4.0):
        WorkersStart(tmp_path).note(seconds)
    assert WorkersStart(tmp_path).seconds == 4.0
    for seconds in (20.0, 21.0, 22.0, 23.0):
        WorkersStart(tmp_path).note(seconds)
    assert WorkersStart(tmp_path).seconds == 21.0  # of the latest five
    for text in ("", "[", "{}", "[null, -1.0, NaN, Infinity, true]", "7"):
        (tmp_path / START_FILE).write_text(text)
        assert WorkersStart(tmp_path).seconds == START_SECONDS
    WorkersStart(tmp_path).note(6.0)
    assert math.isclose(WorkersStart(tmp_path).seconds, 6.0)
