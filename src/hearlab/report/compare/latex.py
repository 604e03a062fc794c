"""Comparisons of several systems as a table for LaTeX that fits the text of an article."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hearlab.report.compare.several import Several
from hearlab.report.compare.several_text import correction_text, origins, rows
from hearlab.report.compare.text import p_text
from hearlab.text import printable, width

# What LaTeX reads as a command, and how it is written.
ESCAPES = {
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "[": "{[}",  # after a row's end it would be an option, and the next one a variant, of that
    "*": "{*}",
}
# The numbers take 235 pt of the 345 that the class article has in 10 pt.
SHORT = 16  # columns of a name that the rest holds in one line
NARROW = r"p{0.3\textwidth}"  # the column of longer ones, which have breaks
PIECE = re.compile(r"[A-Za-z0-9]{1,12}|\s+|.", re.DOTALL)  # between which a long name may be broken


def several_latex(found: Sequence[Several]) -> str:
    """A tabular with the rules of the package booktabs, the only one it needs; names escaped, a group for each metric.

    It has the means, and the differences with their intervals; the intervals of the means are in the other forms.
    """
    groups = [_group(one) for one in found]
    long = any(width(name) > SHORT for _, *group in groups for name, *_ in group)
    lines = [f"% {correction_text(found)}; 95 % intervals in brackets.", *(f"% {line}" for line in origins(found))]
    lines += [r"% Needs \usepackage{booktabs}."]
    lines += [rf"\begin{{tabular}}{{@{{}}{NARROW if long else 'l'}rr@{{ }}rr@{{}}}}", r"\toprule"]
    for place, (heading, *group) in enumerate(groups):
        lines += [r"\midrule"] if place else []
        for name, *cells in (heading, *group):
            first = _breakable(name) if long and width(name) > SHORT else latex(name)
            lines += [" & ".join([first, *cells]) + r" \\"]
            lines += [r"\midrule"] if name is heading[0] else []
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _group(found: Several) -> list[list[str]]:
    """The heading and the rows of a metric: the name as it is, other cells as LaTeX takes them."""
    made = rows([found])
    cluster, count = found.metric.track.cluster, made[0]["clusters"]
    heading = found.metric.short + _clusters(count, cluster)
    lines = [[heading, "mean", r"\multicolumn{2}{c}{difference to A}", "p (Holm)"]]
    for place, row in enumerate(made):
        name = f"A: {row['system']}" if place == 0 else row["system"]
        other = _clusters(row["clusters"], cluster) if row["clusters"] != count else ""
        ends = [_number(row[end], "+") for end in ("low", "high")]
        lines.append(
            [
                printable(name) + other,
                _number(row["mean"]),
                _number(row["difference"], "+"),
                f"[{', '.join(ends)}]" if all(ends) else "",
                "" if row["p_holm"] is None else latex(p_text(row["p_holm"])),
            ]
        )
    return lines


def _clusters(count: int | None, cluster: str) -> str:
    return "" if count is None else f" ({count} {cluster}{'' if count == 1 else 's'})"


def _number(value: float | None, sign: str = "") -> str:
    return "" if value is None else f"{value:{sign}.4f}".replace("-", "$-$")


def latex(text: str) -> str:
    """A text as LaTeX shows it."""
    return "".join(ESCAPES.get(letter, letter) for letter in text)


def _breakable(text: str) -> str:
    """The same for a cell of several lines, with places at which a word that is longer than the column may be broken.

    \\raggedright stands in the cell: in the column's description the package array would be needed to end a row.
    """
    return r"\raggedright " + " ".join(
        r"\allowbreak{}".join(map(latex, PIECE.findall(word))) if width(word) > SHORT else latex(word)
        for word in text.split()
    )
