"""Audiograms and reading listeners.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hearlab.errors import InputError
from hearlab.listeners import Audiogram, Listener, find_listener, load_listeners

FREQUENCIES = [250, 500, 1000, 2000, 3000, 4000, 6000, 8000]


def entry(**changes: Any) -> dict[str, Any]:
    listener = {
        "name": "L1",
        "audiogram_cfs": FREQUENCIES,
        "audiogram_levels_l": [10, 20, 30, 40, 50, 60, 70, 80],
        "audiogram_levels_r": [80, 70, 60, 50, 40, 30, 20, 10],
    }
    listener.update(changes)
    return listener


def write(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


def test_reads_the_published_format(tmp_path: Path) -> None:
    listeners = load_listeners(write(tmp_path / "listeners.json", {"L1": entry()}))
    assert list(listeners) == ["L1"]
    assert listeners["L1"].id == "L1"
    assert listeners["L1"].left.levels.tolist() == [10, 20, 30, 40, 50, 60, 70, 80]
    assert listeners["L1"].right.levels[0] == 80


def test_reads_the_real_listeners(real_data: Path) -> None:
    listeners = load_listeners(real_data / "metadata" / "listeners.json")
    assert len(listeners) == 83
    assert listeners["L0001"].left.levels.tolist() == [45, 45, 35, 45, 60, 65, 70, 65]


def test_levels_are_interpolated_over_log_frequency() -> None:
    audiogram = Audiogram([0, 10, 30], [500, 1000, 4000])
    assert audiogram.at([500, 1000, 2000, 4000]).tolist() == pytest.approx([0, 10, 20, 30])


@pytest.mark.parametrize(("lowest", "highest"), [(500, 8000), (250, 4000)])
def test_a_needed_frequency_outside_of_the_measured_ones(lowest: float, highest: float) -> None:
    audiogram = Audiogram([10, 20], [lowest, highest])
    with pytest.raises(InputError, match=r"frequencies: does not reach all needed frequencies"):
        audiogram.at([250, 1000, 6000])


@pytest.mark.parametrize(
    ("levels", "severity"), [(15, "none"), (15.1, "mild"), (35.1, "moderate"), (56, "moderate"), (56.1, "severe")]
)
def test_severity_has_the_published_limits(levels: float, severity: str) -> None:
    assert Audiogram(np.full(8, levels), FREQUENCIES).severity == severity


def test_an_audiogram_cannot_be_changed() -> None:
    audiogram = Audiogram([1, 2], [500, 1000])
    with pytest.raises(ValueError, match="read-only"):
        audiogram.levels[0] = 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], r"listeners\.json: must hold an object"),
        ({"L1": []}, r"L1: must be an object"),
        ({"L1": {"name": "L1"}}, r"L1\.audiogram_cfs: is missing"),
        ({"L1": entry(audiogram_levels_r=None)}, r"L1\.audiogram_levels_r: must be a list of finite numbers"),
        ({"L1": entry(audiogram_levels_l=[1, 2])}, r"L1\.audiogram_levels_l: levels and frequencies differ in number"),
        ({"L1": entry(audiogram_levels_l=["a"] * 8)}, r"L1\.audiogram_levels_l: must be a list of finite numbers"),
        ({"L1": entry(audiogram_levels_l=[None] * 8)}, r"L1\.audiogram_levels_l: must be a list of finite numbers"),
        ({"L1": entry(audiogram_cfs=FREQUENCIES[::-1])}, r"L1\.audiogram_cfs: frequencies must be positive and asc"),
    ],
)
def test_bad_listener_files(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_listeners(write(tmp_path / "listeners.json", content))


@pytest.mark.parametrize(
    ("count", "name", "wanted"),
    [
        (4, "L0099", "one of L0001, L0002, L0003, L0004"),  # all are as right as the nearest by spelling
        (83, "L0812", "one of 83, such as L0082, L0081, L0012"),
        (83, "somebody", "one of 83, such as L0001, L0002, L0003"),
    ],
)
def test_an_unknown_listener_is_told_whom_there_is(count: int, name: str, wanted: str) -> None:
    ear = Audiogram([20.0], [1000.0])
    listeners = {one: Listener(one, ear, ear) for one in (f"L{k:04}" for k in range(1, count + 1))}
    with pytest.raises(InputError) as told:
        find_listener(listeners, name, "listeners.json")
    assert str(told.value) == f"listeners.json: unknown listener (found {name}, wanted {wanted})"
    assert find_listener(listeners, "L0002", "listeners.json").id == "L0002"


NO_ANSWER = [999, 888, 666, -999, 9999, True, None, 130.5, -20.5]


@pytest.mark.parametrize("code", NO_ANSWER)
def test_a_value_that_means_no_answer_is_no_level(tmp_path: Path, code: Any) -> None:
    path = write(tmp_path / "listeners.json", {"L1": entry(audiogram_levels_r=[0, 0, 0, 0, 0, 0, 10, code])})
    line = (
        rf"listeners\.json: L1\.audiogram_levels_r: .*, right ear \(found {code} at 8000 Hz, wanted from -20 to 130\)"
    )
    with pytest.raises(InputError, match=line):
        load_listeners(path)
    with pytest.raises(InputError, match=rf"audiogram: levels: .*found {code} at 500 Hz"):
        Audiogram([0, code], [250, 500])


def test_a_frequency_that_is_none() -> None:
    with pytest.raises(InputError, match=r"audiogram: frequencies: .*True"):
        Audiogram([0, 0], [True, 500])


def test_the_highest_and_lowest_levels_are_taken() -> None:
    assert Audiogram(np.array([-20, 130]), [250, 500]).levels.tolist() == [-20, 130]


def test_a_listener_twice(tmp_path: Path) -> None:
    path = tmp_path / "listeners.json"
    path.write_text('{"L1": ' + json.dumps(entry()) + ', "L1": ' + json.dumps(entry()) + "}")
    with pytest.raises(InputError, match=r"listeners\.json: gives a key twice: 'L1'"):
        load_listeners(path)
    with pytest.raises(InputError, match=r"listeners\.json: L2\.name: is the same listener as L1 \(found L1\)"):
        load_listeners(write(path, {"L1": entry(), "L2": entry()}))
