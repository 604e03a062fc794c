"""Random numbers of the demo data: one independent stream for each named item."""

from __future__ import annotations

import hashlib

import numpy as np


def item_rng(seed: int, name: str) -> np.random.Generator:
    """The random stream of one item ("R06001", "T901_00001", ...).

    It depends on the seed and the name alone, so an item is the same whatever is made before it or beside it.
    """
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "big")))
