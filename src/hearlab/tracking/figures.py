"""Figures of a result for its run: scores against SNR, and scores of stems."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

from hearlab.files import csv_records
from hearlab.scoring.tracks import ENHANCED, UNPROCESSED, Metric, Track

COLOURS = {ENHANCED: "#1b6ca8", UNPROCESSED: "#c8553d"}
SIZE = (7.0, 4.2)  # inches
JITTER = 0.18  # of a stem's column, so that equal scores show side by side


def draw(track: Track, points: Path, folder: Path) -> None:
    """Draw the figures of a track's table of points as PNG files, one for each metric that the table has.

    The headline metric's figure is named like the table, those of others after it: haspi_snr.png, hasqi_snr.png.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = csv_records(points)
    for metric in track.metrics:
        if rows and metric.name not in rows[0]:
            continue
        figure = Figure(figsize=SIZE, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        (_stems if metric.stems else _against_snr)(axes, metric, rows)
        axes.set_ylim(0, 1)
        axes.grid(alpha=0.3)
        name = points.stem.replace(track.headline.name, metric.name)
        figure.savefig(folder / f"{name}.png", dpi=120)


def _against_snr(axes: Any, metric: Metric, rows: list[dict[str, str]]) -> None:
    for condition, colour in COLOURS.items():
        known = [row for row in rows if row["condition"] == condition and row["snr"]]
        snrs, scores = ([float(row[name]) for row in known] for name in ("snr", metric.name))
        axes.scatter(snrs, scores, s=14, alpha=0.6, color=colour, label=condition)
    axes.set(xlabel="SNR at the better ear (dB)", ylabel=metric.title)
    axes.legend(loc="upper left")


def _stems(axes: Any, metric: Metric, rows: list[dict[str, str]]) -> None:
    scores: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        scores[row["stem"]].append(float(row[metric.name]))
    for place, values in enumerate(scores.values()):
        spread = [JITTER * (2 * (k + 0.5) / len(values) - 1) for k in range(len(values))]
        axes.scatter([place + offset for offset in spread], values, s=14, alpha=0.6, color=COLOURS[ENHANCED])
        axes.hlines(sum(values) / len(values), place - 0.35, place + 0.35, color=COLOURS[UNPROCESSED])
    axes.set_xticks(range(len(scores)), [name.replace("_", " ") for name in scores], rotation=30)
    axes.set(ylabel=f"{metric.title} (line: mean)")
