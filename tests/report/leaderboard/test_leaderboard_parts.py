"""Parts of adding and verifying entries: cells that differ, the order of stages, what decided a score."""

from __future__ import annotations

import datetime
import json
import subprocess
from pathlib import Path

import pytest

from hearlab.errors import InputError
from hearlab.learners import LEARNED
from hearlab.report.leaderboard.add import check_complete
from hearlab.report.leaderboard.entries import LeaderboardEntry, Origin, find_entry
from hearlab.report.leaderboard.origin import origin_of, result_of
from hearlab.report.leaderboard.rescore import Cell, differing, index_cells, read_cells
from hearlab.report.leaderboard.verify import verify
from hearlab.scoring.table import parse_scores
from hearlab.scoring.tracks import TRACKS
from hearlab.versions.lock import stages_behind
from hearlab.versions.revisions import WorkspaceFiles, find_revision
from pipeline_support import run
from scores_of_before import make_scores

REPOSITORY = Path(__file__).resolve().parents[3]
MD5 = "0123456789abcdef0123456789abcdef"
SPEECH = b"scene,listener,haspi\nS1,L1,0.5\nS1,L2,0.25\n"
MUSIC = b"song,listener,score,left_bass,extra\nA,L1,0.5,0.25,7\n"


def test_cells() -> None:
    assert read_cells(SPEECH, "x") == {("S1", "L1"): {"haspi": 0.5}, ("S1", "L2"): {"haspi": 0.25}}
    assert read_cells(MUSIC, "x") == {("A", "L1"): {"score": 0.5, "left_bass": 0.25}}


def test_no_entry_is_of_scores_that_were_made_with_other_parameters(tmp_path: Path) -> None:
    make_scores(tmp_path, {"dataset": "mine"}, speech_on="mine")
    run(tmp_path, "git", "init", "--quiet", "--initial-branch=main")
    run(tmp_path, "git", "add", "--all")
    run(tmp_path, "git", "commit", "--quiet", "--message", "Speech of mine")
    head = find_revision("HEAD", tmp_path)
    with pytest.raises(InputError, match=r"HEAD: dvc\.lock: knows other scores .*made with dataset \"demo\""):
        origin_of(head, result_of(head, TRACKS["music"], "HEAD"))


def test_differing_cells() -> None:
    found = read_cells(SPEECH, "x")
    assert differing(found, found, 0.0) == []
    wanted = {("S1", "L1"): {"haspi": 0.5 + 1e-7}, ("S1", "L2"): {"haspi": 0.3}, ("S2", "L1"): {"haspi": 0.1}}
    cells = differing(found, wanted, 1e-6)
    assert cells == [Cell(("S1", "L2"), "haspi", 0.25, 0.3), Cell(("S2", "L1"), "haspi", None, 0.1)]
    assert cells[0].text("scored again") == "S1 L2, haspi: found 0.25000000, scored again 0.30000000"
    assert cells[1].text("scored again") == "S2 L1, haspi: found nothing, scored again 0.10000000"
    assert differing(found, {("S1", "L1"): {"haspi": float("nan")}}, 1e-6) != []


def test_what_the_index_remembers() -> None:
    unit = {"result": {"scene": "S1", "listener": "L1", "enhanced": 0.5, "unprocessed": 0.1}}
    assert index_cells(json.dumps({"units": [unit]}).encode(), TRACKS["speech"]) == {("S1", "L1"): {"haspi": 0.5}}
    for foreign in (None, b"", b"[]", b"{", b'{"units": [{}]}'):
        assert index_cells(foreign, TRACKS["speech"]) == {}


def test_incomplete_scores() -> None:
    table = parse_scores(SPEECH, "speech.csv")["haspi"]
    check_complete(table, [("S1", "L1"), ("S1", "L2")], "speech.csv")
    with pytest.raises(InputError, match=r"speech.csv: is incomplete: 1 of 3 pairs have no score \(found S2 L1\)"):
        check_complete(table, [("S1", "L1"), ("S1", "L2"), ("S2", "L1")], "speech.csv")
    with pytest.raises(InputError, match=r"pairs do not belong to the split \(found S1 L2\)"):
        check_complete(table, [("S1", "L1")], "speech.csv")


def test_stages_before_another() -> None:
    lock = WorkspaceFiles(REPOSITORY).lock
    stages = stages_behind(lock, "score_speech")
    learning = [name for name in stages if name in ("learning_scenes", "train_enhancer")]
    assert learning == ["learning_scenes", "train_enhancer"]
    assert stages.index("train_enhancer") < stages.index("enhance_speech")
    assert [name for name in stages if name not in ("system", *learning)] == [  # at any place before enhance_speech
        "check_params",
        "prepare",
        "build_scenes@dev",
        "render_scenes@dev",
        "enhance_speech",
        "score_speech",
    ]
    music = stages_behind(lock, "score_music")
    assert music[-1] == "score_music"
    assert set(music) - {"system"} == {
        *("check_params", "prepare_music", "train_separator", "separate_music", "fit_music"),
        *("enhance_music", "score_music"),
    }
    assert music.index("train_separator") < music.index("separate_music") < music.index("enhance_music")


LOCK = f"""stages:
  score_music:
    deps:
    - path: data/clarity/enhanced_music
      md5: {MD5}.dir
    - path: src/hearlab/metrics
      md5: {MD5}.dir
    outs:
    - path: metrics/music.csv
      md5: {MD5}
  separate_music:
    deps:
    - path: data/clarity/separator
      md5: {MD5[::-1]}.dir
    - path: data/weights
      md5: {MD5}.dir
"""
PARAMS = """dataset: clarity
separate: {model: openunmix, weights: auto}
enhance: {params: {network: nets/own.pt, layers: 3, name: none}}
evaluate: {song_split: valid, song_listeners: valid, small_test: false}
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "dvc.lock").write_text(LOCK)
    (tmp_path / "params.yaml").write_text(PARAMS)
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "own.pt").write_bytes(b"network")
    commit(tmp_path)
    return tmp_path


def commit(folder: Path) -> None:
    own = ("-c", "user.name=T", "-c", "user.email=t@example.org")
    for command in (("init", "--quiet"), ("add", "--all"), (*own, "commit", "--quiet", "--message", "One")):
        subprocess.run(("git", "-C", str(folder), *command), check=True)


def test_what_decided_a_score(repository: Path) -> None:
    head = find_revision("HEAD", repository)
    result = result_of(head, TRACKS["music"], "HEAD")
    assert (result.dataset, result.split, result.scores) == ("clarity", "valid", "metrics/music.csv")
    assert result.music_level == "current"  # a revision from before the parameter
    assert result_of(head, TRACKS["speech"], "HEAD").music_level is None
    origin = origin_of(head, result)
    assert origin.data == {"data/clarity/enhanced_music": f"{MD5}.dir"}
    network = "91e02cd2b8621d0c05197f645668c5c4"  # md5 of b"network"
    assert origin.weights == {"data/weights": f"{MD5}.dir", "nets/own.pt": network}
    assert origin.scores == MD5
    with pytest.raises(InputError, match=r"HEAD: dvc.lock: does not know metrics/speech.csv; dvc repro score_speech"):
        origin_of(head, result_of(head, TRACKS["speech"], "HEAD"))


def test_trained_weights_and_the_small_test(repository: Path) -> None:
    text = PARAMS.replace("clarity", "demo").replace("small_test: false", "small_test: true, music_level: challenge")
    (repository / "params.yaml").write_text(text)
    (repository / "dvc.lock").write_text(LOCK.replace("clarity", "demo"))
    commit(repository)
    head = find_revision("HEAD", repository)
    result = result_of(head, TRACKS["music"], "HEAD")
    assert (result.split, result.music_level) == ("valid, every 15th pair", "challenge")
    assert origin_of(head, result).weights["data/demo/separator"] == f"{MD5[::-1]}.dir"


def test_weights_of_a_hearing_aid_that_learns(repository: Path) -> None:
    text = PARAMS.replace("enhance: {params: {", f"enhance: {{system: '{LEARNED}', params: {{").replace(
        "nets/own.pt", "no"
    )
    speech = f"""  score_speech:
    outs:
    - {{path: metrics/speech.csv, md5: {MD5}}}
  enhance_speech:
    deps:
    - {{path: data/clarity/enhancer, md5: {MD5[::-1]}.dir}}
"""
    (repository / "dvc.lock").write_text(LOCK + speech)

    def weights(chosen: str) -> dict[str, str]:
        (repository / "params.yaml").write_text(f"{text}learn: {{weights: {chosen}}}\n")
        commit(repository)
        head = find_revision("HEAD", repository)
        return origin_of(head, result_of(head, TRACKS["speech"], "HEAD")).weights

    assert weights("trained") == {"data/clarity/enhancer": f"{MD5[::-1]}.dir"}
    (repository / ".gitignore").write_text("*.json\n")
    (repository / "nets" / "own.json").write_text("{}")
    with pytest.raises(InputError, match=r"^nets/own\.json: .*is used and is in neither git nor DVC"):
        weights("nets/own.pt")
    (repository / ".gitignore").unlink()
    assert set(weights("nets/own.pt")) == {"nets/own.pt", "nets/own.json"}
    for outside in ("../own.pt", "/home/me/own.pt"):
        with pytest.raises(InputError, match=r"own\.pt: lies outside of the repository"):
            weights(outside)


def test_a_subset_is_no_entry(repository: Path) -> None:
    (repository / "params.yaml").write_text(PARAMS.replace("small_test: false", "songs: {draw: 5, seed: 1}"))
    commit(repository)
    head = find_revision("HEAD", repository)
    with pytest.raises(InputError, match=r"the result is of a subset \(found 5 songs drawn \(seed 1\)\)"):
        result_of(head, TRACKS["music"], "HEAD")
    assert result_of(head, TRACKS["speech"], "HEAD").dataset == "clarity"  # of all scenes


def test_own_data_are_marked(repository: Path) -> None:
    text = PARAMS.replace("dataset: clarity", "dataset: clinic") + "datasets: {clinic: {source: own}}\n"
    (repository / "params.yaml").write_text(text)
    commit(repository)
    result = result_of(find_revision("HEAD", repository), TRACKS["music"], "HEAD")
    assert (result.dataset, result.split) == ("clinic", "own data")


def test_weights_that_nobody_else_has(repository: Path) -> None:
    (repository / ".gitignore").write_text("/local/\n")
    (repository / "local").mkdir()
    (repository / "local" / "own.pt").write_bytes(b"network")
    (repository / "params.yaml").write_text(PARAMS.replace("nets/own.pt", "local/own.pt"))
    commit(repository)
    head = find_revision("HEAD", repository)
    with pytest.raises(InputError, match=r"local/own.pt: .*is used and is in neither git nor DVC"):
        origin_of(head, result_of(head, TRACKS["music"], "HEAD"))


def test_entries_that_cannot_be_verified(repository: Path) -> None:
    with pytest.raises(InputError, match=r"cec2-baseline: is published: there is no revision to check out"):
        verify(find_entry(REPOSITORY / "leaderboard", "cec2-baseline"), repository)
    origin = Origin(commit="f" * 40, lock=MD5, params=MD5, data={}, weights={}, scores=MD5)
    today = datetime.date(2026, 11, 28)
    about = {"team": "T", "system": "S", "track": "music", "dataset": "demo", "split": "valid"}
    entry = LeaderboardEntry(name="x", **about, score=0.5, units=1, scored=today, origin=origin)
    with pytest.raises(InputError, match=r"ffffffffffff: is no commit of this clone; git fetch --all"):
        verify(entry, repository)
    assert not (repository / ".hearlab").exists()
