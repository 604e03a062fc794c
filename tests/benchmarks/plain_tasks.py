"""A worker whose tasks need nothing but numpy: for the tests of the machinery."""

from __future__ import annotations

import os
import sys
import time

import numpy as np

from implementations.serve import Job, serve


def double(*, numbers: list[float]) -> Job:
    os.write(1, b"a library that talks\n")
    return Job(lambda: {"doubled": 2 * np.array(numbers)})


def sleep(*, prepare: float, work: float) -> Job:
    time.sleep(prepare)
    prepared = time.monotonic()

    def run() -> dict[str, np.ndarray]:
        begun = time.monotonic()
        time.sleep(work)
        return {"prepared": np.array(prepared), "ran": np.array(time.monotonic() - begun)}

    return Job(run)


def fail(*, when: str) -> Job:
    if when == "preparing":
        raise ValueError("before\nsecond line")
    return Job(lambda: [][0])


def end() -> Job:
    sys.stderr.write("last words\n")
    os._exit(3)


def hold(*, megabytes: int) -> Job:
    return Job(lambda: {"sum": np.ones(megabytes * 125_000).sum()})


def threads() -> Job:
    return Job(lambda: {"omp": np.array(int(os.environ["OMP_NUM_THREADS"]))})


if __name__ == "__main__":
    serve({task.__name__: task for task in (double, sleep, fail, end, hold, threads)})
