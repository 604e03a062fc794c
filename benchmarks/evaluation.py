"""The full CEC2 evaluation with real DVC and small files: `python benchmarks/evaluation.py`.

The project's own pipeline runs from a fresh clone to the score tables: 8,500 scenes are built and rendered, and 7,500
pairs enhanced and scored, from packages that are as many files as the real ones, with scenes of 0.05 and 0.27 s. The
table shows what everything but the arithmetic costs, step by step. One process does it all, so that nothing overlaps.
Results: docs/notes/scale.md.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

import machine
import small_packages
from evaluation_stage import END, KEEP, KEYS, LIST, REST, START, STORE, TABLES, UNIT, WORK
from hearlab.params import load_params

REPOSITORY = Path(__file__).resolve().parent.parent
SCENES = {"train": 6000, "dev": 2500}
TARGETS = ("score_speech", "render_scenes@train")
GOAL = 360.0  # s
NAMES = {
    START: "start of stages: Python, imports, kernels loaded",
    REST: "stages without units, checks before and after",
    LIST: "listing units",
    KEYS: "keys: inputs looked up",
    UNIT: "units: reading, checking and writing files",
    KEEP: "md5 of what units wrote, records",
    STORE: "storing, journal, linking",
    END: "inputs and code looked at again, index",
    TABLES: "score tables",
    "dvc": "DVC: start, dependencies, hashing, linking, lock",
    "git": "git add, git commit",
    "nothing": "dvc repro, nothing to do",
    "status": "dvc status",
}


@dataclass
class Spent:
    """Seconds by the clock, and of processors."""

    clock: float = 0.0
    cpu: float = 0.0

    def __iadd__(self, other: Spent) -> Spent:
        self.clock += other.clock
        self.cpu += other.cpu
        return self

    def __str__(self) -> str:
        return f"{self.clock:9.1f}{self.cpu:9.1f}"


class Lab:
    """A clone with small packages beside it.

    Args:
        folder: where both are made.
        scenes: of each split.
    """

    def __init__(self, folder: Path, scenes: dict[str, int]) -> None:
        self.root, self.folder = folder / "clone", folder
        self.steps = folder / "steps.jsonl"
        started = time.perf_counter()
        files = small_packages.make(folder / "packages/clarity", scenes)
        self._clone(scenes)
        print(f"packages of {files} files made in {time.perf_counter() - started:.0f} s", flush=True)

    def _clone(self, scenes: dict[str, int]) -> None:
        """The tree as it is, in a repository of its own, with params.yaml for the packages' data."""
        names = subprocess.check_output(["git", "ls-files", "-z"], cwd=REPOSITORY, text=True).rstrip("\0").split("\0")
        for name in names:
            if (REPOSITORY / name).is_file() and name != "dvc.lock":
                (self.root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(REPOSITORY / name, self.root / name)
        path = self.root / "params.yaml"
        params = yaml.safe_load(path.read_text())
        params["dataset"] = "clarity"
        params["render"] |= {"source": "rendered", "ambisonic_order": small_packages.ORDER}
        turn = {"relative_start_time_range": [-small_packages.MARGIN, 0], "duration_mean": 256, "duration_sd": 1}
        params["scenes"]["head_turn"] |= turn
        data = params["datasets"]["clarity"]
        data["heads"] = list(small_packages.HEADS_USED)
        for margin in ("pre_samples_range", "post_samples_range"):
            data[margin] = [small_packages.MARGIN] * 2
        for split in small_packages.SPLITS:
            data["splits"][split] |= {"rooms": scenes[split], "scenes": scenes[split]}
        data["splits"]["demo"] |= {"rooms": 0, "scenes": 0}
        path.write_text(yaml.safe_dump(params, sort_keys=False))
        load_params(path)
        self.run("git", "init", "--quiet")
        self.run("git", "add", "--all")
        self.commit("a clone")
        command = self.folder / "bin/hearlab"
        command.parent.mkdir()
        command.write_text(
            f'#!/bin/sh\nexec "{sys.executable}" "{REPOSITORY}/benchmarks/evaluation_stage.py" "{self.steps}" "$@"\n'
        )
        command.chmod(0o755)

    def commit(self, message: str) -> None:
        self.run("git", "-c", "user.name=x", "-c", "user.email=x@y", "commit", "--quiet", "--message", message)

    def run(self, *command: str) -> str:
        """Run a command in the clone; DVC's records are beside it."""
        environment = {
            **os.environ,
            "DVC_SITE_CACHE_DIR": str(self.folder / "notes"),
            "HEARLAB_WORKERS": "1",
            "HEARLAB_PACKAGES": str(self.folder / "packages"),
            "PYTHONPATH": str(self.root / "src"),
        }
        paths = (str(self.folder / "bin"), str(Path(sys.executable).parent), environment["PATH"])
        environment["PATH"] = os.pathsep.join(paths)
        done = subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} exited with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def time(self, *command: str) -> Spent:
        started, before = time.perf_counter(), _children()
        self.run(*command)
        return Spent(time.perf_counter() - started, _children() - before)

    def stages(self) -> list[dict[str, Any]]:
        """What the stages noted since the last call."""
        lines = self.steps.read_text().splitlines() if self.steps.exists() else []
        self.steps.unlink(missing_ok=True)
        return [json.loads(line) for line in lines]


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def measure(lab: Lab) -> dict[str, Any]:
    """Run everything, print the tables, and give what they say."""
    began, whole = time.time(), lab.time("dvc", "repro", *TARGETS)
    stages = lab.stages()
    table = _by_stage(stages, began, whole)
    steps: dict[str, Spent] = defaultdict(Spent)
    for row in table:
        for step in row["clock"]:
            steps[step] += Spent(row["clock"][step], row["cpu"][step])
        steps["dvc"] += row["dvc"]
    lab.run("git", "add", "--all")
    steps["git"] = lab.time("git", "-c", "user.name=x", "-c", "user.email=x@y", "commit", "--quiet", "-m", "scores")
    steps["status"] = lab.time("dvc", "status")
    steps["nothing"] = lab.time("dvc", "repro", *TARGETS)
    again = [record["stage"] for record in lab.stages() if record["units"]]
    if again:
        raise SystemExit(f"computed again: {', '.join(again)}")
    _print(steps, whole)
    return {
        "stages": [{**row, "dvc": vars(row["dvc"])} for row in table],
        "steps": {step: vars(spent) for step, spent in steps.items()},
        "load": machine.load(),
    }


def _by_stage(stages: list[dict[str, Any]], began: float, whole: Spent) -> list[dict[str, Any]]:
    """The stages' records with what DVC did before each, and a last row with what it did after all; printed, too."""
    print(f"\n{'':28}{'units':>7}{'stage: clock, CPU':>18}{'arithmetic':>18}{'rest of it':>18}{'DVC before it':>18}")
    rows, before, processor = [], began, 0.0
    for record in stages:
        row = {"stage": record["stage"], "units": record["units"], "clock": record["clock"], "cpu": record["cpu"]}
        row["dvc"] = Spent(record["began"] - before, record["dvc_at_start"] - processor)
        before, processor = record["ended"], record["dvc_at_end"]
        rows.append(row)
        work = Spent(row["clock"].get(WORK, 0.0), row["cpu"].get(WORK, 0.0))
        all_of_it = Spent(sum(row["clock"].values()), sum(row["cpu"].values()))
        rest = Spent(all_of_it.clock - work.clock, all_of_it.cpu - work.cpu)
        print(f"{row['stage']:28}{row['units']:7}{all_of_it}{work}{rest}{row['dvc']}")
    in_stages = sum(sum(row["cpu"].values()) for row in rows)
    last = Spent(began + whole.clock - before, whole.cpu - in_stages - sum(row["dvc"].cpu for row in rows))
    print(f"{'end':28}{'':7}{'':54}{last}")
    return [*rows, {"stage": "end", "units": 0, "clock": {}, "cpu": {}, "dvc": last}]


def _print(steps: dict[str, Spent], whole: Spent) -> None:
    print(f"\n{'':56}{'clock, s':>9}{'CPU, s':>9}")
    total = Spent()
    for step, name in NAMES.items():
        print(f"{name:56}{steps[step]}")
        total += steps[step]
    print(f"{'all that is not arithmetic':56}{total}  (goal: {GOAL:.0f} s)")
    print(f"{'arithmetic of these short scenes':56}{steps[WORK]}")
    print(f"{'dvc repro, the first':56}{whole}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", type=float, default=1.0, help="part of the full evaluation (default: all of it)")
    parser.add_argument("--folder", type=Path, help="where to work (default: TMPDIR); it should be on a disk")
    parser.add_argument("--output", type=Path, help="write the results as JSON")
    options = parser.parse_args()
    scenes = {split: max(2, round(count * options.part)) for split, count in SCENES.items()}
    about = machine.machine()
    print(json.dumps(about))
    with tempfile.TemporaryDirectory(prefix="hearlab-evaluation-", dir=options.folder) as folder:
        results = measure(Lab(Path(folder), scenes))
    print(f"load at the end: {machine.load()}")
    if options.output:
        content = {"machine": about, "commit": machine.commit(), "scenes": scenes, **results}
        options.output.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
