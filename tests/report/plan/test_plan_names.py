"""Names of params.yaml that are none of the data set's: a plan refuses them, where the lists are there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from hearlab.datasets.layout import Workspace
from hearlab.errors import InputError
from hearlab.params import Params, check_params
from hearlab.report.plan.names import check_names
from hearlab.report.plan.stages import PlannedStage
from hearlab.stages import stage_units
from hearlab.versions.overrides import overridden

REPOSITORY = Path(__file__).resolve().parents[3]
AUDIOGRAM = {
    "audiogram_cfs": [250, 500, 1000, 2000, 4000, 6000],
    "audiogram_levels_l": [10, 10, 20, 30, 40, 50],
    "audiogram_levels_r": [20, 20, 30, 40, 50, 60],
}
Refusal = Callable[..., str | None]


@pytest.fixture
def lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """The lists of a data set, in the current folder."""
    shutil.copy(REPOSITORY / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    files = Workspace(Path("data/demo"))
    contents: Mapping[Path, Any] = {
        files.clarity.listeners: {name: {"name": name, **AUDIOGRAM} for name in ("L1", "L2")},
        files.clarity.scenes_listeners("dev"): {"S1": ["L1"], "S2": ["L2"]},
        files.scenes("dev"): [{"scene": "S1"}, {"scene": "S2"}],
        files.cadenza.songs("valid"): [{"Track Name": "Tide", "Split": "valid"}],
        files.cadenza.listeners("valid"): {"M1": {"name": "M1", **AUDIOGRAM}},
    }
    for path, content in contents.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
    return files


def changed(change: str) -> Params:
    splits = ["evaluate.song_split=valid", "evaluate.song_listeners=valid"]
    return check_params(overridden(Path(), [*splits, *change.split(" -S ")]))


@pytest.fixture
def refusal(lists: Workspace) -> Refusal:
    def refusal(change: str, *stages: str) -> str | None:
        """What the plan of a run of these stages says, and no word if it says nothing."""
        params = changed(change)
        others = [PlannedStage(name, "no") for name in ("prepare", "prepare_music", "system") if name not in stages]
        try:
            check_names(params, [*others, *(PlannedStage(name, "yes") for name in stages)])
        except InputError as error:
            return str(error)
        return None

    return refusal


@pytest.mark.parametrize(
    ("change", "stage", "line"),
    [
        (
            "evaluate.scenes=[S1, S9]",
            "enhance_speech",
            "evaluate.scenes: names what is not there (found S9, wanted S1, S2)",
        ),
        ("evaluate.scenes={draw: 3}", "score_speech", "evaluate.scenes.draw: draws more than there are (found 3, "),
        (
            "evaluate.songs=[Tied]",
            "separate_music",
            "evaluate.songs: names what is not there (found Tied, wanted Tide)",
        ),
        ("evaluate.songs={draw: 2}", "enhance_music", "evaluate.songs.draw: draws more than there are (found 2, "),
        ("evaluate.listeners=[L1, L9]", "enhance_speech", "unknown listener (found L9, wanted one of M1, L1, L2)"),
        ("evaluate.listeners=[M1, M9]", "score_music", "unknown listener (found M9, wanted one of L1, L2, M1)"),
        ("evaluate.listeners=listeners/no.csv", "enhance_speech", "listeners/no.csv: no such file"),
    ],
)
def test_what_its_stage_refuses_a_plan_refuses(refusal: Refusal, change: str, stage: str, line: str) -> None:
    told = refusal(change, "check_params", stage)
    assert told is not None
    assert line in told
    params = changed(change)
    with pytest.raises(InputError) as caught:
        stage_units(stage, params)
    assert str(caught.value) == told


@pytest.mark.parametrize(
    ("change", "stages"),
    [
        ("evaluate.scenes=[S2]", ["enhance_speech", "score_speech"]),
        ("evaluate.listeners=[M1, L2]", ["enhance_speech", "enhance_music"]),
        ("evaluate.songs=[Tide]", ["separate_music", "score_music"]),
        ("evaluate.scenes=[S9]", ["separate_music", "score_music", "track"]),  # they use none of it
        ("evaluate.scenes=[S9]", ["prepare", "build_scenes@dev", "enhance_speech"]),
        ("evaluate.scenes=[S9]", ["build_scenes@dev", "enhance_speech"]),
        ("evaluate.songs=[Tied]", ["prepare_music", "separate_music", "score_music"]),
        ("evaluate.listeners=[M9]", ["prepare_music", "enhance_speech"]),  # it may be of the other list
    ],
)
def test_what_is_there_or_may_come_is_not_refused(refusal: Refusal, change: str, stages: list[str]) -> None:
    assert refusal(change, *stages) is None


def test_who_a_hearing_aid_is_trained_for(refusal: Refusal) -> None:
    change = "learn.listeners=listeners/no.csv"
    assert refusal(change, "train_enhancer") is None  # none is trained
    change += " -S enhance.system=hearlab.systems.learned:Learned"
    assert "listeners/no.csv: no such file" in str(refusal(change, "train_enhancer"))


def test_of_lists_that_are_not_there_nothing_is_said(refusal: Refusal, lists: Workspace) -> None:
    lists.scenes("dev").unlink()
    lists.cadenza.songs("valid").unlink()
    assert refusal("evaluate.scenes=[S9]", "enhance_speech") is None
    assert refusal("evaluate.listeners=[L9]", "enhance_speech", "enhance_music") is None
    assert refusal("evaluate.songs=[Tied]", "separate_music", "score_music") is None
