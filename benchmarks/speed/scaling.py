"""Time and peak memory against the length of the input: does the cost stay linear?"""

from __future__ import annotations

import csv
import math
import os
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from implementations.workers import OURS, Reply, TaskFailedError
from inputs import Inputs
from speed.measure import MEGABYTE, Bench

LENGTHS = (0.6, 2.0, 6.0, 20.0, 60.0, 180.0, 600.0)
QUICK_LENGTHS = (0.6, 2.0, 6.0)
PUBLISHED_LONGEST = 60.0
# Repetitions of what takes less than this many seconds.
REPEATED_BELOW, REPETITIONS = 5.0, 3
# Lengths that would need more than this share of the machine's memory are skipped.
MEMORY_SHARE = 0.6
# Colour, marker and label of each implementation in the figure.
STYLES = {"hearlab": ("#0b6e99", "o", "HearLab"), "published": ("#c25b0e", "s", "pyclarity 0.9.0")}


@dataclass(frozen=True)
class Curve:
    """A task whose input can have any length.

    Attributes:
        longest: seconds; longer inputs make no sense for the task.
        published_longest: seconds; beyond them the published implementation takes minutes, or all memory.
    """

    name: str
    title: str
    task: str
    arguments: Callable[[Inputs, str, float], dict[str, Any]]
    longest: float = LENGTHS[-1]
    published_longest: float = PUBLISHED_LONGEST
    writes_files: bool = False


CURVES = (
    Curve("haspi", "HASPI, one ear", "haspi", Inputs.haspi),
    Curve("haaqi", "HAAQI, one ear", "haaqi", Inputs.haaqi),
    # A scene lasts 4 to 12 s; the published renderer takes 5 s and 0.25 GB for each of them.
    Curve("render", "rendering a scene", "render", Inputs.render, 180.0, 6.0, writes_files=True),
    Curve("fitting", "NAL-R + compressor, stereo", "fitting", Inputs.fitting),
)
CURVE_NAMES = {curve.name for curve in CURVES}


@dataclass(frozen=True)
class Point:
    """One measurement: `seconds` of work on `length` s of audio, and the peak memory, imports included."""

    row: str
    implementation: str
    length: float
    seconds: float
    megabytes: float


def run_scaling(bench: Bench, about: dict[str, Any], folder: Path, rows: set[str] | None = None) -> None:
    """Measure, print a table, write scaling.csv and (with matplotlib) scaling.svg into `folder`."""
    points = []
    for curve in CURVES:
        if rows is None or curve.name in rows:
            points += _measure(bench, curve)
    print(_table(points))
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / "scaling.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(Point.__dataclass_fields__), lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(point) for point in points)
    print(f"Written: {table}")
    figure = folder / "scaling.svg"
    try:
        _draw(points, f"{about['machine']['cpu']}, one thread", figure)
    except ImportError:
        print("No figure: matplotlib is not installed (pip install 'hearlab[pipeline]')")
        return
    print(f"Written: {figure}")


def _measure(bench: Bench, curve: Curve) -> list[Point]:
    """Each length in a process of its own, after the shortest one has compiled and loaded what is needed."""
    lengths = [length for length in (QUICK_LENGTHS if bench.quick else LENGTHS) if length <= curve.longest]
    points: dict[Path, list[Point]] = {script: [] for script in bench.sides()}
    for length in lengths:
        for script, own in points.items():
            if script != OURS and length > curve.published_longest:
                continue
            expected = _expected_megabytes(own, length)
            if expected > MEMORY_SHARE * _physical_megabytes():
                _say(f"{curve.name} {length:g} s, {script.stem}: skipped, it would need {expected / 1000:.0f} GB")
                continue
            try:
                own.append(_point(bench, curve, script, length, lengths[0]))
            except TaskFailedError as error:
                _say(f"{curve.name} {length:g} s, {script.stem}: {error}")
    return [point for own in points.values() for point in own]


def _point(bench: Bench, curve: Curve, script: Path, length: float, shortest: float) -> Point:
    tag = f"{curve.name}-{length:g}-{script.stem}"
    replies: list[Reply] = []
    with bench.worker(script) as worker:
        first = curve.arguments(bench.inputs, f"{tag}-first", shortest)
        worker.call(curve.task, **bench.arguments(script, first, tag, curve.writes_files))
        given = curve.arguments(bench.inputs, tag, length)
        while len(replies) < REPETITIONS:
            replies.append(worker.call(curve.task, **bench.arguments(script, given, tag, curve.writes_files)))
            if replies[-1].seconds > REPEATED_BELOW:
                break
    seconds, megabytes = statistics.median(reply.seconds for reply in replies), replies[-1].peak_bytes / MEGABYTE
    _say(f"{curve.name} {length:g} s, {script.stem}: {seconds:.3f} s, {megabytes:.0f} MB")
    return Point(curve.name, "hearlab" if script == OURS else "published", length, seconds, megabytes)


def _expected_megabytes(points: Sequence[Point], length: float) -> float:
    """Memory for a length, extrapolated linearly from the last two points."""
    if len(points) < 2:
        return 0.0
    one, other = points[-2:]
    return other.megabytes + (other.megabytes - one.megabytes) / (other.length - one.length) * (length - other.length)


def _physical_megabytes() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / MEGABYTE


def _table(points: Sequence[Point]) -> str:
    """Time by length, time per second of audio, and the exponent from the row before: 1 is linear."""
    lines = [
        "| row | implementation | audio, s | time, s | s per s of audio | growth exponent | peak memory, MB |",
        "| - | - | -: | -: | -: | -: | -: |",
    ]
    for name, side in dict.fromkeys((point.row, point.implementation) for point in points):
        before: Point | None = None
        for point in (p for p in points if (p.row, p.implementation) == (name, side)):
            power = ""
            if before is not None:
                power = f"{math.log(point.seconds / before.seconds) / math.log(point.length / before.length):.2f}"
            lines.append(
                f"| {name} | {side} | {point.length:g} | {point.seconds:.3g} | {point.seconds / point.length:.4f} "
                f"| {power} | {point.megabytes:.0f} |"
            )
            before = point
    return "\n".join(lines)


def _draw(points: Sequence[Point], where: str, path: Path) -> None:
    """Write the figure as SVG: time above, memory below, one column for each row; a dotted line is linear growth."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "hearlab"  # the same bytes for the same points
    matplotlib.rcParams["svg.fonttype"] = "none"  # text stays text
    from matplotlib import pyplot, ticker

    titles = {curve.name: curve.title for curve in CURVES}
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


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
