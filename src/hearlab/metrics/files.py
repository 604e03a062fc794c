"""Scoring a pair of files from the shell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlab.audio import read_audio
from hearlab.datasets.stem_files import read_factor
from hearlab.errors import InputError
from hearlab.listeners import Listener
from hearlab.metrics.haaqi import haaqi_stem
from hearlab.metrics.haspi import haspi
from hearlab.metrics.seeds import unit_seed


def score_haspi_files(
    reference: Path, processed: Path, listener: Listener, *, level: float, seed_name: str | None
) -> dict[str, Any]:
    """Better-ear HASPI of two files (mono or stereo, any rate).

    Args:
        reference, processed: WAV or FLAC; a mono file is heard with both ears.
        listener: whose audiograms are used.
        level: dB SPL of a signal with an RMS of 1.
        seed_name: name that seeds the metric's noise (see `unit_seed`); None takes a fresh seed.

    Returns:
        `{score, left: {score, features}, right: {score, features}, listener, level}`.

    Raises:
        InputError: a file cannot be read or scored; the line names it.
    """
    reference_signal, reference_rate = _stereo(reference)
    processed_signal, processed_rate = _stereo(processed)
    rng = np.random.RandomState(None if seed_name is None else unit_seed(seed_name))
    ears: dict[str, Any] = {}
    for index, (ear, audiogram) in enumerate((("left", listener.left), ("right", listener.right))):
        try:
            result = haspi(
                reference_signal[:, index],
                reference_rate,
                processed_signal[:, index],
                processed_rate,
                audiogram,
                level=level,
                rng=rng,
            )
        except InputError as error:
            raise InputError(processed, f"cannot be scored against {reference}: {ear} ear: {error}") from error
        ears[ear] = {"score": float(result.score), "features": [float(value) for value in result.features]}
    score = max(ears["left"]["score"], ears["right"]["score"])
    return {"score": score, **ears, "listener": listener.id, "level": level}


def score_haaqi_files(
    reference: Path,
    processed: Path,
    listener: Listener,
    *,
    level: float | None = None,
    seed_name: str | None = None,
) -> dict[str, Any]:
    """HAAQI of two files (mono or stereo, any rate) in both ears, as the Cadenza challenge scores a stem.

    Args:
        reference, processed: WAV or FLAC; a mono file is heard with both ears. A factor in a `.txt` file beside a
            processed FLAC file is applied.
        listener: whose audiograms are used.
        level: dB SPL of a signal with an RMS of 1; None presents each channel of the reference at 65 dB SPL.
        seed_name: name that seeds the metric's noise (see `unit_seed`); None takes a fresh seed.

    Returns:
        `{score, left: {score, nonlinear, linear, features}, right: {...}, listener, level}`; the score is the mean of
        both ears.

    Raises:
        InputError: a file cannot be read or scored; the line names it.
    """
    reference_signal, reference_rate = _stereo(reference, silence=True)
    processed_signal, processed_rate = _stereo(processed, silence=True)
    processed_signal = processed_signal * read_factor(processed)
    rng = np.random.RandomState(None if seed_name is None else unit_seed(seed_name))
    ears: dict[str, Any] = {}
    for index, (ear, audiogram) in enumerate((("left", listener.left), ("right", listener.right))):
        try:
            result = haaqi_stem(
                reference_signal[:, index],
                reference_rate,
                processed_signal[:, index],
                processed_rate,
                audiogram,
                level=level,
                rng=rng,
            )
        except InputError as error:
            raise InputError(processed, f"cannot be scored against {reference}: {ear} ear: {error}") from error
        ears[ear] = {
            "score": float(result.score),
            "nonlinear": float(result.nonlinear),
            "linear": float(result.linear),
            "features": [float(value) for value in result.features],
        }
    score = (ears["left"]["score"] + ears["right"]["score"]) / 2
    return {"score": score, **ears, "listener": listener.id, "level": level}


def _stereo(path: Path, *, silence: bool = False) -> tuple[NDArray[np.float64], int]:
    samples, rate = read_audio(path, silence=silence)
    if samples.shape[1] > 2:
        raise InputError(path, "wrong number of channels", field="channels", found=samples.shape[1], wanted="1 or 2")
    return np.broadcast_to(samples, (samples.shape[0], 2)) if samples.shape[1] == 1 else samples, rate
