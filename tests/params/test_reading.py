"""params.yaml is checked as a whole."""

from __future__ import annotations

import difflib
import functools
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.utils.hydra import apply_overrides

from hearlab.errors import ParameterError
from hearlab.learners import LEARNED
from hearlab.params import check_params, load_params
from hearlab.scoring.tracks import MUSIC_LEVELS

REPOSITORY = Path(__file__).resolve().parents[2]


def in_one_line(found: re.Match[str]) -> str:
    """`key: [a, b]` instead of a line for each value."""
    indent, key, comment, items = found.groups()
    return f"{indent}{key}: [{', '.join(re.findall('- (.*)', items))}]{comment or ''}"


# With lists in one line, as people write them: both forms are read.
TEXT = re.sub(
    r"(?m)^( *)(\w+):( #.*)?((?:\n\1- .*)+)", in_one_line, (REPOSITORY / "params.yaml").read_text(encoding="utf-8")
)


def test_the_repository_s_own_parameters_are_right() -> None:
    params = load_params(REPOSITORY / "params.yaml")
    assert params.dataset == "demo"
    assert params.data.splits.dev.scenes >= 12
    assert params.datasets.clarity.splits.dev.scenes == 2500
    assert params.enhance.gain == 0


def changed_by_dvc(path: Path, *overrides: str) -> list[str]:
    """The lines of params.yaml that are taken away (-) or new (+) after `dvc exp run -S ...`."""
    before = path.read_text(encoding="utf-8").splitlines()
    apply_overrides(path, list(overrides))
    lines = difflib.unified_diff(before, path.read_text(encoding="utf-8").splitlines(), n=0, lineterm="")
    return [line for line in lines if not line.startswith(("---", "+++", "@@"))]


def test_an_override_changes_its_own_line_only(tmp_path: Path) -> None:
    """params.yaml is committed in the form in which DVC writes it; else the first `-S` would change 111 lines."""
    path = tmp_path / "params.yaml"
    shutil.copyfile(REPOSITORY / "params.yaml", path)
    assert changed_by_dvc(path, "seed=0") == []
    gain = "  gain: {} # dB, after the prescription and before the compressor"
    assert changed_by_dvc(path, "enhance.gain=3") == ["-" + gain.format(0), "+" + gain.format(3)]
    assert changed_by_dvc(path, "scenes.snr_range=[-6,6]") == ["-  - -12", "+  - -6"]


def test_own_parameters_come_and_go(tmp_path: Path) -> None:
    """The last one, too: what is left is the file as it was, comments and all."""
    path = tmp_path / "params.yaml"
    shutil.copyfile(REPOSITORY / "params.yaml", path)
    text = path.read_bytes()
    assert changed_by_dvc(path, "++enhance.params.version=2") == ["-  params: {}", "+  params:", "+    version: 2"]
    assert changed_by_dvc(path, "++enhance.params.version=3") == ["-    version: 2", "+    version: 3"]
    assert changed_by_dvc(path, "++enhance.params.taps=[1,2]") == ["+    taps:", "+    - 1", "+    - 2"]
    assert load_params(path).enhance.params == {"version": 3, "taps": [1, 2]}
    changed_by_dvc(path, "~enhance.params.taps")
    changed_by_dvc(path, "~enhance.params.version")
    assert path.read_bytes() == text


def test_the_level_of_music_in_older_revisions(tmp_path: Path) -> None:
    """They do not know the parameter, and were scored by what is now the current rule."""
    assert load_params(REPOSITORY / "params.yaml").evaluate.music_level == "challenge"
    (tmp_path / "params.yaml").write_text(re.sub(r"  music_level: .*\n", "", TEXT))
    assert load_params(tmp_path / "params.yaml").evaluate.music_level == "current"
    for level in MUSIC_LEVELS:
        (tmp_path / "params.yaml").write_text(TEXT.replace("music_level: challenge", f"music_level: {level}"))
        assert load_params(tmp_path / "params.yaml").evaluate.music_level == level


def test_older_revisions_learn_nothing() -> None:
    """Entries of a leaderboard are verified with the params.yaml of their commit."""
    content = yaml.safe_load(TEXT)
    del content["learn"]
    assert not check_params(content).trains_enhancer


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"enhance.params": {"weights": "a.pth"}}, "enhance.params.weights: .*wanted learn.weights to name the file"),
        ({"learn.validation": 96}, "learn.validation: .*fewer than the 96 scenes of the split learning"),
        ({"learn.split": "train"}, "learn.validation: .*fewer than the 4 scenes of the split train"),
        ({"learn.split": "train_additional"}, "learn.split: .*wanted scenes.additional.enabled: true"),
        ({"dataset": "clarity"}, 'learn.split: .*found "learning", wanted .train. or .train_additional.'),
        (
            {"dataset": "mine", "datasets.mine": {"source": "own"}},
            "learn.weights: .*wanted a file: own recordings",
        ),
        ({"learn.listeners": "/home/me/clinic.csv"}, "learn.listeners: .*a file in the folder listeners"),
        ({"learn.device": "gpu"}, "learn.device: .*wanted auto, cpu, cuda or cuda:N"),
    ],
)
def test_what_cannot_be_learned_is_refused_before_anything_runs(changes: dict[str, Any], message: str) -> None:
    content = yaml.safe_load(TEXT)
    for name, value in {"enhance.system": LEARNED, **changes}.items():
        *sections, key = name.split(".")
        functools.reduce(dict.__getitem__, sections, content)[key] = value
    with pytest.raises(ParameterError, match=message) as caught:
        check_params(content)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("level: challenge", "level: v0.3", "evaluate.music_level: wrong value .*wanted 'challenge' or 'current'"),
        ("  gain: 0", "  gian: 0", "enhance.gian: unknown key .*; did you mean gain\\?"),
        ("  gain: 0", "  gain: loud", 'enhance.gain: wrong value \\(found "loud", wanted a valid number\\)'),
        ("  gain: 0", "  gain: 1000", "enhance.gain: wrong value \\(found 1000, wanted less than or equal to 100\\)"),
        ("  gain: 0", "  gain: .nan", "enhance.gain: wrong value \\(found NaN, wanted a finite number\\)"),
        ("  gain: 0", "  gain: [0", "is not valid YAML"),
        ("dataset: demo", "dataset: dmeo", "dataset: wrong value .*'demo' or 'clarity'"),
        ("dataset: demo", "dataset: demo\nxyz: 1", "xyz: unknown key \\(wanted one of dataset, seed"),
        ("soft_clip: true", "soft_clip: 1", "enhance.soft_clip: wrong value \\(found 1, wanted a valid boolean\\)"),
        ("snr_range: [-12, 6]", "snr_range: [6, -12]", "scenes.snr_range: the first value must not exceed"),
        ("snr_range: [-12, 6]", "snr_range: [6]", "scenes.snr_range"),
        ("seed: 0", "seed: 0\nseed: 1", 'is not valid YAML: duplicate key "seed"'),
        ("seed: 0", "seed: 0.5", "seed: wrong value"),
        ("seed: 0 ", "", "seed: key is missing|is not valid YAML"),
        ("reference_channel: 1", "reference_channel: 4", "render.reference_channel: must be below the number"),
        ("hearlab.systems.baseline:Baseline", "baseline", "enhance.system: .* package.module:Class"),
        ("speech_metrics: [haspi]", "speech_metrics: []", "evaluate.speech_metrics: wrong value .*at least 1"),
        ("speech_metrics: [haspi]", "speech_metrics: [haspi, haspi]", "evaluate.speech_metrics: .*names that differ"),
        ("speech_metrics: [haspi]", "speech_metrics: haspi", "evaluate.speech_metrics: wrong value"),
        ("attack: 50", "attack: -1", "enhance.compressor.attack: wrong value \\(found -1, wanted greater than 0\\)"),
    ],
)
def test_one_line_for_each_mistake(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in TEXT
    path = tmp_path / "params.yaml"
    path.write_text(TEXT.replace(old, new, 1))
    with pytest.raises(ParameterError, match=message) as caught:
        load_params(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    assert caught.value.exit_code == 2


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(TEXT.replace("  gain: 0", "  gian: 0").replace("seed: 0", "seed: -1"))
    with pytest.raises(ParameterError) as caught:
        load_params(path)
    lines = str(caught.value).splitlines()
    assert len(lines) == 2
    assert "seed" in lines[0]
    assert "enhance.gian" in lines[1]


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="no such file"):
        load_params(tmp_path / "params.yaml")


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("snr_range: [-12, 6]", "snr_range: [-12, 999]", "scenes.snr_range.1"),
        ("snr_range: [-12, 6]", "snr_range: [-999, 6]", "scenes.snr_range.0"),
        ("snr_range: [-12, 6]", "snr_range: [-12, true]", "scenes.snr_range.1"),
        ("angle_initial_mean: 25", "angle_initial_mean: 888", "scenes.head_turn.angle_initial_mean"),
        ("angle_initial_sd: 5", "angle_initial_sd: 666", "scenes.head_turn.angle_initial_sd"),
        ("angle_final_range: [0, 10]", "angle_final_range: [0, 999]", "scenes.head_turn.angle_final_range.1"),
        ("number: [2, 3]", "number: [2, true]", "scenes.interferers.number.1"),
        ("start_time_range: [0, 0]", "start_time_range: [-999, 0]", "scenes.interferers.start_time_range.0"),
        ("channel_norms: [12.0", "channel_norms: [9999", "render.channel_norms.0"),
        ("gain: 0 ", "gain: -999 ", "enhance.gain"),
        ("gain: 0 ", "gain: true ", "enhance.gain"),
        ("makeup_gain: 1.0", "makeup_gain: 999", "enhance.compressor.makeup_gain"),
        ("level: 100 ", "level: 999 ", "evaluate.level"),
        ("gains: [0.25, 1.25]", "gains: [0.25, 999]", "separate.train.gains.1"),
        ("gains: [0.25, 1.25]", "gains: [1.25, 0.25]", "separate.train.gains"),
        ("learning_rate: 0.01", "learning_rate: 999", "separate.train.learning_rate"),
        ("weight_decay: 0.00001", "weight_decay: 999", "separate.train.weight_decay"),
        ("segment: 10 ", "segment: -999 ", "separate.segment"),
    ],
)
def test_a_value_that_means_no_answer(tmp_path: Path, old: str, new: str, field: str) -> None:
    assert old in TEXT
    path = tmp_path / "params.yaml"
    path.write_text(TEXT.replace(old, new, 1))
    with pytest.raises(ParameterError, match=f"params.yaml: {re.escape(field)}: "):
        load_params(path)
