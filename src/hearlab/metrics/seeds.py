"""Random numbers of the metrics: seeds from names, and streams that stay in step with the published ones."""

from __future__ import annotations

import hashlib
from typing import TypeAlias

import numpy as np

from hearlab.errors import InputError

Rng: TypeAlias = np.random.RandomState | int | None


def unit_seed(name: str) -> int:
    """Seed of a unit of work: the last eight decimal digits of the MD5 of its name, as published for CEC2 and CAD1.

    `unit_seed("S06001")` is 50854399.

    Examples:
        >>> unit_seed("S06001")
        50854399
    """
    return int(hashlib.md5(name.encode(), usedforsecurity=False).hexdigest(), 16) % 10**8


def random_state(rng: Rng) -> np.random.RandomState:
    """The stream itself, a new one from a seed, or (None) a new one from the system's entropy.

    Raises:
        InputError: `rng` is something else, a seed outside 0 to 2**32 - 1, or a RandomState with another bit
            generator than its own (MT19937), which gives other numbers than the published ones.
    """
    if isinstance(rng, np.random.RandomState) and rng.get_state(legacy=False)["bit_generator"] == "MT19937":
        return rng
    if rng is None:
        return np.random.RandomState()
    if isinstance(rng, int | np.integer) and not isinstance(rng, bool) and 0 <= rng < 2**32:
        return np.random.RandomState(int(rng))
    raise InputError(
        "rng",
        "is no source of random numbers",
        found=repr(rng)[:80],
        wanted="a numpy.random.RandomState (MT19937), a seed from 0 to 2**32 - 1, or None",
    )
