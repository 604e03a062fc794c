"""Which scores are not of the params.yaml beside them, as dvc.lock tells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hearlab.scoring.belonging import outdated
from hearlab.versions.revisions import WorkspaceFiles
from scores_of_before import make_scores


def found(root: Path) -> dict[str, str]:
    return outdated(WorkspaceFiles(root))


@pytest.mark.parametrize(
    ("params", "reasons"),
    [
        ({}, {}),
        ({"unused": 1}, {}),
        ({"dataset": "mine"}, {"music": 'made with dataset "demo", params.yaml says "mine"'}),
        ({"enhance": {"gain": 3}}, dict.fromkeys(("speech", "music"), "made with enhance.gain 0, params.yaml says 3")),
        (
            {"enhance": {"gain": 0, "params": {"depth": 2}}},
            dict.fromkeys(("speech", "music"), "made with enhance.params.depth nothing, params.yaml says 2"),
        ),
        # One that came to HearLab later is at its default.
        ({"enhance": {"gain": 0, "new": 2}}, {}),
    ],
    ids=["none", "of no stage", "a data set", "changed", "added to the system's own", "new in HearLab"],
)
def test_parameters_that_the_scores_were_not_made_with(
    tmp_path: Path, params: dict[str, Any], reasons: dict[str, str]
) -> None:
    assert found(make_scores(tmp_path, params)) == reasons


def test_a_stage_that_was_run_alone(tmp_path: Path) -> None:
    """`dvc repro score_speech` after the system's code has changed: its other description is in dvc.lock."""
    root = make_scores(tmp_path, {}, system="02")
    assert found(root) == {"music": "made with another data/system.json than the present one"}


def test_nothing_is_said_against_scores_of_which_nothing_is_known(tmp_path: Path) -> None:
    root = make_scores(tmp_path, {"dataset": "mine"})
    (root / "dvc.lock").unlink()
    assert found(root) == {}
    assert found(make_scores(tmp_path / "bare", None)) == {}
