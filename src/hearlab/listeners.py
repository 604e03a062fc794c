"""Audiograms and listeners, and reading the challenges' listeners.json."""

from __future__ import annotations

import difflib
import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hearlab.errors import InputError
from hearlab.files import read_json
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
    """A listener: an id and the audiograms of the left and the right ear."""

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


def load_listeners(path: str | os.PathLike[str]) -> dict[str, Listener]:
    """Read a listeners.json of the challenges: `{id: {name, audiogram_cfs, audiogram_levels_l, audiogram_levels_r}}`.

    Raises:
        InputError: the file or one of its fields is missing or wrong; the line names file, listener and field.
    """
    return listeners_from(read_json(path), path)


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
    """The listener of that id; an InputError that names `path` and the nearest known ids otherwise."""
    identity = unicodedata.normalize("NFC", identity)  # a terminal may hand over another form
    if identity in listeners:
        return listeners[identity]
    near = difflib.get_close_matches(identity, listeners, n=3)
    raise InputError(
        path,
        "unknown listener",
        found=identity,
        wanted="one of " + ", ".join(near) if near else f"one of the {len(listeners)} listeners in this file",
    )
