"""Filters of separated stems beyond NAL-R: an equalisation of each stem, and shares of the other stems.

A separator leaves something of each stem in the others, and takes something away. A share of another stem, by
frequency, gives back what is missing or takes out what does not belong there.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from hearlab.arrays import Array
from hearlab.errors import InputError
from hearlab.fitting.nalr import FREQUENCIES, NalR, frequency_sampled_fir, prescribed_gain
from hearlab.listeners import Audiogram

# Hz, where corrections and shares are given; between them linear over log frequency, outside constant.
CENTRES = (125.0, 250.0, 500.0, 1000.0, 1500.0, 2000.0, 3000.0, 4000.0, 6000.0, 8000.0, 10000.0)
MOST_DB = 12.0  # of a correction, up or down
MOST_SHARE = 2.0  # of another stem
SHORTEST_CROP = 0.5  # s


@dataclass(frozen=True)
class FitSettings:
    """How the filters of a listener are fitted to training songs.

    Attributes:
        taps: order of the filters at 44.1 kHz, even.
        bleed: whether shares of the other stems are fitted, too.
        steps: of the ascent, for each stem and ear.
        learning_rate: dB of a correction in a step, at first; it falls to a tenth. A share moves by a fiftieth of it.
        batch: crops of different songs in a step.
        crop: seconds of a crop.
        songs: training songs at most, the first of the list.
        excerpt: seconds of each that are separated, and from which crops are cut.

    Raises:
        InputError: a value is wrong.
    """

    taps: int = 220
    bleed: bool = True
    steps: int = 40
    learning_rate: float = 1.5
    batch: int = 2
    crop: float = 3.0
    songs: int = 6
    excerpt: float = 12.0

    def __post_init__(self) -> None:
        if not isinstance(self.bleed, bool):
            raise _wrong("bleed", self.bleed, "true or false")
        for name, most in (("steps", 100_000), ("batch", 1000), ("songs", 100_000)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
                raise _wrong(name, value, f"a whole number from 1 to {most}")
        for name, least, most_value in (
            ("learning_rate", 0.001, 12.0),
            ("crop", SHORTEST_CROP, 60.0),
            ("excerpt", SHORTEST_CROP, 600.0),
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most_value:
                raise _wrong(name, value, f"a number from {least:g} to {most_value:g}")
        if self.excerpt < self.crop:
            raise _wrong("excerpt", self.excerpt, f"at least a crop, {self.crop:g} s")
        try:
            NalR(taps=self.taps)
        except InputError as error:
            raise _wrong("taps", self.taps, str(error.wanted)) from None

    @classmethod
    def names(cls) -> set[str]:
        """Names of the settings."""
        return {one.name for one in fields(cls)}


@dataclass(frozen=True)
class StemFilter:
    """What is done to one stem for one ear.

    Attributes:
        correction: dB at `CENTRES`, added to the gain that NAL-R prescribes.
        shares: other stem -> its share at `CENTRES` in this one, before the same gain; negative takes it out.

    Raises:
        InputError: another number of values, or one out of range.
    """

    correction: tuple[float, ...] = (0.0,) * len(CENTRES)
    shares: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_values("correction", self.correction, MOST_DB)
        for name, values in self.shares.items():
            _check_values(f"shares.{name}", values, MOST_SHARE)

    def firs(self, stem: str, audiogram: Audiogram, taps: int, rate: float) -> dict[str, Array]:
        """The FIR filter of each stem that is heard in `stem`, shape (taps + 1,), linear-phase.

        With no correction and no share it is that of `hearlab.fitting.NalR`.

        Raises:
            InputError: the audiogram does not reach from 250 to 6000 Hz.
        """
        bands = band_weights(taps, rate)
        gain = 10 ** ((nalr_gain(audiogram, taps, rate) + bands @ np.array(self.correction)) / 20)
        own = {stem: frequency_sampled_fir(gain)}
        others = {name: gain * (bands @ np.array(values)) for name, values in self.shares.items() if any(values)}
        return own | {name: frequency_sampled_fir(share) for name, share in others.items()}


def grid(taps: int, rate: float) -> Array:
    """Frequencies in Hz between which filters are designed, shape (taps + 1,)."""
    return rate / 2 * (np.arange(taps + 1) / taps)


def nalr_gain(audiogram: Audiogram, taps: int, rate: float) -> Array:
    """What NAL-R prescribes in dB at the frequencies of `grid`; 0 without a loss, as of `NalR.filter`."""
    if np.max(audiogram.at(FREQUENCIES)) <= 0:
        return np.zeros(taps + 1)
    return np.interp(grid(taps, rate), FREQUENCIES, prescribed_gain(audiogram))


@functools.lru_cache(maxsize=4)
def band_weights(taps: int, rate: float) -> Array:
    """From values at `CENTRES` to values at the frequencies of `grid`, shape (taps + 1, bands)."""
    octaves = np.log2(np.maximum(grid(taps, rate), 1.0))
    return np.stack([np.interp(octaves, np.log2(CENTRES), one) for one in np.eye(len(CENTRES))], axis=1)


def _check_values(name: str, values: tuple[float, ...], most: float) -> None:
    wanted = f"{len(CENTRES)} numbers from {-most:g} to {most:g}"
    numbers = [one for one in values if isinstance(one, int | float) and not isinstance(one, bool)]
    if len(values) != len(CENTRES) or len(numbers) != len(values):
        raise InputError("stem filter", "has other values", field=name, found=list(values), wanted=wanted)
    if not all(math.isfinite(one) and abs(one) <= most for one in numbers):
        raise InputError("stem filter", "is out of range", field=name, found=list(values), wanted=wanted)


def _wrong(field: str, found: Any, wanted: str) -> InputError:
    return InputError("fitted", "wrong value", field=field, found=repr(found)[:80], wanted=wanted)
