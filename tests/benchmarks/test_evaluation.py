"""The full evaluation as a benchmark, with few scenes: real stages under real DVC, and every step is counted once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from evaluation_stage import START, STORE, UNIT, WORK, Steps
from hearlab.files import read_json

# Seconds: of a sum of clock readings, and of what a stage's process takes to end after its last one.
ROUNDING = 1e-6


def test_steps_make_up_the_whole() -> None:
    steps = Steps()
    began = steps._clock
    work = steps.around(lambda: sum(range(1000)), WORK)
    unit = steps.around(lambda: [work(), work()], UNIT)
    steps.around(lambda: [unit(), unit(), unit()], STORE)()
    steps.turn()
    assert steps.calls == {WORK: 6, UNIT: 3, STORE: 1}
    assert sum(steps.clock.values()) == pytest.approx(steps._clock - began, abs=ROUNDING)
    assert sum(clock for clock, _ in steps.each) == pytest.approx(steps.clock[WORK], abs=ROUNDING)
    assert min(steps.clock[step] for step in (START, STORE, UNIT, WORK)) > 0


def test_a_failing_step_is_closed() -> None:
    steps = Steps()
    with pytest.raises(ZeroDivisionError):
        steps.around(lambda: 1 / 0, UNIT)()
    assert steps._open == [START]
    assert len(steps.each) == 1


def test_what_the_first_unit_takes_longer_is_no_arithmetic() -> None:
    steps = Steps()
    steps.each = [(5.0, 4.0), (1.0, 0.5), (1.5, 0.75), (2.0, 1.0)]
    steps.clock |= {WORK: 9.5, START: 1.0}
    steps.processor |= {WORK: 6.25, START: 1.0}
    steps.first_unit_is_a_start()  # medians with the first one: 1.75 and 0.875
    assert steps.clock == {WORK: 6.25, START: 4.25}
    assert steps.processor == {WORK: 3.125, START: 4.125}


@pytest.mark.slow
def test_a_small_evaluation(benchmarks: Path, tmp_path: Path) -> None:
    output = tmp_path / "results.json"
    command = [sys.executable, str(benchmarks / "evaluation.py"), "--part", "0.0005"]
    command += ["--folder", str(tmp_path), "--output", str(output)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    results = read_json(output)
    units = {row["stage"]: row["units"] for row in results["stages"]}
    scenes = {"train": 3, "dev": 2}
    assert results["scenes"] == scenes
    assert {stage: count for stage, count in units.items() if count} == {
        "render_scenes@train": 3,
        "render_scenes@dev": 2,
        "enhance_speech": 6,
        "score_speech": 6,
    }
    steps = results["steps"]
    assert all(steps[step]["clock"] > 0 for step in (START, UNIT, STORE, WORK, "dvc", "git", "status", "nothing"))
    # Nothing stays.
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]
