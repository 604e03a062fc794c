"""tools/kernels.py compiles ahead what the first score of a user would wait for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SCORES = """
import numpy as np
from hearlab.fitting import Compressor, NalR
from hearlab.fitting.soft_clip import soft_clip
from hearlab.listeners import Audiogram
from hearlab.metrics import haaqi, haaqi_stem, haspi, hasqi
from hearlab.report.site.sound.loudness import loudness
from hearlab.report.site.sound.spectrogram import spectrogram

ear = Audiogram([20.0, 20, 30, 40, 50, 60], [250.0, 500, 1000, 2000, 4000, 6000])
aid = NalR()
for rate, seconds in ((44100, 0.9), (24000, 0.7)):
    clean = np.random.default_rng(1).uniform(-0.1, 0.1, int(rate * seconds))
    heard = Compressor(44100).apply(aid.apply(aid.filter(ear), np.stack([clean, clean], axis=1)))
    heard = soft_clip(heard)[: clean.size, 0]
    for metric in (haspi, hasqi, haaqi, haaqi_stem):
        metric(clean, rate, heard, rate, ear, rng=1)
    for picture in (loudness, spectrogram):
        picture(np.stack([clean, clean], axis=1), rate)
"""


@pytest.mark.slow
def test_a_score_finds_everything_compiled(tmp_path: Path) -> None:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    tool = [sys.executable, ROOT / "tools/kernels.py"]
    done = subprocess.run(tool, env=environment, check=True, capture_output=True, text=True)
    assert "Compiled in" in done.stdout
    ahead = {path.name: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nbc")}
    subprocess.run([sys.executable, "-c", SCORES], env=environment, check=True)
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nbc")} == ahead
    assert len(ahead) >= 20


@pytest.mark.slow
def test_where_it_cannot_be_done_it_is_said_and_no_error(tmp_path: Path) -> None:
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    tool = [sys.executable, ROOT / "tools/kernels.py"]
    done = subprocess.run(tool, env=environment, check=True, capture_output=True, text=True)
    assert "could not be compiled now" in done.stderr
