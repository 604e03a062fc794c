"""Stage track: the result as a run in MLflow. What MLflow cannot take now is kept; the stage is done all the same."""

from __future__ import annotations

import sys
from pathlib import Path

from hearlab.files import write_json
from hearlab.params import Params
from hearlab.stages.common import workspace
from hearlab.tracking.recording import track


def run(params: Params) -> None:
    root = Path.cwd()
    report = track(root)
    sys.stderr.write("".join(f"track: {line}\n" for line in report.lines))
    # For DVC: the same for everybody who has this result, wherever it was logged.
    write_json(workspace(params).tracked, {"identity": report.identity})
