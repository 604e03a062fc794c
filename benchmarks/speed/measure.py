"""Measurements: alternation of both implementations, fresh processes, medians and spread."""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agreement.differences import differing_share
from hearlab.kernels.arithmetic import NATIVE, fixed_variables
from implementations.workers import OURS, THEIRS, Reply, Worker, our_python
from inputs import Inputs
from speed.rows import (
    HAAQI_MEMORY,
    LONG_SONG,
    PUBLISHED_LONG_SONG,
    RENDER_MEMORY,
    SPEED_ROWS,
    FirstCallRow,
    MemoryRow,
    SpeedRow,
)

MEGABYTE = 1e6
# Ratio of wall-clock to CPU time above which something else was running on the core.
DISTURBED = 1.15


@dataclass(frozen=True)
class Spread:
    """Samples in the order of measurement, and the CPU time of each of them where it was measured."""

    samples: list[float]
    computed: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    def as_json(self) -> dict[str, Any]:
        return {
            "median": self.median,
            "min": min(self.samples),
            "max": max(self.samples),
            "samples": self.samples,
            "computed": self.computed,
        }


@dataclass
class Result:
    """One line of the table.

    Attributes:
        unit: of the samples, 's' or 'MB'.
        ratio_required, ratio_aim: how many times faster HearLab is to be; None where a limit is set.
        limit_required, limit_aim: upper limits of HearLab's median; None where a ratio is set.
        native: HearLab's, with HEARLAB_NATIVE=1: each library as fast as this processor can.
        difference: of the results in this run; None where none were compared.
        notes: what a reader must know about this line.
    """

    name: str
    work: str
    unit: str
    ours: Spread
    theirs: Spread | None = None
    native: Spread | None = None
    ratio_required: float | None = None
    ratio_aim: float | None = None
    limit_required: float | None = None
    limit_aim: float | None = None
    difference: float | None = None
    tolerance: float | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def ratio(self) -> float | None:
        """Published time over HearLab's, where that is the goal."""
        if self.theirs is None or self.ratio_required is None:
            return None
        return self.theirs.median / self.ours.median

    @property
    def computed_ratio(self) -> float | None:
        """The ratio of CPU times, which other users of the core disturb less."""
        if self.ratio is None or self.theirs is None:
            return None
        return statistics.median(self.theirs.computed) / statistics.median(self.ours.computed)

    def meets(self, ratio: float | None, limit: float | None) -> bool | None:
        """Whether a goal is met; None if it was not measured."""
        if limit is not None:
            return self.ours.median < limit
        return None if ratio is None or self.ratio is None else self.ratio >= ratio

    @property
    def agrees(self) -> bool | None:
        if self.difference is None or self.tolerance is None:
            return None
        return self.difference <= self.tolerance

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "work": self.work,
            "unit": self.unit,
            "hearlab": self.ours.as_json(),
            "published": self.theirs.as_json() if self.theirs else None,
            "native": self.native.as_json() if self.native else None,
            "ratio": self.ratio,
            "computed_ratio": self.computed_ratio,
            "required": {"ratio": self.ratio_required, "limit": self.limit_required},
            "aim": {"ratio": self.ratio_aim, "limit": self.limit_aim},
            "meets_required": self.meets(self.ratio_required, self.limit_required),
            "meets_aim": self.meets(self.ratio_aim, self.limit_aim),
            "difference": self.difference,
            "tolerance": self.tolerance,
            "agrees": self.agrees,
            "notes": self.notes,
        }


@dataclass(frozen=True)
class Bench:
    """Everything a measurement needs.

    Attributes:
        theirs: interpreter of the published implementation's environment; None to measure HearLab alone.
        cpu: core that all workers are bound to; None where that is impossible.
        quick: few repetitions and a shorter long song, for a trial.
    """

    inputs: Inputs
    theirs: Path | None
    cpu: int | None
    quick: bool = False

    @property
    def scratch(self) -> Path:
        return self.inputs.scratch

    def worker(self, script: Path, environment: Mapping[str, str] | None = None) -> Worker:
        python = our_python() if script == OURS else self.theirs
        assert python is not None
        # HearLab's arithmetic is fixed as in the pipeline; the published code runs as its users run it.
        fixed = fixed_variables() if script == OURS and NATIVE not in (environment or {}) else {}
        return Worker(python, script, self.scratch, cpu=self.cpu, environment={**fixed, **(environment or {})})

    def sides(self) -> tuple[Path, ...]:
        return (OURS,) if self.theirs is None else (OURS, THEIRS)

    def arguments(self, script: Path, given: dict[str, Any], tag: str, writes_files: bool) -> dict[str, Any]:
        """Arguments of a task, with its own folder for what it writes."""
        if not writes_files:
            return given
        out = self.scratch / f"out-{script.stem}-{tag}"
        out.mkdir(exist_ok=True)
        return {**given, "out": os.fspath(out)}


def measure_speed(bench: Bench, row: SpeedRow) -> Result:
    """Both implementations in turn (A B A B), in processes that live as long as the row; the first turn warms up."""
    repetitions = (1 if row.repetitions <= 5 else 3) if bench.quick else row.repetitions
    samples: dict[Path, list[Reply]] = {script: [] for script in bench.sides()}
    native_samples: list[Reply] = []
    difference: float | None = None
    share = 0.0
    with ExitStack() as stack:
        workers = {script: stack.enter_context(bench.worker(script)) for script in bench.sides()}
        unfixed = stack.enter_context(bench.worker(OURS, {NATIVE: "1"}))
        for turn in range(repetitions + 1):
            tag = f"{row.name}-{turn}"
            given = _warm_up(bench.inputs, row) if turn == 0 else row.arguments(bench.inputs, tag)
            replies = {
                script: worker.call(
                    row.ours or row.task if script == OURS else row.task,
                    **bench.arguments(script, given, tag, row.writes_files),
                )
                for script, worker in workers.items()
            }
            native = unfixed.call(
                row.ours or row.task, **bench.arguments(OURS, given, f"{tag}-native", row.writes_files)
            )
            if turn:
                for script, reply in replies.items():
                    samples[script].append(reply)
                native_samples.append(native)
                _say(f"{row.name}: {turn} of {repetitions}: " + _times(replies))
            if THEIRS in replies:
                answers = [replies[script].values or {} for script in (OURS, THEIRS)]
                apart = row.difference(*answers)
                difference = apart if difference is None else max(difference, apart)
                if row.task == "render" and turn and apart < float("inf"):
                    share = max(share, differing_share(*answers))
    spreads = [_spread(replies, row.seconds or 1.0) for replies in samples.values()]
    result = Result(
        row.name,
        row.work.format(scene=bench.inputs.scene_source),
        "s",
        *spreads,
        native=_spread(native_samples, row.seconds or 1.0),
        ratio_required=row.required,
        ratio_aim=row.aim,
        difference=difference,
        tolerance=row.tolerance,
    )
    result.notes += [
        note for script, spread in zip(samples, spreads, strict=True) if (note := _disturbance(script, spread))
    ]
    if result.notes and result.computed_ratio is not None:
        result.notes.append(f"ratio of CPU times {result.computed_ratio:.1f}x")
    if share:
        result.notes.append(f"{100 * share:.4f} % of the samples differ")
    return result


def _warm_up(inputs: Inputs, row: SpeedRow) -> dict[str, Any]:
    # The published renderer takes half a minute for a scene: a short one compiles and loads as much.
    if row.task == "render":
        return inputs.render("warm", seconds=1.0)
    return row.arguments(inputs, f"{row.name}-warm")


def measure_first_call(bench: Bench, row: FirstCallRow) -> list[Result]:
    """From the start of a process to the result, with numba's cache empty ("cold") and filled ("warm")."""
    (speed,) = (candidate for candidate in SPEED_ROWS if candidate.name == row.metric)
    given = speed.arguments(bench.inputs, row.name)
    cold_turns, warm_turns = (1, 1) if bench.quick else (2, 5)
    samples: dict[str, dict[Path, list[float]]] = {
        state: {script: [] for script in bench.sides()} for state in ("cold", "warm")
    }
    calls: dict[str, list[float]] = {"cold": [], "warm": []}
    for turn in range(cold_turns + warm_turns):
        state = "cold" if turn < cold_turns else "warm"
        for script in bench.sides():
            cache = bench.scratch / f"numba-{script.stem}"
            if state == "cold":
                shutil.rmtree(cache, ignore_errors=True)
            started = time.perf_counter()
            with bench.worker(script, {"NUMBA_CACHE_DIR": os.fspath(cache)}) as worker:
                reply = worker.call(speed.task, **given)
                samples[state][script].append(time.perf_counter() - started)
            if script == OURS:
                calls[state].append(reply.seconds)
        _say(f"{row.name}: {state}: " + ", ".join(f"{s.stem} {v[-1]:.2f} s" for s, v in samples[state].items()))
    return [
        Result(
            f"{row.name}_{state}",
            f"{row.work}, {words}",
            "s",
            *(Spread(values) for values in samples[state].values()),
            limit_required=limit,
            limit_aim=aim,
            notes=[
                f"{statistics.median(calls[state]):.2f} s of HearLab's median are the call itself, the rest imports"
            ],
        )
        for state, words, limit, aim in (
            ("warm", "warm cache", row.required_warm, row.aim_warm),
            ("cold", "empty cache", row.required_cold, row.aim_cold),
        )
    ]


def measure_render_memory(bench: Bench) -> Result:
    return _memory(bench, RENDER_MEMORY, {script: bench.inputs.render("memory") for script in bench.sides()})


def measure_haaqi_memory(bench: Bench) -> Result:
    """HearLab with a song of five minutes, the published implementation with half a minute."""
    seconds = {OURS: PUBLISHED_LONG_SONG if bench.quick else LONG_SONG, THEIRS: PUBLISHED_LONG_SONG}
    given = {script: bench.inputs.haaqi_stem(f"{seconds[script]:g}", seconds[script]) for script in bench.sides()}
    result = _memory(bench, HAAQI_MEMORY, given)
    result.work += f" of {seconds[OURS] / 60:g} min"
    if THEIRS in given and seconds[OURS] != seconds[THEIRS]:
        result.notes.append(f"published: a song of {seconds[THEIRS]:g} s")
    return result


def _memory(bench: Bench, row: MemoryRow, given: Mapping[Path, dict[str, Any]]) -> Result:
    peaks = {}
    for script, arguments in given.items():
        with bench.worker(script) as worker:
            reply = worker.call(row.task, **bench.arguments(script, arguments, row.name, row.writes_files))
        peaks[script] = Spread([reply.peak_bytes / MEGABYTE])
        _say(f"{row.name}: {script.stem} {peaks[script].median:.0f} MB in {reply.seconds:.1f} s")
    return Result(
        row.name,
        row.work.format(scene=bench.inputs.scene_source),
        "MB",
        *peaks.values(),
        limit_required=row.required,
        limit_aim=row.aim,
    )


def _times(replies: Mapping[Path, Reply]) -> str:
    return ", ".join(f"{script.stem} {reply.seconds:.3f} s" for script, reply in replies.items())


def _spread(replies: Sequence[Reply], scale: float) -> Spread:
    return Spread([reply.seconds / scale for reply in replies], [reply.cpu_seconds / scale for reply in replies])


def _disturbance(script: Path, spread: Spread) -> str | None:
    """A note when the core was shared, or when more than one thread computed."""
    clock, computed = spread.median, statistics.median(spread.computed)
    if clock > DISTURBED * computed:
        return f"{script.stem}: the core was shared, or it waited for files: {computed:.3g} s CPU in {clock:.3g} s"
    if computed > DISTURBED * clock:
        return f"{script.stem}: more than one thread: {computed:.3g} s CPU in {clock:.3g} s"
    return None


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
