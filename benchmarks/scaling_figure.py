"""The figure of scaling.py: small multiples of time and memory against length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib

if TYPE_CHECKING:
    from scaling import Point

STYLES = {"hearlab": ("#0b6e99", "o", "HearLab"), "published": ("#c25b0e", "s", "pyclarity 0.9.0")}


def draw(points: Sequence[Point], titles: Mapping[str, str], where: str, path: Path) -> None:
    """Write the figure as SVG: time above, memory below, one column for each row; a dotted line is linear growth."""
    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "hearlab"  # the same bytes for the same points
    matplotlib.rcParams["svg.fonttype"] = "none"  # text stays text
    from matplotlib import pyplot, ticker

    rows = list(dict.fromkeys(point.row for point in points))
    figure, axes = pyplot.subplots(2, len(rows), figsize=(3.4 * len(rows), 6), squeeze=False, layout="constrained")
    for column, row in enumerate(rows):
        for side, (colour, marker, label) in STYLES.items():
            own = [point for point in points if (point.row, point.implementation) == (row, side)]
            if not own:
                continue
            lengths = [point.length for point in own]
            for axis, values in (
                (axes[0][column], [point.seconds for point in own]),
                (axes[1][column], [point.megabytes for point in own]),
            ):
                axis.plot(lengths, values, color=colour, marker=marker, markersize=4, label=label)
            slope = own[-1].seconds / own[-1].length
            axes[0][column].plot(lengths, [slope * length for length in lengths], ":", color=colour, linewidth=1)
        axes[0][column].set_title(titles[row], fontsize=10)
        for axis in axes[:, column]:
            axis.set(xscale="log", yscale="log")
            axis.grid(True, which="major", alpha=0.3)
            for scale in (axis.xaxis, axis.yaxis):
                scale.set_major_formatter("{x:g}")
                scale.set_minor_locator(ticker.NullLocator())
            axis.set_xticks(sorted({point.length for point in points if point.row == row}))
            axis.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5), numticks=20))
        axes[1][column].set_xlabel("audio, s")
    axes[0][0].set_ylabel("time, s")
    axes[1][0].set_ylabel("peak memory, MB")
    axes[0][0].legend(fontsize=8, frameon=False)
    figure.suptitle(f"Cost by length of the input ({where}; dotted: linear)", fontsize=11)
    figure.savefig(path, format="svg", metadata={"Date": None})
    pyplot.close(figure)
