"""When Ray is started: where it saves more than it costs, on the machine as it is now."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest

from hearlab.compute.attempts import ray_worth
from hearlab.compute.attempts.ray_worth import load_of_others, slowdown, worth_ray
from hearlab.compute.timings import RAY_FILE, RAY_START_SECONDS, RayStart


@pytest.mark.parametrize(
    ("seconds", "workers", "cores", "others", "worth"),
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
def test_the_decision(seconds: float, workers: int, cores: int, others: float, worth: bool) -> None:
    assert worth_ray(seconds, workers, cores, others, 10.0) is worth


def test_more_work_or_a_quicker_start_never_speaks_against_it() -> None:
    for others in (0, 1, 3.5, 20):
        for workers in (2, 4, 64):
            found = [worth_ray(seconds, workers, 4, others, 10.0) for seconds in range(0, 2000, 50)]
            assert found == sorted(found)
            starts = [worth_ray(100, workers, 4, others, start) for start in range(200, 0, -5)]
            assert starts == sorted(starts)


def test_the_load_is_that_of_others_on_the_cores_that_may_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(ray_worth, "usable_cores", lambda: 2)
    for load, others in ((0.0, 0.0), (1.0, 0.0), (5.0, 1.0), (9.0, 2.0)):
        monkeypatch.setattr(os, "getloadavg", lambda load=load: (load, 0.0, 0.0))
        assert load_of_others() == others

    def unknown() -> tuple[float, float, float]:
        raise OSError

    monkeypatch.setattr(os, "getloadavg", unknown)
    assert load_of_others() == 0.0
    assert slowdown(2, 0) == 1.0


def test_what_this_machine_measured_is_taken(tmp_path: Path) -> None:
    assert RayStart(tmp_path).seconds == RAY_START_SECONDS
    for seconds in (3.0, 100.0, 4.0):
        RayStart(tmp_path).note(seconds)
    assert RayStart(tmp_path).seconds == 4.0
    for seconds in (20.0, 21.0, 22.0, 23.0):
        RayStart(tmp_path).note(seconds)
    assert RayStart(tmp_path).seconds == 21.0  # of the latest five
    for text in ("", "[", "{}", "[null, -1.0, NaN, Infinity, true]", "7"):
        (tmp_path / RAY_FILE).write_text(text)
        assert RayStart(tmp_path).seconds == RAY_START_SECONDS
    RayStart(tmp_path).note(6.0)
    assert math.isclose(RayStart(tmp_path).seconds, 6.0)
