"""Figures of the site as Plotly specifications; the page gives them the colours of light or dark."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hearlab.datasets.layout import STEMS
from hearlab.report.site.results import Track

# Names of CSS variables: the page puts in their values.
UNPROCESSED, ENHANCED, OTHER = "--unprocessed", "--enhanced", "--other"
BIN = 0.05
MANY = 2000  # points that are drawn by WebGL
NAME = 32  # letters of a song on an axis
Chart = dict[str, Any]
Address = Callable[[str], str | None]
"""Where the page of a scene or song is, None if it has none."""


def text(name: str, most: int = 10_000) -> str:
    """A name for Plotly, which takes some tags and entities in texts: none are left, and it is at most so long."""
    short = name if len(name) <= most else f"{name[: most - 1]}…"
    return html.escape(short, quote=False)


def speech_charts(track: Track, address: Address) -> list[Chart]:
    """HASPI against SNR, and how scores are distributed."""
    conditions = [("unprocessed", UNPROCESSED, track.unprocessed), ("enhanced", ENHANCED, track.enhanced)]
    if track.other is not None:
        conditions.insert(1, (track.against, OTHER, track.other))
    points, bars = [], []
    for name, colour, table in conditions:
        if table is None:
            continue
        pairs = [pair for pair in table.rows if isinstance(track.scenes.get(pair[0], {}).get("SNR"), int | float)]
        points.append(
            {
                "type": "scattergl" if len(pairs) > MANY else "scatter",
                "mode": "markers",
                "name": text(name),
                "x": [track.scenes[scene]["SNR"] for scene, _ in pairs],
                "y": [round(float(table.scores[table.rows[pair]]), 4) for pair in pairs],
                "text": [text(f"{scene}, {listener}") for scene, listener in pairs],
                "customdata": [address(scene) for scene, _ in pairs],
                "marker": {"color": colour, "size": 9 if len(pairs) < MANY else 4, "opacity": 0.75},
                "hovertemplate": "%{text}<br>SNR %{x:.1f} dB, HASPI %{y:.3f}<extra></extra>",
            }
        )
        bars.append(_histogram(table.scores, name, colour))
    charts = []
    if any(trace["x"] for trace in points):
        charts.append(
            _chart("snr", "HASPI against SNR", points, "SNR at the better ear (dB)", "better-ear HASPI", unit=True)
        )
    charts.append(_chart("scores", "How scores are distributed", bars, "better-ear HASPI", "share of pairs (%)"))
    return charts


def music_charts(track: Track, address: Address) -> list[Chart]:
    """HAAQI of every stem, and of every song."""
    conditions = [("enhanced", ENHANCED, track.enhanced)]
    if track.other is not None:
        conditions.insert(0, (track.against, OTHER, track.other))
    stems, songs = [], []
    order = sorted(track.units, key=lambda song: track.mean(track.enhanced, song) or 0.0)
    for name, colour, table in conditions:
        boxes = {"all": table.scores, **{stem: table.stems[stem] for stem in STEMS if stem in table.stems}}
        pairs = [text(f"{song[:60]}, {listener}") for song, listener in table.rows]
        stems.append(
            {
                "type": "box",
                "name": text(name),
                "x": [stem for stem, scores in boxes.items() for _ in range(scores.size)],
                "y": [round(float(score), 4) for scores in boxes.values() for score in scores],
                "text": pairs * len(boxes),
                "boxpoints": "all" if len(pairs) <= MANY else "outliers",
                "jitter": 0.4,
                "pointpos": 0,
                "marker": {"color": colour, "size": 7, "opacity": 0.8},
                "line": {"color": colour, "width": 1},
                "fillcolor": "rgba(0,0,0,0)",
                "hovertemplate": "%{text}<br>%{x}: %{y:.3f}<extra></extra>",
            }
        )
        means = [track.mean(table, song) for song in order]
        songs.append(
            {
                "type": "bar",
                "orientation": "h",
                "name": text(name),
                "y": [str(place) for place in range(len(order))],
                "x": [None if mean is None else round(mean, 4) for mean in means],
                "text": [text(song, 60) for song in order],
                "customdata": [address(song) for song in order],
                "textposition": "none",
                "marker": {"color": colour},
                "hovertemplate": "%{text}<br>HAAQI %{x:.3f}<extra></extra>",
            }
        )
    by_stem = _chart("stems", "HAAQI of the stems", stems, "", "HAAQI, mean of both ears", unit=True)
    by_stem["layout"]["boxmode"] = "group"
    by_song = _chart("songs", "HAAQI of the songs", songs, "HAAQI", "")
    by_song["layout"]["xaxis"].update(range=[0, 1])
    by_song["layout"]["yaxis"].update(
        tickvals=[str(place) for place in range(len(order))],
        ticktext=[text(song, NAME) for song in order],
        automargin=True,
        type="category",
    )
    by_song["height"] = 140 + 26 * len(order) * len(conditions)
    return [by_stem, by_song]


def _histogram(scores: Any, name: str, colour: str) -> Chart:
    edges = np.arange(0, 1 + BIN / 2, BIN)
    counts, _ = np.histogram(scores, edges)
    return {
        "type": "bar",
        "name": text(name),
        "x": np.round(edges[:-1] + BIN / 2, 3).tolist(),
        "y": np.round(100 * counts / max(scores.size, 1), 2).tolist(),
        "marker": {"color": colour},
        "hovertemplate": f"%{{x:.3f}} ± {BIN / 2}<br>%{{y:.1f}} % of pairs<extra></extra>",
    }


def _chart(name: str, title: str, traces: Sequence[Chart], x: str, y: str, *, unit: bool = False) -> Chart:
    """`unit`: the y axis reaches from 0 to 1."""
    layout: Chart = {
        "xaxis": {"title": {"text": x}},
        "yaxis": {"title": {"text": y}, **({"range": [-0.02, 1.02]} if unit else {"rangemode": "tozero"})},
        "showlegend": len(traces) > 1,
    }
    return {"name": name, "title": title, "data": list(traces), "layout": layout, "height": 380}
