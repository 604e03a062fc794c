"""`hearlab submission`: the package of enhanced test songs for the music challenge."""

from __future__ import annotations

import argparse
from pathlib import Path

from hearlab.commands import Commands


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("submission", help="pack and check a submission to the music challenge")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    pack = actions.add_parser("pack", help="pack submission_TEAM.zip from the enhanced test songs and check it")
    pack.add_argument("team", metavar="TEAM")
    pack.add_argument("--folder", type=Path, default=Path(), help="where to put it (default: here)")
    pack.set_defaults(run=_pack)
    check = actions.add_parser("check", help="check a package against the published rules")
    check.add_argument("package", metavar="PACKAGE", type=Path, help="submission_TEAM.zip, or its folder")
    check.set_defaults(run=_check)


def _pack(options: argparse.Namespace) -> int:
    from hearlab.datasets.submission import pack_submission
    from hearlab.params import load_params
    from hearlab.stages.common import submission_pairs, workspace

    params = load_params()
    pairs, _ = submission_pairs(params)
    path = pack_submission(workspace(params).enhanced_music, pairs, options.team, options.folder)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
    return _report(path)


def _check(options: argparse.Namespace) -> int:
    return _report(options.package)


def _report(package: Path) -> int:
    from hearlab.datasets.submission import check_submission
    from hearlab.params import load_params
    from hearlab.stages.common import submission_pairs
    from hearlab.text import printable

    right, faults = check_submission(package, *submission_pairs(load_params()))
    for fault in faults:
        print(printable(fault))
    print(f"{right} audio files are right, {len(faults)} faults")
    return 1 if faults else 0
