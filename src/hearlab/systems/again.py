"""Whether a system keeps state: one of its units is made again on a fresh instance, and the outputs are compared.

The rule is that a unit's output depends on its arguments, the parameters and the code alone. A system that remembers
what it did before gives scores that depend on the order of the units and on the number of workers, in silence.
"""

from __future__ import annotations

import logging
import os
import random
import tempfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hearlab.audio import read_audio
from hearlab.compute.execution import execute
from hearlab.compute.process import OneThread
from hearlab.compute.units import Unit
from hearlab.errors import InputError
from hearlab.systems.base import shared_system

log = logging.getLogger(__name__)

# Machines of a cluster may differ in the last bits of what a system computes: two steps of a 16-bit file are allowed.
BETWEEN_MACHINES = 2 / 32768
STATE = (
    "it keeps state from one call to the next, or draws random numbers that are not seeded, so that scores depend on "
    "the order of the units (docs/own-system.md, The same result every time)"
)


def drawn(units: Sequence[Unit]) -> Unit | None:
    """One of the units that ran, drawn by their names; not the first, whose instance was fresh."""
    if len(units) < 2:
        return None
    seed = zlib.crc32("\n".join(sorted(unit.id for unit in units)).encode())
    return random.Random(seed).choice(units[1:])


def warn_of_state(stage: str, system: str, units: Sequence[Unit], out: Path, scratch: Path) -> None:
    """Make one of the units that ran again, on a fresh instance; warn if its output is another one.

    Args:
        stage: for the message.
        system: 'package.module:Class'.
        units: those that ran, in the order of the stage's list.
        out: the stage's output folder, relative to the current folder, the root of the workspace.
        scratch: a folder on which the second output may be written for a moment.
    """
    unit = drawn(units)
    if unit is None:
        return
    shared_system.cache_clear()
    with tempfile.TemporaryDirectory(prefix="again-", dir=scratch) as folder, OneThread() as threads:
        threads.limit()
        outcome = execute(unit, Path(), Path(folder), tell=lambda line: None)
        if outcome.failure is not None:
            found = f"fails when it is made again on a fresh instance ({outcome.failure.cause})"
        elif any(_differ(out / name, Path(folder) / name) for name in unit.outputs):
            found = "gives another output when it is made again on a fresh instance"
        else:
            return
    log.warning("%s: warning: %s: %s %s: %s", stage, unit.id, system, found, STATE)


def _differ(first: Path, again: Path) -> bool:
    if first.read_bytes() == again.read_bytes():
        return False
    if not os.environ.get("RAY_ADDRESS"):
        return True
    try:
        one, other = (read_audio(path)[0] for path in (first, again))
    except InputError:
        return False  # the factor of a stem, whose samples are compared
    return one.shape != other.shape or bool(np.max(np.abs(one - other), initial=0.0) > BETWEEN_MACHINES)
