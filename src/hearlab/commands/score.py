"""`hearlab score`: a pair of files with a metric."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hearlab.commands import Commands
    from hearlab.listeners import Listener


@dataclass(frozen=True)
class FileMetric:
    """How a metric is offered.

    Attributes:
        help, description: of the command.
        reference, seed: what the reference file holds, and an example of what gives the metric's noise its name.
        level: dB SPL of an RMS of 1; None presents each channel of the reference at 65 dB SPL.
        function: of `hearlab.metrics`, for one ear.
        stems: whether the files are stems, which may be silent and have a factor beside them.
        combine: the scores of both ears.
    """

    help: str
    description: str
    reference: str
    seed: str
    level: float | None
    function: str
    combine: Callable[[float, float], float]
    stems: bool = False


METRICS = {
    "haspi": FileMetric(
        help="intelligibility of speech (HASPI v2, better ear)",
        description="Better-ear HASPI v2 of a processed signal against its clean reference, for one listener. "
        "A mono file is heard with both ears.",
        reference="clean speech",
        seed="the scene S06001",
        level=100.0,
        function="haspi",
        combine=max,
    ),
    "hasqi": FileMetric(
        help="quality of speech (HASQI v2, better ear)",
        description="Better-ear HASQI v2 of a processed signal against its clean reference, for one listener. "
        "A mono file is heard with both ears.",
        reference="clean speech",
        seed="the scene S06001",
        level=100.0,
        function="hasqi",
        combine=max,
    ),
    "haaqi": FileMetric(
        help="quality of music (HAAQI v1)",
        description="HAAQI v1 of processed music against its reference, for one listener, in both ears. A mono file is "
        "heard with both ears. The factor in a .txt beside a FLAC file is applied.",
        reference="the original stem or music",
        seed="the song",
        level=None,
        function="haaqi_stem",
        combine=lambda left, right: (left + right) / 2,
        stems=True,
    ),
}


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("score", help="score a pair of files with a metric")
    metrics = parser.add_subparsers(required=True, metavar="METRIC")
    for name, metric in METRICS.items():
        own = metrics.add_parser(name, help=metric.help, description=metric.description)
        own.add_argument("--reference", type=Path, required=True, help=f"{metric.reference}, WAV or FLAC, any rate")
        own.add_argument("--processed", type=Path, required=True, help="what the listener hears, WAV or FLAC, any rate")
        own.add_argument("--listener", required=True, help="id in the listeners file, such as L0064")
        own.add_argument("--listeners", type=Path, required=True, help="listeners.json")
        own.add_argument("--seed-name", help=f"name whose md5 seeds the metric's noise, such as {metric.seed}")
        own.add_argument("--json", action="store_true", help="print scores and features of both ears as JSON")
        default = "the reference at 65 dB SPL" if metric.level is None else f"{metric.level:g}"
        own.add_argument(
            "--level", type=float, default=metric.level, help=f"dB SPL of a signal with RMS 1 (default: {default})"
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
        level: dB SPL of a signal with an RMS of 1; see `FileMetric`.
        seed_name: name that seeds the metric's noise (see `unit_seed`); None takes a fresh seed.

    Returns:
        `{score, left: {score, features}, right: {...}, listener, level}`; quality metrics add `nonlinear` and `linear`
        to each ear.

    Raises:
        InputError: a file cannot be read or scored; the line names it.
    """
    import numpy as np

    import hearlab.metrics
    from hearlab.datasets.stem_files import read_factor
    from hearlab.errors import InputError

    metric = METRICS[name]
    reference_signal, reference_rate = _stereo(reference, silence=metric.stems)
    processed_signal, processed_rate = _stereo(processed, silence=metric.stems)
    if metric.stems and processed.suffix.lower() == ".flac":
        processed_signal = processed_signal * read_factor(processed.with_suffix(".flac"))
    rng = np.random.RandomState(None if seed_name is None else hearlab.metrics.unit_seed(seed_name))
    ears: dict[str, Any] = {}
    for channel, (ear, audiogram) in enumerate((("left", listener.left), ("right", listener.right))):
        try:
            result = getattr(hearlab.metrics, metric.function)(
                reference_signal[:, channel],
                reference_rate,
                processed_signal[:, channel],
                processed_rate,
                audiogram,
                level=level,
                rng=rng,
            )
        except InputError as error:
            raise InputError(processed, f"cannot be scored against {reference}: {ear} ear: {error}") from error
        parts = [part for part in ("score", "nonlinear", "linear") if hasattr(result, part)]
        ears[ear] = {part: float(getattr(result, part)) for part in parts} | {"features": result.features.tolist()}
    score = metric.combine(ears["left"]["score"], ears["right"]["score"])
    return {"score": score, **ears, "listener": listener.id, "level": level}


def _stereo(path: Path, *, silence: bool) -> tuple[NDArray[Any], int]:
    import numpy as np

    from hearlab.audio import read_audio
    from hearlab.errors import InputError

    samples, rate = read_audio(path, silence=silence)
    if samples.shape[1] > 2:
        raise InputError(path, "wrong number of channels", field="channels", found=samples.shape[1], wanted="1 or 2")
    return np.broadcast_to(samples, (samples.shape[0], 2)) if samples.shape[1] == 1 else samples, rate
