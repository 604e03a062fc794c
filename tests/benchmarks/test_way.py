"""What a person waits for besides the arithmetic: goals of rows, and units that are not the same work twice."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import speedup
import way
from hearlab.compute.units import Unit

LISTENER = {"name": "L1", "audiogram_levels_l": [10.0, 20.0], "audiogram_levels_r": [30.0, 40.0]}


@pytest.mark.parametrize(
    ("value", "most", "least", "met"),
    [(1.0, 2.0, None, True), (3.0, 2.0, None, False), (1.9, None, 1.85, True), (1.8, None, 1.85, False)],
)
def test_a_goal_is_a_largest_or_a_least_figure(
    value: float, most: float | None, least: float | None, met: bool
) -> None:
    row = way.Row("name", "what", value, "s", most, least)
    assert row.met is met
    assert row.cells()[3] == ("met" if met else "no")
    assert ("<" in row.cells()[2]) == (most is not None)


def test_a_row_without_a_goal_is_shown_and_columns_line_up() -> None:
    lines = way.table([way.Row("a", "first", 1.234, "s"), way.Row("b", "a longer one", 2, "GB", 0.7)]).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert "1.23 s" in lines[2]
    assert "met" not in lines[2]
    assert " no " in lines[3]


UNITS = {
    "score_speech": Unit("S1 L1", print, {"level": 100.0}, group="S1"),
    "score_music": Unit("song L1", print, {"listener": LISTENER}),
    "render_scenes": Unit("S1", print, {"scene": {"scene": "S1", "SNR": 3.0}}, outputs=("S1_mix.wav",)),
}


@pytest.mark.parametrize("name", UNITS)
def test_units_of_a_benchmark_are_all_different(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the second would be taken from what the first has made."""
    monkeypatch.setattr(speedup, "stage_units", lambda *unused: [UNITS[name]])
    monkeypatch.setattr(speedup, "load_params", lambda: None)
    units = speedup.WORKS[name].units()
    assert len(units) == speedup.WORKS[name].count
    assert len({unit.id for unit in units}) == len(units)
    assert len({json.dumps(unit.arguments) for unit in units}) == len(units)
    outputs = [output for unit in units for output in unit.outputs]
    assert len(set(outputs)) == len(outputs)
    assert LISTENER["audiogram_levels_l"] == [10.0, 20.0]


@pytest.mark.slow
def test_the_memory_of_a_sound_is_more_than_its_signals() -> None:
    """Ten seconds of it: input and output of the hearing aid in double precision, two ears."""
    done = subprocess.run(
        [sys.executable, str(way.MEMORY), "hearing_aid", str(1 / 6)], capture_output=True, text=True, check=True
    )
    peak, given, seconds = map(float, done.stdout.split())
    assert given == pytest.approx(2 * 2 * 8 * 441_000 / 1e9, rel=1e-3)  # and the last taps
    assert given < peak < 1.0
    assert seconds > 0
