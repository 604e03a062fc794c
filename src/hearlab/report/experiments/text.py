"""The table of experiments: scores with their intervals, and the parameters in which lines differ, where they fit."""

from __future__ import annotations

import contextlib
import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

from hearlab.datasets.layout import METRICS_FOLDER
from hearlab.errors import InputError
from hearlab.report.experiments.differences import differences, folded, heading, in_order, value_text, varied
from hearlab.report.experiments.listing import AVERAGES, Experiment
from hearlab.scoring.statistics import ClusteredMean
from hearlab.scoring.table import has_scores, parse_scores
from hearlab.scoring.tracks import TRACKS, UNPROCESSED
from hearlab.text import few, middle_cut, printable, shortened, table, width
from hearlab.versions.revisions import Files, RevisionFiles

NAME = 30  # columns of a commit's name
OTHER, REASONS = "other", 3  # instead of a score that is not of the line's parameters; how many reasons are told
INTERVAL = 15  # columns of an interval and the space before it
LEAST, ROWS = 24, 3  # columns of parameters beside the scores at least, and rows that they take there at most
BENEATH, HEADING = "    ", "parameters"


class Way(NamedTuple):
    """What is in the table: dates, intervals, and parameters beside the scores instead of beneath them."""

    dates: bool = True
    intervals: bool = True
    beside: bool = True


# How the table is made narrower, the first way that fits: without dates, with parameters beneath each line instead of
# beside it, without intervals.
WAYS = [
    Way(),
    Way(dates=False),
    Way(beside=False),
    Way(dates=False, beside=False),
    Way(dates=False, intervals=False),
    Way(dates=False, intervals=False, beside=False),
]


def newest_first(found: Sequence[Experiment]) -> list[Experiment]:
    """The workspace, then experiments and commits by their time."""
    return sorted(found, key=lambda one: (one.date is not None, -(one.date.timestamp() if one.date else 0)))


def means(files: Files | None) -> dict[str, ClusteredMean]:
    """Means with their intervals by the names of AVERAGES, from the tables whose bytes this machine has."""
    found = {}
    for track in TRACKS.values():
        for condition, name in track.tables.items():
            content = _here(files, f"{METRICS_FOLDER}/{name}")
            if content is None or not has_scores(content):
                continue
            with contextlib.suppress(InputError):
                tables = parse_scores(content, name)
                for title, (_, metric, key) in AVERAGES.items():
                    if metric in tables and key == track.average_key(condition):
                        found[title] = tables[metric].mean()
    return found


def _here(files: Files | None, path: str) -> bytes | None:
    """Bytes of a file, without asking a remote."""
    if isinstance(files, RevisionFiles):
        return files.here(path)
    with contextlib.suppress(InputError, OSError):
        return None if files is None else files.read(path)
    return None


def experiments_text(
    found: Sequence[Experiment], parameters: Sequence[str], columns: int | None = None, *, wide: bool = False
) -> str:
    """The table, the newest first; what is the same in all lines is left out, and equal experiments are one line.

    Args:
        found: the lines.
        parameters: those in which any two of them differ.
        columns: of the terminal; None where it is none, and then each experiment has one line, however long.
        wide: whether each parameter is a column.
    """
    every = newest_first(found)
    lines, equal = folded(every)
    counts = {id(one): len(names) for one, names in zip(every, equal, strict=True)}
    more = [f"(+{count} equal)" if (count := counts[id(one)]) else "" for one in lines]
    names = [name for name in in_order(parameters) if varied(name, lines)]
    scored = _Scored(lines)
    way, told = WAYS[0], []
    if wide:
        head, *rows = scored.rows(way)
        for row, one, text in zip(rows, lines, more, strict=True):
            row[0] = f"{row[0]} {text}".rstrip()
            row += [value_text(one.parameters.get(name)) for name in names]
        text = table([[*head, *map(heading, names)], *rows], left=(0, 1, *range(len(head), len(head) + len(names))))
    else:
        told = [_pieces(*one) for one in zip(differences(lines, names), more, strict=True)]
        text, way = _fitted(scored, told, columns)
    notes = _notes(lines, way, bracketed=scored.bracketed and way.intervals, told=any(told), equal=any(more))
    return "\n\n".join(filter(None, [text, "\n".join(notes)]))


def _notes(lines: Sequence[Experiment], way: Way, *, bracketed: bool, told: bool, equal: bool) -> Iterator[str]:
    """What must be known to read what is in the table."""
    if bracketed:
        yield "Brackets: 95 % intervals of the means, clustered by scene or song."
        if len(lines) > 1:
            yield "Whether two differ is said by hearlab compare A B, not by these intervals."
    if told:
        yield "Parameters: where others differ from the first line, and what they have there."
    if told or not (way.dates and way.intervals):
        lacks = [name for name, there in (("dates", way.dates), ("intervals", way.intervals)) if not there]
        more = ", ".join([*(["a column for each parameter"] if told else []), *lacks])
        yield f"hearlab experiments --wide: {more}; --csv, --json: all of it."
    if equal:
        yield "Equal: further experiments of the same parameters and scores; --json names them."
    reasons = [
        f"{printable(one.name)}, {track}: {printable(reason)}"
        for one in lines
        for track, reason in one.outdated.items()
    ]
    if reasons:
        yield f"{OTHER}: scores made with other parameters than the line's. {few(reasons, REASONS, between='; ')}"


class _Scored:
    """Names, dates and scores of the lines."""

    def __init__(self, lines: Sequence[Experiment]) -> None:
        self.lines = lines
        self.means = [means(one.files) for one in lines]
        self.titles = [
            title for title in AVERAGES if any(title in one.scores for one in lines) and not _unchanged(title, lines)
        ]

    @property
    def bracketed(self) -> bool:
        """Whether any of the scores has an interval."""
        return any(cell.endswith("]") for row in self.rows(WAYS[0]) for cell in row[2:])

    def rows(self, way: Way) -> list[list[str]]:
        """The headings and the cells of each line, without parameters."""
        first = 2 if way.dates else 1
        rows = [["experiment", "date (UTC)"][:first] + self.titles]
        for one, own in zip(self.lines, self.means, strict=True):
            date = one.date.strftime("%Y-%m-%d %H:%M") if one.date else ""
            # The name of an experiment is whole, to be copied into other commands.
            name = one.name if one.kind != "commit" else shortened(printable(f"{one.commit} {one.name}"), NAME)
            scores = [
                OTHER
                if AVERAGES[title][0] in one.outdated
                else _score(one.scores.get(title), own.get(title) if way.intervals else None)
                for title in self.titles
            ]
            rows.append([name, date][:first] + scores)
        for column in range(first, len(rows[0])):
            if any(row[column].endswith("]") for row in rows):  # scores without an interval stand below the others
                for row in rows[1:]:
                    row[column] += " " * INTERVAL if row[column] and not row[column].endswith("]") else ""
        return rows


def _fitted(scored: _Scored, told: Sequence[Sequence[str]], columns: int | None) -> tuple[str, Way]:
    """The table in the first way that fits."""
    longest = max((width(" ".join(pieces)) for pieces in told), default=0)
    for way in WAYS:
        lines = table(scored.rows(way), left=(0, 1) if way.dates else (0,)).split("\n")
        taken = max(map(width, lines))
        room = longest if columns is None else columns - taken - 2
        if not (longest and way.beside):
            fits = columns is None or taken <= columns
        else:
            fits = room >= min(LEAST, longest) and all(len(_wrapped(pieces, room)) <= ROWS for pieces in told)
        if fits:
            break
    if not longest:
        return "\n".join(lines), way
    if not way.beside:
        room = max((columns or taken) - len(BENEATH), LEAST)
    made = [f"{_filled(lines[0], taken)}  {HEADING}" if way.beside else lines[0], ""]
    for line, pieces in zip(lines[2:], told, strict=True):
        first, *others = _wrapped(pieces, room) or [""]
        if way.beside:
            made += [f"{_filled(line, taken)}  {first}".rstrip(), *(f"{' ' * taken}  {text}" for text in others)]
        else:
            made += [line, *(f"{BENEATH}{text}" for text in filter(None, [first, *others]))]
    made[1] = "-" * max(map(width, made))
    return "\n".join(made), way


def _filled(line: str, columns: int) -> str:
    return line + " " * (columns - width(line))


def _pieces(words: Sequence[str], more: str) -> list[str]:
    """Words of a list, between which a line may end."""
    return [*(f"{word}," for word in words[:-1]), *words[-1:], *filter(None, [more])]


def _wrapped(pieces: Sequence[str], columns: int) -> list[str]:
    lines: list[str] = []
    for piece in (middle_cut(piece, columns) for piece in pieces):
        if lines and width(lines[-1]) + 1 + width(piece) <= columns:
            lines[-1] += f" {piece}"
        else:
            lines.append(piece)
    return lines


def _unchanged(title: str, lines: Sequence[Experiment]) -> bool:
    """Whether an average of unprocessed signals is the same in all lines."""
    return UNPROCESSED in title and len(lines) > 1 and len({one.scores.get(title) for one in lines}) == 1


def _score(score: float | None, mean: ClusteredMean | None) -> str:
    if score is None:
        return ""
    # The averages may be of another run than the table, where somebody edits files.
    if mean is None or mean.low is None or mean.high is None or abs(mean.mean - score) > 5e-5:
        return f"{score:.4f}"
    return f"{score:.4f} [{mean.low:.3f}, {mean.high:.3f}]"


def experiments_csv(found: Sequence[Experiment], parameters: Sequence[str]) -> str:
    """All lines as a CSV file: the averages with both ends of their intervals, and each parameter that differs."""
    names, text = in_order(parameters), io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    scores = [part for title in AVERAGES for part in (title, f"{title} low", f"{title} high")]
    writer.writerow(["experiment", "kind", "commit", "date", *scores, *names])
    for one in experiments_values(found, parameters):
        own = [one[part] for part in ("name", "kind", "commit", "date")]
        for title in AVERAGES:
            mean = one["means"].get(title, {})
            own += [one["scores"].get(title), mean.get("low"), mean.get("high")]
        values = one["parameters"].values()
        writer.writerow([*own, *(value if isinstance(value, str) else _json(value) for value in values)])
    return text.getvalue()


def _json(value: Any) -> str:
    return "" if value is None else json.dumps(value, default=str)


def experiments_values(found: Sequence[Experiment], parameters: Sequence[str]) -> list[dict[str, Any]]:
    """The same for JSON, with whole names and digits; `means` are those whose tables are here, `outdated` says of which
    tracks the scores are left out, and why, and `equal` names the experiments that the table has in the same line.
    """
    names, lines = in_order(parameters), newest_first(found)
    _, equal = folded(lines)
    return [
        {
            **{"name": printable(one.name), "kind": one.kind, "commit": one.full_commit},
            "date": one.date.isoformat() if one.date else None,
            "parameters": {name: one.parameters.get(name) for name in names},
            "scores": one.scores,
            "means": {
                title: asdict(mean)
                for title, mean in means(one.files).items()
                if AVERAGES[title][0] not in one.outdated
            },
            "outdated": one.outdated,
            "equal": [printable(name) for name in own],
        }
        for one, own in zip(lines, equal, strict=True)
    ]
