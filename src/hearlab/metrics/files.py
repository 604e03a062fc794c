"""A pair of files scored with a metric of the table of tracks."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hearlab.arrays import Array
from hearlab.audio import read_audio, rms
from hearlab.datasets.stem_files import read_factor
from hearlab.errors import InputError
from hearlab.listeners import Audiogram, Listener
from hearlab.metrics.seeds import unit_seed
from hearlab.metrics.speech import SpeechReference
from hearlab.ranges import SIGNAL_LEVELS
from hearlab.scoring.tracks import CHALLENGE, METRICS, Metric

FAR_APART = 3.0  # dB


def score_files(
    name: str,
    reference: Path,
    processed: Path,
    listener: Listener,
    *,
    level: float | None,
    music_level: str = CHALLENGE,
    seed_name: str | None,
    tell: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Score two files (mono or stereo, any rate) in both ears.

    Args:
        name: of the metric.
        reference, processed: WAV or FLAC; a mono file is heard with both ears.
        listener: whose audiograms are used.
        level: dB SPL of a signal with an RMS of 1; None, of music, presents each channel of the
            reference at 65 dB SPL.
        music_level: which RMS of the reference that is, 'challenge' or 'current' (see `haaqi_stem`).
        seed_name: name that seeds the metric's noise (see `unit_seed`); None takes a fresh seed.
        tell: is told that the levels of speech differ much, in one line.

    Returns:
        `{score, left: {score, features}, right: {...}, listener, level}`, the score that of the better ear for speech,
        the mean of both for music; quality metrics add `nonlinear` and `linear` to each ear, music without a level
        its `music_level`.

    Raises:
        InputError: a file cannot be read or scored; the line names it.
    """
    if level is not None and not SIGNAL_LEVELS[0] <= level <= SIGNAL_LEVELS[1]:
        wanted = f"dB SPL of a signal with RMS 1, from {SIGNAL_LEVELS[0]:g} to {SIGNAL_LEVELS[1]:g}"
        raise InputError("level", "is no level", found=level, wanted=wanted)
    metric = METRICS[name]
    reference_signal, reference_rate = _stereo(reference, silence=bool(metric.stems))
    processed_signal, processed_rate = _stereo(processed, silence=bool(metric.stems))
    if metric.stems and processed.suffix.lower() == ".flac":
        processed_signal = processed_signal * read_factor(processed.with_suffix(".flac"))
    if not metric.stems and level is not None:
        _tell_levels(reference_signal, processed_signal, level, tell)
    rng = np.random.RandomState(None if seed_name is None else unit_seed(seed_name))
    ears: dict[str, Any] = {}
    rule = {"music_level": music_level} if metric.stems and level is None else {}
    options = {"level": level, **rule}
    for channel, (ear, audiogram) in enumerate((("left", listener.left), ("right", listener.right))):
        try:
            result = _one_ear(
                metric,
                (reference_signal[:, channel], reference_rate),
                (processed_signal[:, channel], processed_rate),
                audiogram,
                options,
                rng,
            )
        except InputError as error:
            raise InputError(processed, f"cannot be scored against {reference}: {ear} ear: {error}") from error
        parts = [part for part in ("score", "nonlinear", "linear") if hasattr(result, part)]
        ears[ear] = {part: float(getattr(result, part)) for part in parts} | {"features": result.features.tolist()}
    left, right = (ears[ear]["score"] for ear in ("left", "right"))
    score = (left + right) / 2 if metric.stems else max(left, right)
    return {"score": score, **ears, "listener": listener.id, **options}


def _tell_levels(reference: Array, processed: Array, level: float, tell: Callable[[str], None]) -> None:
    """The pipeline brings a scene's reference to the level of the target in the room, which two files do not tell."""
    loud = [rms(signal) for signal in (reference, processed)]
    if min(loud) > 0 and abs(20 * math.log10(loud[1] / loud[0])) >= FAR_APART:
        one, other = (level + 20 * math.log10(value) for value in loud)
        tell(
            f"levels are compared as they are: the reference has {one:.0f} dB SPL, the processed signal {other:.0f}; "
            "for a scene of the pipeline use --scene, which scales the reference by its rule"
        )


def _one_ear(
    metric: Metric,
    reference: tuple[Array, int],
    processed: tuple[Array, int],
    audiogram: Audiogram,
    options: dict[str, Any],
    random: np.random.RandomState,
) -> Any:
    """What a metric says of two signals in one ear, each with its rate in Hz."""
    if metric.stems:
        return metric.load()(*reference, *processed, audiogram, rng=random, **options)
    return metric.load()(SpeechReference(*reference, once=True, **options).beside(*processed, audiogram), random)


def _stereo(path: Path, *, silence: bool) -> tuple[Array, int]:
    """Two channels and the rate in Hz."""
    samples, rate = read_audio(path, silence=silence)
    if samples.shape[1] > 2:
        raise InputError(path, "wrong number of channels", field="channels", found=samples.shape[1], wanted="1 or 2")
    return np.broadcast_to(samples, (samples.shape[0], 2)) if samples.shape[1] == 1 else samples, rate
