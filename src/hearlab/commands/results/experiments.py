"""`hearlab experiments`: all experiments and commits with results, in one table."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from hearlab.commands import Commands

COMMITS = 10


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "experiments",
        help="the experiments and commits with results: what differs, averages with intervals",
        description="The workspace, DVC's experiments and the commits that changed a score, the newest first, with the "
        "parameters that differ (those of your own system first) and the averages with their 95 % intervals.",
    )
    parser.add_argument(
        "--commits", type=int, default=COMMITS, metavar="N", help=f"how many commits to look at (default: {COMMITS})"
    )
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    parser.set_defaults(run=_experiments)


def _experiments(options: argparse.Namespace) -> None:
    from hearlab.errors import InputError
    from hearlab.report.experiments.listing import experiments
    from hearlab.report.experiments.text import experiments_text, experiments_values

    if options.commits < 0:
        raise InputError("--commits", "wrong value", found=options.commits, wanted="a number from 0")
    found, parameters = experiments(Path.cwd(), options.commits)
    if options.json:
        print(json.dumps(experiments_values(found, parameters), indent=1, default=str))
    elif found:
        print(experiments_text(found, parameters))
    else:
        raise InputError(Path.cwd(), "holds no results", wanted="scores of a run", advice="run dvc repro")
