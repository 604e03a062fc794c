"""Agreement with the published implementation: `make peer`, or `python benchmarks/peer.py`.

Both implementations answer the same random cases (signals, levels, lengths, rates, audiograms, delays, silence,
clipping) with the same seeds; the largest differences are printed. Above the tolerances the exit code is 1. Where the
published code fails, the case is listed with what HearLab does instead.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from agreement.cases import METRIC_CASES, Case, generator, rendering_scene
from agreement.edge_cases import fitting_edges, metric_edges, rendering_edges
from agreement.verdicts import AGREES, METRICS, Outcome, describe, judge, wrong
from hearlab.cores import usable_cores
from hearlab.files import write_json
from implementations.peer_env import peer_python
from implementations.workers import OURS, THEIRS, Reply, TaskFailedError, Worker, our_python
from inputs import Inputs, SceneData, reference_material

CASES = 200
# A rendering case takes the published implementation ten seconds.
RENDERINGS_PER_CASE = 0.06


class Pair(threading.local):
    """Each thread's own workers, one of each implementation."""

    def __init__(self, theirs: Path, scratch: Path, started: list[Worker]) -> None:
        self._python, self._scratch, self._started = theirs, scratch, started
        self._workers: tuple[Worker, Worker] | None = None

    def ask(self, task: str, arguments: dict[str, Any], theirs: dict[str, Any] | None = None) -> tuple[Reply, Reply]:
        """Both replies; `theirs` are other arguments for the published side."""
        if self._workers is None:
            self._workers = Worker(our_python(), OURS, self._scratch), Worker(self._python, THEIRS, self._scratch)
            self._started += self._workers
        ours, published = self._workers
        return ours.ask(task, **arguments), published.ask(task, **(arguments if theirs is None else theirs))


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except TaskFailedError as error:
        print(error, file=sys.stderr)
        return 2


def _run(options: argparse.Namespace) -> int:
    metrics = options.metric or list(METRICS)
    started: list[Worker] = []
    clock = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="hearlab-peer-") as folder:
        scratch = Path(folder)
        python = options.peer_python or peer_python()
        with Worker(python, THEIRS, scratch) as worker:
            worker.call("versions")  # an environment without pyclarity would fail in every case
        pair = Pair(python, scratch, started)
        questions = [question for metric in metrics for question in _questions(metric, options, scratch, pair)]
        try:
            outcomes = _answer(questions, options.jobs)
        finally:
            for worker in started:
                worker.close()
    outcomes = [replace(outcome, ours=outcome.ours.replace(folder, "")) for outcome in outcomes]
    outcomes = [replace(outcome, theirs=outcome.theirs.replace(folder, "")) for outcome in outcomes]
    print(describe(outcomes, metrics))
    print(f"\n{len(outcomes)} cases in {(time.monotonic() - clock) / 60:.1f} min, seed {options.seed}")
    if options.output:
        write_json(options.output, {"seed": options.seed, "outcomes": [asdict(outcome) for outcome in outcomes]})
    unsure = [metric for metric in metrics if not any(o.metric == metric and o.verdict == AGREES for o in outcomes)]
    if unsure:
        print(f"No case was compared: {', '.join(unsure)}", file=sys.stderr)
    return 1 if unsure or wrong(outcomes) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=CASES, help=f"random cases of each metric ({CASES})")
    parser.add_argument("--render-cases", type=int, help=f"random scenes (default: {RENDERINGS_PER_CASE:g} of --cases)")
    parser.add_argument("--seed", type=int, default=0, help="of the cases (0)")
    parser.add_argument("--metric", nargs="+", choices=METRICS, help="only these")
    parser.add_argument("--no-edges", action="store_true", help="skip the cases at the edge of what is allowed")
    parser.add_argument("--jobs", type=int, default=usable_cores(), help="cases at a time (default: one per core)")
    parser.add_argument("--output", type=Path, help="JSON file of all outcomes")
    parser.add_argument("--peer-python", type=Path, help="interpreter that can import pyclarity; nothing is installed")
    return parser


Question = Callable[[], Outcome]


def _answer(questions: Sequence[Question], jobs: int) -> list[Outcome]:
    def one(question: Question) -> Outcome:
        outcome = question()
        nonlocal done
        with lock:
            done += 1
            if done % 25 == 0 or done == len(questions):
                print(f"{done} of {len(questions)}", file=sys.stderr, flush=True)
        return outcome

    done, lock = 0, threading.Lock()
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        try:
            return list(pool.map(one, questions))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _questions(metric: str, options: argparse.Namespace, scratch: Path, pair: Pair) -> Iterator[Question]:
    if metric == "render":
        count = options.render_cases
        yield from _rendering(
            round(RENDERINGS_PER_CASE * options.cases) if count is None else count, options, scratch, pair
        )
        return
    for number in range(options.cases):
        yield lambda number=number: _ask(
            metric, METRIC_CASES[metric](number, generator(options.seed, metric, number)), scratch, pair, edge=False
        )
    if not options.no_edges:
        edges = metric_edges if metric in ("haspi", "hasqi", "haaqi") else fitting_edges
        for case in edges(metric):
            yield lambda case=case: _ask(metric, case, scratch, pair, edge=True)


def _ask(metric: str, case: Case, scratch: Path, pair: Pair, *, edge: bool) -> Outcome:
    path = scratch / f"{case.name.replace(' ', '-').replace(':', '')}.npz"
    np.savez(path, **case.signals)
    try:
        ours, theirs = pair.ask(metric, {"signals": os.fspath(path), **case.arguments})
    finally:
        path.unlink()
    return judge(metric, case.name, case.about, ours, theirs, edge=edge)


def _rendering(count: int, options: argparse.Namespace, scratch: Path, pair: Pair) -> Iterator[Question]:
    inputs = Inputs(scratch, reference_material())
    scene = inputs.scene
    root = _world(scene, scratch)
    recordings = sorted((path.parent.name, path.name) for path in (root / "dev" / "interferers").glob("*/*"))
    for number in range(count):
        drawn = rendering_scene(number, generator(options.seed, "render", number), scene, recordings)
        yield lambda number=number, drawn=drawn: _ask_scene(
            f"render-{number}", _scene_words(drawn), drawn, scene, root, pair, edge=False
        )
    if not options.no_edges:
        for name, edited in rendering_edges(scene, recordings):
            yield lambda name=name, edited=edited: _ask_scene(
                f"render: {name}", name, edited, scene, root, pair, edge=True
            )


def _world(scene: SceneData, scratch: Path) -> Path:
    """The scene's data root without copies of its large files; the published side writes into metadata/."""
    root = scratch / "world"
    root.mkdir()
    for part in ("hrir", "dev"):
        (root / part).symlink_to(scene.data.root / part)
    shutil.copytree(scene.data.metadata, root / "metadata")
    return root


def _ask_scene(
    name: str, about: str, drawn: dict[str, Any], scene: SceneData, root: Path, pair: Pair, *, edge: bool
) -> Outcome:
    arguments = {"data_root": os.fspath(root), "scene": drawn, "room": scene.room}
    with tempfile.TemporaryDirectory(dir=root.parent) as ours, tempfile.TemporaryDirectory(dir=root.parent) as theirs:
        replies = pair.ask("render", {**arguments, "out": ours}, {**arguments, "out": theirs})
    return judge("render", name, about, *replies, edge=edge)


def _scene_words(scene: dict[str, Any]) -> str:
    first, second = scene["listener"]["rotation"]
    kinds = "+".join(entry["type"] for entry in scene["interferers"])
    return (
        f"{scene['duration'] / 44100:.2f} s, {kinds}, SNR {scene['SNR']:.1f} dB, "
        f"turn of {second['angle'] - first['angle']:.1f} degrees from {first['angle']:.0f}"
    )


if __name__ == "__main__":
    sys.exit(main())
