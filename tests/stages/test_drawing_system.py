"""A system that draws from the global generators: its output depends on the unit, not on what ran before."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hearlab.audio import write_wav
from hearlab.listeners import Listener, listener_from_entry
from hearlab.stages.enhance_speech import enhance_unit
from hearlab.systems.base import shared_system

AUDIOGRAM = {
    "audiogram_cfs": [250, 500, 1000, 2000, 4000, 6000],
    "audiogram_levels_l": [20] * 6,
    "audiogram_levels_r": [30] * 6,
}


class Drawing:
    """Adds noise of two generators, with a level drawn when it is made."""

    def __init__(self) -> None:
        self.level = random.random() + np.random.rand()

    def speech(self, microphones: dict[str, np.ndarray], rate: int, listener: Listener) -> np.ndarray:
        noise = np.random.standard_normal(microphones["CH1"].shape) + random.random()
        return microphones["CH1"] + 1e-2 * self.level * noise

    def music(self, stems: dict[str, np.ndarray], rate: int, listener: Listener) -> dict[str, np.ndarray]:
        return stems


def test_the_order_of_units_does_not_show(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for scene in ("S1", "S2"):
        for channel in range(4):
            samples = rng.integers(-9, 9, (500, 2)).astype(np.int16)
            write_wav(tmp_path / f"{scene}_mix_CH{channel}.wav", samples, 44100)

    def enhanced(*scenes: str) -> dict[str, bytes]:
        # As in a process of its own: other states of the generators, and no system yet.
        random.seed()
        np.random.seed()
        shared_system.cache_clear()
        for scene in scenes:
            enhance_unit(
                tmp_path,
                tmp_path,
                scene=scene,
                listener=listener_from_entry("L1", {"name": "L1", **AUDIOGRAM}).as_entry(),
                scenes=".",
                system=f"{__name__}:Drawing",
                constructor="{}",
            )
        return {scene: (tmp_path / f"{scene}_L1_HA-output.wav").read_bytes() for scene in scenes}

    together = enhanced("S1", "S2")
    assert enhanced("S2", "S1") == together
    assert enhanced("S1") | enhanced("S2") == together
    assert together["S1"] != together["S2"]


LATE_TORCH = """
import sys
import numpy as np
from hearlab.systems.base import seeded, shared_system

class Late:
    def speech(self, microphones, rate, listener):
        import torch
        return torch.rand(2).numpy()

    def music(self, stems, rate, listener):
        return stems

if __name__ == "__main__":
    system = shared_system("late:Late", "{}")
    assert "torch" not in sys.modules
    for name in sys.argv[1:]:
        print(name, seeded(name, lambda: system.speech({}, 44100, None)).tobytes().hex())
"""


@pytest.mark.slow
def test_a_system_that_loads_torch_in_its_first_unit(tmp_path: Path) -> None:
    """The first unit of a process gets what a later one gets."""
    pytest.importorskip("torch")
    (tmp_path / "late.py").write_text(LATE_TORCH)

    def drawn(*names: str) -> set[str]:
        done = subprocess.run(
            (sys.executable, "late.py", *names), cwd=tmp_path, capture_output=True, text=True, check=True
        )
        return set(done.stdout.splitlines())

    assert drawn("S1", "S2") == drawn("S2", "S1")
    assert len({line.split()[1] for line in drawn("S1", "S2")}) == 2
