"""Answers of blind tests: checked, kept in one CSV file, and counted."""

from __future__ import annotations

import csv
import fcntl
import io
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hearlab.errors import InputError
from hearlab.files import parse_csv, parse_json, read_bytes, write_text
from hearlab.files.reading import MOST_CSV, decoded
from hearlab.names import line_fault
from hearlab.scoring.statistics import LEVEL, clustered_mean, sign_flip_test
from hearlab.scoring.tracks import TRACKS
from hearlab.text import table

ANSWERS = Path("blind") / "answers.csv"
COLUMNS = (
    "received",
    "test",
    "listener",
    "track",
    "name",
    "group",
    "a",
    "b",
    "trial",
    "first",
    "preferred",
    "seconds",
)
FORMAT = "hearlab blind test 1"
LONGEST_ANSWER = 32 * 1024  # bytes of a request; a test of 16 trials has two thousand
MOST_TRIALS = 64
MOST_BYTES = MOST_CSV  # of the file: what can be kept can be read
TEST = re.compile(r"[0-9a-f-]{8,36}")
LISTENER = re.compile(r"[^\W_][\w .-]{0,39}")
FORMULA = ("=", "+", "-", "@")  # how a cell begins that a spreadsheet computes
CHOICES = ("a", "b")
ALIKE = 1e-9  # an interval of shares that differ by rounding alone


def rows_of(content: bytes, received: str) -> list[list[str]]:
    """The rows of a test that a browser sent, one for each trial.

    Args:
        content: JSON as blind.js makes it, with `test` (an id) and `listener` (a name or code).
        received: when, for the first column.

    Raises:
        InputError: a field is missing or wrong.
    """
    where = "the answers"
    if len(content) > LONGEST_ANSWER:
        raise InputError(where, "are too long", found=f"{len(content)} bytes", wanted=f"at most {LONGEST_ANSWER}")
    found = parse_json(content, where)
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise InputError(where, "are no blind test", wanted=FORMAT)
    versions, trials = found.get("versions"), found.get("trials")
    if not isinstance(versions, dict) or not isinstance(trials, list) or not 0 < len(trials) <= MOST_TRIALS:
        raise InputError(where, "need versions and trials", wanted=f"1 to {MOST_TRIALS} trials")
    if found.get("track") not in TRACKS:
        raise InputError(where, "are of no track", field="track", wanted=" or ".join(TRACKS))
    start = [received, _matching(found, "test", TEST), _matching(found, "listener", LISTENER), str(found["track"])]
    start += [_line(found, "name"), _line(found, "group"), _line(versions, "a"), _line(versions, "b")]
    if start[-1] == start[-2]:
        raise InputError(where, "compare a version with itself", field="versions")
    return [[*start, str(number), *_trial(one)] for number, one in enumerate(trials, 1)]


def _trial(trial: Any) -> list[str]:
    values = trial if isinstance(trial, dict) else {}
    first, preferred, seconds = values.get("first"), values.get("preferred"), values.get("seconds")
    if first not in CHOICES or preferred not in (*CHOICES, None):
        raise InputError("the answers", "have a wrong trial", field="trials", wanted="first and preferred: a or b")
    usable = isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 <= seconds < 1e6
    if not usable:
        raise InputError("the answers", "have a wrong trial", field="trials", wanted="seconds")
    return [first, preferred or "none", f"{seconds:.1f}"]


def _matching(values: Mapping[str, Any], field: str, pattern: re.Pattern[str]) -> str:
    value = values.get(field)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        wanted = "a name or code: letters, digits, spaces, dots and dashes" if field == "listener" else "an id"
        raise InputError("the answers", "have a wrong field", field=field, wanted=wanted)
    return value


def _line(values: Mapping[str, Any], field: str) -> str:
    value = values.get(field)
    if (fault := line_fault(value)) is not None:
        raise InputError("the answers", f"have a wrong field: {fault}", field=field)
    return f"'{value}" if str(value).startswith(FORMULA) else str(value)


def keep(path: Path, rows: Sequence[Sequence[str]]) -> bool:
    """Add rows to the file of answers, all or none; False where the test is in it already.

    Raises:
        InputError: the file is none of answers, or full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path):
        before = decoded(read_bytes(path, most=MOST_BYTES), path) if path.exists() else ""
        if before and any(record["test"] == rows[0][1] for record in read(path)):
            return False
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        if not before:
            writer.writerow(COLUMNS)
        elif not before.endswith("\n"):  # edited by hand
            text.write("\n")
        writer.writerows(rows)
        if len((before + text.getvalue()).encode()) > MOST_BYTES:
            raise InputError(path, "is full", wanted=f"at most {MOST_BYTES} bytes", advice="move it away")
        write_text(path, before + text.getvalue())
    return True


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One writer at a time, in threads and in processes."""
    with path.with_suffix(".lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def read(path: Path) -> list[dict[str, str]]:
    """The rows of the file of answers by the names of its columns.

    Raises:
        InputError: there is none, a column is missing, or a value is wrong.
    """
    content = read_bytes(path, most=MOST_BYTES, wanted="answers of blind tests", advice="hearlab serve collects them")
    lines = parse_csv(content, path)
    header = next(lines, (0, []))[1]
    if tuple(header) != COLUMNS:
        raise InputError(path, "has other columns", found=", ".join(header)[:80], wanted=", ".join(COLUMNS))
    found = []
    for number, line in lines:
        row = dict(zip(COLUMNS, line, strict=False))
        if len(line) != len(COLUMNS) or row["preferred"] not in (*CHOICES, "none"):
            raise InputError(path, "has a wrong row", field=f"line {number}", found=",".join(line)[:80])
        found.append(row)
    return found


@dataclass(frozen=True)
class Preference:
    """How often the second of two versions was preferred.

    Attributes:
        track: 'speech' or 'music'.
        first, second: labels of the versions.
        listeners, trials: how many.
        counts: trials that preferred the first, the second, neither.
        share: of the second, 0 to 1; neither counts half. Each trial counts once.
        low, high: ends of the 95 % interval.
        p: two-sided, of no preference.
        one_listener: interval and p are of this listener's further trials, not of other listeners.
    """

    track: str
    first: str
    second: str
    listeners: int
    trials: int
    counts: tuple[int, int, int]
    share: float
    low: float
    high: float
    p: float
    one_listener: bool


def preferences(rows: Sequence[Mapping[str, str]]) -> list[Preference]:
    """What the answers say of each two versions that were compared, scenes and songs taken together.

    Answers of one listener belong together, so listeners are counted as scenes are (`clustered_mean`,
    `sign_flip_test`). Where all listeners have the same share, or there is one alone, the interval is the exact one
    of Clopper and Pearson: over listeners, or over the trials of the one that decided.
    """
    groups: dict[tuple[str, str, str], list[tuple[str, float]]] = {}
    for row in rows:
        # Which version was called A differs from listener to listener.
        first, second = sorted((row["a"], row["b"]))
        value = 0.5 if row["preferred"] == "none" else float(row[row["preferred"]] == second)
        groups.setdefault((row["track"], first, second), []).append((row["listener"], value))
    return [_preference(key, answers) for key, answers in sorted(groups.items())]


def _preference(key: tuple[str, str, str], answers: Sequence[tuple[str, float]]) -> Preference:
    people, values = [name for name, _ in answers], [value for _, value in answers]
    counts = values.count(0.0), values.count(1.0), values.count(0.5)
    listeners = len(set(people))
    share = sum(values) / len(values)
    if listeners == 1:
        decided = counts[0] + counts[1]
        low, high = exact_interval(counts[1], decided) if decided else (0.0, 1.0)
        p = sign_test(counts[0], counts[1])
    else:
        found = clustered_mean(values, people, bounds=(0.0, 1.0))
        low, high = found.low or 0.0, 1.0 if found.high is None else found.high
        if high - low < ALIKE:  # no spread between the listeners, of which the interval would be made
            low, high = exact_interval(share * listeners, listeners)
        p = sign_flip_test([value - 0.5 for value in values], people).p
    return Preference(*key, listeners, len(values), counts, share, low, high, p, listeners == 1)


def exact_interval(successes: float, trials: int, level: float = LEVEL) -> tuple[float, float]:
    """The interval of a share by Clopper and Pearson (Biometrika 26, 1934): its coverage is at least `level`.

    Its formula holds between whole successes, too: of listeners who each preferred a version in some trials.
    """
    from scipy.special import betaincinv

    half, failures = (1 - level) / 2, trials - successes
    low = 0.0 if successes == 0 else float(betaincinv(successes, failures + 1, half))
    high = 1.0 if failures == 0 else float(betaincinv(successes + 1, failures, 1 - half))
    return low, high


def sign_test(first: int, second: int) -> float:
    """Chance of so clear a preference, on either side, if there is none: the exact two-sided sign test."""
    total = first + second
    tail = sum(math.comb(total, count) for count in range(min(first, second) + 1))
    return min(1.0, 2.0 * tail / 2**total)


def text_of(found: Sequence[Preference]) -> str:
    """The preferences as a table, with what must be known to read them."""
    rows = [["", "preferred", "95 % interval", "p", "listeners", "trials"]]
    for one in found:
        of_one = " *" if one.one_listener else ""
        rows.append(
            [
                f"{one.track}: {one.second} over {one.first}",
                f"{100 * one.share:.0f} %",
                f"{100 * one.low:.0f} to {100 * one.high:.0f} %{of_one}",
                f"{one.p:.4f}",
                str(one.listeners),
                str(one.trials),
            ]
        )
    notes = ["Answers without a preference count half."]
    if any(one.one_listener for one in found):
        notes.append("* of further trials of this listener; nothing is known of others.")
    if any(1 < one.listeners < 6 for one in found):
        notes.append("With less than six listeners no p can be below 0.05, and an interval is a rough guide.")
    return "\n".join([table(rows), *notes])
