"""Times of stages: attempts add up, remembered units took what they took, results are told apart."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from hearlab.compute import timings
from hearlab.compute.engine import run
from hearlab.compute.timings import stage_times, timed
from hearlab.compute.units import Unit
from hearlab.files import md5_of

BUSY_SECONDS = 0.05
# A sleeping or busy block takes at least as long as asked for; clocks are read in steps of up to 10 ms.
CLOCK_STEP = 0.01


def busy(root: Path, out: Path, *, name: str) -> str:
    end = time.process_time() + BUSY_SECONDS
    while time.process_time() < end:
        pass
    return name


def run_stage(root: Path, names: list[str]) -> str:
    units = [Unit(name, busy, {"name": name}) for name in names]
    with timed("score", "demo", root):
        run("score", units, None, Path("index.json"), root=root)
    return md5_of(root / "index.json")


def test_units_are_timed_and_remembered_units_keep_their_times(tmp_path: Path) -> None:
    index = run_stage(tmp_path, ["a", "b"])
    first = stage_times(tmp_path, "demo", {"score": index})["score"]
    assert (first.ran, first.units) == (2, 2)
    assert first.core >= 2 * BUSY_SECONDS - CLOCK_STEP
    assert first.wall >= 2 * BUSY_SECONDS - CLOCK_STEP
    assert run_stage(tmp_path, ["a", "b"]) == index
    assert stage_times(tmp_path, "demo", {"score": index})["score"] == first


def test_another_result_has_its_own_times(tmp_path: Path) -> None:
    one = run_stage(tmp_path, ["a"])
    two = run_stage(tmp_path, ["a", "b"])
    assert stage_times(tmp_path, "demo", {"score": one})["score"].units == 1
    later = stage_times(tmp_path, "demo", {"score": two})["score"]
    assert (later.ran, later.units) == (1, 2)
    assert stage_times(tmp_path, "demo", {"score": "0" * 32}) == {}
    assert stage_times(tmp_path, "clarity", {"score": two}) == {}


def test_a_stopped_attempt_counts(tmp_path: Path) -> None:
    def stopped() -> None:
        with timed("score", "demo", tmp_path):
            timings.unit_ran(7.0)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    index = run_stage(tmp_path, ["a"])
    found = stage_times(tmp_path, "demo", {"score": index})["score"]
    assert found.core >= 7.0 + BUSY_SECONDS - CLOCK_STEP
    assert found.ran == 2


def test_stages_without_units_and_torn_lines(tmp_path: Path) -> None:
    with timed("prepare", "demo", tmp_path):
        time.sleep(BUSY_SECONDS)
    path = tmp_path / ".hearlab/timings.jsonl"
    with path.open("a") as file:
        file.write('{"stage": "prepare", "finis\n[1]\n' + json.dumps({"stage": "prepare", "finished": True}) + "\n")
    with timed("build", "demo", tmp_path):
        pass
    times = stage_times(tmp_path, "demo", {"prepare": None, "build": None})
    assert set(times) == {"prepare", "build"}
    assert times["prepare"].wall >= BUSY_SECONDS - CLOCK_STEP
    assert times["prepare"].ran is None


def test_nothing_is_counted_outside_of_a_stage(tmp_path: Path) -> None:
    timings.unit_ran(1.0)
    assert stage_times(tmp_path, "demo", {"prepare": None}) == {}
