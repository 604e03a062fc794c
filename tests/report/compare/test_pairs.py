"""The scores of a result pair by pair: `hearlab scores REV` and `hearlab.scores(REV)`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import hearlab
from compare_support import STEMS, metadata, music, speech
from hearlab.cli import main
from hearlab.errors import InputError
from hearlab.report.compare.pairs import pair_rows, scores

GIVEN = np.random.default_rng(1).beta(1, 2, (12, 3)) * 0.8 + 0.05
SNRS = np.linspace(-12, 6, 12)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with scores of both tracks, and what is known of the scenes and listeners of one."""
    speech(tmp_path / "metrics" / "speech.csv", GIVEN + 0.1)
    speech(tmp_path / "metrics" / "speech_unprocessed.csv", GIVEN)
    stems = {stem: 0.1 * k for k, stem in enumerate(STEMS)}
    music(tmp_path / "metrics" / "music.csv", {("A song", "L7"): stems, ("Another", "L7"): stems})
    (tmp_path / "params.yaml").write_text("dataset: demo\nevaluate: {split: dev, song_listeners: valid}\n")
    made = metadata(tmp_path / "data" / "demo" / "scene_lists", 12, SNRS)
    listeners = tmp_path / "data/demo/inputs/clarity_data/metadata/listeners.json"
    listeners.parent.mkdir(parents=True)
    (made / "listeners.json").rename(listeners)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_row_for_each_pair_with_what_is_known_of_it(folder: Path) -> None:
    table = hearlab.scores(track="speech")
    assert len(table) == 36
    assert not table.isna().drop(columns=["room", "target"]).any(axis=None)  # the lists here name neither
    for row in table.itertuples():
        place = int(row.scene[1:]) - 6001, int(row.listener[-1]) - 1
        assert row.haspi == pytest.approx(GIVEN[place] + 0.1, abs=1e-8)
        assert row.haspi_unprocessed == pytest.approx(GIVEN[place], abs=1e-8)
        assert row.snr == SNRS[place[0]]
        assert (row.loss_left, row.loss_right) == ((10, 40, 70)[place[1]], 90)
        assert row.severity == ("none", "moderate", "severe")[place[1]]
    assert set(table["interferers"]) == {"speech", "speech + noise", "music"}


def test_means_of_a_subset_say_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scores", "workspace"]) == 0
    assert "subset" not in capsys.readouterr().out
    (folder / "params.yaml").write_text("dataset: demo\nevaluate: {split: dev, scenes: {draw: 12, seed: 3}}\n")
    assert main(["scores", "workspace"]) == 0
    assert capsys.readouterr().out.endswith(
        "\n- workspace: the speech scores are of a subset: 12 scenes drawn (seed 3)\n"
    )


def test_it_is_imported_when_it_is_used(folder: Path) -> None:
    program = (
        "import sys, hearlab\nassert not {'pandas', 'numpy', 'hearlab.report'} & set(sys.modules)\n"
        "one = hearlab.scores('metrics/speech.csv')\nfrom hearlab.scoring.table import parse_scores\n"
        "import hearlab.scoring.tracks\nassert one.equals(hearlab.scores('metrics/speech.csv'))\nprint(len(one))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("36\n", "")


def test_stems_of_music_and_both_tracks_in_one(folder: Path) -> None:
    songs = scores("workspace", track="music", root=folder)
    assert songs["song"].tolist() == ["A song", "Another"]
    assert songs.loc[0, [f"left_{stem}" for stem in STEMS]].tolist() == pytest.approx([0, 0.1, 0.2, 0.3])
    assert songs["haaqi"].tolist() == pytest.approx([0.15, 0.15])
    both = scores("workspace", root=folder)
    assert both["track"].value_counts().to_dict() == {"speech": 36, "music": 2}
    assert both["haaqi"].count() == 2


def test_a_file_has_one_condition_and_no_metadata_of_other_scenes(folder: Path) -> None:
    speech(folder / "other.csv", GIVEN[:1])
    (folder / "data").rename(folder / "away")
    rows = pair_rows("other.csv", folder)
    assert [row["listener"] for row in rows] == ["L0001", "L0002", "L0003"]
    assert "haspi_unprocessed" not in rows[0]
    assert (rows[0]["snr"], rows[0]["severity"]) == (None, None)


def test_pairs_that_one_condition_lacks_are_empty(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    speech(folder / "metrics" / "speech_unprocessed.csv", GIVEN[:11])
    assert scores(track="speech", root=folder)["haspi_unprocessed"].isna().sum() == 3
    assert main(["scores", "workspace", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["scene"] for row in found if row.get("haspi_unprocessed", 0) is None] == ["S6012"] * 3
    assert main(["scores", "workspace"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[:4] for line in lines if line[0].startswith("haspi")] == [
        ["haspi", "36", "12", f"{GIVEN.mean() + 0.1:.4f}"],
        ["haspi_unprocessed", "33", "11", f"{GIVEN[:11].mean():.4f}"],
    ]


def test_wrong_names(folder: Path) -> None:
    with pytest.raises(InputError, match="track: is not known"):
        scores(track="films", root=folder)
    with pytest.raises(InputError, match=r"has no scores of music pair by pair"):
        scores("metrics/speech.csv", track="music", root=folder)
    with pytest.raises(InputError, match=r"nothing\.csv: no such file"):
        scores("nothing.csv", root=folder)
