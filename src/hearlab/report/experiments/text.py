"""The table of experiments: own parameters first, only those that differ, averages with their intervals."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from hearlab.datasets.layout import METRICS_FOLDER
from hearlab.errors import InputError
from hearlab.report.experiments.listing import AVERAGES, Experiment
from hearlab.scoring.statistics import ClusteredMean
from hearlab.scoring.table import has_scores, parse_scores
from hearlab.scoring.tracks import TRACKS, UNPROCESSED
from hearlab.text import few, printable, shortened, table
from hearlab.versions.revisions import Files, RevisionFiles

NAME, VALUE = 30, 24  # columns of a commit's name and of a parameter's value
OTHER, REASONS = "other", 3  # instead of a score that is not of the line's parameters; how many reasons are told
OWN = ("enhance.system", "enhance.params")  # of the user's system: they come first, then the others of `enhance`
SUBSETS = ("evaluate.scenes", "evaluate.songs", "evaluate.listeners")  # an average of some pairs is none of all


def in_order(names: Sequence[str]) -> list[str]:
    """Parameters as the table shows them: those of the user's own system first."""

    def rank(name: str) -> int:
        own = any(name == one or name.startswith(f"{one}.") for one in OWN)
        return 0 if own else 1 if name.startswith("enhance.") else 2

    return sorted(names, key=rank)


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


def experiments_text(found: Sequence[Experiment], parameters: Sequence[str]) -> str:
    """The table, the newest first; what is the same in all lines is left out."""
    lines = newest_first(found)
    intervals = [means(one.files) for one in lines]
    titles = [title for title in AVERAGES if any(title in one.scores for one in lines) and not _unchanged(title, lines)]
    names = [name for name in in_order(parameters) if _varied(name, lines)]
    rows = [["experiment", "date (UTC)", *map(_heading, names), *titles]]
    for one, own in zip(lines, intervals, strict=True):
        date = one.date.strftime("%Y-%m-%d %H:%M") if one.date else ""
        # The name of an experiment is whole, to be copied into other commands.
        name = one.name if one.kind != "commit" else shortened(printable(f"{one.commit} {one.name}"), NAME)
        values = [_value(one.parameters.get(name)) for name in names]
        scores = [
            OTHER if AVERAGES[title][0] in one.outdated else _score(one.scores.get(title), own.get(title))
            for title in titles
        ]
        rows.append([name, date, *values, *scores])
    note = "Brackets: 95 % intervals of the means, clustered by scene or song.\n"
    note += "Whether two differ is said by hearlab compare A B, not by these intervals."
    reasons = [
        f"{printable(one.name)}, {track}: {printable(reason)}"
        for one in lines
        for track, reason in one.outdated.items()
    ]
    if reasons:
        note += f"\n{OTHER}: scores made with other parameters than the line's. {few(reasons, REASONS, between='; ')}"
    return f"{table(rows, left=range(2 + len(names)))}\n\n{note}"


def _heading(name: str) -> str:
    return printable(name.removeprefix("enhance.params.").removeprefix("enhance."))


def _varied(name: str, lines: Sequence[Experiment]) -> bool:
    """Whether a parameter is a column: older commits lack those that came later, and that is no difference of interest;
    a system that gets a parameter or not, or a subset of the data, is one.
    """
    values = [one.parameters.get(name) for one in lines]
    return (
        name.startswith((*OWN, *SUBSETS))
        or len({json.dumps(value, default=str) for value in values if value is not None}) > 1
    )


def _unchanged(title: str, lines: Sequence[Experiment]) -> bool:
    """Whether an average of unprocessed signals is the same in all lines."""
    return UNPROCESSED in title and len(lines) > 1 and len({one.scores.get(title) for one in lines}) == 1


def _value(value: Any) -> str:
    if value is None:
        return ""
    return shortened(printable(value if isinstance(value, str) else json.dumps(value, default=str)), VALUE)


def _score(score: float | None, mean: ClusteredMean | None) -> str:
    if score is None:
        return ""
    # The averages may be of another run than the table, where somebody edits files.
    if mean is None or mean.low is None or mean.high is None or abs(mean.mean - score) > 5e-5:
        return f"{score:.4f}" + " " * 15
    return f"{score:.4f} [{mean.low:.3f}, {mean.high:.3f}]"


def experiments_values(found: Sequence[Experiment], parameters: Sequence[str]) -> list[dict[str, Any]]:
    """The same for JSON, with whole names and digits; `means` are those whose tables are here, `outdated` says of which
    tracks the scores are left out, and why.
    """
    names = in_order(parameters)
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
        }
        for one in newest_first(found)
    ]
