"""Comparisons of several systems with the first: for the terminal, and as tables for papers and other programs."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from typing import Any

from hearlab.report.compare.comparison import IN_TEST, SIGNIFICANT, Averages, Comparison, counts
from hearlab.report.compare.origins import DIFFER, SHOWN
from hearlab.report.compare.several import Line, Several
from hearlab.report.compare.sources import Average
from hearlab.report.compare.text import comparison_values, interval, listed, p_text, wrapped
from hearlab.scoring.statistics import ClusteredMean
from hearlab.text import few, printable, table, told_apart

NAME = 20  # columns of a system's name
# Columns of the CSV file. Scores lie between 0 and 1; low and high are the ends of 95 % intervals, clustered.
COLUMNS = (
    *("metric", "system", "pairs", "clusters", "mean", "mean_low", "mean_high"),
    *("difference", "low", "high", "p", "p_holm", "verdict", "source"),
)
MARKS = {"better": "better", "worse": "worse", "same": "same", "inconclusive": ""}
EQUAL = " (equal scores count as none)"


def correction_text(found: Sequence[Several]) -> str:
    """How p was corrected, in a sentence."""
    count = found[0].comparisons
    if not count and _equal(found):
        return "all scores are equal to those of A, so there is no p to correct"
    if not count:
        return "nothing is compared with A pair by pair, so there is no p"
    return f"p (Holm) is corrected for the {count} comparison{'' if count == 1 else 's'} with A in all metrics shown"


def several_text(found: Sequence[Several]) -> str:
    """A table for each metric."""
    known: set[str] = set()  # letters that were explained
    blocks = ["\n\n".join(_blocks(one, known)) for one in found]
    text = correction_text(found)
    if found[0].comparisons:
        text += EQUAL if _equal(found) else ""
        text += ": the chance that any of these verdicts is wrong by chance stays below 0.05. "
        text += "No verdict: nothing can be concluded. Intervals and p are each line's own"
    text += "; hearlab compare with two systems says more."
    return "\n\n\n".join([*blocks, "\n".join(wrapped(text))])


def _blocks(found: Several, known: set[str]) -> Iterator[str]:
    """The blocks of a metric; what the letters in `known` stand for was said, and those that are new are added."""
    cluster = found.metric.track.cluster
    lines = [f"{found.metric.title}: differences to A, positive where the other one is better", ""]
    new = [line for line in found.lines if line.letter not in known]
    common = [text for text in new[0].changes if all(text in line.changes for line in new)] if len(new) > 1 else []
    names = [("A", found.first)] if "A" not in known else []
    for line in new:
        own = [text for text in line.changes if text not in common]
        names.append((line.letter, ", ".join([line.label, *([few(own, SHOWN)] if own else [])])))
    for letter, label in names:
        lines += wrapped(f"{letter}  {printable(label)}", "   ")
    known |= {letter for letter, _ in names}
    yield "\n".join(lines).rstrip()
    notes = [f"{DIFFER} from A in each of these: {few(common, SHOWN)}"] if common else []
    notes += _grouped(
        [(line.letter, note) for line in found.lines for note in line.found.notes if not note.startswith(DIFFER)]
    )
    reasons = _grouped(
        [
            (line.letter, "; ".join(map(_reason, line.found.reasons)))
            for line in found.lines
            if isinstance(line.found, Comparison) and line.found.verdict in ("inconclusive", "same")
        ]
    )
    rows = [["", f"{cluster}s", "A", "mean", "- A", "95 % interval", "p", "p (Holm)", ""]]
    letters = max(len(line.letter) for line in found.lines) + 2
    titles = told_apart([line.title for line in found.lines], NAME - letters)
    rows += [[f"{line.letter:<{letters}}{titles[line.title]}", *_cells(line)] for line in found.lines]
    yield table(rows)
    if listing := listed([*notes, *reasons, *found.left_out]):
        yield "\n".join(listing)


def _grouped(said: Sequence[tuple[str, str]]) -> list[str]:
    """What is said of systems, by their letters: what is said of several is said once."""
    letters: dict[str, list[str]] = {}
    for letter, text in said:
        letters.setdefault(text, []).append(letter)
    return [f"{', '.join(own)}: {text}" for text, own in letters.items()]


def _reason(text: str) -> str:
    """A reason without its p, which is in the table."""
    return f"p >= {SIGNIFICANT} {IN_TEST}" if text.endswith(IN_TEST) else text


def _cells(line: Line) -> list[str]:
    first, own = (f"{_mean(side):.4f}" for side in line.means)
    if isinstance(line.found, Averages) or line.p_adjusted is None:
        return ["none", first, own, "", "", "", "", ""]
    overall = line.found.overall
    adjusted = "none" if overall.difference.clusters < 2 else p_text(line.p_adjusted)
    p = "none" if overall.difference.clusters < 2 else p_text(overall.test.p)
    return [
        *(str(overall.difference.clusters), first, own, f"{overall.difference.mean:+.4f}"),
        *(interval(overall.difference, "+.4f") or "none", p, adjusted, MARKS[line.verdict]),
    ]


def _mean(side: ClusteredMean | Average) -> float:
    return side.score if isinstance(side, Average) else side.mean


def table_notes(found: Sequence[Several]) -> list[str]:
    """What must be known to trust a table that has no room for it: what is left out, subsets, other data."""
    notes = [
        f"{line.title}: {one.metric.name}: {note}"
        for one in found
        for line in one.lines
        for note in line.found.notes
        if not note.startswith(DIFFER)  # those of an experiment are what it is about
    ]
    return [printable(note) for note in (*found[0].left_out, *notes)]


def _equal(found: Sequence[Several]) -> bool:
    tested = [line.found for one in found for line in one.lines if isinstance(line.found, Comparison)]
    return any(not counts(one.overall) for one in tested)


def rows(found: Sequence[Several]) -> list[dict[str, Any]]:
    """A row for each system and metric, the first system too, by the names of COLUMNS; what is not known is None.

    The first system's mean is over the pairs that it shares with the first line's.
    """
    made: list[dict[str, Any]] = []
    for one in found:
        made.append({**_row(one, one.title, one.first), **_mean_values(one.lines[0].means[0])})
        for line in one.lines:
            row = {**_row(one, line.title, line.label), **_mean_values(line.means[1]), "verdict": line.verdict}
            if isinstance(line.found, Comparison):
                overall = line.found.overall
                mean = overall.difference
                row |= {"difference": mean.mean, "low": mean.low, "high": mean.high}
                row |= {"p": overall.test.p, "p_holm": line.p_adjusted} if mean.clusters > 1 else {}
            made.append(row)
    return made


def _row(found: Several, title: str, label: str) -> dict[str, Any]:
    source = printable(label.removeprefix(f"{title}: "))
    return {**dict.fromkeys(COLUMNS), "metric": found.metric.name, "system": printable(title), "source": source}


def _mean_values(side: ClusteredMean | Average) -> dict[str, Any]:
    if isinstance(side, Average):
        return {"mean": side.score}
    return {
        **{"pairs": side.units, "clusters": side.clusters},
        **{"mean": side.mean, "mean_low": side.low, "mean_high": side.high},
    }


def several_csv(found: Sequence[Several]) -> str:
    """The rows as a CSV file, numbers with eight decimals; empty where something is not known."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows(found):
        writer.writerow([f"{value:.8f}" if isinstance(value, float) else value for value in row.values()])
    return text.getvalue()


def several_markdown(found: Sequence[Several]) -> str:
    """The rows as a table in Markdown for each metric."""
    return "\n".join(
        "\n".join([_line(_headings(one)), _line(["---", *["---:"] * 6]), *map(_line, _written(one))])
        + ("\n" if place + 1 < len(found) else f"\n\n{correction_text(found)}; 95 % intervals in brackets.\n")
        for place, one in enumerate(found)
    )


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def origins(found: Sequence[Several]) -> list[str]:
    """What each title of a table stands for, with its commit, where that is something else."""
    named = [(one.title, one.first) for one in found] + [
        (line.title, line.label) for one in found for line in one.lines
    ]
    told = [label if label.startswith(title) else f"{title}: {label}" for title, label in named if title != label]
    return [printable(text) for text in dict.fromkeys(told)]


def _headings(found: Several) -> list[str]:
    return [found.metric.short, f"{found.metric.track.cluster}s", "mean", "", "difference to A", "", "p (Holm)"]


def _written(found: Several) -> Iterator[list[str]]:
    """Name, clusters, mean and its interval, difference and its interval, corrected p."""

    def number(value: float, sign: str = "") -> str:
        return f"{value:{sign}.4f}"

    def brackets(low: float | None, high: float | None, sign: str = "") -> str:
        return "" if low is None or high is None else f"[{number(low, sign)}, {number(high, sign)}]"

    for place, row in enumerate(rows([found])):
        p = row["p_holm"]
        adjusted = "" if p is None else _markdown(p_text(p))
        yield [
            _markdown(f"A: {row['system']}" if place == 0 else row["system"]),
            "" if row["clusters"] is None else str(row["clusters"]),
            number(row["mean"]),
            brackets(row["mean_low"], row["mean_high"]),
            "" if row["difference"] is None else number(row["difference"], "+"),
            brackets(row["low"], row["high"], "+"),
            adjusted,
        ]


def _markdown(text: str) -> str:
    return re.sub(r"([\\`*_\[\]<>|#~&$!])", r"\\\1", text)


def several_values(found: Sequence[Several]) -> dict[str, Any]:
    """For JSON: as for two systems, with p and verdict after the correction for all comparisons."""
    values = []
    for line in (line for one in found for line in one.lines):
        (own,) = comparison_values([line.found])["comparisons"]
        values.append({**own, "p_holm": line.p_adjusted, "verdict_holm": line.verdict})
    left_out = [note for one in found for note in one.left_out]
    return {"comparisons": values, "correction": "holm", "tests": found[0].comparisons, "left_out": left_out}
