"""Song lists, segments and songs on the disk: read as published, and one clear line for what is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from hearlab.datasets.layout import STEMS, CadenzaData
from hearlab.datasets.song_lists import Song, check_song, read_segments, read_songs
from hearlab.errors import InputError

NAME = 'Björk & Co. - "What\'s, Up"'
SONG = Song(NAME, "valid")


def write(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_a_song_list(tmp_path: Path) -> None:
    entries = [{"Track Name": NAME, "Split": "valid", "Genre": "Pop"}, {"Track Name": "b", "Split": "test"}]
    assert read_songs(write(tmp_path / "songs.json", entries)) == [SONG, Song("b", "test")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"a": 1}, r"songs\.json: must hold a list of songs \(found dict\)"),
        ([{"Split": "test"}], r"0\.Track Name: is not a name: it is no text"),
        ([{"Track Name": "../x", "Split": "test"}], "is not a name: it has a path separator"),
        ([{"Track Name": "..", "Split": "test"}], "is not a name: it begins with a dot"),
        ([{"Track Name": "x", "Split": "dev"}], r"0\.Split: song has no split \(found dev, wanted one of train"),
        ([{"Track Name": "x", "Split": "test"}] * 2, r"1\.Track Name: song is listed twice \(found x"),
    ],
)
def test_a_wrong_song_list(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_songs(write(tmp_path / "songs.json", content))


def test_segments(tmp_path: Path) -> None:
    part = {"objective_evaluation": {"start": 1, "end": 31.5}, "subjective_evaluation": {"start": 2, "end": 17}}
    segments = read_segments(write(tmp_path / "segments.json", {NAME: part, "other": None}), [SONG])
    assert segments[NAME].objective == (1.0, 31.5)
    assert segments[NAME].subjective == (2.0, 17.0)


@pytest.mark.parametrize("wrong", [None, {}, {"start": 3, "end": 3}, {"start": -1, "end": 3}, {"start": "1", "end": 3}])
def test_wrong_segments(tmp_path: Path, wrong: Any) -> None:
    part = {"objective_evaluation": wrong, "subjective_evaluation": {"start": 2, "end": 17}}
    with pytest.raises(InputError, match="objective_evaluation: wrong segment"):
        read_segments(write(tmp_path / "segments.json", {NAME: part}), [SONG])


def test_a_song_without_segments(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lacks a song of the list"):
        read_segments(write(tmp_path / "segments.json", {}), [SONG])


@pytest.fixture
def data(tmp_path: Path) -> CadenzaData:
    """One song of 100 frames."""
    data = CadenzaData(tmp_path / "cadenza_data")
    data.song("valid", NAME).mkdir(parents=True)
    for signal in ("mixture", *STEMS):
        soundfile.write(data.stem("valid", NAME, signal), np.zeros((100, 2)), 44100)
    return data


def test_a_song_as_it_should_be(data: CadenzaData) -> None:
    assert check_song(data, SONG) == 100
    assert data.song("valid", NAME).parent.name == "train"


def test_wrong_songs(data: CadenzaData) -> None:
    bass = data.stem("valid", NAME, "bass")
    for samples, rate, message in (
        (np.zeros((100, 2)), 48000, r"bass\.wav: sample rate: wrong sample rate \(found 48000 Hz, wanted 44100 Hz"),
        (np.zeros(100), 44100, r"bass\.wav: channels: is not stereo \(found 1, wanted 2"),
        (np.zeros((90, 2)), 44100, r"bass\.wav: is not as long as mixture\.wav .*found 90 frames, wanted 100 frames"),
    ):
        soundfile.write(bass, samples, rate)
        with pytest.raises(InputError, match=message):
            check_song(data, SONG)
    bass.write_text("no audio")
    with pytest.raises(InputError, match=r"bass\.wav: cannot be read as audio"):
        check_song(data, SONG)
    bass.unlink()
    with pytest.raises(InputError, match=r"bass\.wav: no such file"):
        check_song(data, SONG)
    with pytest.raises(InputError, match=r"other song: no such song .*musdb18\.valid\.json lists"):
        check_song(data, Song("other song", "valid"))
