"""Many pairs of files scored: a list in a CSV file, a CSV file of scores that is continued, here or on Ray."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from hearlab.compute import engine
from hearlab.compute.execution import Outcome
from hearlab.compute.units import Unit
from hearlab.datasets.stem_files import factor_file
from hearlab.errors import InputError
from hearlab.files import md5_of, parse_csv, read_bytes, write_text
from hearlab.listeners import Audiogram, Listener, find_listener, listener_from_entry
from hearlab.metrics.files import score_files
from hearlab.names import safe_name, seed_name
from hearlab.progress import UnitProgress
from hearlab.scoring.tracks import METRICS, Metric

FILES = ("reference", "processed")
AUDIOGRAMS = ("audiogram_left", "audiogram_right")
OPTIONAL = ("listener", *AUDIOGRAMS, "seed_name")
EARS = ("left", "right")
KEY = "key"
Scores: TypeAlias = tuple[float, ...]
"""Of both ears together, left, right."""
# What the levels of an audiogram are at, in Hz, by their number: as the challenges' listeners have them, or fewer.
FREQUENCIES = {6: (250, 500, 1000, 2000, 4000, 6000), 8: (250, 500, 1000, 2000, 3000, 4000, 6000, 8000)}
WRITE_SECONDS = 1.0


@dataclass(frozen=True, eq=False)
class Row:
    """A row of the list: its line, its cells by column, and the listener; paths are as they were given."""

    line: int
    cells: Mapping[str, str]
    listener: Listener

    @property
    def seed_name(self) -> str:
        """What seeds the metric's noise: the cell `seed_name`, else the reference's name without its suffix."""
        return self.cells.get("seed_name") or seed_name(self.cells["reference"])


@dataclass(frozen=True)
class Failed:
    """A row that has no score: its line and the cause."""

    line: int
    cause: str


@dataclass(frozen=True)
class Report:
    """What became of a list: rows with scores, how many of them were there before, the rows without, the mean score."""

    scored: int
    before: int
    failed: tuple[Failed, ...]
    mean: float | None


def score_list(
    metric: str,
    pairs: Path,
    output: Path,
    listeners: Callable[[], tuple[dict[str, Listener], Path]],
    *,
    level: float | None,
    music_level: str | None = None,
) -> Report:
    """Score the pairs of a list and write their scores, row by row as they come; what is in the output is kept.

    A row is scored again if its files, its audiograms, the level, the seed's name or the metric's code have changed.
    Rows that fail have no line in the output; the others are finished. Where only a file is not there now, such as one
    of a disk that is not mounted, its scores of before stay.

    Args:
        metric: its name.
        pairs: CSV file with the columns reference and processed (paths from the folder of this file), listener, or
            audiogram_left and audiogram_right (6 or 8 levels in dB HL), and seed_name if wanted.
        output: CSV file: the columns of the list, seed_name, the metric, left, right (its scores of the ears) and key.
        listeners: gives the listeners by their ids, and the file that they are from; asked if an id is used.
        level, music_level: as `score_files` takes them.

    Raises:
        InputError: the list has other columns, or the output is no file of scores of this metric, or of other pairs.
        KeyboardInterrupt: interrupted; what was finished is written.
    """
    rows, failed = _read(pairs, listeners)
    old = read_bytes(output) if output.exists() else b""
    known = scores_of_list(old, output, METRICS[metric])
    kept = _by_pair(old, output)
    files = {pair[: len(FILES)] for pair in kept}
    if rows and kept and not any(_pair(row)[: len(FILES)] in files for row in rows):
        found = ", ".join(next(iter(kept))[:2])
        advice = "it would be overwritten: name another file"
        raise InputError(output, "holds scores of other pairs than the list", found=found, advice=advice)
    options = {"level": level, "music_level": music_level}
    work, missing = _keyed(rows, METRICS[metric], pairs.absolute().parent, options)
    failed += [fault for _, fault in missing]
    done = {key: known[key] for key in work.rows if key in known}
    if done or not work.rows:  # else level or code are others, and so would be the scores
        for row, _ in missing:
            if key := kept.get(_pair(row)):
                work.rows.setdefault(key, []).append(row)
                done[key] = known[key]
    lost = {row for row, _ in missing}
    before = sum(row not in lost for key in done for row in work.rows[key])
    progress = UnitProgress(f"score {metric}", len(rows) + len(failed) - len(missing))
    for number in range(before + len(failed)):
        progress.advance(remembered=number < before, failed=number >= before)
    written = time.monotonic()
    try:
        todo = [unit for key, unit in work.units.items() if key not in done]
        for unit, outcome in _outcomes(todo, work, output, metric):
            key = str(unit.arguments[KEY])
            if outcome.failure is None:
                done[key] = tuple(outcome.result)
            else:
                failed += [Failed(row.line, outcome.failure.cause) for row in work.rows[key]]
            for _ in work.rows[key]:
                progress.advance(failed=outcome.failure is not None)
            if time.monotonic() - written > WRITE_SECONDS:
                _write(output, METRICS[metric], work, done)
                written = time.monotonic()
    finally:
        progress.finish()
        if done or not kept:
            _write(output, METRICS[metric], work, done)
    scores = [done[key][0] for key in done for row in work.rows[key] if row not in lost]
    mean = math.fsum(scores) / len(scores) if scores else None
    return Report(len(scores), before, tuple(sorted(failed, key=lambda one: one.line)), mean)


def score_unit(root: Path, out: Path, **arguments: Any) -> list[float]:
    """Scores of a pair of files below `root`: of both ears together, left, right."""
    result = score_files(
        arguments["metric"],
        root / arguments["reference"],
        root / arguments["processed"],
        listener_from_entry(arguments["listener"]["name"], arguments["listener"]),
        level=arguments["level"],
        seed_name=arguments["seed_name"],
        **({"music_level": arguments["music_level"]} if arguments["music_level"] else {}),
    )
    return [result["score"], *(result[ear]["score"] for ear in EARS)]


@dataclass(frozen=True)
class Work:
    """Units by their keys, and the rows that each is for; inputs are relative to `root`."""

    root: Path
    units: dict[str, Unit]
    rows: dict[str, list[Row]]


def _read(pairs: Path, listeners: Callable[[], tuple[dict[str, Listener], Path]]) -> tuple[list[Row], list[Failed]]:
    """The rows of a list, and those that are wrong."""
    lines = parse_csv(read_bytes(pairs, wanted="a CSV file with the columns reference, processed, listener"), pairs)
    header = [name.strip() for name in next(lines, (0, []))[1]]
    unknown = [name for name in header if name not in (*FILES, *OPTIONAL)]
    lacking = [name for name in FILES if name not in header]
    if "listener" not in header and not set(AUDIOGRAMS) <= set(header):
        lacking.append(f"listener (or {' and '.join(AUDIOGRAMS)})")
    if unknown or lacking or len(set(header)) < len(header):
        problem = "lacks a column" if lacking else "has an unknown column" if unknown else "names a column twice"
        found = ", ".join(header) or "an empty file"
        wanted = f"{', '.join(FILES)} and some of {', '.join(OPTIONAL)}"
        raise InputError(pairs, problem, field=", ".join(lacking or unknown) or None, found=found, wanted=wanted)
    rows, failed = [], []
    people: tuple[dict[str, Listener], Path] | None = None
    for line, cells in lines:
        if len(cells) != len(header):
            failed.append(Failed(line, f"has {len(cells)} cells, the first line has {len(header)}"))
            continue
        named = {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
        try:
            for name in FILES:
                if not named[name]:
                    raise InputError(name, "is empty", wanted="a WAV or FLAC file")
            if any(named.get(name) for name in AUDIOGRAMS):
                person = _inline(named)
            else:
                people = people or listeners()
                person = find_listener(people[0], named.get("listener", ""), people[1])
        except InputError as error:
            failed.append(Failed(line, str(error)))
            continue
        rows.append(Row(line, named, person))
    if not rows and not failed:
        raise InputError(pairs, "lists no pair")
    return rows, failed


def _inline(cells: Mapping[str, str]) -> Listener:
    """The listener whose audiograms stand in a row."""
    ears = []
    for name in AUDIOGRAMS:
        texts = cells.get(name, "").replace(",", " ").replace(";", " ").split()
        try:
            levels = [float(text) for text in texts]
        except ValueError:
            levels = []
        if len(levels) not in FREQUENCIES:
            wanted = "6 or 8 levels in dB HL, such as 20 20 30 40 50 60"
            raise InputError(name, "is no audiogram", found=cells.get(name, ""), wanted=wanted)
        ears.append(Audiogram(levels, FREQUENCIES[len(levels)]))
    return Listener(safe_name(cells.get("listener") or "listener", "listener"), *ears)


def _keyed(
    rows: Sequence[Row], metric: Metric, folder: Path, options: Mapping[str, Any]
) -> tuple[Work, list[tuple[Row, Failed]]]:
    """The work of a list, and the rows whose files are not there; two rows of the same pair are computed once."""
    paths = {row: [Path(os.path.abspath(folder / row.cells[name])) for name in FILES] for row in rows}
    root = Path(os.path.commonpath([folder, *(path.parent for files in paths.values() for path in files)]))
    contents: dict[Path, str] = {}
    code = Unit("", score_unit, code=(metric.scorer,)).code_identity()
    work = Work(root, {}, {})
    failed: list[tuple[Row, Failed]] = []
    for row, files in paths.items():
        factor = factor_file(files[1])
        if metric.stems and files[1].suffix.lower() == ".flac" and factor.is_file():
            files.append(factor)
        try:
            for path in files:
                if not path.is_file() and path.exists():
                    raise OSError(0, "is no ordinary file", str(path))
                contents[path] = contents.get(path) or md5_of(path)
        except OSError as error:
            failed.append((row, Failed(row.line, f"{error.filename}: {error.strerror}")))
            continue
        listener, known = row.listener.as_entry(), [contents[path] for path in files]
        decides = [code, metric.name, known, listener, row.seed_name, dict(options)]
        key = hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:32]
        work.rows.setdefault(key, []).append(row)
        if key not in work.units:
            names = [os.path.relpath(path, root) for path in files]
            arguments = {"metric": metric.name, "reference": names[0], "processed": names[1], "listener": listener}
            arguments |= {"seed_name": row.seed_name, KEY: key, **options}
            inputs = tuple(names)
            work.units[key] = Unit(f"line {row.line}", score_unit, arguments, inputs=inputs, code=(metric.scorer,))
    return work, failed


def _outcomes(units: Sequence[Unit], work: Work, output: Path, metric: str) -> Iterator[tuple[Unit, Outcome]]:
    if not units:
        return
    # Beside the output, which the machines of a cluster see if they share a file system.
    prefix = f".{output.stem[:40]}.part-"
    output.absolute().parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        prefix=prefix, dir=output.absolute().parent, ignore_cleanup_errors=True
    ) as staging:
        yield from engine.outcomes(units, work.root, Path(staging), f"score {metric}", idle=lambda: None)


def list_columns(metric: Metric) -> list[str]:
    """The columns of an output."""
    return [*FILES, *OPTIONAL, metric.name, *EARS, KEY]


def _by_pair(content: bytes, output: Path) -> dict[tuple[str, ...], str]:
    """The keys in an output's content by the cells that name a pair; it was read by `scores_of_list`."""
    names = (*FILES, *OPTIONAL)
    return {tuple(cells[: len(names)]): cells[-1] for _, cells in list(parse_csv(content, output))[1:]}


def _pair(row: Row) -> tuple[str, ...]:
    """The cells of a row as an output has them."""
    cells = {**row.cells, "listener": row.listener.id, "seed_name": row.seed_name}
    return tuple(cells.get(name, "") for name in (*FILES, *OPTIONAL))


def scores_of_list(content: bytes, output: str | os.PathLike[str], metric: Metric) -> dict[str, Scores]:
    """The scores of an output's content, by their keys; `output` names it in errors.

    Raises:
        InputError: it is no file of scores of this metric.
    """
    lines = parse_csv(content, output)
    wanted = list_columns(metric)
    header = next(lines, (0, []))[1]
    if header and header != wanted:
        advice = "it would be overwritten: name another file"
        found = ", ".join(header)
        raise InputError(
            output, f"is no file of {metric.name} scores", found=found, wanted=", ".join(wanted), advice=advice
        )
    known = {}
    for line, cells in lines:
        try:
            scores = tuple(map(float, cells[-4:-1]))
            if len(cells) != len(wanted) or not all(map(math.isfinite, scores)):
                raise ValueError
        except ValueError:
            raise InputError(output, "is no row of scores", field=f"line {line}", advice="delete it") from None
        known[cells[-1]] = scores
    return known


def _write(output: Path, metric: Metric, work: Work, done: Mapping[str, Scores]) -> None:
    """Write the scores of the rows that have some, in the order of the list."""
    found = sorted(
        ((row, done[key], key) for key, rows in work.rows.items() if key in done for row in rows),
        key=lambda one: one[0].line,
    )
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(list_columns(metric))
    for row, scores, key in found:
        writer.writerow([*_pair(row), *map(repr, scores), key])
    write_text(output, text.getvalue())
