"""`hearlab memo`: the memory of finished units."""

from __future__ import annotations

import argparse
from pathlib import Path

from hearlab.commands import Commands


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("memo", help="what is already done: status, clean-up, verification")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    status = actions.add_parser("status", help="finished units and bytes of each stage")
    status.set_defaults(run=_status)
    collect = actions.add_parser("gc", help="forget units of no current result; delete their bytes unless DVC has them")
    collect.add_argument("--dry-run", action="store_true", help="only say what would be deleted")
    collect.set_defaults(run=_gc)
    check = actions.add_parser("verify", help="read every stored byte again; wrong files are set aside and made again")
    check.set_defaults(run=_verify)


def _status(options: argparse.Namespace) -> None:
    from hearlab.compute.memo_maintenance import status, status_text

    print(status_text(status(Path.cwd())))


def _gc(options: argparse.Namespace) -> None:
    from hearlab.compute.memo_maintenance import collect_garbage
    from hearlab.text import size_text

    count, size = collect_garbage(Path.cwd(), dry_run=options.dry_run)
    print(f"{'would delete' if options.dry_run else 'deleted'} {count} files, {size_text(size)}")


def _verify(options: argparse.Namespace) -> int:
    from hearlab.compute.memo_maintenance import verify

    result = verify(Path.cwd())
    print(f"{result.objects} files read, {len(result.wrong)} wrong")
    for name in result.again:
        print(f"  to be run again: {name}")
    if result.wrong:
        print("the wrong files are in .hearlab/set-aside; dvc repro makes them again")
    return 1 if result.wrong else 0
