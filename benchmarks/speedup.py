"""What workers gain: `python benchmarks/speedup.py` after `make demo`, at the root.

Stages with more units than the demo has: its pairs are scored at several levels, its songs for more listeners, its
scenes are rendered at other levels of the target. In one process and with workers by turns, each time in a fresh
process and a workspace of links. The least time of each counts.
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
from collections.abc import Callable
from pathlib import Path

from hearlab.compute.engine import run
from hearlab.compute.units import Unit
from hearlab.kernels.arithmetic import fix
from hearlab.params import load_params
from hearlab.stages import stage_units

Change = Callable[[Unit, int], Unit]


def at_level(unit: Unit, number: int) -> Unit:
    """The same pair at a level that no other has."""
    group = f"{unit.group} {number}" if unit.group else None
    return dataclasses.replace(unit, arguments={**unit.arguments, "level": 100.0 - number}, group=group)


def of_listener(unit: Unit, number: int) -> Unit:
    """The same song and sound, scored for a listener whose loss is so many dB more."""
    listener = dict(unit.arguments["listener"])
    for ear in ("audiogram_levels_l", "audiogram_levels_r"):
        listener[ear] = [level + number for level in listener[ear]]
    return dataclasses.replace(unit, arguments={**unit.arguments, "listener": listener})


def of_snr(unit: Unit, number: int) -> Unit:
    """The same scene by another name, its target so many dB softer."""
    scene = unit.arguments["scene"]
    name = f"{scene['scene']}{number:03d}"
    outputs = tuple(output.replace(scene["scene"], name) for output in unit.outputs)
    changed = {**scene, "scene": name, "SNR": scene["SNR"] - number}
    return dataclasses.replace(unit, arguments={**unit.arguments, "scene": changed}, outputs=outputs)


@dataclasses.dataclass(frozen=True)
class Work:
    """Units of a stage: `count` of them, made of the demo's by `change`; with None the stage's own."""

    stage: tuple[str, ...]
    count: int
    change: Change | None

    def units(self) -> list[Unit]:
        name, *more = self.stage
        own = stage_units(name, load_params(), *more)
        if self.change is None:
            return own
        return [
            dataclasses.replace(self.change(unit, number), id=f"{unit.id} {number}")
            for number in range(-(-self.count // len(own)))
            for unit in own
        ][: self.count]


WORKS = {
    "score_speech": Work(("score_speech",), 300, at_level),
    "score_music": Work(("score_music",), 20, of_listener),
    "render_scenes": Work(("render_scenes", "dev"), 100, of_snr),
    "train_separator": Work(("train_separator",), 0, None),
}


@dataclasses.dataclass(frozen=True)
class Gain:
    """Least seconds by the clock, alone and with workers, and those of all cores then."""

    units: int
    alone: float
    together: float
    core_alone: float
    core_together: float
    same: bool

    @property
    def ratio(self) -> float:
        return self.alone / self.together


def measure(name: str) -> None:
    """Run the units in a fresh workspace; prints seconds by the clock and of all cores, and a hash of the results."""
    units = WORKS[name].units()
    with tempfile.TemporaryDirectory(prefix="hearlab-speedup-", dir=".") as folder:
        root = Path(folder).resolve()
        for path in sorted({path for unit in units for path in unit.inputs}):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(path, root / path)
            except OSError:
                shutil.copyfile(path, root / path)
        out = Path("made") if any(unit.outputs for unit in units) else None
        started = time.perf_counter()
        results = run(name, units, out, Path("units.json"), root=root)
        clock = time.perf_counter() - started
        hashed = hashlib.sha256(json.dumps(results).encode())
        for made in sorted((root / out).rglob("*")) if out else []:
            if made.is_file():
                hashed.update(made.read_bytes())
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    core = sum(one.ru_utime + one.ru_stime for one in used)
    print(json.dumps([clock, core, hashed.hexdigest(), len(units)]))


def gain(name: str, workers: int, repeats: int, folder: Path) -> Gain:
    """One worker and several by turns, in the project `folder`."""
    found: dict[int, list[tuple[float, float]]] = {1: [], workers: []}
    hashes, units = set(), 0
    for _ in range(repeats):
        for count, measured in found.items():
            command = [sys.executable, str(Path(__file__).resolve()), name, "--once"]
            environment = {**os.environ, "HEARLAB_WORKERS": str(count)}
            done = subprocess.run(
                command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
            if done.returncode:
                sys.exit(f"{name} with HEARLAB_WORKERS={count} failed: run {' '.join(command)}")
            clock, core, results, units = json.loads(done.stdout.splitlines()[-1])
            measured.append((clock, core))
            hashes.add(results)
            print(f"{name}: {units} units, workers {count}: {clock:.1f} s, all cores {core:.1f} s", file=sys.stderr)
    (alone, core_alone), (together, core_together) = (min(found[count]) for count in found)
    return Gain(units, alone, together, core_alone, core_together, len(hashes) == 1)


def independent(name: str, count: int, repeats: int, folder: Path) -> float:
    """What the machine itself allows: so many processes that know nothing of each other, each with all the work.

    Returns:
        how many times the work of one process they do in its time, the least times of both.
    """
    command = [sys.executable, str(Path(__file__).resolve()), name, "--once"]
    environment = {**os.environ, "HEARLAB_WORKERS": "1"}
    seconds: dict[int, list[float]] = {1: [], count: []}
    for _ in range(repeats):
        for number, found in seconds.items():
            processes = [
                subprocess.Popen(
                    command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
                )
                for _ in range(number)
            ]
            clocks = [json.loads(process.communicate()[0].splitlines()[-1])[0] for process in processes]
            found.append(max(clocks))
            print(f"{name}: {number} independent: {max(clocks):.1f} s", file=sys.stderr)
    return count * min(seconds[1]) / min(seconds[count])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stages", nargs="*", default=list(WORKS), metavar="STAGE", help=", ".join(WORKS))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--independent", action="store_true", help=(independent.__doc__ or "").splitlines()[0])
    parser.add_argument("--once", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if unknown := set(options.stages) - set(WORKS):
        parser.error(f"no stage {', '.join(sorted(unknown))}: {', '.join(WORKS)}")
    fix()
    if options.once:
        measure(options.stages[0])
        return
    for name in options.stages:
        if options.independent:
            times = independent(name, options.workers, options.repeats, Path.cwd())
            print(f"{name}: {options.workers} independent processes: {times:.2f} times the work of one")
            continue
        found = gain(name, options.workers, options.repeats, Path.cwd())
        said = "the same results" if found.same else "OTHER RESULTS"
        print(
            f"{name}: {found.units} units: alone {found.alone:.1f} s, {options.workers} workers {found.together:.1f} s "
            f"({found.ratio:.2f} times), all cores {found.core_alone:.1f} and {found.core_together:.1f} s; {said}"
        )


if __name__ == "__main__":
    main()
