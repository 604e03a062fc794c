"""One sound of the site: read, measured, drawn, and copied where the site needs a file of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from hearlab.audio import read_audio, resample
from hearlab.errors import InputError
from hearlab.files import md5_of
from hearlab.kernels.retained_memory import keep_freed_memory
from hearlab.report.site.sound.hearing_loss import heard_through
from hearlab.report.site.sound.loudness import loudness
from hearlab.report.site.sound.spectrogram import write_spectrogram
from hearlab.report.site.versions import Part


def plain(part: Part) -> dict[str, Any]:
    """A part as what JSON can hold."""
    return {**asdict(part), "path": str(part.path)}


def measured_sound(
    root: Path,
    out: Path,
    *,
    parts: Sequence[Mapping[str, Any]],
    beside: Sequence[Mapping[str, Any]],
    loss: Sequence[Sequence[Sequence[float]]],
    picture: str,
    copy: str | None,
) -> dict[str, Any]:
    """Measure a version and write its files into `out`.

    Args:
        root: the workspace that parts are relative to.
        out: a folder.
        parts: of the version, as `plain` gives them.
        beside: of the unprocessed sound, at whose level a version that is heard through a loss is drawn.
        loss: thresholds of both ears, or nothing.
        picture: file name of the spectrogram.
        copy: file name of the copy, as FLAC, if there is to be one.

    Returns:
        loudness in LUFS (None for silence), seconds, peak, and md5 of each part's file.

    Raises:
        InputError: a file cannot be read.
    """
    keep_freed_memory()  # new pages for every array would take a fifth of the time
    samples, rate = _read(root, parts)
    if loss:
        level = loudness(*_read(root, beside))
        left, right = (tuple((float(hertz), float(level)) for hertz, level in ear) for ear in loss)
        samples = heard_through(samples, rate, (left, right))
    else:
        level = loudness(samples, rate)
    write_spectrogram(out / picture, samples, rate, level)
    if loss:
        level = loudness(samples, rate)
    if copy is not None:
        # What a loss leaves can be 90 dB down.
        subtype = "PCM_24" if loss else "PCM_16"
        soundfile.write(out / copy, np.clip(samples, -1, 1), rate, format="FLAC", subtype=subtype)
    return {
        "loudness": level if np.isfinite(level) else None,
        "seconds": samples.shape[0] / rate,
        "peak": float(np.max(np.abs(samples), initial=0.0)),
        "md5": [md5_of(root / part["path"]) for part in parts],
    }


def _read(root: Path, parts: Sequence[Mapping[str, Any]]) -> tuple[NDArray[np.float64], int]:
    """Samples of shape (n, 2) and their rate; mono files of the two ears are put side by side."""
    ears = [_read_part(root, **part) for part in parts]
    rate = max(rate for _, rate in ears)
    signals = [resample(samples, own, rate) for samples, own in ears]
    if len(signals) > 1:
        length = max(signal.shape[0] for signal in signals)
        signals = [np.pad(signal[:, :1], ((0, length - signal.shape[0]), (0, 0))) for signal in signals]
    joined = np.concatenate(signals, axis=1)
    return (np.repeat(joined, 2, axis=1) if joined.shape[1] == 1 else joined[:, :2]), rate


def _read_part(
    root: Path, *, path: str, start: float, end: float | None, factor: float, ear: str
) -> tuple[NDArray[np.float64], int]:
    file = root / path
    if not start and end is None:
        samples, rate = read_audio(file)
    else:
        try:
            rate = soundfile.info(file).samplerate
        except soundfile.LibsndfileError as error:
            raise InputError(file, "cannot be read as audio", found=error.error_string) from None
        frames = None if end is None else round((end - start) * rate)
        samples, rate = read_audio(file, start=round(start * rate), frames=frames)
    return samples * factor, rate
