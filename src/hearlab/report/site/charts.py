"""Figures of the site as Plotly specifications; the page gives them the colours of light or dark."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from hearlab.report.site.pages import Address
from hearlab.report.site.results import MetricResults, TrackResults
from hearlab.scoring.psychometric import psychometric_curve
from hearlab.scoring.table import Pair, ScoreTable
from hearlab.text import printable, shortened

BIN = 0.05
MANY = 2000  # points that are drawn by WebGL
JOINED = 400  # pairs at most whose scores are joined: of more one sees no line
NAME, NARROW_NAME = 32, 16  # columns of a song on an axis, and on a phone
BESIDE = 0.24  # between the conditions of a song, in rows
Chart = dict[str, Any]


def text(name: str, most: int | None = None) -> str:
    """A name for Plotly, which takes some tags and entities in texts: none are left, and it is at most so wide."""
    return html.escape(name if most is None else shortened(printable(name), most), quote=False)


def charts(results: TrackResults, address: Address) -> list[Chart]:
    """The figures of a track, for each metric: scores against SNR and their distribution, or of stems and songs."""
    make = _scene_charts if results.track.cluster == "scene" else _song_charts
    found = []
    for one in results.metrics:
        for chart in make(results, one, address):
            found.append({**chart, "name": f"{one.prefix}{chart['name']}"})
    return found


def _scene_charts(results: TrackResults, one: MetricResults, address: Address) -> Iterator[Chart]:
    points, bars, curves = [], [], []
    for label, kind, table in one.conditions:
        pairs = [pair for pair in table.rows if isinstance(results.scenes.get(pair[0], {}).get("SNR"), int | float)]
        points.append(
            {
                "type": "scattergl" if len(pairs) > MANY else "scatter",
                "mode": "markers",
                "name": text(label),
                "x": [results.scenes[scene]["SNR"] for scene, _ in pairs],
                "y": [round(float(table.scores[table.rows[pair]]), 4) for pair in pairs],
                "text": [text(f"{scene}, {listener}") for scene, listener in pairs],
                "customdata": [address(scene) for scene, _ in pairs],
                "marker": {"color": _colour(kind), "size": 9 if len(pairs) < MANY else 4, "opacity": 0.75},
                "hovertemplate": f"%{{text}}<br>SNR %{{x:.1f}} dB, {one.metric.short} %{{y:.3f}}<extra></extra>",
            }
        )
        bars.append(_histogram(table, label, kind))
        curves += _curve([results.scenes[scene]["SNR"] for scene, _ in pairs], table, pairs, kind)
    title = one.metric.title
    if any(trace["x"] for trace in points):
        heading = f"{one.metric.short} against SNR"
        yield _chart(
            "snr", heading, [*_joined(points), *curves, *points], "SNR at the better ear (dB)", title, unit=True
        )
    yield _chart("scores", "How scores are distributed", bars, title, "share of pairs (%)")


def _song_charts(results: TrackResults, one: MetricResults, address: Address) -> Iterator[Chart]:
    metric = one.metric.title
    stems = []
    for label, kind, table in one.conditions:
        boxes = {"all": table.scores, **table.stems}
        pairs = [text(f"{song[:60]}, {listener}") for song, listener in table.rows]
        stems.append(
            {
                "type": "box",
                "name": text(label),
                "x": [stem for stem, scores in boxes.items() for _ in range(scores.size)],
                "y": [round(float(score), 4) for scores in boxes.values() for score in scores],
                "text": pairs * len(boxes),
                "boxpoints": "all" if len(pairs) <= MANY else "outliers",
                "jitter": 0.4,
                "pointpos": 0,
                "marker": {"color": _colour(kind), "size": 7, "opacity": 0.8},
                "line": {"color": _colour(kind), "width": 1},
                "fillcolor": "rgba(0,0,0,0)",
                "hovertemplate": "%{text}<br>%{x}: %{y:.3f}<extra></extra>",
            }
        )
    by_stem = _chart("stems", f"{metric} of the stems", stems, "", f"{metric}, mean of both ears", unit=True)
    by_stem["layout"]["boxmode"] = "group"
    by_stem["layout"]["yaxis"]["range"] = fitting_range(
        [
            float(score)
            for _, _, table in one.conditions
            for column in (table.scores, *table.stems.values())
            for score in column
        ]
    )
    yield by_stem
    yield _by_song(results, one, address)


def _by_song(results: TrackResults, one: MetricResults, address: Address) -> Chart:
    """A row for each song: the mean of its listeners in each condition, joined, and how far their scores reach.

    No bars: these would have to begin at 0, and songs differ by less than a tenth of the axis.
    """
    metric = one.metric.title
    order = sorted(results.units, key=lambda song: one.mean(one.enhanced, song) or 0.0)
    points, drawn = [], []
    for place, (label, kind, table) in enumerate(one.conditions):
        # Conditions stand one above the other, so that the lines of one do not hide those of the other.
        beside = (place - (len(one.conditions) - 1) / 2) * BESIDE
        rows = []
        for row, song in enumerate(order):
            known = [one.score(table, (song, name)) for name in one.listeners[song]]
            scores = [score for score in known if score is not None]
            if scores:
                rows.append((song, round(row + beside, 3), float(np.mean(scores)), min(scores), max(scores)))
                drawn += scores
        songs, places, means, lowest, highest = zip(*rows, strict=True) if rows else ((), (), (), (), ())
        reach = [f"{low:.3f} to {high:.3f}" for low, high in zip(lowest, highest, strict=True)]
        points.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": text(label),
                "x": np.round(means, 4).tolist(),
                "y": list(places),
                "error_x": {
                    "type": "data",
                    "symmetric": False,
                    "array": np.round(np.subtract(highest, means), 4).tolist(),
                    "arrayminus": np.round(np.subtract(means, lowest), 4).tolist(),
                    "thickness": 1.5,
                    "width": 4,
                },
                "text": [f"{text(song, 60)}<br>listeners {far}" for song, far in zip(songs, reach, strict=True)],
                "customdata": [address(song) for song in songs],
                "marker": {"color": _colour(kind), "size": 10},
                "hovertemplate": f"%{{text}}<br>mean {metric} %{{x:.3f}}<extra></extra>",
            }
        )
    low, high = fitting_range(drawn)
    heading = f"{metric} of the songs: mean, lowest and highest listener"
    title = f"{metric} (axis: {max(low, 0):.2f} to {min(high, 1):.2f})"
    chart = _chart("songs", heading, [*_joined_songs(points), *points], title, "")
    chart["layout"]["xaxis"].update(range=[low, high])
    chart["layout"]["yaxis"] = {
        "title": {"text": ""},
        "range": [-0.6, len(order) - 0.4],
        "tickvals": list(range(len(order))),
        "ticktext": [text(song, NAME) for song in order],
        "automargin": True,
    }
    chart["narrow"] = {"ticktext": [text(song, NARROW_NAME) for song in order]}
    chart["height"] = 130 + (22 + 14 * len(points)) * len(order)
    return chart


def _joined_songs(points: Sequence[Chart]) -> list[Chart]:
    """A line for each song from the first condition's mean to the last one's."""
    if len(points) < 2:
        return []
    first = {round(y): (x, y) for x, y in zip(points[0]["x"], points[0]["y"], strict=True)}
    x: list[float | None] = []
    y: list[float | None] = []
    for mean, place in zip(points[-1]["x"], points[-1]["y"], strict=True):
        if round(place) in first:
            before = first[round(place)]
            x += [before[0], mean, None]
            y += [before[1], place, None]
    return [{**_LINE, "x": x, "y": y, "opacity": 0.7, "line": {"color": "--faint", "width": 1}}] if x else []


def fitting_range(scores: Sequence[float]) -> list[float]:
    """The part of 0 to 1 that an axis shows so that the scores fill it, with a little room."""
    if not scores:
        return [0.0, 1.0]
    low, high = min(scores), max(scores)
    room = max(0.08 * (high - low), 0.02)
    return [round(max(low - room, -0.02), 3), round(min(high + room, 1.02), 3)]


def _joined(points: Sequence[Chart]) -> list[Chart]:
    """A line for each pair from the first condition's score to the last one's: they have the same SNR."""
    if len(points) < 2 or not 0 < len(points[-1]["x"]) <= JOINED:
        return []
    first = dict(zip(points[0]["text"], points[0]["y"], strict=True))
    x: list[float | None] = []
    y: list[float | None] = []
    for name, snr, score in zip(*(points[-1][key] for key in ("text", "x", "y")), strict=True):
        if name in first:
            x += [snr, snr, None]
            y += [first[name], score, None]
    return [{**_LINE, "x": x, "y": y, "opacity": 0.55, "line": {"color": "--faint", "width": 1}}]


def _curve(snr: Sequence[float], table: ScoreTable, pairs: Sequence[Pair], kind: str) -> list[Chart]:
    """The psychometric curve of a condition and its band."""
    scores = [min(max(float(table.scores[table.rows[pair]]), 0.0), 1.0) for pair in pairs]
    found = psychometric_curve(snr, scores, [scene for scene, _ in pairs]) if pairs else None
    if found is None:
        return []
    x = np.round(found.snr, 3).tolist()
    low, mean, high = (np.round(part, 4).tolist() for part in (found.low, found.mean, found.high))
    band = {**_LINE, "x": x + x[::-1], "y": high + low[::-1], "fill": "toself", "fillcolor": _colour(kind)}
    return [
        {**band, "line": {"color": _colour(kind), "width": 0}},
        {**_LINE, "x": x, "y": mean, "line": {"color": _colour(kind), "width": 2.5}},
    ]


_LINE: Chart = {"type": "scatter", "mode": "lines", "hoverinfo": "skip", "showlegend": False}


def _colour(kind: str) -> str:
    """Name of the CSS variable of a kind of signal: the page puts in its value."""
    return f"--{kind}"


def _histogram(table: ScoreTable, label: str, kind: str) -> Chart:
    edges = np.arange(0, 1 + BIN / 2, BIN)
    counts, _ = np.histogram(table.scores, edges)
    return {
        "type": "bar",
        "name": text(label),
        "x": np.round(edges[:-1] + BIN / 2, 3).tolist(),
        "y": np.round(100 * counts / max(table.scores.size, 1), 2).tolist(),
        "marker": {"color": _colour(kind)},
        "hovertemplate": f"%{{x:.3f}} ± {BIN / 2}<br>%{{y:.1f}} % of pairs<extra></extra>",
    }


def _chart(name: str, title: str, traces: Sequence[Chart], x: str, y: str, *, unit: bool = False) -> Chart:
    """`unit`: the y axis reaches from 0 to 1."""
    layout: Chart = {
        "xaxis": {"title": {"text": x}},
        "yaxis": {"title": {"text": y}, **({"range": [-0.02, 1.02]} if unit else {"rangemode": "tozero"})},
        "showlegend": sum(trace.get("showlegend", True) for trace in traces) > 1,
    }
    return {"name": name, "title": title, "data": list(traces), "layout": layout, "height": 380}
