"""Text for the terminal: sizes and times as people read them, tables, and names that come from files."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Collection, Sequence


def size_text(count: int) -> str:
    """12 bytes, 3.4 kB, 28.0 GB: decimal units, as disks and download pages count."""
    if count < 1000:
        return f"{count} bytes"
    value = float(count)
    for unit in ("kB", "MB", "GB", "TB"):
        value /= 1000
        if value < 999.95 or unit == "TB":
            break
    return f"{value:.1f} {unit}"


def clock_text(seconds: float) -> str:
    """5:07 or 2:05:07."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def table(rows: Sequence[Sequence[str]], *, left: Collection[int] = (0,), most: int | None = None) -> str:
    """Aligned lines with a rule under the first.

    Args:
        rows: the headings, then the lines; short ones end early.
        left: columns whose cells begin together; those of the others end together.
        most: width of the first column, in which longer cells are shortened, as far as they stay apart.
    """
    from tabulate import tabulate  # takes long to import

    cells = [[printable(cell) for cell in row] for row in rows]
    if most is not None:
        names = told_apart([row[0] for row in cells], most)
        cells = [[names[row[0]], *row[1:]] for row in cells]
    sides = ["left" if column in left else "right" for column in range(max(map(len, cells)))]
    exact = {"disable_numparse": True, "preserve_whitespace": True}
    lines = tabulate(cells, tablefmt="plain", colalign=sides, **exact).split("\n")
    lines.insert(1, "-" * max(map(width, lines)))
    return "\n".join(lines)


def width(text: str) -> int:
    """Columns that a text takes on a terminal: East Asian letters take two, combining marks none."""
    from wcwidth import wcswidth

    return max(wcswidth(text), 0)


def few(texts: Sequence[str], most: int, *, more: str = "more", between: str = ", ") -> str:
    """The first of some texts, and how many more there are."""
    rest = len(texts) - most
    return between.join(texts[:most]) + (f" and {rest} {more}" if rest > 0 else "")


def shortened(text: str, most: int) -> str:
    """A text of at most so many columns, with an ellipsis where something is cut off."""
    if width(text) <= most:
        return text
    while width(text) > max(most - 1, 1):
        text = text[:-1]
    return text + "\N{HORIZONTAL ELLIPSIS}"


def middle_cut(text: str, most: int) -> str:
    """A text of at most so many columns, with an ellipsis in its middle where something is cut out."""
    if width(text) <= most:
        return text
    middle = len(text) // 2
    head, tail = text[:middle], text[middle:]
    while width(head) + width(tail) > max(most - 1, 1):
        head, tail = (head, tail[1:]) if width(tail) > width(head) else (head[:-1], tail)
    return f"{head}\N{HORIZONTAL ELLIPSIS}{tail}"


def terminal_columns() -> int | None:
    """The width of the terminal, or what COLUMNS says; None where the standard output is no terminal."""
    wanted = os.environ.get("COLUMNS", "")
    if wanted.isdecimal() and int(wanted):
        return int(wanted)
    try:
        return os.get_terminal_size(1).columns or None
    except OSError:
        return None


def told_apart(texts: Collection[str], most: int) -> dict[str, str]:
    """Each text and what is shown of it: at most so many columns, or as many as tell it from those that begin alike."""
    shown: dict[str, str] = {}
    waiting = list(dict.fromkeys(texts))
    while waiting:
        groups: dict[str, list[str]] = {}
        for text in waiting:
            groups.setdefault(shortened(text, most), []).append(text)
        shown |= {alike[0]: cut for cut, alike in groups.items() if len(alike) == 1}
        waiting = [text for alike in groups.values() if len(alike) > 1 for text in alike]
        most += 1
    return shown


def printable(text: str) -> str:
    """A text in which nothing can control the terminal; names come from files. Spaces of all widths become plain."""
    letters = (" " if unicodedata.category(letter) == "Zs" else letter for letter in text)
    return "".join("\N{REPLACEMENT CHARACTER}" if hidden(letter) else letter for letter in letters)


def printable_lines(text: str) -> str:
    """The same of text of several lines, with tabs, and carriage returns that redraw a line."""
    return re.sub(r"[^\n\r\t]+", lambda match: printable(match[0]), text)


def encodable(text: str, encoding: str | None) -> str:
    """A text in which what an encoding lacks is written with ASCII letters: a terminal may know no others."""
    try:
        text.encode(encoding or "utf-8")
    except UnicodeEncodeError:
        plain = text.replace("\N{HORIZONTAL ELLIPSIS}", "...").replace("\N{REPLACEMENT CHARACTER}", "?")
        return plain.encode(encoding or "utf-8", "backslashreplace").decode(encoding or "utf-8")
    return text


# Letters and marks that Python calls printable and nobody sees (Default_Ignorable_Code_Point of Unicode).
_IGNORABLE = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")


def hidden(letter: str) -> bool:
    """Whether a letter is not seen or moves others: controls, ends of lines, surrogates, directions, zero widths."""
    return not letter.isprintable() or _IGNORABLE.match(letter) is not None
