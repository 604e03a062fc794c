"""The hearing aid that learned: causal, told of the listener, with the microphones of the hearing aid alone."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs hearlab[music]")
sys.path.append(str(Path(__file__).resolve().parents[1] / "enhancement"))

from enhancer_files import write_weights  # noqa: E402

from hearlab.enhancement.hearing import enhanced  # noqa: E402
from hearlab.enhancement.network import losses_of  # noqa: E402
from hearlab.enhancement.weights import load_enhancer  # noqa: E402
from hearlab.errors import InputError  # noqa: E402
from hearlab.fitting import NalR  # noqa: E402
from hearlab.listeners import Audiogram, Listener  # noqa: E402
from hearlab.systems.base import check_speech_output, load_system  # noqa: E402
from hearlab.systems.baseline import Baseline  # noqa: E402
from hearlab.systems.learned import Learned  # noqa: E402

RATE = 44100
NAME = "hearlab.systems.learned:Learned"
FREQUENCIES = [250, 500, 1000, 2000, 4000, 6000]
NEAR = Listener("near", Audiogram([20, 20, 30, 40, 50, 60], FREQUENCIES), Audiogram([10] * 6, FREQUENCIES))
FAR = Listener("far", Audiogram([70, 70, 70, 70, 75, 80], FREQUENCIES), Audiogram([60] * 6, FREQUENCIES))
LATEST = 0.005  # s, of CEC2's rule
ROUNDING = 1e-12  # the prescription is a convolution by spectra: all samples share their last bits


def scene(seed: int = 0, samples: int = RATE // 2) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {f"CH{k}": 0.05 * rng.standard_normal((samples, 2)) for k in range(4)}


@pytest.fixture
def weights(tmp_path: Path) -> str:
    return str(write_weights(tmp_path))


def test_it_is_a_system(weights: str) -> None:
    system = load_system(NAME, {"weights": weights})
    output = check_speech_output(system.speech(scene(), RATE, NEAR), NAME)
    assert output.shape == (RATE // 2 + 220, 2)
    assert np.abs(output).max() < 1
    np.testing.assert_array_equal(output, system.speech(scene(), RATE, NEAR))


@pytest.mark.parametrize("time", [0.1, 0.2503, 0.4])
def test_what_comes_later_changes_nothing_earlier_than_5_ms(weights: str, time: float) -> None:
    system, change = Learned(weights=weights), round(time * RATE)
    before, after = scene(), scene()
    for signal in after.values():
        signal[change:] = np.random.default_rng(1).standard_normal((len(signal) - change, 2))
    first = change - int(LATEST * RATE)
    outputs = [system.speech(one, RATE, NEAR) for one in (before, after)]
    np.testing.assert_allclose(outputs[0][:first], outputs[1][:first], rtol=0, atol=ROUNDING)
    assert np.abs(outputs[0][change:] - outputs[1][change:]).max() > 1e6 * ROUNDING


def test_the_network_s_own_output_does_not_change_by_a_bit(weights: str) -> None:
    network, change = load_enhancer(Path(weights)), 10000
    before = np.concatenate([scene()[f"CH{k}"] for k in (1, 2, 3)], axis=1)
    after = before.copy()
    after[change:] = 1
    losses = losses_of([NEAR.left.levels, NEAR.right.levels])
    first = change - int(LATEST * RATE)
    one, other = (enhanced(network, signals, losses)[:first] for signals in (before, after))
    np.testing.assert_array_equal(one, other)


def test_the_ear_drum_is_not_heard(weights: str) -> None:
    system = Learned(weights=weights)
    without = scene()
    del without["CH0"]
    np.testing.assert_array_equal(system.speech(scene(), RATE, NEAR), system.speech(without, RATE, NEAR))


@pytest.mark.parametrize("channel", ["CH1", "CH2", "CH3"])
def test_each_microphone_of_the_hearing_aid_is_heard(weights: str, channel: str) -> None:
    system, other = Learned(weights=weights), scene()
    other[channel] = other[channel] * np.array([1, 3])
    assert not np.array_equal(system.speech(scene(), RATE, NEAR), system.speech(other, RATE, NEAR))


def test_the_network_is_told_of_the_listener(weights: str) -> None:
    """With the prescription taken away, two listeners still hear different sounds."""
    network = load_enhancer(Path(weights))
    signals = np.concatenate([scene()[f"CH{k}"] for k in (1, 2, 3)], axis=1)
    heard = [enhanced(network, signals, losses_of([one.left.levels, one.right.levels])) for one in (NEAR, FAR)]
    assert not np.array_equal(*heard)


def test_the_prescription_follows(weights: str) -> None:
    """Its output is the baseline's of what the network gives."""
    signals = np.concatenate([scene()[f"CH{k}"] for k in (1, 2, 3)], axis=1)
    clean = enhanced(load_enhancer(Path(weights)), signals, losses_of([NEAR.left.levels, NEAR.right.levels]))
    expected = Baseline(gain=3.0, nalr={"taps": 100}).speech({"CH1": clean}, RATE, NEAR)
    found = Learned(weights=weights, gain=3.0, nalr={"taps": 100}).speech(scene(), RATE, NEAR)
    np.testing.assert_array_equal(found, expected)
    assert len(NalR(taps=100, rate=RATE).filter(NEAR.left)) == 101


def test_music_is_the_baseline_s() -> None:
    stems = {"vocals": scene()["CH1"]}
    np.testing.assert_array_equal(
        Learned().music(stems, RATE, NEAR)["vocals"], Baseline().music(stems, RATE, NEAR)["vocals"]
    )


def refusal(system: Learned, microphones: dict[str, Any], rate: int, listener: Listener) -> str:
    with pytest.raises(InputError) as caught:
        system.speech(microphones, rate, listener)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_bad_input(weights: str) -> None:
    assert "has no weights" in refusal(Learned(), scene(), RATE, NEAR)
    system = Learned(weights=weights)
    lacking = {name: signal for name, signal in scene().items() if name != "CH2"}
    assert "CH2: channel is missing" in refusal(system, lacking, RATE, NEAR)
    whole = scene()
    for spoilt, line in (
        (whole["CH2"][:-7], "microphones: CH2: differ in length"),
        (whole["CH2"][:, 0], "microphones: CH2: wrong shape"),
        (whole["CH2"][:0], "microphones: CH2: wrong shape"),
    ):
        assert line in refusal(system, {**whole, "CH2": spoilt}, RATE, NEAR)
    assert "was trained at another rate" in refusal(system, scene(), 48000, NEAR)
    short = Listener("short", Audiogram([20, 30], [500, 1000]), Audiogram([20, 30], [500, 1000]))
    assert "does not reach all needed frequencies" in refusal(system, scene(), RATE, short)
    with pytest.raises(InputError, match="no such weights file"):
        Learned(weights="nowhere.pth")
    with pytest.raises(InputError, match="weights: wrong value"):
        Learned(weights=3)  # type: ignore[arg-type]
    description = Path(weights).with_suffix(".json")
    description.write_text(json.dumps([]))
    with pytest.raises(InputError, match="describes another network"):
        Learned(weights=weights)
