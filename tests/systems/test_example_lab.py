"""The package to copy in examples/my_lab: installed, found by its name, and a beamformer as it says."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from hearlab.errors import InputError
from hearlab.listeners import Audiogram, Listener
from hearlab.systems import check_music_output, check_speech_output, load_system

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "my_lab"
NAME = "my_lab.beam:Beamformer"
RATE = 44100
SOUND, SPACING, WIDTH = 343.0, 0.0076, 0.16
FREQUENCIES = [250, 500, 1000, 2000, 4000, 6000]
NO_LOSS = Listener("none", Audiogram([0] * 6, FREQUENCIES), Audiogram([0] * 6, FREQUENCIES))
SLOPE = Listener("slope", Audiogram([10, 10, 20, 40, 60, 70], FREQUENCIES), Audiogram([0] * 6, FREQUENCIES))


@pytest.fixture(scope="module", autouse=True)
def _installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The package as pip installs it, on the path."""
    pytest.importorskip("setuptools", reason="pip needs setuptools to build a package offline")
    target = tmp_path_factory.mktemp("installed")
    source = tmp_path_factory.mktemp("copied") / "my_lab"
    source.mkdir()
    for path in EXAMPLE.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            copy = source / path.relative_to(EXAMPLE)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, "--target", str(target), str(source)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(target))
        yield
        for name in [name for name in sys.modules if name.split(".")[0] == "my_lab"]:
            del sys.modules[name]


def heard(azimuth: float, source: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """What the microphones hear in free air of a far sound from `azimuth` degrees (0: front, 90: right)."""
    spectrum, frequencies = np.fft.rfft(source), np.fft.rfftfreq(source.size, 1 / RATE)
    direction = np.array([np.cos(np.deg2rad(azimuth)), np.sin(np.deg2rad(azimuth))])
    signals = {"CH0": np.zeros((source.size, 2))}
    for k in range(3):
        places = np.array([(-k * SPACING, side * WIDTH / 2) for side in (-1, 1)])
        shift = np.exp(2j * np.pi * frequencies[:, None] * (places @ direction) / SOUND)
        signals[f"CH{k + 1}"] = np.fft.irfft(spectrum[:, None] * shift, source.size, axis=0)
    return signals


def level(signal: NDArray[np.float64], low: float, high: float) -> float:
    """Level in dB of the middle of a signal in a band."""
    power = np.abs(np.fft.rfft(signal[1000:-2000])) ** 2
    frequencies = np.fft.rfftfreq(signal.size - 3000, 1 / RATE)
    return float(10 * np.log10(power[(frequencies >= low) & (frequencies < high)].mean()))


@pytest.fixture(scope="module")
def noise() -> NDArray[np.float64]:
    return 0.01 * np.random.default_rng(3).standard_normal(RATE)


def test_the_front_passes_and_other_directions_do_not(noise: NDArray[np.float64]) -> None:
    system = load_system(NAME, {})
    front = check_speech_output(system.speech(heard(0, noise), RATE, NO_LOSS), NAME)
    assert front.shape == (RATE + 511 + 220, 2)
    np.testing.assert_array_equal(front[:, 0], front[:, 1])
    for band in ((250, 500), (500, 1000), (1000, 2000), (2000, 4000), (4000, 7000)):
        assert level(front[:, 0], *band) == pytest.approx(level(noise, *band), abs=0.5)
        for azimuth, least in ((180, 8), (90, 5), (-120, 5)):
            other = system.speech(heard(azimuth, noise), RATE, NO_LOSS)
            assert level(front[:, 0], *band) - level(other[:, 0], *band) > least


def test_each_ear_gets_its_prescription(noise: NDArray[np.float64]) -> None:
    system = load_system(NAME, {})
    output = system.speech(heard(0, noise), RATE, SLOPE)
    assert level(output[:, 0], 2000, 4000) - level(output[:, 1], 2000, 4000) > 5
    stems = {name: np.stack([noise, noise], axis=1) for name in ("vocals", "drums", "bass", "other")}
    music = check_music_output(system.music(stems, RATE, SLOPE), stems, NAME)
    assert music["vocals"].shape == (RATE + 220, 2)
    np.testing.assert_allclose(music["bass"][110 : RATE + 110, 1], noise, atol=1e-9)
    assert level(music["bass"][:, 0], 2000, 4000) - level(noise, 2000, 4000) > 5


def test_parameters(noise: NDArray[np.float64]) -> None:
    plain, louder = (load_system(NAME, params) for params in ({}, {"gain_db": 20, "loading": 0.003}))
    outputs = [system.speech(heard(30, noise), RATE, NO_LOSS) for system in (plain, louder)]
    np.testing.assert_allclose(outputs[1], 10 * outputs[0])
    with pytest.raises(InputError, match=r"my_lab\.beam:Beamformer: loading: wrong value \(found 0, wanted above 0\)"):
        load_system(NAME, {"loading": 0})
    with pytest.raises(InputError, match="depth"):
        load_system(NAME, {"depth": 3})
