"""Figures of many experiments: a score over one parameter, or parallel coordinates of several."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from hearlab.report.experiments.listing import Experiment
from hearlab.report.site.charts import Chart, text
from hearlab.report.site.shown_result import system_name

FEWEST = 3  # entries that a figure is drawn of
AXES = 12  # of parallel coordinates at most: more cannot be read
OWN = "enhance.params."  # of the system that is evaluated
LABEL = 24  # columns of a value on an axis


def shown_parameters(found: Sequence[Experiment], differing: Sequence[str]) -> list[str]:
    """Parameters that differ among the entries that have them.

    Others lack one where params.yaml is of an older form; the own parameters of a system stand where they are set.
    """

    def differs(name: str) -> bool:
        values = [one.parameters.get(name) for one in found]
        return name.startswith(OWN) or len({_key(value) for value in values if value is not None}) > 1

    return [name for name in differing if differs(name)]


def sweep_charts(found: Sequence[Experiment], parameters: Sequence[str], scores: Sequence[str]) -> list[Chart]:
    """None for less than three entries with a score, and where no parameter differs among them."""
    charts = []
    for score in scores:
        entries = [one for one in found if score in one.scores]
        if len({one.scores[score] for one in entries}) < 2:
            continue  # such as the score of the unprocessed signals
        own = shown_parameters(entries, [name for name in parameters if _differs(entries, name)])
        if len(entries) < FEWEST or not own:
            continue
        charts.append(_scatter(entries, own[0], score) if len(own) == 1 else _parallel(entries, own, score))
    return [{**chart, "name": f"sweep-{place}"} for place, chart in enumerate(charts)]


def _differs(entries: Sequence[Experiment], name: str) -> bool:
    return len({_key(one.parameters.get(name)) for one in entries}) > 1


def _scatter(entries: Sequence[Experiment], parameter: str, score: str) -> Chart:
    values = [one.parameters.get(parameter) for one in entries]
    numbers = all(_number(value) for value in values)
    labels = [text(_label(value), LABEL) for value in values]
    trace = {
        "type": "scatter",
        "mode": "markers",
        "name": text(score),
        "x": values if numbers else labels,
        "y": [round(one.scores[score], 4) for one in entries],
        "text": [
            f"{text(one.name, 60)}<br>{text(_label(value), 60)}" for one, value in zip(entries, values, strict=True)
        ],
        "marker": {"color": "--enhanced", "size": 10, "opacity": 0.8},
        "hovertemplate": "%{text}: %{y:.4f}<extra></extra>",
    }
    layout = {
        "xaxis": {"title": {"text": text(parameter)}, **({} if numbers else _categories(labels))},
        "yaxis": {"title": {"text": text(score)}, "automargin": True},
        "showlegend": False,
    }
    return {"title": f"{score} by {parameter}", "data": [trace], "layout": layout, "height": 380}


def _categories(labels: Sequence[str]) -> dict[str, Any]:
    """An axis of words, with room for the outer ones: Plotly cuts off what reaches beyond the figure."""
    return {"type": "category", "range": [-0.7, len(set(labels)) - 0.3], "automargin": True}


def _parallel(entries: Sequence[Experiment], parameters: Sequence[str], score: str) -> Chart:
    """One axis for each parameter, the score last; a line for each entry, coloured by its score."""
    axes = [_axis(name, [one.parameters.get(name) for one in entries]) for name in parameters[: AXES - 1]]
    values = [round(one.scores[score], 4) for one in entries]
    trace = {
        "type": "parcoords",
        "dimensions": [*axes, {"label": text(score), "values": values}],
        "line": {"color": values, "colorscale": "Viridis", "showscale": False},
        "labelangle": -20,
    }
    title = f"{score} of the experiments, by the parameters that differ"
    return {"title": title, "data": [trace], "layout": {"showlegend": False}, "height": 440, "top": 90}


def _axis(name: str, values: Sequence[Any]) -> dict[str, Any]:
    if all(_number(value) for value in values):
        return {"label": text(name, LABEL), "values": list(values)}
    labels = sorted({_label(value) for value in values})
    return {
        "label": text(name, LABEL),
        "values": [labels.index(_label(value)) for value in values],
        "tickvals": list(range(len(labels))),
        "ticktext": [text(label, LABEL) for label in labels],
    }


def _number(value: Any) -> bool:
    # YAML has .inf and .nan; JSON, as which a page reads its figures, has neither.
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _label(value: Any) -> str:
    if isinstance(value, str):
        return system_name(value)
    return "–" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _key(value: Any) -> str:
    return json.dumps(value, default=str, sort_keys=True)
