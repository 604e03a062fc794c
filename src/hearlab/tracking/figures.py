"""Figures of a result for its run: HASPI against SNR, and HAAQI of the stems."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

COLOURS = {"enhanced": "#1b6ca8", "unprocessed": "#c8553d"}
SIZE = (7.0, 4.2)  # inches
JITTER = 0.18  # of a stem's column, so that equal scores show side by side


def draw(points: Path, target: Path) -> None:
    """Draw the figure of a table of points (metrics/plots/*.csv) as a PNG file.

    Raises:
        KeyError: no figure is known for that table.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with points.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    figure = Figure(figsize=SIZE, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    FIGURES[points.name](axes, rows)
    axes.set_ylim(0, 1)
    axes.grid(alpha=0.3)
    figure.savefig(target, dpi=120)


def _haspi(axes: Any, rows: list[dict[str, str]]) -> None:
    for condition, colour in COLOURS.items():
        known = [row for row in rows if row["condition"] == condition and row["snr"]]
        snrs, scores = ([float(row[name]) for row in known] for name in ("snr", "haspi"))
        axes.scatter(snrs, scores, s=14, alpha=0.6, color=colour, label=condition)
    axes.set(xlabel="SNR at the better ear (dB)", ylabel="better-ear HASPI")
    axes.legend(loc="upper left")


def _haaqi(axes: Any, rows: list[dict[str, str]]) -> None:
    scores: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        scores[row["stem"]].append(float(row["haaqi"]))
    for place, values in enumerate(scores.values()):
        spread = [JITTER * (2 * (k + 0.5) / len(values) - 1) for k in range(len(values))]
        axes.scatter([place + offset for offset in spread], values, s=14, alpha=0.6, color="#1b6ca8")
        axes.hlines(sum(values) / len(values), place - 0.35, place + 0.35, color="#c8553d")
    axes.set_xticks(range(len(scores)), [name.replace("_", " ") for name in scores], rotation=30)
    axes.set(ylabel="HAAQI (line: mean)")


FIGURES: dict[str, Callable[[Any, list[dict[str, str]]], None]] = {"haspi_snr.csv": _haspi, "haaqi_stems.csv": _haaqi}
