"""A system that keeps state from one unit to the next is found out, and one that does not is left in peace."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML

from hearlab.audio import write_wav
from hearlab.compute.units import Unit
from hearlab.listeners import Listener
from hearlab.stages import run_stage
from hearlab.systems.again import drawn
from hearlab.systems.base import shared_system

REPOSITORY = Path(__file__).resolve().parents[2]
AUDIOGRAM = {
    "audiogram_cfs": [250, 500, 1000, 2000, 4000, 6000],
    "audiogram_levels_l": [20] * 6,
    "audiogram_levels_r": [30] * 6,
}
PAIRS = {"S1": ["L1", "L2"], "S2": ["L1", "L2"]}


class Plain:
    """Its output depends on its arguments, and on numbers that are drawn for the unit."""

    def __init__(self) -> None:
        self.calls = 0

    def speech(self, microphones: dict[str, np.ndarray], rate: int, listener: Listener) -> np.ndarray:
        self.calls += 1
        return 0.5 * microphones["CH1"] + 1e-3 * np.random.standard_normal(microphones["CH1"].shape)

    def music(self, stems: dict[str, np.ndarray], rate: int, listener: Listener) -> dict[str, np.ndarray]:
        return stems


class Counting(Plain):
    """Louder with each call."""

    def speech(self, microphones: dict[str, np.ndarray], rate: int, listener: Listener) -> np.ndarray:
        self.calls += 1
        return 0.1 * self.calls * microphones["CH1"]


class OwnGenerator(Plain):
    """Draws from a generator that nobody seeds."""

    def __init__(self) -> None:
        self.random = np.random.default_rng()

    def speech(self, microphones: dict[str, np.ndarray], rate: int, listener: Listener) -> np.ndarray:
        return microphones["CH1"] + 1e-2 * self.random.standard_normal(microphones["CH1"].shape)


class LateFailure(Plain):
    """Works only while it is warm."""

    warm = True

    def speech(self, microphones: dict[str, np.ndarray], rate: int, listener: Listener) -> np.ndarray:
        if self.calls == 0 and not LateFailure.warm:
            raise RuntimeError("is cold")
        LateFailure.warm = False
        return super().speech(microphones, rate, listener)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two scenes, two listeners."""
    data = tmp_path / "data" / "demo"
    files = {
        "inputs/clarity_data/metadata/listeners.json": {"L1": AUDIOGRAM, "L2": AUDIOGRAM},
        "inputs/clarity_data/metadata/scenes_listeners.dev.json": PAIRS,
        "scene_lists/scenes.dev.json": [{"scene": scene, "SNR": 1.0, "room": "R1"} for scene in PAIRS],
    }
    for name, content in files.items():
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_text(json.dumps(content))
    noise = (3000 * np.random.RandomState(0).standard_normal((2000, 2))).astype(np.int16)
    for scene in PAIRS:
        for channel in range(4):
            write_wav(data / "rendered" / "dev" / f"{scene}_mix_CH{channel}.wav", noise, 44100)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEARLAB_WORKERS", "1")
    shared_system.cache_clear()
    return tmp_path


def enhance(system: str) -> None:
    yaml = YAML()
    params = yaml.load((REPOSITORY / "params.yaml").read_text(encoding="utf-8"))
    params["enhance"]["system"] = system
    with Path("params.yaml").open("w") as file:
        yaml.dump(params, file)
    run_stage("enhance_speech")


@pytest.mark.parametrize(
    ("system", "found"),
    [
        ("Counting", "gives another output when it is made again on a fresh instance"),
        ("OwnGenerator", "gives another output when it is made again on a fresh instance"),
        ("LateFailure", "fails when it is made again on a fresh instance (RuntimeError: is cold"),
    ],
)
def test_state_is_named(workspace: Path, caplog: pytest.LogCaptureFixture, system: str, found: str) -> None:
    with caplog.at_level(logging.WARNING, "hearlab"):
        enhance(f"{__name__}:{system}")
    (line,) = [record.getMessage() for record in caplog.records if "fresh instance" in record.getMessage()]
    units = [Unit(f"{scene} {listener}", print) for scene, listeners in PAIRS.items() for listener in listeners]
    unit = drawn(units)
    assert unit is not None
    assert line.startswith(f"enhance_speech: warning: {unit.id}: {__name__}:{system} {found}")
    # The outputs stay what they were, and nothing is left behind.
    assert len(list((workspace / "data" / "demo" / "enhanced").iterdir())) == 4
    assert list((workspace / ".hearlab").glob("again-*")) == []
    caplog.clear()
    run_stage("enhance_speech")  # nothing is run: nothing is made again
    assert caplog.records == []


@pytest.mark.parametrize("system", [f"{__name__}:Plain", "hearlab.systems.baseline:Baseline"])
def test_a_system_without_state_is_not(workspace: Path, caplog: pytest.LogCaptureFixture, system: str) -> None:
    with caplog.at_level(logging.WARNING, "hearlab"):
        enhance(system)
    assert [record.getMessage() for record in caplog.records if "fresh" in record.getMessage()] == []


def test_the_draw_goes_by_the_names_and_leaves_the_first_out() -> None:
    units = [Unit(f"S{n}", print) for n in range(50)]
    assert drawn(units) is drawn(list(units))
    assert drawn(units[:1]) is None
    assert all(drawn(units[: count + 2]) not in (units[0], None) for count in range(48))
    assert len({getattr(drawn(units[: count + 2]), "id", None) for count in range(48)}) > 10
