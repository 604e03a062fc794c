"""The table and the results file of a benchmark run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from speed.measure import Result, Spread

COLUMNS = ("work", "published", "HearLab", "not fixed", "ratio", "required", "aim", "agreement")


def table(results: Sequence[Result]) -> str:
    """The rows as a Markdown table: medians, with minimum and maximum in brackets."""
    lines = [COLUMNS, tuple("-" if column == "work" else "-:" for column in COLUMNS), *map(_cells, results)]
    widths = [max(len(line[index]) for line in lines) for index in range(len(COLUMNS))]
    text = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    text += [f"- {result.work}: {note}" for result in results for note in result.notes]
    return "\n".join(text)


def failures(results: Sequence[Result]) -> list[str]:
    """Rows whose results differ by more than the tolerance."""
    return [
        f"{result.name}: results differ by {result.difference:.2g}, allowed: {result.tolerance:.2g}"
        for result in results
        if result.agrees is False
    ]


def summary(results: Sequence[Result]) -> str:
    """How many goals are met, and which required ones are not."""
    required = {result.name: result.meets(result.ratio_required, result.limit_required) for result in results}
    aims = [result.meets(result.ratio_aim, result.limit_aim) for result in results]
    measured = [met for met in required.values() if met is not None]
    text = f"required: {sum(measured)} of {len(measured)} met; aims: {sum(map(bool, aims))} of {len(measured)}"
    missed = [name for name, met in required.items() if met is False]
    return text + (f"; below required: {', '.join(missed)}" if missed else "")


def results_json(results: Sequence[Result], about: dict[str, Any]) -> dict[str, Any]:
    return {**about, "rows": [result.as_json() for result in results]}


def _cells(result: Result) -> tuple[str, ...]:
    return (
        result.work,
        _spread(result.theirs, result.unit),
        _spread(result.ours, result.unit),
        _spread(result.native, result.unit) if result.native else "",
        "" if result.ratio is None else f"{result.ratio:.1f}x",
        _goal(result.ratio_required, result.limit_required, result, "required"),
        _goal(result.ratio_aim, result.limit_aim, result, "aim"),
        _agreement(result),
    )


def _spread(spread: Spread | None, unit: str) -> str:
    if spread is None:
        return "not measured"
    text = f"{_number(spread.median)} {unit}"
    if len(spread.samples) > 1:
        text += f" ({_number(min(spread.samples))}..{_number(max(spread.samples))})"
    return text


def _number(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def _goal(ratio: float | None, limit: float | None, result: Result, kind: str) -> str:
    text = f"{ratio:g}x" if ratio is not None else f"< {limit:g} {result.unit}"
    met = result.meets(ratio, limit)
    return text if met is None else f"{text} {'met' if met else 'MISSED' if kind == 'required' else 'no'}"


def _agreement(result: Result) -> str:
    if result.tolerance is None:
        return ""
    if result.difference is None:
        return "not checked"
    return f"{result.difference:.1e} of {result.tolerance:g} {'ok' if result.agrees else 'DIFFERS'}"
