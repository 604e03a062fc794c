"""What a demo data set is made from: a seed, with an independent random stream for each named item, and counts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from hearlab.errors import InputError


def item_rng(seed: int, name: str) -> np.random.Generator:
    """The random stream of one item ("R06001", "T901_00001", ...).

    It depends on the seed and the name only, so an item does not depend on which other items are made.
    """
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "big")))


def check_request(what: str, out_dir: Path, numbers: Mapping[str, tuple[int, int]]) -> None:
    """Raise an InputError if `out_dir` is a file, or one of the `numbers` (value and lowest value) is too small."""
    for name, (value, lowest) in numbers.items():
        if value < lowest:
            raise InputError(what, "is too small", field=name, found=value, wanted=f"at least {lowest}")
    if Path(out_dir).is_file():
        raise InputError(out_dir, "is not a folder", wanted=f"a folder for the {what}")
