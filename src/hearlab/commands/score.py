"""`hearlab score`: a pair of files with a metric."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hearlab.commands import Commands
from hearlab.scores.tracks import METRICS, Metric

if TYPE_CHECKING:
    from numpy.random import RandomState
    from numpy.typing import NDArray

    from hearlab.listeners import Audiogram, Listener


def add(commands: Commands) -> None:
    """Add the command to the parser: an action for each metric of the table of tracks."""
    parser = commands.add_parser("score", help="score a pair of files with a metric")
    actions = parser.add_subparsers(required=True, metavar="METRIC")
    for name, metric in METRICS.items():
        track = metric.track
        description = f"{metric.about[0].upper()}{metric.about[1:]}: a processed signal against its reference, for one "
        description += "listener. A mono file is heard with both ears."
        if metric.stems:
            description += " The factor in a .txt beside a FLAC file is applied."
        own = actions.add_parser(name, help=metric.about, description=description)
        own.add_argument("--reference", type=Path, required=True, help=f"{track.reference}, WAV or FLAC, any rate")
        own.add_argument("--processed", type=Path, required=True, help="what the listener hears, WAV or FLAC, any rate")
        own.add_argument("--listener", required=True, help="id in the listeners file, such as L0064")
        own.add_argument("--listeners", type=Path, required=True, help="listeners.json")
        own.add_argument("--seed-name", help=f"name whose md5 seeds the metric's noise, such as {track.seed}")
        own.add_argument("--json", action="store_true", help="print scores and features of both ears as JSON")
        default = "the reference at 65 dB SPL" if track.level is None else f"{track.level:g}"
        own.add_argument(
            "--level", type=float, default=track.level, help=f"dB SPL of a signal with RMS 1 (default: {default})"
        )
        own.set_defaults(run=_score, metric=name)


def _score(options: argparse.Namespace) -> None:
    from hearlab.listeners import find_listener, load_listeners

    listener = find_listener(load_listeners(options.listeners), options.listener, options.listeners)
    result = score_files(
        options.metric,
        options.reference,
        options.processed,
        listener,
        level=options.level,
        seed_name=options.seed_name,
    )
    if options.json:
        print(json.dumps(result, indent=1))
        return
    left, right = (result[ear]["score"] for ear in ("left", "right"))
    print(f"{options.metric.upper()} {result['score']:.4f} (left {left:.4f}, right {right:.4f})")


def score_files(
    name: str, reference: Path, processed: Path, listener: Listener, *, level: float | None, seed_name: str | None
) -> dict[str, Any]:
    """Score two files (mono or stereo, any rate) in both ears.

    Args:
        name: of the metric.
        reference, processed: WAV or FLAC; a mono file is heard with both ears.
        listener: whose audiograms are used.
        level: dB SPL of a signal with an RMS of 1; None, of music, presents each channel of the
            reference at 65 dB SPL.
        seed_name: name that seeds the metric's noise (see `unit_seed`); None takes a fresh seed.

    Returns:
        `{score, left: {score, features}, right: {...}, listener, level}`, the score that of the better ear for speech,
        the mean of both for music; quality metrics add `nonlinear` and `linear` to each ear.

    Raises:
        InputError: a file cannot be read or scored; the line names it.
    """
    import numpy as np

    from hearlab.datasets.stem_files import read_factor
    from hearlab.errors import InputError
    from hearlab.metrics import unit_seed

    metric = METRICS[name]
    reference_signal, reference_rate = _stereo(reference, silence=bool(metric.stems))
    processed_signal, processed_rate = _stereo(processed, silence=bool(metric.stems))
    if metric.stems and processed.suffix.lower() == ".flac":
        processed_signal = processed_signal * read_factor(processed.with_suffix(".flac"))
    rng = np.random.RandomState(None if seed_name is None else unit_seed(seed_name))
    ears: dict[str, Any] = {}
    for channel, (ear, audiogram) in enumerate((("left", listener.left), ("right", listener.right))):
        try:
            result = _one_ear(
                metric,
                (reference_signal[:, channel], reference_rate),
                (processed_signal[:, channel], processed_rate),
                audiogram,
                level,
                rng,
            )
        except InputError as error:
            raise InputError(processed, f"cannot be scored against {reference}: {ear} ear: {error}") from error
        parts = [part for part in ("score", "nonlinear", "linear") if hasattr(result, part)]
        ears[ear] = {part: float(getattr(result, part)) for part in parts} | {"features": result.features.tolist()}
    left, right = (ears[ear]["score"] for ear in ("left", "right"))
    score = (left + right) / 2 if metric.stems else max(left, right)
    return {"score": score, **ears, "listener": listener.id, "level": level}


def _one_ear(
    metric: Metric,
    reference: tuple[NDArray[Any], int],
    processed: tuple[NDArray[Any], int],
    audiogram: Audiogram,
    level: float | None,
    random: RandomState,
) -> Any:
    """What a metric says of two signals in one ear, each with its rate in Hz."""
    from hearlab.metrics.speech import SpeechReference

    options: dict[str, Any] = {"level": level}
    if metric.stems:
        return metric.load()(*reference, *processed, audiogram, rng=random, **options)
    return metric.load()(SpeechReference(*reference, **options).beside(*processed, audiogram), random)


def _stereo(path: Path, *, silence: bool) -> tuple[NDArray[Any], int]:
    import numpy as np

    from hearlab.audio import read_audio
    from hearlab.errors import InputError

    samples, rate = read_audio(path, silence=silence)
    if samples.shape[1] > 2:
        raise InputError(path, "wrong number of channels", field="channels", found=samples.shape[1], wanted="1 or 2")
    return np.broadcast_to(samples, (samples.shape[0], 2)) if samples.shape[1] == 1 else samples, rate
