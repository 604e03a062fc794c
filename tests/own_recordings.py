"""Small recordings and listeners, as a user has them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from hearlab.audio import resample
from hearlab.datasets.layout import STEMS

REPOSITORY = Path(__file__).resolve().parent.parent
RATE = 44100
TABLE = """listener;ear;250;500;1000;2000;4000;6000
A B;L;10;10;20;30;40;50
A B;R;20;20;30;40;50;60
Zoë;L;10;20;30;40;60;70
Zoë;R;20;20;30;40;50;60
"""


def speech(seed: int, seconds: float = 1.5, rate: int = RATE) -> tuple[np.ndarray, np.ndarray]:
    """A mixture and its reference, both of shape (n, 2)."""
    rng = np.random.default_rng(seed)
    frames = int(seconds * RATE)
    envelope = np.clip(np.sin(2 * np.pi * 4 * np.arange(frames) / RATE), 0, None)[:, None]
    clean = 0.02 * envelope * rng.standard_normal((frames, 2))
    noisy = clean + 0.01 * rng.standard_normal(clean.shape)
    return resample(noisy, RATE, rate), resample(clean, RATE, rate)


def write(path: Path, samples: Any, rate: int = RATE, subtype: str = "PCM_16") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, subtype=subtype)
    return path


def recordings(folder: Path) -> dict[str, Path]:
    """Three recordings: as the pipeline reads them; FLAC with a mono reference; at 16 kHz. Two listeners."""
    mixtures, references = folder / "my mixtures", folder / "my references"
    noisy, clean = speech(1)
    write(mixtures / "Café one.wav", noisy)
    write(references / "Café one.wav", clean)
    noisy, clean = speech(2)
    write(mixtures / "two.flac", noisy)
    write(references / "two.wav", clean[:, 0], subtype="PCM_24")
    noisy, clean = speech(3, rate=16000)
    write(mixtures / "three_mix.wav", noisy, 16000)
    write(references / "three_clean.wav", clean, 16000)
    (folder / "clinic.csv").write_text(TABLE)
    return {"mixtures": mixtures, "references": references, "listeners": folder / "clinic.csv"}


def songs(folder: Path, seconds: float = 1.0) -> Path:
    """Two songs: one with its mixture, as the pipeline reads it; one of mono FLAC stems at 48 kHz without one."""
    rng = np.random.default_rng(4)
    stems = {stem: 0.05 * rng.standard_normal((int(seconds * RATE), 2)) for stem in STEMS}
    for stem, samples in {**stems, "mixture": sum(stems.values())}.items():
        write(folder / "Ñandú" / f"{stem}.wav", samples)
    for stem, samples in stems.items():
        write(folder / "plain" / f"{stem}.flac", resample(samples[:, 0], RATE, 48000), 48000)
    return folder


def workspace(folder: Path) -> Path:
    """A folder with params.yaml alone."""
    folder.mkdir(exist_ok=True)
    shutil.copy(REPOSITORY / "params.yaml", folder / "params.yaml")
    return folder
