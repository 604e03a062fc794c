"""The speed-up of `score_speech` by two workers: `python benchmarks/ray_speedup.py` after `make demo`, at the root.

The demo's pairs are scored at several levels, so that there is enough work for Ray to pay off; first in this process,
then with workers, in a workspace of links. The time of Ray includes its start and end.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hearlab.compute.engine import run
from hearlab.compute.units import Unit
from hearlab.params import load_params
from hearlab.stages import stage_units
from hearlab.stages.common import workspace


def units_at(levels: Sequence[int]) -> list[Unit]:
    """The stage's own units at every level."""
    return [
        Unit(
            f"{unit.id} {level}",
            unit.function,
            {**unit.arguments, "level": level},
            inputs=unit.inputs,
            group=f"{unit.group} {level}",
        )
        for level in levels
        for unit in stage_units("score_speech", load_params())
    ]


def measure(units: list[Unit], workers: int) -> tuple[float, list[Any]]:
    """Seconds of a run in a fresh workspace, and its results."""
    os.environ["HEARLAB_WORKERS"] = str(workers)
    with tempfile.TemporaryDirectory(prefix="hearlab-speedup-", dir=".") as folder:
        root = Path(folder)
        for name in sorted({name for unit in units for name in unit.inputs}):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(name, root / name)
            except OSError:
                shutil.copyfile(name, root / name)
        started = time.perf_counter()
        results = run("score_speech", units, None, Path("units.json"), root=root)
        return time.perf_counter() - started, results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--levels", type=int, default=8, help="how many levels (default: 8, 288 units)")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    units = units_at(range(100, 100 - options.levels, -1))
    print(f"{len(units)} units of {workspace(load_params()).root}")
    alone, results = measure(units, 1)
    together, same = measure(units, options.workers)
    print(f"in this process {alone:.1f} s; {options.workers} workers {together:.1f} s; ratio {alone / together:.2f}")
    print("the same results" if json.dumps(results) == json.dumps(same) else "OTHER RESULTS")


if __name__ == "__main__":
    main()
