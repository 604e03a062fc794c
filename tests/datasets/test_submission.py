"""The submission of the music challenge: packed, and checked against the published rules."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from hearlab.datasets.song_lists import Segments
from hearlab.datasets.submission import check_submission, pack_submission
from hearlab.errors import InputError
from hearlab.stages.enhance_music import outputs

SONG = "Zoë & The 'Q's - Où?, Pt. 2"
PAIRS = [(SONG, "L1"), (SONG, "L2")]
SEGMENTS = {SONG: Segments((1.0, 1.6), (0.5, 0.75))}
STEM = f"L1/{SONG}/L1_{SONG}_left_bass.flac"
REMIX = f"L2/{SONG}/L2_{SONG}_remix.flac"


@pytest.fixture
def enhanced(tmp_path: Path) -> Path:
    """Right files for both listeners."""
    folder = tmp_path / "enhanced_music"
    rng = np.random.default_rng(0)
    for song, listener in PAIRS:
        for name in outputs(song, listener):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == ".txt":
                path.write_text("0.25")
            elif "remix" in path.name:
                soundfile.write(path, 0.1 * rng.standard_normal((8000, 2)), 32000)
            else:
                soundfile.write(path, 0.1 * rng.standard_normal(14400), 24000)
    return folder


def test_a_right_submission(enhanced: Path, tmp_path: Path) -> None:
    path = pack_submission(enhanced, PAIRS, "T001", tmp_path)
    assert path.name == "submission_T001.zip"
    assert check_submission(path, PAIRS, SEGMENTS) == (18, [])
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert {name.split("/")[0] for name in archive.namelist()} == {"evaluation"}
        archive.extractall(tmp_path / "unpacked")
    assert check_submission(tmp_path / "unpacked", PAIRS, SEGMENTS) == (18, [])
    first = path.read_bytes()
    assert pack_submission(enhanced, PAIRS, "T001", tmp_path).read_bytes() == first


def test_a_missing_file_is_not_packed(enhanced: Path, tmp_path: Path) -> None:
    (enhanced / REMIX).unlink()
    with pytest.raises(InputError, match=r"remix\.flac: no such file"):
        pack_submission(enhanced, PAIRS, "T001", tmp_path)
    assert not (tmp_path / "submission_T001.zip").exists()
    with pytest.raises(InputError, match="cannot be part of a file name"):
        pack_submission(enhanced, PAIRS, "a/b", tmp_path)


@pytest.mark.parametrize(
    ("name", "samples", "rate", "options", "fault"),
    [
        (STEM, np.zeros(14400), 44100, {}, "sample rate: found 44100, wanted 24000"),
        (STEM, np.zeros((14400, 2)), 24000, {}, "channels: found 2, wanted 1"),
        (STEM, np.zeros(14400), 24000, {"subtype": "PCM_24"}, "bits: found PCM_24, wanted PCM_16"),
        (STEM, np.zeros(14400), 24000, {"format": "WAV"}, "format: found WAV, wanted FLAC"),
        (STEM, np.zeros(14403), 24000, {}, "duration: found 0.600 s, wanted 0.600 s"),
        (STEM, np.zeros(1440), 24000, {}, "duration: found 0.060 s, wanted 0.600 s"),
        (REMIX, np.zeros((8000, 2)), 24000, {}, "sample rate: found 24000, wanted 32000"),
        (REMIX, np.zeros((16000, 2)), 32000, {}, "duration: found 0.500 s, wanted 0.250 s"),
    ],
)
def test_wrong_audio(
    enhanced: Path, name: str, samples: np.ndarray, rate: int, options: dict[str, str], fault: str
) -> None:
    soundfile.write(enhanced / name, samples, rate, **options)
    assert check_submission(enhanced, PAIRS, SEGMENTS) == (17, [f"{name}: {fault}"])


def test_missing_damaged_and_foreign_files(enhanced: Path) -> None:
    (enhanced / STEM).unlink()
    (enhanced / REMIX).write_bytes((enhanced / REMIX).read_bytes()[:3000])
    (enhanced / "L1" / "notes.txt").touch()
    (enhanced / STEM.replace("bass.flac", "drums.txt")).write_text("loud")
    right, faults = check_submission(enhanced, PAIRS, SEGMENTS)
    assert right == 16
    assert faults[0].endswith("drums.txt: is not a number, 0 or more") or faults[0] == f"{STEM}: is missing"
    assert f"{STEM}: is missing" in faults
    assert any(fault.startswith(f"{REMIX}: ") for fault in faults)
    assert "L1/notes.txt: is no file of a submission" in faults
    assert len(faults) == 4


def test_what_is_no_package(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"x\.zip: no such file"):
        check_submission(tmp_path / "x.zip", PAIRS, SEGMENTS)
    (tmp_path / "x.zip").write_text("no zip")
    with pytest.raises(InputError, match="cannot be read as a zip file"):
        check_submission(tmp_path / "x.zip", PAIRS, SEGMENTS)


def test_files_outside_of_the_folder(enhanced: Path, tmp_path: Path) -> None:
    path = pack_submission(enhanced, PAIRS, "T1", tmp_path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("../evil.txt", "x")
        archive.writestr("evaluation/../../evil.flac", "x")
    right, faults = check_submission(path, PAIRS, SEGMENTS)
    assert right == 18
    assert len([fault for fault in faults if fault.endswith("lies outside of the folder evaluation")]) == 2
