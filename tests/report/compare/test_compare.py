"""`hearlab compare` on score files: numbers, groups, and what it concludes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compare_support import FREQUENCIES, STEMS, metadata, music, run, speech, write
from hearlab.errors import InputError
from hearlab.listeners import Audiogram, Listener
from hearlab.scoring.groups import GRADES, INTERFERER_ROWS, SNR_BANDS, grade, interferer_types, snr_band
from hearlab.text import width
from reference_material import REFERENCE

COLUMNS = 100
GIVEN = np.random.default_rng(1).beta(1, 2, (12, 3)) * 0.8 + 0.05  # 12 scenes, 3 listeners, between 0.05 and 0.85


def compared(folder: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    run(folder, *arguments, "--json")
    return json.loads(capsys.readouterr().out)["comparisons"]


def shown(folder: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    run(folder, *arguments)
    text = capsys.readouterr().out
    assert max(width(line) for line in text.splitlines()) <= COLUMNS
    return text


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    speech(tmp_path / "a.csv", GIVEN)
    speech(tmp_path / "b.csv", GIVEN + 0.1 + 0.02 * np.arange(12)[:, None] / 11)
    metadata(tmp_path / "meta", 12, np.linspace(-12, 6, 12))
    return tmp_path


# -- verdicts ------------------------------------------------------------------------------------------------------


def test_a_clear_gain(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (found,) = compared(folder, capsys, "a.csv", "b.csv")
    assert (found["metric"], found["verdict"], found["reasons"]) == ("haspi", "better", [])
    overall = found["overall"]
    assert (overall["pairs"], overall["clusters"]) == (36, 12)
    assert overall["difference"]["mean"] == pytest.approx(0.11, abs=1e-7)
    assert overall["difference"]["low"] < 0.11 < overall["difference"]["high"]
    assert overall["p"] == 2 / 2**12
    assert overall["p_exact"]
    (back,) = compared(folder, capsys, "b.csv", "a.csv")
    assert back["verdict"] == "worse"
    assert back["overall"]["difference"]["mean"] == pytest.approx(-0.11, abs=1e-7)


def test_no_conclusion_from_noise(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    noise = np.random.default_rng(4).normal(0, 0.05, (12, 1))
    speech(folder / "b.csv", np.clip(GIVEN + noise - noise.mean() + 0.002, 0, 1))
    text = shown(folder, capsys, "a.csv", "b.csv")
    assert "Nothing can be concluded: the interval includes 0; p = " in text
    assert "in the permutation test." in text
    assert "would show with 80 % power: 0.0" in text
    assert "\nB is better" not in text


def test_no_conclusion_below_the_noise_floor(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    speech(folder / "b.csv", GIVEN + 1e-4 + 1e-6 * np.arange(12)[:, None])
    (found,) = compared(folder, capsys, "a.csv", "b.csv")
    assert found["verdict"] == "inconclusive"
    assert found["reasons"] == ["the difference is below the metric's own noise floor"]
    (found,) = compared(folder, capsys, "a.csv", "b.csv", "--noise", "1e-6")
    assert found["verdict"] == "better"
    assert found["noise"]["source"] == "given"


def test_no_conclusion_from_five_scenes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, gain in (("a", 0.0), ("b", 0.1)):
        speech(folder / f"{name}.csv", GIVEN[:5] + gain + 0.01 * gain * np.arange(5)[:, None])
    text = shown(folder, capsys, "a.csv", "b.csv")
    assert "Nothing can be concluded: 5 scenes are too few: the smallest possible p is 0.062" in text


def test_no_interval_from_one_scene(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, gain in (("a", 0.0), ("b", 0.1)):
        speech(folder / f"{name}.csv", GIVEN[:1] + gain)
    text = shown(folder, capsys, "a.csv", "b.csv")
    assert "with one scene there is no interval: nothing is known of the next one" in text
    assert [line.split()[-2:] for line in text.splitlines() if line.startswith("all ")] == [["none", "none"]]
    (found,) = compared(folder, capsys, "a.csv", "b.csv")
    assert found["overall"]["difference"]["low"] is None


def test_equal_scores(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(folder, capsys, "a.csv", "a.csv")
    assert "No difference: the scores are the same on every shared pair." in text
    assert "gain most" not in text


def test_missing_pairs_are_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = (folder / "b.csv").read_text().splitlines()
    (folder / "b.csv").write_text("\n".join([*lines[:-4], "S9999,L0001,0.5"]) + "\n")
    (found,) = compared(folder, capsys, "a.csv", "b.csv")
    assert (found["only_in_a"], found["only_in_b"], found["overall"]["pairs"]) == (4, 1, 32)
    assert found["notes"] == ["left out: 4 pairs that only A has, 1 that only B has; what is lost may mislead"]


# -- groups --------------------------------------------------------------------------------------------------------


def rows(found: Any, name: str) -> dict[str, tuple[int, int, float]]:
    return {
        row["name"]: (row["pairs"], row["clusters"], round(row["difference"]["mean"], 6))
        for row in found["tables"][name]
    }


def test_gains_by_group(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    by_listener = np.array([[0.0, 0.02, 0.04]])
    by_scene = np.where(np.linspace(-12, 6, 12) > 0, 0.1, 0.05)[:, None]
    speech(folder / "b.csv", GIVEN + by_listener + by_scene)
    (found,) = compared(folder, capsys, "a.csv", "b.csv", "--metadata", "meta")
    assert rows(found, "snr") == {
        "-12 to -6 dB": (12, 4, 0.07),
        "-6 to +0 dB": (12, 4, 0.07),
        "+0 to +6 dB": (12, 4, 0.12),
    }
    # The better ear counts: the right one has 90 dB HL everywhere.
    assert {name: row[:2] for name, row in rows(found, "severity").items()} == {
        "none": (12, 12),
        "moderate": (12, 12),
        "severe": (12, 12),
    }
    gains = [row[2] for row in rows(found, "severity").values()]
    assert np.diff(gains) == pytest.approx(0.02, abs=1e-6)
    assert {name: row[:2] for name, row in rows(found, "interferers").items()} == {
        "speech": (12, 4),
        "music": (12, 4),
        "speech + noise": (12, 4),
    }
    assert found["left_out"] == ["groups are from meta/scenes.dev.json, meta/listeners.json"]


def test_single_groups_need_more_evidence(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (found,) = compared(folder, capsys, "a.csv", "b.csv", "--metadata", "meta")
    severity = found["tables"]["severity"]
    # Nine rows in all; three of them have p = 2 / 2**12, the others 2 / 2**4.
    assert [row["p"] for row in severity] == [2 / 2**12] * 3
    assert [row["p_adjusted"] for row in severity] == pytest.approx([9 * 2 / 2**12] * 3)
    assert all(row["conclusive"] for row in severity)
    assert not any(row["conclusive"] for row in found["tables"]["snr"])
    text = shown(folder, capsys, "a.csv", "b.csv", "--metadata", "meta")
    assert "after correction for the 9 rows of these tables (Holm)" in " ".join(text.split())
    assert "Rows of fewer than 6 cannot reach p < 0.05." in " ".join(text.split())
    assert [line[0] for line in text.splitlines() if line.endswith("  *")] == ["n", "m", "s"]


def test_metadata_of_other_scenes_of_the_same_names_are_not_used(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metadata(folder / "data" / "demo" / "scene_lists", 11, np.linspace(-12, 6, 11))
    (found,) = compared(folder, capsys, "a.csv", "b.csv")
    assert found["tables"] == {}
    assert found["left_out"] == [
        "no table by SNR: no scene list knows all names (data/demo/scene_lists/scenes.dev.json knows 11 of 12)",
        "no table by interferers: no scene list knows all names (data/demo/scene_lists/scenes.dev.json knows 11 of 12)",
        "no table by hearing loss: no listeners file knows its names (--metadata FOLDER says where one is)",
    ]
    metadata(folder / "data" / "other" / "inputs" / "clarity_data" / "metadata", 12, np.linspace(-12, 6, 12))
    (found,) = compared(folder, capsys, "a.csv", "b.csv")
    assert set(found["tables"]) == {"snr", "severity", "interferers"}
    folder_name = "data/other/inputs/clarity_data/metadata"
    assert found["left_out"] == [f"groups are from {folder_name}/scenes.dev.json, {folder_name}/listeners.json"]


def test_lists_with_values_that_mean_no_answer_are_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lists = metadata(folder / "data" / "demo" / "scene_lists", 12, [999, *np.linspace(-12, 6, 11)])
    (found,) = compared(folder, capsys, "a.csv", "b.csv", "--metadata", str(lists))
    assert found["left_out"][0] == (
        f"no table by SNR: no scene list knows its names ({lists / 'scenes.dev.json'}: S6001.SNR: is no SNR "
        "(found 999, wanted from -200 to 200 dB))"
    )


@pytest.mark.parametrize(
    ("snr", "band"),
    [
        (-12.5, "below -12 dB"),
        (-12, "-12 to -6 dB"),
        (-6, "-12 to -6 dB"),
        (-5.9, "-6 to +0 dB"),
        (0.1, "+0 to +6 dB"),
        (6, "+0 to +6 dB"),
        (6.1, "above +6 dB"),
        (None, "not known"),
    ],
)
def test_snr_bands(snr: float | None, band: str) -> None:
    assert snr_band({"SNR": snr}) == band
    assert band in SNR_BANDS


@pytest.mark.parametrize(
    ("loss", "name"),
    [(0, "none"), (19.9, "none"), (20, "mild"), (35, "moderate"), (50, "moderately severe"), (65, "severe"),
     (80, "profound"), (95, "complete")],
)  # fmt: skip
def test_grades_of_the_world_health_organization(loss: float, name: str) -> None:
    levels = np.full(8, 90.0)
    levels[[1, 2, 3, 5]] = loss  # 500, 1000, 2000, 4000 Hz; the others do not count
    worse = Audiogram([120] * 8, FREQUENCIES)
    assert grade(Listener("L", Audiogram(levels, FREQUENCIES), worse)) == name
    assert name in GRADES


def test_a_short_audiogram_has_no_grade() -> None:
    short = Audiogram([10, 10], [500, 2000])
    assert grade(Listener("L", short, short)) == "not known"


def test_types_of_interferers() -> None:
    kinds = ["music", "speech", "music"]
    assert interferer_types({"interferers": [{"type": kind} for kind in kinds]}) == "speech + music"
    assert interferer_types({}) == "not known"
    assert {"speech + music", "not known"} <= set(INTERFERER_ROWS)


# -- music ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    random = np.random.default_rng(3)
    names = [f"Band {k} - Song" for k in range(7)] + ["<script>夜の歌" + " long" * 35]
    before = {
        (song, f"L{k}"): {stem: 0.2 + 0.3 * random.random() for stem in STEMS} for song in names for k in range(4)
    }
    gains = {"bass": 0.1, "drums": 0.0, "other": -0.05, "vocals": 0.15}
    after = {
        pair: {stem: score + gains[stem] + 0.01 * random.random() for stem, score in stems.items()}
        for pair, stems in before.items()
    }
    music(tmp_path / "a.csv", before)
    music(tmp_path / "b.csv", after)
    return tmp_path


def test_music_by_stem_and_song(songs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (found,) = compared(songs, capsys, "a.csv", "b.csv")
    assert (found["metric"], found["cluster"], found["verdict"]) == ("haaqi", "song", "better")
    assert (found["overall"]["pairs"], found["overall"]["clusters"]) == (32, 8)
    gains = {row["name"]: row["difference"]["mean"] for row in found["tables"]["stem"]}
    assert gains == pytest.approx({"drums": 0.005, "bass": 0.105, "other": -0.045, "vocals": 0.155}, abs=0.002)
    songs_table = found["tables"]["song"]
    assert len(songs_table) == 8
    assert {(row["pairs"], row["clusters"], row["clustered_by"]) for row in songs_table} == {(4, 4, "listener")}
    text = shown(songs, capsys, "a.csv", "b.csv")
    assert "Intervals of single songs are over listeners" in " ".join(text.split())


def test_names_cannot_steer_the_terminal(songs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "<script>" in shown(songs, capsys, "a.csv", "b.csv")
    write(songs / "c.csv", ("song", "listener", "score"), [("\x1b[31m\u202e夜の歌", "L1", 0.3)])
    with pytest.raises(InputError, match=r"line 2, song: is not a name: .* \(found '\\x1b\[31m\\u202e\\u591c"):
        shown(songs, capsys, "a.csv", "c.csv")


def test_music_without_stems(songs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pairs = [(f"Song {k}", "L1", 0.3 + 0.01 * k) for k in range(8)]
    for name in ("a", "b"):
        write(songs / f"{name}.csv", ("song", "listener", "score"), pairs)
        pairs = [(*pair[:2], pair[2] + 0.1) for pair in pairs]
    (found,) = compared(songs, capsys, "a.csv", "b.csv", "--by", "stem")
    assert found["left_out"] == ["no table by stem: the scores of the stems are not on both sides"]


# -- the text ------------------------------------------------------------------------------------------------------


def test_the_text(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = np.array(
        [[0.1, 0.2, 0.3], [0.2, 0.3, 0.4], [0.3, 0.4, 0.5], [0.4, 0.5, 0.6], [0.1, 0.5, 0.6], [0.2, 0.1, 0.3]]
    )
    speech(folder / "a.csv", small)
    speech(folder / "b.csv", small + np.array([[0.1, 0.1, -0.02]]) + 0.01 * np.arange(6)[:, None])
    text = shown(folder, capsys, "a.csv", "b.csv", "--metadata", "meta", "--by", "severity,pairs")
    lines = text.splitlines()
    assert lines[:10] == [
        "better-ear HASPI: B - A, positive where B is better",
        "",
        "A  a.csv",
        "   mean 0.3333 (95 % interval 0.2082 to 0.4625), 18 shared pairs of 6 scenes",
        "B  b.csv",
        "   mean 0.4183 (95 % interval 0.2883 to 0.5524), 18 shared pairs of 6 scenes",
        "",
        "     pairs  scenes       A       B    B - A       95 % interval       p",
        "-----------------------------------------------------------------------",
        "all     18       6  0.3333  0.4183  +0.0850  +0.0654 to +0.1046  0.0312",
    ]
    assert "B is better than A by +0.0850 (95 % interval 0.0654 to 0.1046), p = 0.0312." in lines
    place = lines.index("pairs that gain most       A       B    B - A")
    assert lines[place + 2] == "S6006 L0001           0.2000  0.3500  +0.1500"
    place = lines.index("pairs that lose most       A       B    B - A")
    assert lines[place + 2 :][:3] == ["S6001 L0003           0.3000  0.2800  -0.0200", *lines[place + 3 : place + 5]]


def test_chosen_tables(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(folder, capsys, "a.csv", "b.csv", "--metadata", "meta", "--by", "snr")
    assert "SNR at the better ear" in text
    assert "hearing loss" not in text
    assert "gain most" not in text
    text = shown(folder, capsys, "a.csv", "b.csv", "--metadata", "meta", "--by", "none")
    assert "SNR" not in text
    with pytest.raises(InputError, match=r"--by: unknown table \(found colour, wanted some of snr,"):
        run(folder, "a.csv", "b.csv", "--by", "snr,colour")


def test_winners_and_losers(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gains = np.zeros((12, 3))
    gains[3, 1], gains[4, 2], gains[7, 0] = 0.1, 0.12, -0.04
    speech(folder / "b.csv", GIVEN + gains)
    (found,) = compared(folder, capsys, "a.csv", "b.csv")
    assert [(pair["scene"], pair["listener"]) for pair in found["winners"]] == [("S6005", "L0003"), ("S6004", "L0002")]
    assert [(pair["scene"], pair["listener"]) for pair in found["losers"]] == [("S6008", "L0001")]
    speech(folder / "b.csv", GIVEN + 0.1)
    (found,) = compared(folder, capsys, "a.csv", "b.csv")
    assert len(found["winners"]) == 10


# -- the published scores ------------------------------------------------------------------------------------------


def test_published_scores() -> None:
    files = [REFERENCE / "published" / f"cec2_{name}_haspi.csv" for name in ("unprocessed", "baseline")]
    if not all(file.is_file() for file in files):
        pytest.skip(f"no reference material: {files[0]} does not exist (set HEARLAB_REFERENCE to its folder)")
    program = (
        "import argparse, sys; from hearlab.commands.results import compare; p = argparse.ArgumentParser();"
        "compare.add(p.add_subparsers()); o = p.parse_args(sys.argv[1:]); o.run(o)"
    )
    done = subprocess.run(
        (sys.executable, "-c", program, "compare", *map(str, files), "--json"), capture_output=True, check=True
    )
    (found,) = json.loads(done.stdout)["comparisons"]
    difference = found["overall"]["difference"]
    assert difference["mean"] == pytest.approx(0.0877, abs=5e-5)
    assert (difference["units"], difference["clusters"]) == (7500, 2500)
    # Clustered by scene: 1.48 times the standard error of 7,500 separate differences (0.00171).
    assert difference["standard_error"] == pytest.approx(0.002525, abs=2e-6)
    assert (difference["low"], difference["high"]) == pytest.approx((0.0828, 0.0927), abs=1e-4)
    assert found["verdict"] == "better"
    assert found["overall"]["p"] == 1e-4
