"""Speed and memory side by side with the published implementation: `make bench`, or `python benchmarks/bench.py`.

Both implementations alternate in each row (A B A B), with one thread on the same core, and their results are compared
in the same run. pyclarity 0.9.0 is installed into its own environment beside this file.
"""

from __future__ import annotations

import argparse
import datetime
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from hearlab.files import write_json
from implementations.peer_env import peer_python
from implementations.workers import OURS, TaskFailedError, last_core
from inputs import Inputs, reference_material
from machine import commit, load, machine
from speed.measure import Bench, Result, measure_first_call, measure_haaqi_memory, measure_render_memory, measure_speed
from speed.rows import FIRST_CALL_ROWS, HAAQI_MEMORY, RENDER_MEMORY, ROW_NAMES, SPEED_ROWS
from speed.scaling import CURVE_NAMES, run_scaling
from speed.table import failures, results_json, summary, table

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results.json"


def main(arguments: list[str] | None = None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        return _run(options, parser)
    except TaskFailedError as error:
        print(error, file=sys.stderr)
        return 2


def _run(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    complete = not (options.rows or options.quick or options.no_peer)
    output = options.output or (RESULTS if complete and not options.scaling else None)
    if options.scaling and (unknown := set(options.rows) - CURVE_NAMES):
        parser.error(f"--scaling has no row {', '.join(sorted(unknown))}: {', '.join(sorted(CURVE_NAMES))}")
    theirs = None if options.no_peer else (options.peer_python or peer_python())
    cpu = last_core() if options.cpu is None else options.cpu if options.cpu >= 0 else None
    about: dict[str, Any] = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": machine(),
        "core": cpu,
        "complete": complete,
    }
    with tempfile.TemporaryDirectory(prefix="hearlab-bench-") as scratch:
        inputs = Inputs(Path(scratch), reference_material())
        bench = Bench(inputs, theirs, cpu, quick=options.quick)
        about["scene"] = inputs.scene_source
        about["versions"] = _versions(bench)
        if options.scaling:
            run_scaling(bench, about, options.output or HERE, set(options.rows) or None)
            return 0
        results = [result for measurement in _chosen(options.rows) for result in measurement(bench)]
    about["machine"]["load_at_end"] = load()
    print(_heading(about), table(results), summary(results), sep="\n\n")
    if inputs.reference is None:
        print("No reference material was found (HEARLAB_REFERENCE): the scene is one of the demo data set.")
    if output is not None:
        write_json(output, results_json(results, about))
        print(f"Written: {output}")
    else:
        print("Not written: the rows or repetitions are incomplete (--output FILE writes them anyway).")
    wrong = failures(results)
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="+", default=[], choices=ROW_NAMES, metavar="NAME", help=", ".join(ROW_NAMES))
    parser.add_argument("--quick", action="store_true", help="few repetitions, for a trial")
    parser.add_argument("--no-peer", action="store_true", help="measure HearLab alone; nothing is installed")
    parser.add_argument(
        "--scaling", action="store_true", help="time and memory against the length of the input instead"
    )
    parser.add_argument("--output", type=Path, help=f"file for the results (a folder with --scaling); {RESULTS.name}")
    parser.add_argument("--peer-python", type=Path, help="interpreter that can import pyclarity; nothing is installed")
    parser.add_argument("--cpu", type=int, help="core to measure on (default: the last one); -1: any")
    return parser


def _chosen(names: Iterable[str]) -> list[Callable[[Bench], Iterable[Result]]]:
    """The measurements of the rows of these names (of all rows if there are none), in the order of the table."""
    measurements: dict[str, Callable[[Bench], Iterable[Result]]] = {
        row.name: lambda bench, row=row: [measure_speed(bench, row)] for row in SPEED_ROWS
    }
    measurements |= {row.name: lambda bench, row=row: measure_first_call(bench, row) for row in FIRST_CALL_ROWS}
    measurements[RENDER_MEMORY.name] = lambda bench: [measure_render_memory(bench)]
    measurements[HAAQI_MEMORY.name] = lambda bench: [measure_haaqi_memory(bench)]
    return [measurement for name, measurement in measurements.items() if not names or name in set(names)]


def _versions(bench: Bench) -> dict[str, dict[str, str]]:
    versions = {}
    for script in bench.sides():
        with bench.worker(script) as worker:
            values = worker.call("versions").values or {}
        versions["hearlab" if script == OURS else "published"] = {name: str(value) for name, value in values.items()}
    return versions


def _heading(about: dict[str, Any]) -> str:
    where = about["machine"]
    changed = f" and {about['commit']['changed_files']} changed files" if about["commit"]["changed_files"] else ""
    return (
        f"{where['cpu']}, {where['cores']} cores, {where['memory_gb']} GB, {where['os']}, Python {where['python']}\n"
        f"load {where['load']} to {where['load_at_end']}; one thread on core {about['core']}\n"
        f"medians (minimum..maximum); commit {about['commit']['id']}{changed}; {about['date']}"
    )


if __name__ == "__main__":
    sys.exit(main())
