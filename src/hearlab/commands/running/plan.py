"""`hearlab plan`: what would run, how long it takes and what it writes."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from hearlab.commands import Commands
from hearlab.kernels.retained_memory import objects_stay


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "plan",
        help="what dvc repro would run: units, core-hours, time, disk, missing packages",
        description="Nothing is run or changed. Targets and -S are those of `dvc repro` and `dvc exp run`.",
    )
    parser.add_argument("targets", metavar="TARGET", nargs="*", help="a stage of dvc.yaml (default: all)")
    parser.add_argument(
        "-S", "--set-param", metavar="KEY=VALUE", action="append", default=[], help="as in dvc exp run; repeatable"
    )
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    parser.set_defaults(run=_plan, checkout=True)


def _plan(options: argparse.Namespace) -> None:
    with objects_stay():  # most of it are objects of DVC
        from hearlab.report.plan.plan import check_root, make_plan, plan_text, plan_values

        root = Path.cwd()
        check_root(root)
        plan = make_plan(root, options.targets, options.set_param)
    print(json.dumps(plan_values(plan), indent=1) if options.json else plan_text(plan))
