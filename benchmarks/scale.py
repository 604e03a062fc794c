"""The engine's overhead for a full CEC2 evaluation: `python benchmarks/scale.py`.

Units only sleep a thousandth of their real time and write small files, as many as the real ones write. The table shows
the overhead of a unit, the cost of a second run that finds everything done, and the memory of the driver.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import resource
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hearlab.compute import engine
from hearlab.compute.attempts import outcomes
from hearlab.compute.engine import run
from hearlab.compute.units import Unit

SCALE = 1e-3
SCENES, PAIRS_PER_SCENE, SCORED_SCENES = 8500, 3, 2500
FILES_PER_SCENE = 13
FILE_BYTES = 4000
# Seconds of work for each unit, measured on the machine of docs/notes/scale.md.
SECONDS = {"render": 0.27, "enhance": 0.03, "score": 0.15}


def fill(path: Path, name: str) -> None:
    """Bytes that no other unit writes, so that each file is stored."""
    path.write_bytes((name.encode() * (FILE_BYTES // len(name) + 1))[:FILE_BYTES])


@dataclass(frozen=True)
class Cost:
    """Seconds by the clock, and seconds that this process computed, which other work on the machine spoils less."""

    clock: float
    processor: float

    def __sub__(self, other: Cost) -> Cost:
        return Cost(self.clock - other.clock, self.processor - other.processor)


@contextlib.contextmanager
def measured(costs: list[Cost]) -> Iterator[None]:
    started = time.perf_counter(), time.process_time()
    yield
    costs.append(Cost(time.perf_counter() - started[0], time.process_time() - started[1]))


# What the units themselves cost: measured while they run, because creating a file takes 0.05 to 0.8 ms here by the
# state of the disk alone, in other minutes than those of a separate measurement.
OWN: list[Cost] = []


def pause(seconds: float) -> None:
    if seconds:
        time.sleep(seconds)


def render(root: Path, out: Path, *, scene: str, seconds: float) -> None:
    with measured(OWN):
        pause(seconds)
        for k in range(FILES_PER_SCENE):
            fill(out / f"{scene}_{k}.wav", f"{scene} {k}")


def enhance(root: Path, out: Path, *, scene: str, listener: str, seconds: float) -> None:
    with measured(OWN):
        pause(seconds)
        fill(out / f"{scene}_{listener}.wav", f"{scene} {listener}")


def score(root: Path, out: Path, *, scene: str, listener: str, seconds: float) -> dict[str, Any]:
    with measured(OWN):
        pause(seconds)
    return {"scene": scene, "listener": listener, "enhanced": 0.24920001, "unprocessed": 0.16150001}


def nothing(root: Path, out: Path, *, number: int) -> None:
    pass


def nothing_units(count: int) -> list[Unit]:
    return [Unit(f"U{number:06d}", nothing, {"number": number}) for number in range(count)]


def scene_name(number: int) -> str:
    return f"S{number + 1:05d}"


def render_units(count: int) -> list[Unit]:
    """Each reads seven files that it shares with others: impulse responses, speech, noise."""
    units = []
    for number in range(count):
        scene = scene_name(number)
        inputs = tuple(f"data/shared_{(number * 7 + k) % 2000}.wav" for k in range(7))
        outputs = tuple(f"{scene}_{k}.wav" for k in range(FILES_PER_SCENE))
        arguments = {"scene": scene, "seconds": SECONDS["render"] * SCALE}
        units.append(Unit(scene, render, arguments, inputs=inputs, outputs=outputs))
    return units


def pairs(count: int) -> Iterator[tuple[str, str]]:
    for number in range(count):
        yield scene_name(number // PAIRS_PER_SCENE), f"L{number % 83:04d}"


def enhance_units(count: int) -> list[Unit]:
    return [
        Unit(
            f"{scene} {listener}",
            enhance,
            {"scene": scene, "listener": listener, "seconds": SECONDS["enhance"] * SCALE},
            inputs=tuple(f"rendered/{scene}_{k}.wav" for k in range(4)),
            outputs=(f"{scene}_{listener}.wav",),
        )
        for scene, listener in pairs(count)
    ]


def score_units(count: int) -> list[Unit]:
    return [
        Unit(
            f"{scene} {listener}",
            score,
            {"scene": scene, "listener": listener, "seconds": SECONDS["score"] * SCALE},
            inputs=(*(f"rendered/{scene}_{k}.wav" for k in (4, 5, 1)), f"enhanced/{scene}_{listener}.wav"),
        )
        for scene, listener in pairs(count)
    ]


@dataclass(frozen=True)
class Stage:
    name: str
    units: Callable[[int], list[Unit]]
    count: int
    out: Path | None


def stages(part: float) -> list[Stage]:
    scenes = max(1, round(SCENES * part))
    pair_count = max(1, round(SCORED_SCENES * part)) * PAIRS_PER_SCENE
    return [
        Stage("render", render_units, scenes, Path("rendered")),
        Stage("enhance", enhance_units, pair_count, Path("enhanced")),
        Stage("score", score_units, pair_count, None),
    ]


def resident() -> float:
    """Resident memory of this process in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


class Memory(threading.Thread):
    """Samples of the resident memory, from the start of a `with` block to its end."""

    def __enter__(self) -> Memory:
        self.samples = [resident()]
        self.ended = threading.Event()
        self.start()
        return self

    def __exit__(self, *unused: object) -> None:
        self.ended.set()
        self.join()
        self.samples.append(resident())

    def run(self) -> None:
        while not self.ended.wait(0.1):
            self.samples.append(resident())

    def __str__(self) -> str:
        start, middle, end = self.samples[0], self.samples[len(self.samples) // 2], self.samples[-1]
        return f"{start:.0f}, {middle:.0f}, {end:.0f}"


def run_stage(stage: Stage, root: Path) -> Cost:
    """Cost of the whole stage, listing the units included."""
    costs: list[Cost] = []
    with contextlib.redirect_stderr(io.StringIO()), measured(costs):
        run(stage.name, stage.units(stage.count), stage.out, Path("units") / f"{stage.name}.json", root=root)
    return costs[0]


def measure_in_process(root: Path, part: float) -> None:
    os.environ["HEARLAB_WORKERS"] = "1"  # Ray never pays
    print("in this process; times in ms for each unit; MB at the start, in the middle and at the end of a first run")
    print(
        f"{'stage':10}{'units':>7}{'own':>8}{'with engine':>13}{'overhead':>10}{'computing':>11}{'again':>8}{'MB':>15}"
    )
    for stage in stages(part):
        OWN.clear()
        with Memory() as memory:
            first = run_stage(stage, root)
        own = Cost(sum(cost.clock for cost in OWN), sum(cost.processor for cost in OWN))
        again = run_stage(stage, root)
        overhead = first - own
        each = [
            1e3 * s / stage.count for s in (own.clock, first.clock, overhead.clock, overhead.processor, again.clock)
        ]
        print(
            f"{stage.name:10}{stage.count:7}{each[0]:8.2f}{each[1]:13.2f}{each[2]:10.2f}{each[3]:11.2f}{each[4]:8.2f}"
            f"{memory!s:>15}",
            flush=True,
        )


class Elsewhere(contextlib.AbstractContextManager["Elsewhere"]):
    """Has all units go to workers at once, and counts those that do."""

    def __init__(self, where: str) -> None:
        self._where, self._before = where, (outcomes._Choice.of, outcomes.QUICK_SECONDS, engine.outcomes)
        self.count, self.began = 0, 0.0

    def __enter__(self) -> Elsewhere:
        outcomes._Choice.of = lambda *unused: self._where  # type: ignore[method-assign]
        outcomes.QUICK_SECONDS = -1.0
        engine.outcomes = self._outcomes
        return self

    def _outcomes(self, *arguments: Any, **options: Any) -> Generator[Any, None, None]:
        for unit, outcome in self._before[2](*arguments, **options):
            if not outcome.here:
                self.began = self.began or time.perf_counter()
                self.count += 1
            yield unit, outcome

    def __exit__(self, *unused: object) -> None:
        outcomes._Choice.of, outcomes.QUICK_SECONDS, engine.outcomes = self._before  # type: ignore[method-assign]


def measure_elsewhere(where: str, count: int) -> None:
    """Units that do nothing, on more workers than there are cores: what is left is the driver's work."""
    print(f"\n{where}, units without work; start: s to the first result; rate: after it; driver: ms of its core a unit")
    print(f"{'stage':10}{'workers':>8}{'units':>7}{'start':>7}{'units/s':>9}{'driver':>8}{'again':>7}{'MB':>15}")
    for name, units in (("nothing", nothing_units), ("score", score_units), ("enhance", enhance_units)):
        for workers in (2, 4, 8):
            with workspace() as root:
                os.environ["HEARLAB_WORKERS"] = "1"
                if name != "nothing":
                    run_stage(Stage("render", render_units, count // PAIRS_PER_SCENE + 1, Path("rendered")), root)
                if name == "score":
                    run_stage(Stage("enhance", enhance_units, count, Path("enhanced")), root)
                os.environ["HEARLAB_WORKERS"] = str(workers)
                stage = Stage(name, units, count, Path("enhanced") if name == "enhance" else None)
                began = time.perf_counter()
                with Memory() as memory, Elsewhere(where) as there:
                    first = run_stage(stage, root)
                ended = time.perf_counter()
                again = run_stage(stage, root)
            rate = there.count / (ended - there.began)
            print(
                f"{name:10}{workers:8}{there.count:7}{there.began - began:7.1f}{rate:9.0f}"
                f"{first.processor / count * 1e3:8.2f}{again.clock / count * 1e3:7.2f}{memory!s:>15}",
                flush=True,
            )


@contextlib.contextmanager
def workspace() -> Iterator[Path]:
    """A workspace with the files that scenes share; in TMPDIR, which should be on a disk and not in memory."""
    root = Path(tempfile.mkdtemp(prefix="hearlab-scale-"))
    try:
        (root / "data").mkdir()
        for k in range(2000):
            fill(root / "data" / f"shared_{k}.wav", f"shared {k}")
        yield root
    finally:
        shutil.rmtree(root)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", type=float, default=1.0, help="part of the full evaluation (default: all of it)")
    parser.add_argument("--workers", type=int, default=6000, help="units for worker processes (default: 6000; 0: none)")
    parser.add_argument("--ray", type=int, default=6000, help="units of each stage on Ray (default: 6000; 0: none)")
    options = parser.parse_args()
    if options.part:
        with workspace() as root:
            measure_in_process(root, options.part)
    os.environ["HEARLAB_WORKERS"] = "1"
    for name in SECONDS:
        SECONDS[name] = 0.0
    for where, count in ((outcomes.WORKERS, options.workers), (outcomes.RAY, options.ray)):
        if count:
            measure_elsewhere(where, count)


if __name__ == "__main__":
    import scale  # workers import the units' functions, which they cannot from a main program

    scale.main()
