"""Units for the cluster tests; the tests copy this module to where drivers and workers find it."""

from __future__ import annotations

import os
import time
import zlib
from pathlib import Path

import numpy as np

SAMPLES = 12_500  # 50 kB
MEET_SECONDS = 90.0  # a worker on a loaded machine starts in 20 s


def mark(name: str, what: str) -> None:
    """Leave a trace of this run of a unit, outside the workspace: `name.what.node.number`."""
    node = os.environ.get("HEARLAB_TEST_NODE", "driver")
    Path(os.environ["HEARLAB_TEST_MARKS"], f"{name}.{what}.{node}.{time.monotonic_ns()}").touch()


def meet() -> None:
    """Wait until a unit has begun on every node that the file `meet` of the marks names, if there is one."""
    marks = Path(os.environ["HEARLAB_TEST_MARKS"])
    nodes = (marks / "meet").read_text().split() if (marks / "meet").exists() else []
    deadline = time.monotonic() + MEET_SECONDS
    while not all(any(marks.glob(f"*.begun.{node}.*")) for node in nodes):
        if time.monotonic() > deadline:
            raise TimeoutError(f"no unit began on each of {nodes}")
        time.sleep(0.05)


def transform(root: Path, out: Path, *, name: str) -> float:
    """Adds noise of its own to a file, with a pause in the middle of writing the result."""
    mark(name, "begun")
    meet()
    samples = np.frombuffer((root / "in" / f"{name}.bin").read_bytes(), "<f4")
    common = np.frombuffer((root / "in" / "common.bin").read_bytes(), "<f4")
    noise = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(SAMPLES).astype("<f4")
    result = samples + common * noise
    content = result.tobytes()
    with (out / f"{name}.out").open("wb") as file:
        file.write(content[:20_000])
        file.flush()
        time.sleep(float(os.environ["HEARLAB_TEST_SECONDS"]))
        file.write(content[20_000:])
    mark(name, "done")
    return float(result.sum(dtype=np.float64))
