"""`hearlab scores`: the averages of the last run."""

from __future__ import annotations

import argparse
from pathlib import Path

from hearlab.commands import Commands


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("scores", help="print the averaged scores of the last run")
    parser.set_defaults(run=_scores)


def _scores(options: argparse.Namespace) -> None:
    from hearlab.scores.summary_text import score_tables

    print(score_tables(Path("metrics")))
