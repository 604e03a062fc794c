"""The baseline hearing aid: the published output, the chain's order, gain and channels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from hearlab.audio import ENHANCED_FULL_SCALE, read_audio, to_pcm16
from hearlab.errors import InputError
from hearlab.fitting import Compressor, NalR
from hearlab.listeners import Audiogram, Listener, load_listeners
from hearlab.systems.baseline import Baseline

RATE = 44100
FREQUENCIES = [250, 500, 1000, 2000, 3000, 4000, 6000, 8000]
LISTENER = Listener(
    "one",
    Audiogram([10, 20, 30, 40, 50, 60, 70, 80], FREQUENCIES),
    Audiogram([50, 50, 55, 60, 60, 65, 70, 70], FREQUENCIES),
)
HEALTHY = Listener("two", Audiogram([0] * 8, FREQUENCIES), Audiogram([0] * 8, FREQUENCIES))
# Samples are truncated to 16 bit, where the last bit of a double decides.
ONE_LSB = 1
# Rounding of a few multiplications of values near 1.
ROUNDING = 1e-12


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    return 0.02 * np.random.default_rng(0).standard_normal((3000, 2))


@pytest.mark.parametrize("name", ["L0064", "L0068", "L0008"])
def test_published_output(golden: Path, real_data: Path, name: str) -> None:
    listener = load_listeners(real_data / "metadata" / "listeners.json")[name]
    mix, rate = read_audio(golden / "render" / "S06001_mix_CH1.flac")
    enhanced = to_pcm16(Baseline().speech({"CH1": mix}, rate, listener), ENHANCED_FULL_SCALE)
    published, _ = soundfile.read(golden / f"S06001_{name}_HA-output.flac", dtype="int16")
    assert enhanced.shape == published.shape
    assert np.max(np.abs(enhanced.astype(int) - published)) <= ONE_LSB


def test_order_of_the_chain(noise: np.ndarray) -> None:
    compressor = {"threshold": 0.1, "attack": 5.0, "release": 20.0, "attenuation": 0.2, "rms_buffer_size": 0.01}
    system = Baseline(gain=9, nalr={"taps": 140}, compressor=compressor)
    output = system.speech({"CH1": noise}, RATE, LISTENER)
    assert output.shape == (3140, 2)
    nalr = NalR(140, RATE)
    for ear, audiogram in enumerate((LISTENER.left, LISTENER.right)):
        fitted = nalr.apply(nalr.filter(audiogram), noise[:, ear]) * 10 ** (9 / 20)
        compressed = Compressor(RATE, **compressor).apply(fitted)
        assert np.max(np.abs(compressed - fitted)) > 0.01  # the compressor is at work, so its place matters
        np.testing.assert_allclose(output[:, ear], np.tanh(compressed), rtol=0, atol=ROUNDING)


def test_no_loss_only_delays(noise: np.ndarray) -> None:
    output = Baseline(soft_clip=False).speech({"CH1": noise}, RATE, HEALTHY)
    assert output.shape == (3220, 2)
    np.testing.assert_array_equal(output[110:3110], noise)
    assert not np.any(output[:110])
    assert not np.any(output[3110:])


def test_only_the_front_microphones_are_used(noise: np.ndarray) -> None:
    system = Baseline()
    every = {f"CH{k}": noise * (k + 1) for k in range(4)}
    kept = {name: samples.copy() for name, samples in every.items()}
    np.testing.assert_array_equal(
        system.speech(every, RATE, LISTENER), system.speech({"CH1": noise * 2}, RATE, LISTENER)
    )
    for name, samples in kept.items():
        np.testing.assert_array_equal(every[name], samples)


@settings(deadline=None, max_examples=25)
@given(gain=st.floats(-40, 10), more=st.floats(-40, 10))
def test_gains_in_db_add_while_the_compressor_rests(gain: float, more: float) -> None:
    quiet = 1e-3 * np.random.default_rng(1).standard_normal((400, 2))
    outputs = [
        Baseline(gain=level, soft_clip=False).speech({"CH1": quiet}, RATE, HEALTHY) for level in (gain, gain + more)
    ]
    np.testing.assert_allclose(outputs[1], outputs[0] * 10 ** (more / 20), rtol=ROUNDING)


def test_soft_clip(noise: np.ndarray) -> None:
    loud = {"CH1": 50 * noise}
    hard = Baseline(soft_clip=False).speech(loud, RATE, LISTENER)
    soft = Baseline(soft_clip=True).speech(loud, RATE, LISTENER)
    assert np.max(np.abs(hard)) > 1
    np.testing.assert_allclose(soft, np.tanh(hard), rtol=ROUNDING)


def test_filters_are_kept_by_audiogram_not_by_name(noise: np.ndarray) -> None:
    system = Baseline()
    first = system.speech({"CH1": noise}, RATE, LISTENER)
    namesake = Listener(LISTENER.id, LISTENER.right, LISTENER.left)
    assert np.any(system.speech({"CH1": noise}, RATE, namesake) != first)
    assert np.any(system.speech({"CH1": noise}, 32000, LISTENER) != first)
    np.testing.assert_array_equal(system.speech({"CH1": noise}, RATE, LISTENER), first)


def test_music(noise: np.ndarray) -> None:
    stems = {"vocals": noise, "drums": 30 * noise, "bass": noise[::-1], "other": 0 * noise}
    output = Baseline(gain=6).music(stems, RATE, LISTENER)
    assert list(output) == list(stems)
    nalr = NalR(220, RATE)
    for name, stem in stems.items():
        assert output[name].shape == (3220, 2)
        for ear, audiogram in enumerate((LISTENER.left, LISTENER.right)):
            wanted = nalr.apply(nalr.filter(audiogram), stem[:, ear]) * 10 ** (6 / 20)
            np.testing.assert_allclose(output[name][:, ear], wanted, rtol=0, atol=ROUNDING * max(1, np.max(wanted)))
    assert np.max(np.abs(output["drums"])) > 1  # not clipped: that belongs to the remix


def test_music_is_compressed_on_request(noise: np.ndarray) -> None:
    stems = {"vocals": 30 * noise}
    plain = Baseline().music(stems, RATE, LISTENER)["vocals"]
    compressed = Baseline(music_compressor=True).music(stems, RATE, LISTENER)["vocals"]
    np.testing.assert_array_equal(compressed, Compressor(RATE).apply(plain))
    assert np.any(compressed != plain)


@pytest.mark.parametrize("shape", [(100,), (100, 1), (2, 100), (0, 2)])
def test_wrong_input(shape: tuple[int, ...]) -> None:
    samples = np.zeros(shape)
    with pytest.raises(InputError, match=r"microphones CH1: wrong shape \(found \(.*wanted \(n, 2\)"):
        Baseline().speech({"CH1": samples}, RATE, LISTENER)
    with pytest.raises(InputError, match="stem bass: wrong shape"):
        Baseline().music({"bass": samples}, RATE, LISTENER)


def test_missing_microphone(noise: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"microphones: CH1: channel is missing \(found CH0, CH2\)"):
        Baseline().speech({"CH0": noise, "CH2": noise}, RATE, LISTENER)
