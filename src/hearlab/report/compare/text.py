"""Comparisons as text for the terminal, and as values for JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from hearlab.report.compare.comparison import Averages, Breakdown, Comparison, Extreme, counts
from hearlab.report.compare.sources import Average
from hearlab.scoring.statistics import CLUSTERS_NEEDED, POWER, ClusteredMean, PairedDifference
from hearlab.text import printable, shortened, table, width

COLUMNS = 100
NAME = 26  # columns of a row's name, at most
PAIR_NAME = 70  # the same where a row has three numbers only
SIDES = ("A", "B")


def comparison_text(comparisons: Sequence[Comparison | Averages]) -> str:
    """The tables of every metric, at most `COLUMNS` wide."""
    return "\n\n\n".join(_averages(one) if isinstance(one, Averages) else _comparison(one) for one in comparisons)


def _comparison(found: Comparison) -> str:
    cluster = found.metric.track.cluster
    blocks = [_heading(found.metric.title, found.labels, (found.overall.first, found.overall.second), cluster)]
    if found.notes:
        blocks.append("\n".join(listed(found.notes)))
    blocks.append(table([_header("", f"{cluster}s"), _cells("all", found.overall)]))
    blocks.append("\n".join([*_verdict(found), *_limits(found)]))
    for breakdown in found.breakdowns:
        lines = [_cells(row.name, row.result, "*" if row.conclusive else "") for row in breakdown.rows]
        blocks.append(table([_header(breakdown.title, breakdown.cluster), *lines], most=NAME))
    if found.breakdowns:
        blocks.append("\n".join(wrapped(_caveat(found.breakdowns))))
    blocks += [_extremes(*of) for of in (("gain", found.winners), ("lose", found.losers)) if of[1]]
    if found.left_out:
        blocks.append("\n".join(listed(found.left_out)))
    return "\n\n".join(blocks)


def listed(notes: Sequence[str]) -> list[str]:
    """Notes as a list, in lines of at most `COLUMNS`."""
    return [line for note in notes for line in wrapped(f"- {printable(note)}", "  ")]


def _heading(title: str, labels: tuple[str, str], means: Sequence[ClusteredMean | Average], cluster: str) -> str:
    lines = [f"{title}: B - A, positive where B is better", ""]
    for side, label, mean in zip(SIDES, labels, means, strict=True):
        lines += wrapped(f"{side}  {printable(label)}", "   ")
        if isinstance(mean, Average):
            lines += wrapped(
                f"   {mean.score:.4f}, {mean.system}: the average alone is published ({mean.source})", "   "
            )
        else:
            lines.append(f"   mean {mean.mean:.4f}{_interval_text(mean)}, {_count(mean, cluster)}")
    return "\n".join(lines)


def _averages(found: Averages) -> str:
    advice = "Nothing can be concluded: without published scores pair by pair there is no paired difference, and it is "
    advice += "not known that both were measured on the same pairs. --published FILE takes such scores."
    title = _heading(found.metric.title, found.labels, found.sides, found.metric.track.cluster)
    return "\n".join([title, "", *wrapped(advice), *listed(found.notes)])


def _verdict(found: Comparison) -> list[str]:
    mean = found.overall.difference
    if found.verdict == "same":
        return wrapped(f"No difference: {found.reasons[0]}.")
    if found.verdict == "inconclusive":
        return wrapped(f"Nothing can be concluded: {'; '.join(found.reasons)}.")
    p = _p(found.overall)
    equals = "" if p.startswith("<") else "= "
    return wrapped(f"B is {found.verdict} than A by {mean.mean:+.4f}{_interval_text(mean)}, p {equals}{p}.")


def _limits(found: Comparison) -> list[str]:
    cluster, overall = found.metric.track.cluster, found.overall
    lines = []
    if overall.detectable is not None and overall.difference.standard_error:
        lines += wrapped(
            f"Smallest true difference that these {overall.difference.clusters} {cluster}s would show with "
            f"{100 * POWER:.0f} % power: {overall.detectable:.4f}"
        )
    noise = found.noise
    text = f"Noise floor of the metric: {_small(found.floor)} (rescoring with other seeds stays below it in 95 % of "
    text += f"cases; SD of a pair {noise.sd:.1e}, {noise.source}"
    text += f"; published: {noise.published})" if noise.published else ")"
    return lines + wrapped(text)


def _caveat(tables: Sequence[Breakdown]) -> str:
    count = sum(counts(row.result) for table in tables for row in table.rows)
    text = f"* marks rows whose interval and test exclude 0 after correction for the {count} rows of these tables "
    text += "(Holm); p and intervals as printed are each row's own, and one in twenty misleads by chance."
    if any(table.name == "song" for table in tables):
        text += " Intervals of single songs are over listeners and say nothing about other songs."
    if any(row.result.difference.clusters < CLUSTERS_NEEDED for table in tables for row in table.rows):
        text += f" Rows of fewer than {CLUSTERS_NEEDED} cannot reach p < 0.05."
    return text


def _extremes(word: str, pairs: Sequence[Extreme]) -> str:
    rows = [[f"pairs that {word} most", "A", "B", "B - A"]]
    for one in pairs:
        scene, listener = (printable(part) for part in one.pair)
        name = f"{shortened(scene, PAIR_NAME - 1 - width(listener))} {listener}".rstrip()
        rows.append([name, f"{one.first:.4f}", f"{one.second:.4f}", f"{one.second - one.first:+.4f}"])
    return table(rows, most=PAIR_NAME)


def _header(title: str, clusters: str) -> list[str]:
    return [title, "pairs", clusters, "A", "B", "B - A", "95 % interval", "p", ""]


def _cells(name: str, result: PairedDifference, mark: str = "") -> list[str]:
    mean = result.difference
    means = [f"{value:.4f}" for value in (result.first.mean, result.second.mean)]
    ends = interval(mean, "+.4f") or "none"
    return [name, str(mean.units), str(mean.clusters), *means, f"{mean.mean:+.4f}", ends, _p(result), mark]


def _p(result: PairedDifference) -> str:
    return "none" if result.difference.clusters < 2 else p_text(result.test.p)


def p_text(p: float) -> str:
    """A p value with four decimals."""
    return f"{p:.4f}" if p >= 0.00005 else "<0.0001"


def interval(mean: ClusteredMean, form: str) -> str:
    """Both ends of an interval; empty where there is none."""
    return "" if mean.low is None or mean.high is None else f"{mean.low:{form}} to {mean.high:{form}}"


def _small(value: float) -> str:
    return f"{value:.4f}" if value >= 0.001 else f"{value:.1e}"


def _interval_text(mean: ClusteredMean) -> str:
    ends = interval(mean, ".4f")
    return f" (95 % interval {ends})" if ends else ""


def _count(mean: ClusteredMean, cluster: str) -> str:
    plural = "" if mean.clusters == 1 else "s"
    return f"{mean.units} shared pair{'' if mean.units == 1 else 's'} of {mean.clusters} {cluster}{plural}"


def wrapped(text: str, indent: str = "") -> list[str]:
    """A text in lines of at most `COLUMNS`, all but the first one indented."""
    return textwrap.wrap(text, COLUMNS, subsequent_indent=indent, break_on_hyphens=False)


def comparison_values(comparisons: Sequence[Comparison | Averages]) -> dict[str, Any]:
    """The same for JSON: differences are B - A; `p_adjusted` is Holm's over all rows of all tables of a metric."""
    return {"comparisons": [_average_values(o) if isinstance(o, Averages) else _values(o) for o in comparisons]}


def _values(found: Comparison) -> dict[str, Any]:
    return {
        "metric": found.metric.name,
        "a": found.labels[0],
        "b": found.labels[1],
        "cluster": found.metric.track.cluster,
        "only_in_a": found.only[0],
        "only_in_b": found.only[1],
        "verdict": found.verdict,
        "reasons": list(found.reasons),
        "overall": _result_values(found.overall),
        "noise": {"floor": found.floor, **asdict(found.noise)},
        "tables": {
            table.name: [
                {
                    "name": row.name,
                    **_result_values(row.result),
                    "p_adjusted": row.p_adjusted,
                    "conclusive": row.conclusive,
                    "clustered_by": table.cluster.removesuffix("s"),
                }
                for row in table.rows
            ]
            for table in found.breakdowns
        },
        "winners": [_extreme_values(one, found.metric.track.cluster) for one in found.winners],
        "losers": [_extreme_values(one, found.metric.track.cluster) for one in found.losers],
        "notes": list(found.notes),
        "left_out": list(found.left_out),
    }


def _average_values(found: Averages) -> dict[str, Any]:
    return {
        "metric": found.metric.name,
        "a": found.labels[0],
        "b": found.labels[1],
        "verdict": "inconclusive",
        "reasons": ["a side has only a published average"],
        "sides": [asdict(side) for side in found.sides],
        "notes": list(found.notes),
    }


def _result_values(result: PairedDifference) -> dict[str, Any]:
    return {
        "pairs": result.difference.units,
        "clusters": result.difference.clusters,
        **{name: asdict(mean) for name, mean in zip("ab", (result.first, result.second), strict=True)},
        "difference": asdict(result.difference),
        "p": result.test.p,
        "p_exact": result.test.exact,
        "smallest_p": result.test.smallest,
        "detectable": result.detectable,
    }


def _extreme_values(one: Extreme, cluster: str) -> dict[str, Any]:
    return {cluster: one.pair[0], "listener": one.pair[1], "a": one.first, "b": one.second}
