"""Files of enhanced music in the challenge's format: stems as FLAC scaled to their peak, and the remix.

A stem is scaled to a peak of 1, so that its 16 bits are used in full; the factor it was divided by is in a text file of
the same name. A silent stem has the factor 0 (the published baseline divides by zero and writes what comes of it).
"""

from __future__ import annotations

import logging
import math
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from hearlab.audio import ENHANCED_FULL_SCALE, Samples, check_signal, read_audio, to_pcm16
from hearlab.errors import InputError
from hearlab.files import atomic_path, read_text, write_text

FACTOR_BYTES = 64
NO_ANSWER = (666, 888, 999, 9999)

log = logging.getLogger(__name__)


def write_flac(path: Path, samples: NDArray[np.int16], rate: int) -> None:
    """Write 16-bit samples, shape (n,) or (n, channels), with an atomic rename."""
    with atomic_path(path) as temporary:
        soundfile.write(temporary, samples, rate, format="FLAC", subtype="PCM_16")


def factor_file(path: Path) -> Path:
    """The text file that holds a stem's factor; the names of songs may have dots."""
    stem = path.with_suffix("") if path.suffix.lower() == ".flac" else path
    return stem.with_name(stem.name + ".txt")


def write_stem(path: Path, samples: Samples, rate: int) -> None:
    """Write a mono stem, shape (n,), as FLAC scaled to a peak of 1, and its factor beside it."""
    peak = float(np.max(np.abs(samples))) if samples.size else 0.0
    scaled = samples / peak if peak > 0 else samples
    write_flac(path, to_pcm16(scaled, ENHANCED_FULL_SCALE), rate)
    write_text(factor_file(path), f"{peak!r}")


def read_stem(path: Path, *, rate: int) -> Samples:
    """Read a mono stem in its original scale, shape (n,).

    Raises:
        InputError: the FLAC file is missing, at another rate or not mono, or its factor is not a number.
    """
    samples, _ = read_audio(path, rate=rate, channels=1)
    return samples[:, 0] * read_factor(path)


def read_factor(path: Path) -> float:
    """The factor of a stem; 1 if there is no file for it, as published."""
    file = factor_file(path)
    if not file.exists():
        return 1.0
    text = read_text(file, most=FACTOR_BYTES)
    factor = factor_from(text)
    if factor is None:
        raise InputError(file, "is not a factor", found=text[:40], wanted="a number, 0 or more")
    return factor


def factor_from(text: str | bytes) -> float | None:
    """The factor that a text gives; None if it is none.

    Peaks can be large: only codes for "no answer", which no measured peak is equal to, tell themselves apart.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8-sig", errors="replace")
    try:
        factor = float(text)
    except ValueError:
        return None
    return factor if 0 <= factor < math.inf and factor not in NO_ANSWER else None


def write_remix(path: Path, samples: Samples, rate: int, *, soft_clip: bool) -> None:
    """Write a stereo remix, shape (n, 2), as FLAC, softly clipped (tanh) or clipped with a warning."""
    check_signal(samples, path, silence=True)
    if soft_clip:
        samples = np.tanh(samples)
    clipped = int(np.sum(np.abs(samples) > 1.0))
    if clipped:
        log.warning("%s: %d samples clipped", path.name, clipped)
    write_flac(path, to_pcm16(samples, ENHANCED_FULL_SCALE), rate)
