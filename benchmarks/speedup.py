"""What workers gain: `python benchmarks/speedup.py` after `make demo`, at the root.

The demo's pairs are scored at several levels, so that there is enough work; in one process and with workers by turns,
each time in a fresh process and a workspace of links. The least time of each counts.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from hearlab.compute.engine import run
from hearlab.compute.units import Unit
from hearlab.kernels.arithmetic import fix
from hearlab.params import load_params
from hearlab.stages import stage_units

STAGE = "score_speech"


def units_at(levels: Sequence[int]) -> list[Unit]:
    """The stage's own units at every level."""
    return [
        dataclasses.replace(
            unit,
            id=f"{unit.id} {level}",
            arguments={**unit.arguments, "level": level},
            group=f"{unit.group} {level}" if unit.group else None,
        )
        for level in levels
        for unit in stage_units(STAGE, load_params())
    ]


def measure(levels: int) -> None:
    """Run the units in a fresh workspace; prints seconds by the clock and of all cores, and a hash of the results."""
    units = units_at(range(100, 100 - levels, -1))
    with tempfile.TemporaryDirectory(prefix="hearlab-speedup-", dir=".") as folder:
        root = Path(folder).resolve()
        for name in sorted({name for unit in units for name in unit.inputs}):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(name, root / name)
            except OSError:
                shutil.copyfile(name, root / name)
        started = time.perf_counter()
        results = run(STAGE, units, None, Path("units.json"), root=root)
        clock = time.perf_counter() - started
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    core = sum(one.ru_utime + one.ru_stime for one in used)
    print(json.dumps([clock, core, hashlib.sha256(json.dumps(results).encode()).hexdigest(), len(units)]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--levels", type=int, default=8, help="how many levels (default: 8)")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--once", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.once:
        measure(options.levels)
        return
    fix()
    found: dict[int, list[list[float]]] = {1: [], options.workers: []}
    hashes = set()
    for _ in range(options.repeats):
        for workers, measured in found.items():
            command = [sys.executable, __file__, f"--levels={options.levels}", "--once"]
            environment = {**os.environ, "HEARLAB_WORKERS": str(workers)}
            done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
            clock, core, results, units = json.loads(done.stdout)
            measured.append([clock, core])
            hashes.add(results)
            print(f"{units} units, {workers} workers: {clock:.1f} s, {core:.1f} s of all cores", flush=True)
    alone, together = (min(clock for clock, _ in found[count]) for count in found)
    print(f"1 worker {alone:.1f} s; {options.workers} workers {together:.1f} s; ratio {alone / together:.2f}")
    print("the same results" if len(hashes) == 1 else "OTHER RESULTS")


if __name__ == "__main__":
    main()
