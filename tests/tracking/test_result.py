"""What a result is, by what it is told from others, and when scores do not belong to params.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from tracking_support import make_result

from hearlab.errors import InputError
from hearlab.files import md5_of
from hearlab.tracking.provenance import tags
from hearlab.tracking.result import current_result
from hearlab.versions.lock import stages_behind


def edit_lock(root: Path, change) -> None:
    yaml = YAML()
    lock = yaml.load((root / "dvc.lock").read_text())
    change(lock["stages"])
    with (root / "dvc.lock").open("w") as file:
        yaml.dump(lock, file)


def identity(root: Path) -> str:
    return current_result(root).identity


def test_the_same_result_has_the_same_identity_elsewhere(tmp_path: Path) -> None:
    one, two = (make_result(tmp_path / name) for name in ("one", "two"))
    assert identity(one) == identity(two)


@pytest.mark.parametrize(
    "change",
    [{"gain": 3}, {"shift": 0.000001}, {"music": False}],
    ids=["a parameter with the same scores", "the last decimal of a score", "one track only"],
)
def test_another_result_has_another_identity(tmp_path: Path, change: dict[str, float]) -> None:
    assert identity(make_result(tmp_path / "one")) != identity(make_result(tmp_path / "two", **change))


def test_what_was_scored_makes_another_result(tmp_path: Path) -> None:
    root = make_result(tmp_path)
    before = identity(root)
    edit_lock(root, lambda stages: stages["score_speech"]["deps"][0].update(md5="13.dir"))
    assert identity(root) != before


def test_code_that_changes_no_score_makes_no_other_result(tmp_path: Path) -> None:
    root = make_result(tmp_path)
    before = identity(root)
    edit_lock(root, lambda stages: stages["enhance_speech"]["deps"][1].update(md5="98.dir"))
    assert identity(root) == before


def test_parameters_of_no_stage_behind_the_scores_do_not_matter(tmp_path: Path) -> None:
    root = make_result(tmp_path)
    before = identity(root)
    path = root / "params.yaml"
    path.write_text(path.read_text().replace("songs:\n", "songs: # the songs\n") + "unused: 1\n")
    assert identity(root) == before


def test_data_and_weights_are_named(tmp_path: Path) -> None:
    found = current_result(make_result(tmp_path)).data
    assert found == {
        "data/demo/inputs/clarity_data": "11.dir",
        "data/demo/inputs/cadenza_data": "21.dir",
        "data/weights": "31.dir",
    }


def test_a_track_with_other_parameters_is_left_out(tmp_path: Path) -> None:
    root = make_result(tmp_path)
    edit_lock(root, lambda stages: stages["enhance_music"]["params"]["params.yaml"]["enhance"].update(gain=6))
    result = current_result(root)
    assert [track.name for track in result.tracks] == ["speech"]
    assert result.left_out == {"music": "made with enhance.gain 6, params.yaml says 0"}
    assert not any("music" in path for path in result.files)


def test_a_track_that_was_never_run_or_pulled_is_left_out(tmp_path: Path) -> None:
    root = make_result(tmp_path / "never", music=False)
    assert current_result(root).left_out == {"music": "was not run"}
    root = make_result(tmp_path / "pulled")
    (root / "metrics/music.csv").unlink()
    assert current_result(root).left_out == {"music": "metrics/music.csv is not here (dvc pull, or dvc repro)"}


def test_a_table_that_is_not_the_locks_is_left_out(tmp_path: Path) -> None:
    root = make_result(tmp_path)
    with (root / "metrics/speech.csv").open("a") as file:
        file.write("S3,L1,1.0\n")
    assert current_result(root).left_out == {"speech": "metrics/speech.csv is not what dvc.lock says"}


def test_a_track_that_the_data_set_does_not_have_is_left_out(tmp_path: Path) -> None:
    root = make_result(tmp_path)
    table = root / "metrics/music.csv"
    was = md5_of(table)
    table.write_text(table.read_text().split("\n")[0] + "\n")
    (root / "dvc.lock").write_text((root / "dvc.lock").read_text().replace(was, md5_of(table)))
    assert current_result(root).left_out == {"music": "it has no pairs in this data set"}


def test_a_subset_is_a_tag(tmp_path: Path) -> None:
    root = make_result(tmp_path)
    assert not [name for name in tags(current_result(root)) if name.startswith("hearlab.subset")]
    path = root / "params.yaml"
    path.write_text(path.read_text().replace("evaluate:\n", "evaluate:\n  listeners: [L1]\n  scenes: {draw: 1}\n"))
    found = {name: text for name, text in tags(current_result(root)).items() if name.startswith("hearlab.subset")}
    assert found == {
        "hearlab.subset.speech": "1 scene drawn (seed 0), listeners L1",
        "hearlab.subset.music": "listeners L1",
    }


def test_no_result_at_all_is_an_error_that_says_why(tmp_path: Path) -> None:
    root = make_result(tmp_path, gain=0)
    path = root / "params.yaml"
    path.write_text(path.read_text().replace("gain: 0", "gain: 3"))
    with pytest.raises(InputError, match=r"no finished result.*enhance.gain 0, params.yaml says 3.*run dvc repro"):
        current_result(root)
    path.unlink()
    with pytest.raises(InputError, match=r"params.yaml: no such file"):
        current_result(root)


def test_stages_behind_are_found_by_folders_too() -> None:
    lock = {
        "a": {"outs": [{"path": "data/x"}]},
        "b": {"deps": [{"path": "data/x/part"}], "outs": [{"path": "data/y/part"}]},
        "c": {"deps": [{"path": "data/y"}]},
        "other": {"outs": [{"path": "data/xy"}]},
    }
    assert stages_behind(lock, "c") == ["a", "b", "c"]
    assert stages_behind(lock, "d") == []


def test_a_long_chain_of_stages() -> None:
    """Thousands, as a stranger's dvc.lock may have: no end of the stack, and no waiting."""
    lock: dict[str, Any] = {"0": {"outs": [{"path": "x/0"}]}}
    lock |= {f"{n}": {"deps": [{"path": f"x/{n - 1}"}], "outs": [{"path": f"x/{n}"}]} for n in range(1, 5000)}
    assert stages_behind(lock, "4999") == [f"{n}" for n in range(5000)]
