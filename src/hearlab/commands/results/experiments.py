"""`hearlab experiments`: all experiments and commits with results, in one table."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from hearlab.commands import Commands
from hearlab.commands.extras import is_installed

COMMITS = 10
MISSING = "pip install 'hearlab[pipeline]'"


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "experiments",
        help="the experiments and commits with results: what differs, averages with intervals",
        description="The workspace, DVC's experiments and the commits that changed a score, the newest first: the "
        "averages with their 95 % intervals, and the parameters that differ from the first line, those of your own "
        "system first. On a terminal the table is made to fit.",
    )
    parser.add_argument(
        "--commits", type=int, default=COMMITS, metavar="N", help=f"how many commits to look at (default: {COMMITS})"
    )
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument("--wide", action="store_true", help="a column for each parameter, whatever the terminal's width")
    forms.add_argument("--json", action="store_true", help="print all of it as JSON")
    forms.add_argument("--csv", action="store_true", help="print all of it as a CSV file, a column for each parameter")
    parser.set_defaults(run=_experiments)


def _experiments(options: argparse.Namespace) -> None:
    from hearlab.errors import InputError
    from hearlab.report.experiments.listing import experiments
    from hearlab.report.experiments.text import experiments_csv, experiments_text, experiments_values
    from hearlab.text import terminal_columns

    if options.commits < 0:
        raise InputError("--commits", "wrong value", found=options.commits, wanted="a number from 0")
    with_dvc = is_installed("dvc")
    found, parameters = experiments(Path.cwd(), options.commits)
    if options.json:
        print(json.dumps(experiments_values(found, parameters), indent=1, default=str))
    elif options.csv:
        print(experiments_csv(found, parameters), end="")
    elif found:
        print(experiments_text(found, parameters, terminal_columns(), wide=options.wide))
    else:
        advice = "run dvc repro" if with_dvc else f"{MISSING} and dvc repro make them"
        raise InputError(Path.cwd(), "holds no results", wanted="scores of a run", advice=advice)
    if not with_dvc:
        text = "DVC is not installed, with which experiments are made and score tables of commits are read"
        print(f"{text}: {MISSING}", file=sys.stderr)
