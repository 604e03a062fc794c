"""`hearlab scores`: the averages of the last run, or the scores of any result pair by pair."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from hearlab.commands import Commands


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "scores",
        help="print the averaged scores of the last run, or any result's scores pair by pair (--json)",
        description="The averages of the last run. Of REV: means with 95 % intervals; with --json the scores of every "
        "pair, with what is known of the scene and the listener (in Python: hearlab.scores(REV), a pandas table).",
    )
    parser.add_argument(
        "revision",
        nargs="?",
        metavar="REV",
        help="a git revision, a DVC experiment, workspace, a CSV file of scores or a folder of metrics",
    )
    parser.add_argument("--json", action="store_true", help="print the scores of every pair as JSON")
    parser.set_defaults(run=_scores)


def _scores(options: argparse.Namespace) -> None:
    if options.revision is None and not options.json:
        from hearlab.scoring.belonging import outdated
        from hearlab.scoring.summary_text import score_tables
        from hearlab.versions.revisions import WorkspaceFiles

        print(score_tables(Path("metrics"), outdated(WorkspaceFiles(Path()))))
        return
    from hearlab.report.compare.pairs import json_rows, mean_table, notes_of, pair_rows

    revision = options.revision or "workspace"
    rows = pair_rows(revision, Path.cwd())
    if options.json:
        print(json.dumps(json_rows(rows), indent=1))
        return
    print("\n".join([mean_table(rows), *notes_of(revision, Path.cwd())]))
