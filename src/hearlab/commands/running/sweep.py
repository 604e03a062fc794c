"""`hearlab sweep`: many experiments, a grid of parameters or a search for the best ones."""

from __future__ import annotations

import argparse
from pathlib import Path

from hearlab.commands import Commands
from hearlab.scoring.tracks import METRICS


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "sweep",
        help="many experiments: a grid of parameters, or a search for the best ones",
        description="Runs a DVC experiment for each point of a grid, in folders of their own, with params.yaml as it "
        "is now: it may be edited meanwhile, code and commits may not. What experiments have in common is computed "
        "once. Those that are there already are not run again: after Ctrl-C the same command goes on.",
    )
    parser.add_argument(
        "-S",
        "--set-param",
        metavar="KEY=VALUES",
        action="append",
        default=[],
        help="as in dvc exp run, repeatable: 'enhance.gain=range(0,13,3)', 'enhance.gain=0,6,12', 'enhance.gain=3'; "
        "with --optimise also a range, 'enhance.gain=0..12' (whole numbers), '0.0..12', 'log(1e-3..1)'",
    )
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="experiments at a time (default: 1)")
    parser.add_argument("--optimise", choices=tuple(METRICS), help="search for the best value of this metric (Optuna)")
    parser.add_argument("--trials", type=int, metavar="N", help="of the search, those of earlier calls included")
    parser.add_argument("--seed", type=int, default=0, help="of the search (default: 0)")
    parser.add_argument("--metric", choices=tuple(METRICS), help="by which the best of a grid is told (default: each)")
    parser.set_defaults(run=_sweep, checkout=True)


def _sweep(options: argparse.Namespace) -> int:
    from hearlab.compute.process import sigterm_interrupts
    from hearlab.errors import ParameterError
    from hearlab.sweep.run import check_pipeline, run_grid, run_search

    root = Path.cwd()
    if not options.set_param:
        raise ParameterError("-S", "is missing", wanted="such as -S 'enhance.gain=range(0,13,3)'")
    for name in ("jobs", "trials"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise ParameterError(f"--{name}", "wrong value", found=value, wanted="a number from 1")
    if (options.optimise is None) != (options.trials is None):
        raise ParameterError("--optimise", "goes with --trials", wanted="--optimise METRIC --trials N")
    if options.optimise and (options.jobs > 1 or options.metric):
        raise ParameterError(
            "--optimise", "goes with neither --jobs nor --metric", advice="a trial learns from the last"
        )
    check_pipeline(root)

    def say(text: str) -> None:
        print(text, flush=True)

    with sigterm_interrupts():
        if options.optimise:
            good = run_search(root, options.set_param, options.optimise, options.trials, options.seed, say)
        else:
            good = run_grid(root, options.set_param, say, jobs=options.jobs, metric=options.metric)
    return 0 if good else 1
