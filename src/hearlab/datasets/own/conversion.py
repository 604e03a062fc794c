"""Recordings in the form that the stages read: stereo WAV at 44.1 kHz. Those that have it are used as they are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from hearlab.audio import Samples, read_audio, resample, write_wav
from hearlab.datasets.layout import SAMPLE_RATE, STEMS
from hearlab.datasets.own.description import SUM, SoundFile


def is_converted(file: SoundFile) -> bool:
    """Whether a file has to be made of the recording; others are links to it."""
    same = file.channels == 2 and file.rate == SAMPLE_RATE and Path(file.source).suffix.lower() == ".wav"
    return file.source == SUM or not same


def converted(file: SoundFile) -> Samples:
    """Samples of a recording, shape (n, 2) at 44.1 kHz: one channel is heard with both ears.

    Raises:
        InputError: the recording cannot be read.
    """
    samples, rate = read_audio(file.source)
    first = file.first - 1
    pair = samples[:, first : first + 2]
    return resample(np.repeat(pair, 2, axis=1) if pair.shape[1] == 1 else pair, rate, SAMPLE_RATE)


def write_converted(path: Path, samples: Samples) -> None:
    """Write samples as 32-bit floats: exact for recordings of up to 24 bits that only change their form."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_wav(path, samples.astype(np.float32), SAMPLE_RATE)


def mixture_of(stems: Mapping[str, SoundFile]) -> Samples:
    """The sum of a song's stems, shape (n, 2)."""
    signals = [converted(stems[stem]) for stem in STEMS]
    return np.sum([signal[: min(map(len, signals))] for signal in signals], axis=0)
