"""The table of averaged scores."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hearlab.errors import InputError
from hearlab.scoring.summary_text import score_tables
from hearlab.stages import score_music
from hearlab.stages.score_speech import write_results

SCORES = [
    {"scene": "S1", "listener": "L1", "enhanced": 0.2, "unprocessed": 0.1},
    {"scene": "S2", "listener": "L1", "enhanced": 0.5, "unprocessed": 0.3},
    {"scene": "S3", "listener": "L1", "enhanced": 0.8, "unprocessed": 0.9},
]
SNRS = {"S1": -12.0, "S2": 0.0, "S3": 0.1}


def test_overall_and_by_band(tmp_path: Path) -> None:
    write_results(tmp_path, SCORES, SNRS)
    assert score_tables(tmp_path).splitlines() == [
        "better-ear HASPI      all  -12 to -6 dB  -6 to +0 dB  +0 to +6 dB",
        "-----------------------------------------------------------------",
        "unprocessed        0.4333        0.1000       0.3000       0.9000",
        "enhanced           0.5000        0.2000       0.5000       0.8000",
        "improvement       +0.0667       +0.1000      +0.2000      -0.1000",
        "(3 scene-listener pairs; 1 = all words understood)",
    ]


def test_a_clone_without_the_tables_shows_the_averages(tmp_path: Path) -> None:
    write_results(tmp_path, SCORES[:1], SNRS)
    (tmp_path / "plots" / "haspi_snr.csv").unlink()
    assert re.search(r"^enhanced +0\.2000$", score_tables(tmp_path), re.MULTILINE)


def test_no_results_yet(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no scores.*run dvc repro"):
        score_tables(tmp_path)


def test_a_damaged_table(tmp_path: Path) -> None:
    write_results(tmp_path, SCORES, SNRS)
    (tmp_path / "plots" / "haspi_snr.csv").write_text("scene,snr\nS1,loud\n")
    with pytest.raises(InputError, match="is not a table of scores"):
        score_tables(tmp_path)


def music_scores(song: str, listener: str, score: float) -> dict[str, object]:
    return {"song": song, "listener": listener, "score": score, **dict.fromkeys(score_music.COLUMNS, score)}


def test_both_tracks(tmp_path: Path) -> None:
    write_results(tmp_path, SCORES, SNRS)
    alone = score_tables(tmp_path)
    scores = [
        music_scores("Ångström - Où", "L1", 0.2),
        music_scores("夜 - 歌", "L1", 0.5),
        music_scores("夜 - 歌", "L2", 0.6),
    ]
    scores[0]["left_bass"] = 0.4
    score_music.write_results(tmp_path, scores)
    speech, music = score_tables(tmp_path).split("\n\n")
    assert speech == alone
    assert music.splitlines() == [
        "HAAQI             all   drums    bass   other  vocals",
        "-----------------------------------------------------",
        "Ångström - Où  0.2000  0.2000  0.3000  0.2000  0.2000",
        "夜 - 歌        0.5500  0.5500  0.5500  0.5500  0.5500",
        "all songs      0.4333  0.4333  0.4667  0.4333  0.4333",
        "(3 song-listener pairs, both ears; 1 = like the original)",
    ]
