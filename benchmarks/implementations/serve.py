"""The loop of a worker process: a task on each line of standard input, an answer on each line of standard output.

Needs nothing but numpy, so that the environment of the published implementation can run it.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Job:
    """A task that is ready to be timed: `run` is timed, `values` turns what it returns into named arrays."""

    run: Callable[[], Any]
    values: Callable[[Any], Mapping[str, Any]] = dict


# A task's function does what is not timed (imports, reading of prepared signals) and returns the job.
Tasks = Mapping[str, Callable[..., Job]]


def serve(tasks: Tasks) -> None:
    """Answer tasks until standard input ends.

    A request is `{"task": name, "arguments": {...}, "values": path of the npz file for the job's values}`. The answer
    holds `seconds` (by the clock), `cpu_seconds` (of all threads) and `peak_bytes`, or `error` and `text`.
    """
    if cpu := os.environ.get("BENCH_CPU"):
        os.sched_setaffinity(0, {int(cpu)})
    # Output of a library must not mix with the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for line in sys.stdin:
        answers.write(json.dumps(_answer(tasks, json.loads(line))) + "\n")
        answers.flush()


def _answer(tasks: Tasks, request: dict[str, Any]) -> dict[str, Any]:
    try:
        job = tasks[request["task"]](**request["arguments"])
        gc.collect()
        cpu, clock = time.process_time(), time.perf_counter()
        result = job.run()
        seconds, cpu_seconds = time.perf_counter() - clock, time.process_time() - cpu
        peak = peak_bytes()
        values = job.values(result)
    except Exception as error:  # errors are answers, too: the agreement suite compares them
        text = (str(error).splitlines() or [""])[0]
        return {"error": type(error).__name__, "text": text[:300], "peak_bytes": peak_bytes()}
    import numpy as np

    np.savez(request["values"], **values)
    return {"seconds": seconds, "cpu_seconds": cpu_seconds, "peak_bytes": peak}


def peak_bytes() -> int:
    """Peak memory of this process.

    `ru_maxrss` includes the memory of the parent when it started this process, so on Linux VmHWM is read instead.
    """
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
