"""`hearlab track`: the result in the workspace, or those that wait, as runs in MLflow."""

from __future__ import annotations

import argparse
from pathlib import Path

from hearlab.commands import Commands


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "track",
        help="log the result in MLflow, once (dvc repro does it, too)",
        description="Logs the result in the workspace as one run in MLflow: in mlflow.db here, or where "
        "MLFLOW_TRACKING_URI says. The same result is never logged twice.",
    )
    parser.add_argument("--pending", action="store_true", help="log what could not be logged before, instead")
    parser.add_argument("--ui", action="store_true", help="show the runs in MLflow's user interface (make mlflow)")
    parser.add_argument("--port", type=int, default=5000, help="of the interface (default: 5000)")
    parser.add_argument("--no-browser", action="store_true", help="only say where the interface is")
    parser.set_defaults(run=_track)


def _track(options: argparse.Namespace) -> int:
    from hearlab.compute.process import sigterm_interrupts
    from hearlab.tracking.recording import track, track_pending
    from hearlab.tracking.records import folders

    root = Path.cwd()
    with sigterm_interrupts():
        if options.ui:
            from hearlab.tracking.ui import show

            return show(root, options.port, browser=not options.no_browser, say=lambda text: print(text, flush=True))
        if not options.pending:
            report = track(root)
            print("\n".join(report.lines))
            return 0 if report.logged else 1
        if not folders(root):
            print("no result waits to be logged")
            return 0
        for report in track_pending(root):
            print("\n".join(report.lines))
    left = len(folders(root))
    if left:
        print(f"{left} still wait")
    return 1 if left else 0
