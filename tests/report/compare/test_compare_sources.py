"""Where the scores of a comparison come from: files, folders, the workspace, what was published; and bad input."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from compare_support import music, run, speech
from hearlab.errors import InputError

GIVEN = np.random.default_rng(1).beta(1, 2, (12, 3)) * 0.8
HEADER = ("scene", "listener", "haspi")
PUBLISHED = (
    ("speech", "unprocessed", 0.1615, "a README, public"),
    ("speech", "baseline", 0.2492, "a README, public"),
    ("music", "Demucs", 0.2592, "another README"),
    ("music", "Open-Unmix", 0.2273, "another README"),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    speech(tmp_path / "a.csv", GIVEN)
    speech(tmp_path / "metrics" / "speech.csv", GIVEN + 0.1)
    speech(tmp_path / "metrics" / "speech_unprocessed.csv", GIVEN + 0.05)
    (tmp_path / "leaderboard").mkdir()
    songs = [f"Song {k}" for k in range(7)]
    for track, system, score, source in PUBLISHED:
        lines = [f"team: T\nsystem: {system}\ntrack: {track}\ndataset: clarity\nsplit: dev\nscore: {score}"]
        lines += [f"origin:\n  published: {source}\n"]
        if track == "music":
            first = 0.3 if system == "Demucs" else 0.2
            lines += ["songs:", *(f"  {song}: {first + 0.01 * k:.3f}" for k, song in enumerate(songs))]
        (tmp_path / "leaderboard" / f"{system.lower()}.yaml").write_text("\n".join(lines) + "\n")
    scores = {
        (song, listener): dict.fromkeys(("bass", "drums", "other", "vocals"), 0.25 + 0.01 * k + spread)
        for k, song in enumerate(songs)
        for listener, spread in (("L1", 0.02), ("L2", -0.02))
    }
    music(tmp_path / "songs" / "music.csv", scores)
    return tmp_path


def gain(folder: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> float:
    run(folder, *arguments, "--json")
    (found,) = json.loads(capsys.readouterr().out)["comparisons"]
    return round(found["overall"]["difference"]["mean"], 6)


@pytest.mark.parametrize("name", ["workspace", "metrics", ".", "metrics/speech.csv"])
def test_files_folders_and_the_workspace(folder: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert gain(folder, capsys, "a.csv", name) == 0.1
    assert gain(folder, capsys, name, "a.csv") == -0.1


def test_a_subset_is_named_and_a_track_without_pairs_is_no_track(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    music(folder / "metrics" / "music.csv", {})
    (folder / "metrics" / "music.json").write_text('{"haaqi": {"pairs": 0}}')
    (folder / "params.yaml").write_text("evaluate: {scenes: {draw: 5, seed: 1}, songs: [a]}\n")
    run(folder, "a.csv", "workspace")
    told = " ".join(capsys.readouterr().out.split())
    assert "- workspace: the speech scores are of a subset: 5 scenes drawn (seed 1)" in told
    assert "music" not in told
    assert "HAAQI" not in told


def test_conditions(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gain(folder, capsys, "a.csv", "workspace", "--condition", "unprocessed") == 0.05
    assert gain(folder, capsys, "metrics/speech_unprocessed.csv", "metrics/speech.csv") == 0.05


def test_tables_as_spreadsheets_write_them(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = (folder / "metrics" / "speech.csv").read_text().splitlines()
    swapped = [",".join(["x", *reversed(line.split(","))]) for line in lines]
    (folder / "b.csv").write_bytes(b"\xef\xbb\xbf" + "\r\n".join([*swapped, "", ""]).encode())
    assert gain(folder, capsys, "a.csv", "b.csv") == 0.1


def test_both_metrics(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "other").mkdir()
    for name in ("metrics", "other"):
        (folder / name / "music.csv").write_bytes((folder / "songs" / "music.csv").read_bytes())
    speech(folder / "other" / "speech.csv", GIVEN)
    run(folder, "other", "workspace", "--json")
    found = json.loads(capsys.readouterr().out)["comparisons"]
    assert [(one["metric"], one["verdict"]) for one in found] == [("haspi", "better"), ("haaqi", "same")]
    run(folder, "other", "workspace", "--metric", "haaqi")
    assert "HASPI" not in capsys.readouterr().out
    (folder / "other" / "music.csv").unlink()
    run(folder, "other", "workspace")
    assert "- HAAQI is left out: only B has its scores" in capsys.readouterr().out


# -- published -----------------------------------------------------------------------------------------------------


def test_published_averages_allow_no_paired_difference(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(folder, "published", "workspace")
    text = " ".join(capsys.readouterr().out.split())
    assert "0.2492, baseline: the average alone is published (a README, public)" in text
    assert "Nothing can be concluded: without published scores pair by pair there is no paired difference" in text
    assert "--published FILE takes such scores" in text
    run(folder, "workspace", "published", "--condition", "unprocessed", "--json")
    (found,) = json.loads(capsys.readouterr().out)["comparisons"]
    assert found["verdict"] == "inconclusive"
    assert found["sides"][1] == {"system": "unprocessed", "score": 0.1615, "source": "a README, public"}
    assert found["sides"][0]["mean"] == pytest.approx(np.mean(GIVEN + 0.05), abs=1e-8)


@pytest.mark.parametrize("form", ["--md", "--latex"])
def test_without_pairs_there_is_no_p_to_correct(folder: Path, capsys: pytest.CaptureFixture[str], form: str) -> None:
    published = ("published", "published:unprocessed")
    run(folder, *published, form)
    assert "nothing is compared with A pair by pair, so there is no p" in capsys.readouterr().out
    run(folder, *published, "published:baseline")
    assert "so there is no p; hearlab compare with two systems" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("extra", [(), ("a.csv",), ("--metric", "haaqi")])
def test_another_data_set_than_the_published_one_has_no_pair_in_common(folder: Path, extra: tuple[str, ...]) -> None:
    (folder / "params.yaml").write_text("dataset: demo\n")
    (folder / "metrics" / "music.csv").write_bytes((folder / "songs" / "music.csv").read_bytes())
    challenges = "clarity (the challenges' data, CEC2 and CAD1)"
    names = "workspace", "published:Demucs" if "haaqi" in extra else "published"
    with pytest.raises(InputError) as error:
        run(folder, *names, *(() if "a.csv" in extra else extra))
    assert str(error.value) == f"compare: A and B share no pairs: A was scored on the data set demo, B on {challenges}"
    if "a.csv" in extra:  # beside others it is left out
        run(folder, *names, *extra)
    (folder / "params.yaml").write_text("dataset: clarity\n")
    run(folder, *names, *(() if "a.csv" in extra else extra))


def test_published_scores_pair_by_pair(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gain(folder, capsys, "published", "workspace", "--published", str(folder / "a.csv")) == 0.1
    run(folder, "published", "workspace", "--published", "a.csv")
    assert "A  published (a.csv)" in capsys.readouterr().out


def test_published_songs_are_compared_song_by_song(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(folder, "published:Open-Unmix", "songs", "--json")
    (found,) = json.loads(capsys.readouterr().out)["comparisons"]
    assert found["overall"]["difference"]["mean"] == pytest.approx(0.05)
    assert (found["overall"]["pairs"], found["overall"]["clusters"], found["verdict"]) == (7, 7, "better")
    assert found["notes"] == ["averages over listeners are compared song by song: one side has nothing else"]
    assert gain(folder, capsys, "songs", "published:Demucs") == 0.05


def test_scores_of_other_levels_allow_no_conclusion(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entry = folder / "leaderboard" / "open-unmix.yaml"
    entry.write_text(entry.read_text() + "music_level: challenge\n")
    (folder / "songs" / "music.csv").rename(folder / "metrics" / "music.csv")
    told = {"current": "current", "challenge": None, None: "current"}  # results of before the parameter are current
    for level, rule in told.items():
        params = {} if level is None else {"params": {"params.yaml": {"evaluate.music_level": level}}}
        (folder / "dvc.lock").write_text(json.dumps({"stages": {"score_music": params}}))
        run(folder, "published:Open-Unmix", "workspace", "--json")
        (found,) = json.loads(capsys.readouterr().out)["comparisons"]
        line = f"A was scored with evaluate.music_level: challenge, B with {rule}: that alone changes scores"
        assert (found["verdict"], found["reasons"]) == (("inconclusive", [line]) if rule else ("better", []))


def test_which_published_system(folder: Path) -> None:
    with pytest.raises(InputError, match=r"has no haaqi scores.*published:Demucs or published:Open-Unmix"):
        run(folder, "published", "songs", "--metric", "haaqi")
    with pytest.raises(
        InputError, match=r"no such published system.*found Nemo.*baseline, unprocessed, Demucs, Open-Unmix"
    ):
        run(folder, "published:Nemo", "a.csv")


# -- bad input -----------------------------------------------------------------------------------------------------


def line_of(folder: Path, *arguments: str) -> str:
    with pytest.raises(InputError) as error:
        run(folder, *arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("", "bad.csv: is not a table of scores (found an empty file, wanted the columns scene, listener, haspi or"),
        ("scene,haspi\nS1,0.5\n", "bad.csv: is not a table of scores (found scene, haspi, wanted the columns"),
        ("scene,listener,haspi\n", "bad.csv: holds no scores"),
        ("scene,listener,haspi\nS1,L1,0.5\nS1,L1\n", "bad.csv: line 3: row is incomplete"),
        ("scene,listener,haspi\nS1,L1,0.5\nS1,L2,0.4\nS1,L1,0.5\n", "bad.csv: line 4: names a pair twice (line 2)"),
        ("scene,listener,haspi\nS1,L1,0.5\nS1,L2,loud\n", "bad.csv: line 3, haspi: is no number (found 'loud')"),
        ("scene,listener,haspi\nS1,L1,\n", "bad.csv: line 2, haspi: is no number (found '')"),
        ("scene,listener,haspi\nS1,L1,nan\n", "bad.csv: line 2, haspi: is no score (found nan, wanted from 0 to 1)"),
        ("scene,listener,haspi\n\nS1,L1,1.1\n", "bad.csv: line 3, haspi: is no score (found 1.1, wanted from 0 to 1)"),
        ("scene,listener,haspi\nS1,L1,-0.1\n", "bad.csv: line 2, haspi: is no score (found -0.1, wanted from 0 to 1)"),
        ("scene,listener,haspi,haspi\nS1,L1,0.1,0.2\n", "bad.csv: names a column twice"),
        ("song,listener,score,left_bass,right_bass\nS,L1,0.1,0.2,7\n", "bad.csv: line 2, right_bass: is no score"),
        ("scene,listener,haspi\nS1,L1,0.5\nS1,\xff,0.5\n", "bad.csv: is not UTF-8 text (found byte 34 is invalid)"),
        ("scene,listener,haspi\nX1,L1,0.5\n", "compare: A and B share no pairs (found S6001 L0001 in A, X1 L1 in B)"),
        ("song,listener,score\nS,L1,0.5\n", "compare: A and B have no metric in common (found a.csv: haspi; bad"),
    ],
)  # fmt: skip
def test_bad_tables(folder: Path, content: str, line: str) -> None:
    (folder / "bad.csv").write_bytes(content.encode("latin-1"))
    assert line_of(folder, "a.csv", "bad.csv").startswith(line)


def test_bad_names(folder: Path) -> None:
    assert line_of(folder, "a.csv", "b.csv").startswith("b.csv: no such file (wanted a revision")
    assert line_of(folder, "a.csv", "leaderboard") == "leaderboard: holds no scores (wanted speech.csv or music.csv)"
    assert "is no file, and this folder is no git repository" in line_of(folder, "a.csv", "HEAD")
    assert line_of(folder, "a.csv", "metrics", "--metric", "haaqi") == "a.csv: has no haaqi scores (found haspi)"
    assert line_of(folder, "published", "a.csv", "--published", "b.csv").startswith("b.csv: no such file")
    assert line_of(folder, "a.csv", "metrics", "--noise", "-1").startswith("sd: is no standard deviation")


def test_an_empty_workspace(folder: Path) -> None:
    for file in (folder / "metrics").iterdir():
        file.unlink()
    wanted = "workspace: holds no scores (wanted metrics/speech.csv or metrics/music.csv); run dvc repro or dvc pull"
    assert line_of(folder, "workspace", "a.csv") == wanted


def test_damaged_published_scores(folder: Path) -> None:
    path = folder / "leaderboard" / "baseline.yaml"
    path.write_text(path.read_text().replace("0.2492", "much"))
    assert line_of(folder, "published", "a.csv").startswith(f'{path}: score: wrong value (found "much"')
    for file in path.parent.iterdir():
        file.unlink()
    assert line_of(folder, "published", "a.csv").endswith("leaderboard: holds no published scores")
