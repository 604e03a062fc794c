"""Audiograms and listeners, and reading files of them: the challenges' listeners.json, and tables."""

from __future__ import annotations

import difflib
import math
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hearlab.errors import InputError, raise_all
from hearlab.files import parse_csv, parse_json, read_bytes
from hearlab.names import safe_name

# Audiometers present -10 to 120 dB HL. What lies far outside stands for something else: 999 for "no answer".
LOWEST_LEVEL, HIGHEST_LEVEL = -20.0, 130.0


@dataclass(frozen=True, eq=False)
class Audiogram:
    """Hearing thresholds of one ear.

    Attributes:
        levels: hearing loss in dB HL, one per frequency, from -20 to 130.
        frequencies: in Hz, ascending.

    Raises:
        InputError: lengths differ, a value is not a finite number or no hearing level, frequencies do not ascend.

    Examples:
        >>> ear = Audiogram([20, 30, 60], [250, 1000, 4000])
        >>> ear.at([500, 4000]).tolist()
        [25.0, 60.0]
        >>> ear.severity
        'severe'
    """

    levels: NDArray[np.float64]
    frequencies: NDArray[np.float64]

    def __init__(self, levels: ArrayLike, frequencies: ArrayLike) -> None:
        level_values = _numbers("levels", levels)
        frequency_values = _numbers("frequencies", frequencies)
        if level_values.shape != frequency_values.shape:
            raise InputError(
                "audiogram",
                "levels and frequencies differ in number",
                found=f"{level_values.size} levels, {frequency_values.size} frequencies",
                wanted="one level for each frequency",
            )
        if level_values.size == 0:
            raise InputError("audiogram", "has no frequencies", wanted="at least one level")
        if frequency_values[0] <= 0 or np.any(np.diff(frequency_values) <= 0):
            raise InputError(
                "audiogram",
                "frequencies must be positive and ascending",
                field="frequencies",
                found=frequency_values.tolist(),
            )
        given_levels = np.array(levels, dtype=object)
        wrong = [
            f"{given} at {frequency:g} Hz"
            for given, level, frequency in zip(given_levels, level_values, frequency_values, strict=True)
            if not LOWEST_LEVEL <= level <= HIGHEST_LEVEL  # NaN too
        ]
        if wrong:
            raise InputError(
                "audiogram",
                "must be a list of finite numbers in dB HL",
                field="levels",
                found=", ".join(wrong),
                wanted=f"from {LOWEST_LEVEL:g} to {HIGHEST_LEVEL:g}",
                advice="a code for 'no answer' is no level: give the highest level that was presented",
            )
        for values in (level_values, frequency_values):
            values.flags.writeable = False
        object.__setattr__(self, "levels", level_values)
        object.__setattr__(self, "frequencies", frequency_values)

    def at(self, frequencies: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
        """Levels in dB HL at other `frequencies` (Hz), interpolated linearly over log frequency as published.

        Raises:
            InputError: a wanted frequency is outside of the measured range; nothing is extrapolated.
        """
        wanted = np.asarray(frequencies, dtype=np.float64)
        outside = wanted[(wanted < self.frequencies[0]) | (wanted > self.frequencies[-1])]
        if outside.size:
            raise InputError(
                "audiogram",
                "does not reach all needed frequencies",
                field="frequencies",
                found=f"{self.frequencies[0]:g} to {self.frequencies[-1]:g} Hz",
                wanted=f"{', '.join(f'{f:g}' for f in outside)} Hz too",
            )
        return np.interp(np.log(wanted), np.log(self.frequencies), self.levels)

    @property
    def severity(self) -> str:
        """'none', 'mild', 'moderate' or 'severe': mean loss from 2 to 8 kHz above 15, 35, 56 dB HL (as in CEC2)."""
        inside = (self.frequencies >= 2000) & (self.frequencies <= 8000)
        mean = float(np.mean(self.levels[inside])) if np.any(inside) else 0.0
        for name, limit in (("severe", 56.0), ("moderate", 35.0), ("mild", 15.0)):
            if mean > limit:
                return name
        return "none"


def _numbers(field: str, values: ArrayLike) -> NDArray[np.float64]:
    try:
        numbers = np.array(values, dtype=np.float64)
        if numbers.ndim == 1:
            numbers[[isinstance(value, bool | np.bool_) for value in np.array(values, dtype=object)]] = np.nan
    except (TypeError, ValueError, OverflowError):
        numbers = np.array(np.nan)
    if numbers.ndim != 1 or (field == "frequencies" and not np.all(np.isfinite(numbers))):
        raise InputError("audiogram", "must be a list of finite numbers", field=field, found=repr(values)[:80])
    return numbers


@dataclass(frozen=True, eq=False)
class Listener:
    """A listener: an id and the audiograms of the left and the right ear.

    Examples:
        >>> ear = Audiogram([20, 30, 60], [250, 1000, 4000])
        >>> Listener("L0001", left=ear, right=ear).as_entry()["audiogram_cfs"]
        [250.0, 1000.0, 4000.0]
    """

    id: str
    left: Audiogram
    right: Audiogram

    def as_entry(self) -> dict[str, Any]:
        """The listener as an entry of listeners.json; `listener_from_entry` reads it back."""
        return {
            "name": self.id,
            FREQUENCIES_FIELD: self.left.frequencies.tolist(),
            **{LEVELS_FIELDS[ear]: getattr(self, ear).levels.tolist() for ear in LEVELS_FIELDS},
        }


# Fields of one listener in the published listeners.json.
FREQUENCIES_FIELD = "audiogram_cfs"
LEVELS_FIELDS = {"left": "audiogram_levels_l", "right": "audiogram_levels_r"}
# Tables of audiograms: endings of their files' names, and the columns in them.
TABLES = (".csv", ".tsv", ".txt")
LISTENER_COLUMNS = ("listener", "name", "id", "listener id", "listener_id")
EAR_COLUMNS = ("ear", "side")
SIDES = {"left": "left", "l": "left", "right": "right", "r": "right"}
_NUMBER = r"\d+(?:\.\d+)?)[ _]?k?(?:hz)?"
FREQUENCY = re.compile(rf"(?P<alone>{_NUMBER}")
BY_EAR = re.compile(
    rf"(?P<before>left|right|l|r)[ _-]?(?P<one>{_NUMBER}|(?P<two>{_NUMBER}[ _-]?(?P<after>left|right|l|r)", re.ASCII
)
# A heading below this without a unit is in kHz: no audiometer goes so low, and none gives so many kHz.
MOST_NAMED = 12  # listeners in a line
LOWEST_HERTZ = 20.0
# Frequencies in Hz of levels that are typed, by how many there are.
TYPED_FREQUENCIES = {
    6: (250, 500, 1000, 2000, 4000, 6000),
    8: (250, 500, 1000, 2000, 3000, 4000, 6000, 8000),
}


def load_listeners(path: str | os.PathLike[str]) -> dict[str, Listener]:
    """Read a file of listeners: a listeners.json of the challenges, or a table.

    A JSON file is `{id: {name, audiogram_cfs, audiogram_levels_l, audiogram_levels_r}}`. A table (.csv, .tsv, .txt) has
    a row for each listener (columns listener, left_250, right_250, ...) or for each ear (listener, ear, 250, 500, ...),
    with frequencies in Hz as columns and levels in dB HL; see `table_entries`.

    Raises:
        InputError: the file or one of its fields is missing or wrong; a line for each fault names file, listener and
            field.

    Examples:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     table = pathlib.Path(folder, "clinic.csv")
        ...     _ = table.write_text("listener,ear,250,1000,4000\\nP1,left,20,30,60\\nP1,right,25,30,55\\n")
        ...     load_listeners(table)["P1"].right.levels.tolist()
        [25.0, 30.0, 55.0]
    """
    return parse_listeners(read_bytes(path, wanted="a file of listeners"), path)


def parse_listeners(content: bytes, path: str | os.PathLike[str]) -> dict[str, Listener]:
    """The listeners of a file's content; its name tells which kind it is. Raises as `load_listeners`."""
    if os.fspath(path).lower().endswith(TABLES):
        return listeners_from(table_entries(content, path), path)
    return listeners_from(parse_json(content, path), path)


def table_entries(content: bytes, path: str | os.PathLike[str]) -> dict[str, Any]:
    """The rows of a table of audiograms as entries of a listeners.json.

    Cells are separated by commas, semicolons or tabs; where it is not commas, decimals may have one. Columns that name
    no listener, ear or frequency are left out. Frequencies without a unit are in Hz, or in kHz if all are below 20. A
    frequency whose cells are empty in both ears of a listener is left out
    for that listener.

    Raises:
        InputError: a line for each fault, with the line in the file.
    """
    first = content.removeprefix(b"\xef\xbb\xbf").lstrip().split(b"\n", 1)[0].decode("utf-8", "replace")
    delimiter = max(",;\t", key=first.count)
    rows = parse_csv(content, path, delimiter)
    header = [_plain(cell) for cell in next(rows, (0, []))[1]]
    lowered = [name.lower() for name in header]
    identity = next((lowered.index(name) for name in LISTENER_COLUMNS if name in lowered), None)
    ear = next((lowered.index(name) for name in EAR_COLUMNS if name in lowered), None)
    columns = _level_columns(lowered, path, by_ear=ear is None)
    if identity is None or not columns:
        wanted = "listener, left_250, right_250, ... or listener, ear, 250, ..."
        raise InputError(path, "is no table of audiograms", found=", ".join(header)[:80], wanted=f"columns {wanted}")
    levels: dict[str, dict[str, dict[float, float]]] = {}
    faults = [
        InputError(path, "names a column twice", found=f"{side or 'ear'}, {frequency:g} Hz")
        for (side, frequency), count in Counter(columns.values()).items()
        if count > 1
    ]
    for line, cells in rows:
        if not any(cell.strip() for cell in cells):
            continue
        where = f"line {line}"
        name = unicodedata.normalize("NFC", _plain(cells[identity])) if identity < len(cells) else ""
        side = None if ear is None else SIDES.get(_plain(cells[ear]).lower() if ear < len(cells) else "")
        if not name or len(cells) > len(header) or (ear is not None and side is None):
            problem = "names no listener" if not name else "has more cells than the header"
            if name and len(cells) <= len(header):
                problem = "names no ear (left or right)"
            faults.append(InputError(path, problem, field=where, found=delimiter.join(cells)[:60]))
            continue
        found = levels.setdefault(name, {})
        for own in (side,) if side else LEVELS_FIELDS:
            if own in found:
                faults.append(InputError(path, f"gives {name}, {own} ear, a second time", field=where))
            found[own] = {}
        for place, (column_side, frequency) in columns.items():
            text = cells[place].strip() if place < len(cells) else ""
            level = _level(text.replace(",", ".") if delimiter != "," else text)
            if text and level is None:
                faults.append(InputError(path, "is no level in dB HL", field=f"{where}, {header[place]}", found=text))
            elif level is not None:
                found[side or column_side][frequency] = level
    if not levels and not faults:
        faults.append(InputError(path, "holds no listener"))
    for name, ears in levels.items():
        for own in LEVELS_FIELDS:
            other = ears.get("left" if own == "right" else "right", {})
            missing = sorted(other.keys() - ears.get(own, {}).keys())
            if missing and not faults:
                what = f"no level at {', '.join(f'{frequency:g}' for frequency in missing)} Hz"
                faults.append(InputError(path, f"{own} ear has {what}", field=name))
        if not any(ears.values()) and not faults:
            faults.append(InputError(path, "has no levels", field=name))
    raise_all(faults)
    return {name: _entry(name, ears["left"], ears["right"]) for name, ears in levels.items()}


def _entry(name: str, left: dict[float, float], right: dict[float, float]) -> dict[str, Any]:
    frequencies = sorted(left)
    return {
        "name": name,
        FREQUENCIES_FIELD: frequencies,
        LEVELS_FIELDS["left"]: [left[frequency] for frequency in frequencies],
        LEVELS_FIELDS["right"]: [right[frequency] for frequency in frequencies],
    }


def _level_columns(
    header: Sequence[str], path: str | os.PathLike[str], *, by_ear: bool
) -> dict[int, tuple[str, float]]:
    """The columns that hold levels: place -> ear ('' where a column of its own names it) and frequency in Hz."""
    pattern = BY_EAR if by_ear else FREQUENCY
    found, low = {}, {}
    for place, name in enumerate(header):
        match = pattern.fullmatch(name.replace(",", "."))  # "0,25", where cells are not separated by commas
        if match:
            parts = match.groupdict()
            side = SIDES[parts.get("before") or parts["after"]] if by_ear else ""
            number = parts.get("one") or parts.get("two") or parts.get("alone") or ""
            unit = name.rpartition(number)[2]
            found[place] = side, float(number) * (1000 if "k" in unit else 1)
            if found[place][1] < LOWEST_HERTZ:
                low[place] = "hz" in unit
    if len(low) == len(found) and not any(low.values()):
        return {place: (side, frequency * 1000) for place, (side, frequency) in found.items()}
    if low:
        shown = ", ".join(header[place] for place in low)
        advice = "write Hz in all headings, or say which are kHz, such as 0.5k"
        raise InputError(path, "has headings that are no frequency in Hz", found=shown, advice=advice)
    return found


def _level(text: str) -> float | None:
    try:
        level = float(text)
    except ValueError:
        return None
    return level if math.isfinite(level) and text.isascii() else None


def _plain(cell: str) -> str:
    return " ".join(cell.split())


def typed_listener(left: str, right: str | None = None) -> Listener:
    """A listener from levels in dB HL as typed: '20,20,30,40,50,60', six or eight of them.

    Args:
        left: of the left ear, or of both. Six levels are at 250, 500, 1000, 2000, 4000 and 6000 Hz, which the metrics
            use; eight at those of the challenges' listeners, with 3000 and 8000 Hz.
        right: of the right ear.

    Raises:
        InputError: a level is none, or there are not six or eight of them.
    """
    both = [_typed(name, text) for name, text in (("left", left), ("right", left if right is None else right))]
    if len({len(levels) for levels in both}) > 1:
        found = " and ".join(str(len(levels)) for levels in both)
        raise InputError("audiogram", "the ears differ in the number of levels", found=found)
    frequencies = TYPED_FREQUENCIES[len(both[0])]
    return Listener("audiogram", *(Audiogram(levels, frequencies) for levels in both))


def _typed(ear: str, text: str) -> list[float]:
    levels = [_level(part.strip()) for part in text.split(",")]
    if len(levels) not in TYPED_FREQUENCIES or None in levels:
        wanted = "six levels in dB HL with commas between, at " + ", ".join(map(str, TYPED_FREQUENCIES[6])) + " Hz"
        raise InputError("audiogram", "is none", field=f"{ear} ear", found=text, wanted=wanted)
    return [level for level in levels if level is not None]


def listeners_from(content: Any, path: str | os.PathLike[str]) -> dict[str, Listener]:
    """The content of a listeners.json; `path` names the file in errors, which are those of `load_listeners`."""
    if not isinstance(content, dict):
        raise InputError(
            path, "must hold an object of listeners", found=type(content).__name__, wanted="{id: listener}"
        )
    listeners = {identity: listener_from_entry(identity, entry, path) for identity, entry in content.items()}
    by_name: dict[str, str] = {}
    for identity, entry in content.items():
        first = by_name.setdefault(str(entry.get("name") or identity), identity)
        if first != identity:
            raise InputError(path, f"is the same listener as {first}", field=f"{identity}.name", found=entry["name"])
    return listeners


def listener_from_entry(identity: str, entry: Any, path: str | os.PathLike[str] = "listener") -> Listener:
    """A listener from an entry of a listeners.json; `path` names the file in errors."""
    safe_name(identity, path, "listener")
    if not isinstance(entry, dict):
        raise InputError(path, "must be an object", field=identity, found=type(entry).__name__)
    for field in (FREQUENCIES_FIELD, *LEVELS_FIELDS.values()):
        if field not in entry:
            raise InputError(path, "is missing", field=f"{identity}.{field}", wanted="a list of numbers")
    ears = {}
    for ear, field in LEVELS_FIELDS.items():
        try:
            ears[ear] = Audiogram(entry[field], entry[FREQUENCIES_FIELD])
        except InputError as error:
            name = FREQUENCIES_FIELD if error.field == "frequencies" else field
            raise InputError(
                path,
                error.problem + (f", {ear} ear" if error.field == "levels" else ""),
                field=f"{identity}.{name}",
                found=error.found,
                wanted=error.wanted,
                advice=error.advice,
            ) from None
    return Listener(identity, **ears)


def find_listener(listeners: dict[str, Listener], identity: str, path: str | os.PathLike[str]) -> Listener:
    """The listener of that id; else an InputError that names `path`, all ids of a few, and of many such as are near."""
    identity = unicodedata.normalize("NFC", identity)  # a terminal may hand over another form
    if identity in listeners:
        return listeners[identity]
    if len(listeners) <= MOST_NAMED:
        wanted = f"one of {', '.join(listeners)}"
    else:
        near = difflib.get_close_matches(identity, listeners, n=3) or list(listeners)[:3]
        wanted = f"one of {len(listeners)}, such as {', '.join(near)}"
    raise InputError(path, "unknown listener", found=identity, wanted=wanted)
