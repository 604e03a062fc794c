"""hearlab check-baseline: against the published tables themselves, altered ones, and results of other data."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from compare_support import music
from hearlab.cli import main
from hearlab.errors import InputError
from hearlab.report.leaderboard.baseline_check import PUBLISHED_PARAMS, check_baseline
from hearlab.report.leaderboard.entries import load_entries
from reference_material import REFERENCE

REPOSITORY = Path(__file__).resolve().parents[3]
PUBLISHED = REFERENCE / "published"
needs_tables = pytest.mark.skipif(
    not PUBLISHED.is_dir(), reason=f"no reference material: {PUBLISHED} does not exist (set HEARLAB_REFERENCE)"
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A workspace with the published entries and nothing else."""
    shutil.copytree(REPOSITORY / "leaderboard", tmp_path / "leaderboard")
    return tmp_path


def states(lines: list[object]) -> list[str]:
    return [str(line).split()[0] for line in lines]


def tables(folder: Path, shift: float = 0.0, noise: float = 0.0, skip: str = "nothing") -> Path:
    """The published tables as our own results, altered."""
    draw = np.random.default_rng(3)
    folder.mkdir()
    for name, own in (("baseline", "speech.csv"), ("unprocessed", "speech_unprocessed.csv")):
        header, *rows = (PUBLISHED / f"cec2_{name}_haspi.csv").read_text().splitlines()
        lines = [header]
        for row in rows:
            pair, _, score = row.rpartition(",")
            if pair != skip:
                lines.append(f"{pair},{min(max(float(score) + shift + noise * draw.normal(), 0.0), 1.0):.8f}")
        (folder / own).write_text("\n".join(lines) + "\n")
    return folder


def check(root: Path, scores: Path) -> list[object]:
    baseline, unprocessed = (PUBLISHED / f"cec2_{name}_haspi.csv" for name in ("baseline", "unprocessed"))
    return list(check_baseline(root, "speech", scores=scores, published=baseline, unprocessed=unprocessed))


@needs_tables
def test_the_published_tables_themselves(root: Path) -> None:
    lines = check(root, tables(root / "own"))
    assert states(lines) == ["note", *["ok"] * 6]
    assert "baseline, average of 7500 pairs: 0.249161 here, 0.2492 published" in str(lines[4])
    assert "000000, allowed 0.000010 (the published spread)" in str(lines[5])


@needs_tables
def test_reruns_are_the_same(root: Path) -> None:
    # 2e-4 for a pair is what the published spread of the mean amounts to.
    assert set(states(check(root, tables(root / "own", noise=2e-4))[1:])) == {"ok"}


@needs_tables
def test_a_small_shift_of_all_pairs_is_seen_in_the_pairs_alone(root: Path) -> None:
    lines = check(root, tables(root / "own", shift=2e-5))
    assert states(lines) == ["note", "ok", "differs", "ok", "ok", "differs", "ok"]
    # and a greater one in the averages too
    assert states(check(root, tables(root / "more", shift=1e-3))).count("differs") == 4


@pytest.mark.slow
@needs_tables
def test_one_altered_pair_is_named(root: Path) -> None:
    own = tables(root / "own")
    text = (own / "speech.csv").read_text()
    (own / "speech.csv").write_text(text.replace("S06001,L0068,0.14002713", "S06001,L0068,0.15002713"))
    wrong = [str(line) for line in check(root, own) if str(line).startswith("differs")]
    assert len(wrong) == 1
    assert "baseline, S06001 L0068: 0.150027 here, 0.140027 published; difference +0.010000" in wrong[0]


@needs_tables
def test_missing_pairs(root: Path) -> None:
    own = tables(root / "own", skip="S06001,L0068")
    with pytest.raises(InputError, match=r"pairs are missing or surplus \(found 7499 pairs, wanted 7500\)"):
        check(root, own)
    (root / "few.csv").write_text("scene,listener,haspi\nS06001,L0064,0.1\n")
    with pytest.raises(InputError, match=r"few.csv: S06001 L0008: 7499 pairs: the first is not in it"):
        check_baseline(root, "speech", scores=tables(root / "all"), published=root / "few.csv")


@needs_tables
def test_the_command(root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(root)
    tables(root / "own")
    assert main(["check-baseline", "speech", "--scores", "own"]) == 0
    assert main(["check-baseline", "speech", "--scores", "own/speech_unprocessed.csv"]) == 1
    out = capsys.readouterr().out
    assert "unprocessed: there are no scores of it to compare" in out
    assert "differs  baseline, average of 7500 pairs: 0.161503 here" in out


def songs(root: Path, system: str, shift: dict[str, float]) -> Path:
    (entry,) = [entry for entry in load_entries(root / "leaderboard").entries if entry.system == system]
    scores = {
        (song, listener): dict.fromkeys(("bass", "drums", "other", "vocals"), score + spread + shift.get(song, 0.0))
        for song, score in entry.songs.items()
        for listener, spread in (("L1", 0.02), ("L2", -0.02))
    }
    return music(root / "music.csv", scores)


def test_music(root: Path) -> None:
    path = songs(root, "Demucs", {})
    lines = check_baseline(root, "music", scores=path, model="hdemucs")
    assert states(lines) == ["note", "note", *["ok"] * 15]
    assert str(lines[1]).endswith("published scores were made with evaluate.music_level: challenge")
    assert set(states(check_baseline(root, "music", scores=path, model="openunmix"))) == {"note", "differs"}
    songs(root, "Demucs", {"Leaf - Summerghost": 4e-4})
    wrong = [
        str(line) for line in check_baseline(root, "music", scores=path, model="hdemucs") if line.state == "differs"
    ]
    assert len(wrong) == 1
    assert "Demucs, Leaf - Summerghost: 0.251700 here, 0.2513 published" in wrong[0]
    with pytest.raises(InputError, match="--model: is missing"):
        check_baseline(root, "music", scores=path)
    path.write_text("\n".join(line for line in path.read_text().splitlines() if not line.startswith("Leaf")))
    with pytest.raises(InputError, match=r"songs of the validation set are missing \(found Leaf - Summerghost\)"):
        check_baseline(root, "music", scores=path, model="hdemucs")


def locked(root: Path, content: bytes, *changes: tuple[str, str]) -> None:
    """Our own dvc.lock, as if it were of the challenge's data, and scores that it knows."""
    text = (REPOSITORY / "dvc.lock").read_text()
    for old, new in (("dataset: demo", "dataset: clarity"), ("datasets.demo", "datasets.clarity"), *changes):
        assert old in text
        text = text.replace(old, new)
    text = text.replace("seed_offset: 2", "seed_offset: 0")  # of the whole section, too
    lines = text.splitlines()
    for index, line in enumerate(lines):
        if line.strip() in ("- path: metrics/speech.csv", "- path: metrics/speech_unprocessed.csv"):
            lines[index + 2] = f"      md5: {hashlib.md5(content, usedforsecurity=False).hexdigest()}"
    (root / "dvc.lock").write_text("\n".join(lines) + "\n")
    (root / "metrics").mkdir(exist_ok=True)
    for name in ("speech.csv", "speech_unprocessed.csv"):
        (root / "metrics" / name).write_bytes(content)


def test_the_workspace_and_its_parameters(root: Path) -> None:
    content = b"scene,listener,haspi\nS06001,L0064,0.1\n"
    locked(root, content)
    with pytest.raises(InputError, match=r"unprocessed: pairs are missing or surplus \(found 1 pairs, wanted 7500\)"):
        check_baseline(root, "speech")
    locked(root, content, ("gain: 0", "gain: 3"), ("snr_range:\n        - -12", "snr_range:\n        - -6"))
    with pytest.raises(InputError) as error:
        check_baseline(root, "speech")
    assert str(error.value) == (
        "check-baseline: the scores were made with other parameters (found enhance.gain 3 (published 0), "
        "scenes.snr_range [-6, 6] (published [-12, 6]))"
    )
    locked(root, content)
    (root / "metrics" / "speech.csv").write_bytes(content.replace(b"0.1", b"0.2"))
    with pytest.raises(InputError, match=r"metrics/speech.csv: is not what dvc.lock says"):
        check_baseline(root, "speech")


def test_music_is_compared_by_the_challenges_level(root: Path) -> None:
    values = PUBLISHED_PARAMS["music"] | {"dataset": "clarity", "separate.weights": "auto", "separate.model": "hdemucs"}
    for level in ("current", None):
        lock = {"stages": {"score_music": {"params": {"params.yaml": values | {"evaluate.music_level": level}}}}}
        (root / "dvc.lock").write_text(json.dumps(lock))
        with pytest.raises(InputError, match=rf"other parameters \(found evaluate.music_level {level} \(published ch"):
            check_baseline(root, "music")


def test_results_of_the_demo(root: Path) -> None:
    shutil.copy(REPOSITORY / "dvc.lock", root)
    for track in ("speech", "music"):
        with pytest.raises(InputError) as error:
            check_baseline(root, track)
        assert "the scores here are of other data than the published ones (found demo, wanted clarity)" in str(
            error.value
        )
        assert f"dvc exp run -S dataset=clarity score_{track}" in str(error.value)
    (root / "dvc.lock").unlink()
    with pytest.raises(InputError, match=r"dvc.lock: does not know score_speech; dvc repro score_speech"):
        check_baseline(root, "speech")
