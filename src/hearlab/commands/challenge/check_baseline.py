"""`hearlab check-baseline`: the baseline's scores here against the published ones."""

from __future__ import annotations

import argparse
from pathlib import Path

from hearlab.commands import Commands
from hearlab.scoring.tracks import TRACKS
from hearlab.separators import SEPARATORS


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "check-baseline",
        help="the baseline's scores here against the published ones",
        description="Compares averages (for music, each song's too) with those of leaderboard/, and single pairs with "
        "published tables where they are given. Exit code 0: all within the spread of reruns; 1: something differs.",
    )
    parser.add_argument("track", choices=tuple(TRACKS))
    parser.add_argument(
        "--scores",
        type=Path,
        metavar="CSV",
        help="scores to check, or a folder of speech.csv and speech_unprocessed.csv (default: those of this workspace)",
    )
    parser.add_argument("--published", type=Path, metavar="CSV", help="published scores of the baseline, pair by pair")
    parser.add_argument(
        "--unprocessed", type=Path, metavar="CSV", help="published scores of the unprocessed signals, pair by pair"
    )
    parser.add_argument("--model", choices=tuple(SEPARATORS), help="that separated the songs of --scores")
    parser.set_defaults(run=_check, checkout=True)


def _check(options: argparse.Namespace) -> int:
    from hearlab.report.leaderboard.baseline_check import check_baseline

    lines = check_baseline(
        Path.cwd(),
        options.track,
        scores=options.scores,
        published=options.published,
        unprocessed=options.unprocessed,
        model=options.model,
    )
    for line in lines:
        print(line)
    return 1 if any(line.state == "differs" for line in lines) else 0
