"""The head's direction at each sample."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.io import wavfile

from hearlab.errors import InputError
from hearlab.files import read_json
from hearlab.scenes.head_rotation import head_rotation

AHEAD = [1.0, 0.0, 0.0]


def points(start: float, end: float, first: float, last: float) -> list[dict[str, float]]:
    return [{"sample": start, "angle": first}, {"sample": end, "angle": last}]


def test_the_real_scene_s_track_equals_golden(golden: Path, real_data: Path) -> None:
    scene = read_json(real_data / "metadata" / "scenes.dev.json")[0]
    room = read_json(golden / "rooms.R06001.json")[0]
    rotation = head_rotation(
        scene["listener"]["rotation"], room["listener"]["view_vector"], scene["duration"], "S06001"
    )
    _, wanted = wavfile.read(golden / "render" / "S06001_hr.wav")
    np.testing.assert_array_equal(rotation.as_signal(), wanted)


@given(st.floats(0, 400), st.floats(1, 500), st.floats(-180, 180), st.floats(-180, 180))
def test_still_then_a_turn_then_still(start: float, length: float, first: float, last: float) -> None:
    rotation = head_rotation(points(start, start + length, first, last), AHEAD, 1000, "S")
    theta = np.rad2deg(rotation.theta)
    assert theta.shape == (1000,)
    assert np.all(theta[: rotation.turn_start + 1] == theta[0])
    assert np.all(theta[rotation.turn_end :] == theta[-1])
    assert theta[0] == pytest.approx(first, abs=1e-9)
    # The published table stops one step before the last angle.
    assert abs(theta[-1] - last) <= abs(last - first) / 1000 * 1.5 + 1e-9
    steps = np.diff(theta)
    assert np.all(steps >= 0) or np.all(steps <= 0)


def test_the_track_is_relative_to_the_view_vector() -> None:
    rotation = head_rotation(points(10, 20, 90, 100), [0.0, 1.0, 0.0], 100, "S")
    assert np.rad2deg(rotation.theta[0]) == pytest.approx(0, abs=1e-9)


def test_signal_is_the_angle_modulo_a_turn_mapped_to_one() -> None:
    rotation = head_rotation(points(10, 20, -90, -45), AHEAD, 100, "S")
    assert rotation.as_signal()[0] == pytest.approx(0.5)  # 270 degrees
    assert np.all(np.abs(rotation.as_signal()) <= 1)


@pytest.mark.parametrize(("start", "end"), [(-1, 5), (50, 40), (50, 101), (7, 7)])
def test_a_turn_outside_of_the_scene(start: float, end: float) -> None:
    with pytest.raises(InputError, match=r"S1: listener\.rotation: the head turn is not inside the scene"):
        head_rotation(points(start, end, 0, 10), AHEAD, 100, "S1")


def test_one_control_point() -> None:
    with pytest.raises(InputError, match="needs two control points"):
        head_rotation([{"sample": 1, "angle": 2}], AHEAD, 100, "S1")
