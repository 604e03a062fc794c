"""A stage in a process of its own, which the cluster tests can kill: cluster_driver.py WORKSPACE UNITS."""

from __future__ import annotations

import sys
from pathlib import Path

from cluster_units import transform

from hearlab.compute.attempts.failures import UnitsFailed
from hearlab.compute.engine import run
from hearlab.compute.process import sigterm_interrupts
from hearlab.compute.units import Unit
from hearlab.errors import InputError


def main(root: str, count: int) -> int:
    units = [
        Unit(
            name,
            transform,
            {"name": name},
            inputs=(f"in/{name}.bin", "in/common.bin"),
            outputs=(f"{name}.out",),
            memory=100 << 20,
        )
        for name in (f"u{number:03d}" for number in range(count))
    ]
    try:
        with sigterm_interrupts():
            run("cluster", units, Path("out"), Path("units.json"), root=Path(root))
    except (InputError, UnitsFailed) as error:
        sys.stderr.write(f"hearlab: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
