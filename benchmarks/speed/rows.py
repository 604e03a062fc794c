"""The rows of the table: what each measures, the required and aimed-at ratios, and the tolerance of its results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from agreement.differences import (
    FITTING_TOLERANCE,
    METRIC_TOLERANCE,
    RENDERING_TOLERANCE,
    Values,
    fitting_difference,
    metric_difference,
    rendering_difference,
    score_difference,
)
from inputs import Inputs

EXCERPT_SECONDS = 5.0
PAIR_SECONDS = 6.0
# Lengths in s of the songs whose peak memory is measured; the published code would need some 16 GB for the long one.
LONG_SONG, PUBLISHED_LONG_SONG = 300.0, 30.0


@dataclass(frozen=True)
class SpeedRow:
    """Work whose time is compared.

    Attributes:
        name: what `--rows` calls it.
        work: what the table calls it.
        task: of the workers.
        ours: HearLab's task, where it has another name than the published one's.
        arguments: of the task, made from a tag that differs in each repetition.
        required, aim: how many times faster than the published implementation.
        difference, tolerance: of both results.
        seconds: of audio in the work, if the table gives the time per second of it.
        repetitions: of HearLab and of the published implementation.
    """

    name: str
    work: str
    task: str
    arguments: Callable[[Inputs, str], dict[str, Any]]
    required: float
    aim: float
    difference: Callable[[Values, Values], float]
    tolerance: float
    seconds: float | None = None
    repetitions: int = 7
    writes_files: bool = False
    ours: str | None = None


def _training_rows(metric: str, arguments: Callable[[Inputs, str], dict[str, Any]], name: str) -> tuple[SpeedRow, ...]:
    """A metric in PyTorch, its score alone and with the gradient, beside the published score."""
    return tuple(
        SpeedRow(
            f"{metric}_{task}",
            f"{name} in PyTorch, {about}, {EXCERPT_SECONDS:g} s, one ear, per second of audio",
            metric,
            arguments,
            required,
            aim,
            score_difference,
            METRIC_TOLERANCE,
            seconds=EXCERPT_SECONDS,
            repetitions=5,
            ours=f"{metric}_{task}",
        )
        for task, about, required, aim in (("torch", "forward", 4, 8), ("training", "forward and backward", 2, 4))
    )


SPEED_ROWS = (
    SpeedRow(
        "haspi",
        "HASPI, one ear of the {scene}, nothing shared",
        "haspi",
        Inputs.haspi,
        8,
        30,
        metric_difference,
        METRIC_TOLERANCE,
        repetitions=9,
    ),
    SpeedRow(
        "haspi_scene",
        "HASPI, `score_speech` of the {scene} (3 listeners x 2 conditions x 2 ears)",
        "speech_scene",
        lambda inputs, tag: inputs.speech_scene(tag, ["haspi"]),
        12,
        45,
        metric_difference,
        METRIC_TOLERANCE,
        repetitions=5,
    ),
    SpeedRow(
        "hasqi",
        "HASQI, one ear of the {scene}, nothing shared",
        "hasqi",
        Inputs.hasqi,
        20,
        25,
        metric_difference,
        METRIC_TOLERANCE,
        repetitions=9,
    ),
    SpeedRow(
        "speech_scene",
        "HASPI and HASQI, `score_speech` of the {scene} (3 listeners x 2 conditions x 2 ears)",
        "speech_scene",
        lambda inputs, tag: inputs.speech_scene(tag, ["haspi", "hasqi"]),
        20,
        30,
        metric_difference,
        METRIC_TOLERANCE,
        repetitions=3,
    ),
    SpeedRow(
        "haaqi",
        f"HAAQI, {EXCERPT_SECONDS:g} s excerpt, one ear",
        "haaqi",
        lambda inputs, tag: inputs.haaqi(tag, EXCERPT_SECONDS),
        10,
        40,
        metric_difference,
        METRIC_TOLERANCE,
    ),
    SpeedRow(
        "haaqi_pair",
        "HAAQI, a song-listener pair (8 stems), per second of audio",
        "haaqi_pair",
        lambda inputs, tag: inputs.haaqi_pair(tag, PAIR_SECONDS),
        10,
        40,
        metric_difference,
        METRIC_TOLERANCE,
        seconds=PAIR_SECONDS,
        repetitions=3,
    ),
    SpeedRow(
        "render",
        "rendering the {scene}, all 14 files, steady state",
        "render",
        Inputs.render,
        40,
        130,
        rendering_difference,
        RENDERING_TOLERANCE,
        repetitions=3,
        writes_files=True,
    ),
    SpeedRow(
        "fitting",
        "NAL-R + compressor, {scene}, stereo",
        "fitting",
        Inputs.fitting,
        40,
        80,
        fitting_difference,
        FITTING_TOLERANCE,
        repetitions=9,
    ),
    *_training_rows("haspi", lambda inputs, tag: inputs.haspi(tag, EXCERPT_SECONDS), "HASPI"),
    *_training_rows("hasqi", lambda inputs, tag: inputs.hasqi(tag, EXCERPT_SECONDS), "HASQI"),
    *_training_rows("haaqi", lambda inputs, tag: inputs.haaqi(tag, EXCERPT_SECONDS), "HAAQI"),
)


@dataclass(frozen=True)
class FirstCallRow:
    """Seconds from the start of a process to its first score: imports, compilation or loading, and the work itself."""

    name: str
    work: str
    metric: str  # the speed row whose work it does
    required_warm: float = 1.5
    required_cold: float = 25.0
    aim_warm: float = 0.4
    aim_cold: float = 4.0


FIRST_CALL_ROWS = (
    FirstCallRow("first_haspi", "first call of a process, HASPI", "haspi"),
    FirstCallRow("first_haaqi", "first call of a process, HAAQI", "haaqi"),
)


@dataclass(frozen=True)
class MemoryRow:
    """Peak memory of a fresh process, in MB, imports included."""

    name: str
    work: str
    task: str
    required: float
    aim: float
    writes_files: bool = False


RENDER_MEMORY = MemoryRow("render_memory", "peak memory of rendering the {scene}", "render", 600, 300, True)
HAAQI_MEMORY = MemoryRow("haaqi_memory", "peak memory of HAAQI, one ear of a song", "haaqi_stem", 1500, 700)

ROW_NAMES = (
    *(row.name for row in SPEED_ROWS),
    *(row.name for row in FIRST_CALL_ROWS),
    RENDER_MEMORY.name,
    HAAQI_MEMORY.name,
)
