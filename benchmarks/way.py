"""What a person waits for besides the arithmetic: `python benchmarks/way.py`, the second part of `make bench`.

The demo from nothing by stage, a repro with nothing to do, the pages, the start of workers and what a unit costs the
driver, two workers beside one, and the memory of ten minutes of sound. The published code has no pipeline beside it.
"""

from __future__ import annotations

import argparse
import datetime
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import scale
import speedup
from hearlab.compute.attempts import outcomes
from hearlab.files import write_json
from hearlab.kernels.arithmetic import fix
from machine import REPOSITORY, commit, load, machine

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "way.json"
NOTHING_UNITS = 12_000
MINUTES = 10
SLOWEST_STAGES = 6
MEMORY = HERE / "memory_of_sound.py"


@dataclass(frozen=True)
class Row:
    """A figure and its goal: at most `most`, or at least `least`; without either it is only shown."""

    name: str
    what: str
    value: float
    unit: str
    most: float | None = None
    least: float | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        if self.most is None and self.least is None:
            return None
        return (self.most is None or self.value <= self.most) and (self.least is None or self.value >= self.least)

    def cells(self) -> tuple[str, ...]:
        goal = "" if self.met is None else f"{'<' if self.least is None else '>'} {self.most or self.least:g}"
        return (
            self.what,
            f"{self.value:.3g} {self.unit}".strip(),
            goal,
            "" if self.met is None else "met" if self.met else "no",
            self.note,
        )


class Bench:
    """What the rows share: a clone of the commit with the demo's results, made from nothing by the first that asks."""

    def __init__(self, scratch: Path, given: Path | None) -> None:
        self.scratch, self._given = scratch, given
        self.made: list[Row] = []

    def project(self) -> Path:
        if self._given is None:
            self._given = self.scratch / "demo"
            subprocess.run(["git", "clone", "--quiet", REPOSITORY, self._given], check=True)
            started = time.perf_counter()
            stages = self._stages()
            clock = time.perf_counter() - started
            slowest = sorted(stages.items(), key=lambda item: -item[1])[:SLOWEST_STAGES]
            note = ", ".join(f"{name} {seconds:.1f}" for name, seconds in slowest)
            self.made = [Row("demo", "`dvc repro` of the demo, nothing computed before", clock, "s", 75, None, note)]
        return self._given

    def run(self, *command: str) -> float:
        """Seconds of a command in the project."""
        started = time.perf_counter()
        done = subprocess.run(
            command, cwd=self.project(), env=self._environment(), capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
        return time.perf_counter() - started

    def _stages(self) -> dict[str, float]:
        """Seconds from the start of each stage to that of the next one."""
        command = [sys.executable, "-m", "dvc", "repro"]
        found: dict[str, float] = {}
        with subprocess.Popen(
            command,
            cwd=self._given,
            env=self._environment() | {"PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as dvc:
            assert dvc.stdout is not None
            lines, name, began = [], "", time.perf_counter()
            for line in dvc.stdout:
                lines.append(line)
                if started := re.match(r"Running stage '([^']+)'", line):
                    found[name], name, began = time.perf_counter() - began, started[1], time.perf_counter()
            found[name] = time.perf_counter() - began
        if dvc.returncode:
            sys.exit("dvc repro failed:\n" + "".join(lines[-20:]))
        found.pop("", None)
        return found

    def _environment(self) -> dict[str, str]:
        own = {name: value for name, value in os.environ.items() if name != "HEARLAB_WORKERS"}
        path = f"{Path(sys.executable).parent}{os.pathsep}{own.get('PATH', '')}"
        return own | {"PATH": path, "PYTHONPATH": str((self._given or REPOSITORY) / "src")}


def demo(bench: Bench) -> Iterator[Row]:
    bench.project()
    yield from bench.made
    least = min(bench.run(sys.executable, "-m", "dvc", "repro") for _ in range(3))
    yield Row("noop", "`dvc repro`, nothing to do", least, "s", 1.5)


def pages(bench: Bench) -> Iterator[Row]:
    """In the clone no sound has been measured before."""
    bench.project()
    first, again = (bench.run("hearlab", "report") for _ in range(2))
    yield Row("report", "`hearlab report` of the demo, its sounds not measured before", first, "s")
    yield Row("report_again", "`hearlab report`, second run", again, "s", 5)


def driver(bench: Bench) -> Iterator[Row]:
    """Units that do nothing, on two worker processes."""
    os.environ["HEARLAB_WORKERS"] = "2"
    stage = scale.Stage("nothing", scale.nothing_units, NOTHING_UNITS, None)
    with scale.workspace() as root, scale.Elsewhere(outcomes.WORKERS) as there:
        started = time.perf_counter()
        cost = scale.run_stage(stage, root)
        ended = time.perf_counter()
    yield Row("workers_start", "two worker processes: start to the first result", there.began - started, "s", 3)
    rate = there.count / (ended - there.began)
    yield Row("units_rate", f"{NOTHING_UNITS:,} units without work: rate", rate, "units/s", None, 5000)
    each = cost.processor / NOTHING_UNITS * 1e3
    yield Row("driver", "the driver's core time for one of them, its start included", each, "ms", 0.2)


def two_workers(name: str) -> Callable[[Bench], Iterator[Row]]:
    def measured(bench: Bench) -> Iterator[Row]:
        gain = speedup.gain(name, 2, 2, bench.project())
        note = f"{gain.alone:.1f} and {gain.together:.1f} s; "
        note += f"of all cores {gain.core_alone:.1f} and {gain.core_together:.1f} s"
        if not gain.same:
            sys.exit(f"{name}: one worker and two made other results")
        yield Row(
            f"two_{name}", f"`{name}`, {gain.units} units: two workers beside one", gain.ratio, "x", None, 1.85, note
        )

    return measured


def memory(bench: Bench) -> Iterator[Row]:
    for work, what in (("haspi", "HASPI, one ear"), ("hearing_aid", "NAL-R + compressor, both ears")):
        command = [sys.executable, str(MEMORY), work, str(MINUTES)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        peak, given, seconds = (float(word) for word in done.stdout.split())
        note = f"{peak:.2f} GB with the caller's own signals; {seconds:.1f} s"
        what = f"peak memory, {MINUTES} min of sound, input and output not counted: {what}"
        yield Row(f"memory_{work}", what, peak - given, "GB", 0.7, None, note)


MEASUREMENTS: dict[str, Callable[[Bench], Iterator[Row]]] = {
    "demo": demo,
    "pages": pages,
    "driver": driver,
    **{name: two_workers(name) for name in speedup.WORKS},
    "memory": memory,
}


def table(rows: list[Row]) -> str:
    lines = [("what", "HearLab", "goal", "", ""), ("-", "-:", "-:", "-", "-"), *(row.cells() for row in rows)]
    widths = [max(len(line[index]) for line in lines) for index in range(5)]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="+", choices=MEASUREMENTS, default=list(MEASUREMENTS), metavar="NAME")
    parser.add_argument("--project", type=Path, help="a clone with the demo's results, instead of a new one")
    options = parser.parse_args()
    fix()
    about = {"date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"), "commit": commit()}
    about["machine"] = machine()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="hearlab-way-") as scratch:
        bench = Bench(Path(scratch), options.project and options.project.resolve())
        for name in options.rows:
            for row in MEASUREMENTS[name](bench):
                print(f"{row.name}: {row.value:.3g} {row.unit}", file=sys.stderr, flush=True)
                rows.append(row)
    about["machine"]["load_at_end"] = load()
    print(f"load {about['machine']['load']} to {about['machine']['load_at_end']}", table(rows), sep="\n\n")
    if options.project is None and options.rows == list(MEASUREMENTS):
        write_json(RESULTS, {**about, "rows": [{**asdict(row), "met": row.met} for row in rows]})
        print(f"Written: {RESULTS}")


if __name__ == "__main__":
    main()
