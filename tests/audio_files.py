"""Audio files as other programs leave them: from encoders that write into a pipe, and from a killed recorder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from hearlab.audio import write_wav

RATE = 44100
SPOKEN = (0.1 * np.random.RandomState(0).standard_normal((9000, 2)) * 32768).astype(np.int16)


def piped_flac(path: Path, rate: int = RATE, samples: NDArray[np.int16] = SPOKEN) -> Path:
    """FLAC without the number of its samples and their md5."""
    soundfile.write(path, samples, rate, format="FLAC", subtype="PCM_16")
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0  # the number has 36 bits
    content[22:42] = bytes(20)
    path.write_bytes(content)
    return path


def piped_wav(path: Path, data: int, riff: int | None = None) -> Path:
    """WAV with these sizes in its header."""
    write_wav(path, SPOKEN, RATE)
    content = bytearray(path.read_bytes())
    content[4:8] = (data + 36 & 0xFFFFFFFF if riff is None else riff).to_bytes(4, "little")
    content[40:44] = data.to_bytes(4, "little")
    path.write_bytes(content)
    return path


def never_closed(path: Path, riff: int = 0) -> Path:
    """WAV whose header says that there are no samples."""
    return piped_wav(path, 0, riff)
