"""What benchmarks/evaluation.py has DVC start as `hearlab`: the command itself, with a clock at each of its steps.

`python evaluation_stage.py STEPS ...` runs `hearlab ...` and adds a line of JSON to the file STEPS. A step's time is
what passes in it and in no step inside of it, so that all of them make up the whole process.
"""

from __future__ import annotations

import functools
import importlib
import json
import os
import resource
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

START, REST = "start", "rest"
LIST, KEYS, UNIT, WORK = "list", "keys", "unit", "arithmetic"
KEEP, STORE, END, TABLES = "keep", "store", "end", "tables"

# Where steps are: module, name in it, step. The arithmetic is what a unit does with sound that it has read.
ENGINE = (
    ("hearlab.stages", "stage_units", LIST),
    ("hearlab.compute.engine", "_Run._done_before", KEYS),
    ("hearlab.compute.attempts.outcomes", "execute", UNIT),
    ("hearlab.compute.engine", "_Run._finish", KEEP),
    ("hearlab.compute.engine", "_Run._commit", STORE),
    ("hearlab.compute.engine", "check_inputs", END),
    ("hearlab.compute.unchanged", "CodeWatch.check_all", END),
    ("hearlab.compute.unchanged", "StageWatch.check", END),
    ("hearlab.compute.memo", "Memo.write_index", END),
    ("hearlab.compute.engine", "_Run._note_md5", END),
    ("hearlab.compute.outputs", "set_aside_wrong_objects", END),
)
RENDERING = ("microphone_filters", "head_rotation", "render_groups", "better_ear_ratio", "mixed", "converted")
PLACES = {
    "render_scenes": (*ENGINE, *(("hearlab.scenes.renderer", name, WORK) for name in RENDERING)),
    "enhance_speech": (*ENGINE, ("hearlab.stages.enhance_speech", "seeded", WORK)),
    "score_speech": (
        *ENGINE,
        ("hearlab.stages.score_speech", "finish", TABLES),
        ("hearlab.metrics.speech", "BinauralReference.__init__", WORK),
        ("hearlab.metrics.speech", "BinauralReference.beside", WORK),
        ("hearlab.metrics.speech", "BinauralPair.better_ear", WORK),
    ),
}


class Steps:
    """The clock and this process's CPU time, divided among steps."""

    def __init__(self) -> None:
        self.clock: defaultdict[str, float] = defaultdict(float)
        self.processor: defaultdict[str, float] = defaultdict(float)
        self.calls: defaultdict[str, int] = defaultdict(int)
        self.each: list[tuple[float, float]] = []  # the arithmetic of each unit
        self._open = [START]
        self._clock, self._processor = time.perf_counter(), time.process_time()

    def turn(self) -> None:
        """Give what has passed since the last turn to the innermost step."""
        clock, processor = time.perf_counter(), time.process_time()
        self.clock[self._open[-1]] += clock - self._clock
        self.processor[self._open[-1]] += processor - self._processor
        self._clock, self._processor = clock, processor

    def around(self, function: Callable[..., Any], step: str) -> Callable[..., Any]:
        @functools.wraps(function)
        def timed(*arguments: Any, **options: Any) -> Any:
            self.turn()
            self._open.append(step)
            self.calls[step] += 1
            before = self.clock[WORK], self.processor[WORK]
            try:
                return function(*arguments, **options)
            finally:
                self.turn()
                self._open.pop()
                if step == UNIT:
                    self.each.append((self.clock[WORK] - before[0], self.processor[WORK] - before[1]))

        return timed

    def first_unit_is_a_start(self) -> None:
        """What the first unit took longer than the others was loading kernels, which is no arithmetic."""
        if len(self.each) > 1:
            for spent, times in zip((self.clock, self.processor), zip(*self.each, strict=True), strict=True):
                more = max(0.0, times[0] - statistics.median(times))
                spent[WORK] -= more
                spent[START] += more


def watch(steps: Steps, places: Iterable[tuple[str, str, str]]) -> None:
    for module, name, step in places:
        holder: Any = importlib.import_module(module)
        *path, last = name.split(".")
        for part in path:
            holder = getattr(holder, part)
        setattr(holder, last, steps.around(getattr(holder, last), step))


def watched(steps: Steps, run_stage: Callable[..., Any]) -> Callable[..., Any]:
    """The stage with clocks in it: set there, because the arithmetic is fixed before most modules are imported."""

    def run(name: str, *arguments: Any) -> Any:
        watch(steps, PLACES.get(name, ()))
        return steps.around(run_stage, REST)(name, *arguments)

    return run


def processor_of_dvc() -> float:
    """CPU seconds of the process that started this one, or started its shell."""
    pid = os.getppid()
    with open(f"/proc/{pid}/comm", encoding="utf-8") as file:
        if file.read().strip() in ("sh", "dash", "bash"):
            pid = _stat(pid)[1]
    return sum(_stat(pid)[11:13]) / os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[int]:
    """Fields of /proc/PID/stat from the third on, as numbers where they are."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        fields = file.read().rpartition(")")[2].split()
    return [int(field) if field.lstrip("-").isdigit() else 0 for field in fields]


def main() -> int:
    file, arguments = sys.argv[1], sys.argv[2:]
    sys.argv = ["hearlab", *arguments]
    steps = Steps()
    lived = time.clock_gettime(time.CLOCK_BOOTTIME) - _stat(os.getpid())[19] / os.sysconf("SC_CLK_TCK")
    steps.clock[START], steps.processor[START] = lived, time.process_time()
    record: dict[str, Any] = {
        "stage": "@".join(arguments[1:]),
        "began": time.time() - lived,
        "dvc_at_start": processor_of_dvc(),
    }
    from hearlab import cli, stages

    stages.run_stage = watched(steps, stages.run_stage)
    try:
        return cli.main(arguments)
    finally:
        steps.turn()
        steps.first_unit_is_a_start()
        of_others = resource.getrusage(resource.RUSAGE_CHILDREN)
        steps.processor[REST] += of_others.ru_utime + of_others.ru_stime
        record |= {"ended": time.time(), "dvc_at_end": processor_of_dvc(), "units": steps.calls[UNIT]}
        record |= {"clock": dict(steps.clock), "cpu": dict(steps.processor)}
        with open(file, "a", encoding="utf-8") as out:
            out.write(json.dumps(record) + "\n")


if __name__ == "__main__":
    sys.exit(main())
