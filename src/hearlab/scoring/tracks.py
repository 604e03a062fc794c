"""The tracks and their metrics: the one table that stages, averages, comparisons, leaderboard, MLflow and site read.

A new metric is a module in `hearlab.metrics` and a row here. What follows from the row, in a track of several metrics:

    score table      a column for each metric: scene, listener, haspi, hasqi
    averages file    a section for each metric: {"haspi": {"pairs": ...}, "hasqi": {"pairs": ...}}
    table of points  a column for each metric, after those of the condition: ..., condition, haspi, hasqi
    unit's result    a number for each metric and condition, at `Track.result_key`
    MLflow           hasqi/enhanced, hasqi_by_snr/enhanced/..., hasqi_by_severity/enhanced/...

The first metric of a track is its headline: the leaderboard ranks by it, and results always hold it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from hearlab.datasets.layout import SIDES, STEMS
from hearlab.errors import ParameterError
from hearlab.named import load_named

ENHANCED, UNPROCESSED = "enhanced", "unprocessed"
CONDITIONS = (ENHANCED, UNPROCESSED)

# Which RMS of a stem is presented at 65 dB SPL, `evaluate.music_level`: see `hearlab.metrics.haaqi.haaqi_stem`. Results
# of revisions that do not know the parameter were made with the current rule.
MUSIC_LEVEL = "evaluate.music_level"
CHALLENGE, CURRENT = MUSIC_LEVELS = ("challenge", "current")


@dataclass(frozen=True)
class RerunNoise:
    """Spread of a pair's score when the same signals are scored again with other random numbers.

    Attributes:
        sd: standard deviation of one pair's score.
        source: how it was measured, or who stated it.
        published: the published spread, where there is one.
    """

    sd: float
    source: str
    published: str | None = None


@dataclass(frozen=True)
class Metric:
    """A metric of one track.

    Attributes:
        name: as users type it, and as averages and MLflow's keys name it.
        title: as tables show it.
        about: what it measures, for `hearlab score`.
        column: of the score in the track's tables.
        scorer: 'module:name' of what the scoring stage calls: of speech, a function of a pair and a random stream (see
            `hearlab.metrics.speech`); of music, one of a stem in one ear.
        noise: spread of a score between reruns.
        best: what a score of 1 means.
        stems: stems that are scored one by one; the tables have a column for each of them and each ear.
    """

    name: str
    title: str
    about: str
    column: str
    scorer: str
    noise: RerunNoise
    best: str
    stems: tuple[str, ...] = ()

    @property
    def short(self) -> str:
        """The metric's own name, such as HASPI."""
        return self.name.upper()

    @property
    def track(self) -> Track:
        return next(track for track in TRACKS.values() if self in track.metrics)

    @property
    def columns(self) -> tuple[str, str, str]:
        """The columns that a table of its scores has at least."""
        return self.track.cluster, "listener", self.column

    def ear_columns(self, stem: str) -> list[str]:
        """The columns of a stem's scores, left and right."""
        return [f"{side}_{stem}" for side in SIDES]

    def load(self) -> Any:
        """The scorer, imported when it is needed."""
        return load_named(self.scorer)


@dataclass(frozen=True)
class Track:
    """One of the two challenges.

    Attributes:
        name: as users type it.
        title: as pages show it.
        cluster: what scores are clustered by, which is also the name of a column: 'scene' or 'song'.
        metrics: in the order of their columns; the first one is the headline.
        scoring_stage: its name in dvc.yaml.
        tables: condition -> its score table in the folder of metrics.
        averages: file in the folder of metrics that holds the averages.
        points: table of the points that plots show, in the folder of metrics.
        reference, seed: what a reference file holds, and an example of what gives the metric's noise its name.
        level: dB SPL of a signal with an RMS of 1; None presents each channel of the reference at 65 dB SPL.
    """

    name: str
    title: str
    cluster: str
    metrics: tuple[Metric, ...]
    scoring_stage: str
    tables: dict[str, str]
    averages: str
    points: str
    reference: str
    seed: str
    level: float | None

    @property
    def headline(self) -> Metric:
        return self.metrics[0]

    def average_key(self, condition: str = ENHANCED) -> str:
        """Key of a condition's average in a metric's section of the averages file."""
        return condition if len(self.tables) > 1 else "score"

    def result_key(self, metric: Metric, condition: str = ENHANCED) -> str:
        """Key of a score in the result of a scoring unit."""
        key = self.average_key(condition)
        return key if metric is self.headline else f"{metric.name}/{key}"

    def chosen(self, names: Iterable[str], parameter: str) -> tuple[Metric, ...]:
        """The metrics of these names, in the order of the table.

        Raises:
            ParameterError: a name is not known, or the headline metric is missing.
        """
        wanted, known = list(names), [metric.name for metric in self.metrics]
        for name in wanted:
            if name not in known:
                raise ParameterError(parameter, "unknown metric", found=name, wanted=f"some of {', '.join(known)}")
        if self.headline.name not in wanted:
            raise ParameterError(parameter, f"must name {self.headline.name}", found=", ".join(wanted) or "none")
        return tuple(metric for metric in self.metrics if metric.name in wanted)


_SEEDS = "10 seeds on the CEC2 scene S06001, 3 listeners, baseline and unprocessed"
# The published spread is of the mean of 7,500 pairs; for one pair it means 2.0e-4 if the pairs' noise is independent. A
# pair of middling score has more, so the larger figure is the one that floors are made from.
_HASPI_NOISE = RerunNoise(
    5.6e-4,
    _SEEDS,
    "0.2491594 +/- 0.0000023 for the mean of 7,500 pairs in five runs (CEC2 baseline README)",
)

TRACKS = {
    track.name: track
    for track in (
        Track(
            name="speech",
            title="Speech in noise",
            cluster="scene",
            metrics=(
                Metric(
                    name="haspi",
                    title="better-ear HASPI",
                    about="intelligibility of speech (HASPI v2, better ear)",
                    column="haspi",
                    scorer="hearlab.metrics.haspi:score_pair",
                    noise=_HASPI_NOISE,
                    best="all words understood",
                ),
                Metric(
                    name="hasqi",
                    title="better-ear HASQI",
                    about="quality of speech (HASQI v2, better ear)",
                    column="hasqi",
                    scorer="hearlab.metrics.hasqi:score_pair",
                    noise=RerunNoise(1.8e-5, f"{_SEEDS}; nothing is published"),
                    best="like the original",
                ),
            ),
            scoring_stage="score_speech",
            tables={ENHANCED: "speech.csv", UNPROCESSED: "speech_unprocessed.csv"},
            averages="speech.json",
            points="plots/haspi_snr.csv",
            reference="clean speech",
            seed="the scene S06001",
            level=100.0,
        ),
        Track(
            name="music",
            title="Music",
            cluster="song",
            metrics=(
                Metric(
                    name="haaqi",
                    title="HAAQI",
                    about="quality of music (HAAQI v1)",
                    column="score",
                    scorer="hearlab.metrics.haaqi:haaqi_stem",
                    noise=RerunNoise(
                        4.3e-5, "8 seeds on a music excerpt with 4 distortions, 2 listeners; nothing is published"
                    ),
                    best="like the original",
                    stems=STEMS,
                ),
            ),
            scoring_stage="score_music",
            tables={ENHANCED: "music.csv"},
            averages="music.json",
            points="plots/haaqi_stems.csv",
            reference="the original stem or music",
            seed="the song",
            level=None,
        ),
    )
}


def music_rule(track: Track, music_level: Any) -> str | None:
    """The rule for the level of stems that a result was scored with, given what it says; None for speech."""
    return str(music_level or CURRENT) if track.cluster == "song" else None


METRICS = {metric.name: metric for track in TRACKS.values() for metric in track.metrics}
