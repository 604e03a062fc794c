"""Stage fit_music: filters for each listener from training songs alone, used by enhance_music, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from test_music_stages import LISTENERS
from tiny_music import TRAINING, hashes, write_songs

from hearlab.compute.attempts.failures import UnitsFailed
from hearlab.datasets.layout import STEMS, CadenzaData
from hearlab.errors import InputError
from hearlab.params import load_params
from hearlab.stages import run_stage, stage_units
from hearlab.systems.base import FITTED

pytest.importorskip("torch", reason="the music track needs torch: pip install 'hearlab[music]'")

Make = Callable[..., Path]
QUICK = {"steps": 2, "crop": 1.0, "excerpt": 2.0}
FITTED_FOLDER = Path("data/demo/fitted")
ENHANCED = Path("data/demo/enhanced_music")


@pytest.fixture
def fitted(repository: Make) -> Callable[..., CadenzaData]:
    """`fitted(**params)` makes a repository of three songs, whose separator is trained, for the system Fitted."""

    def make(**params: Any) -> CadenzaData:
        folder = repository({**TRAINING, "enhance.system": FITTED, "enhance.params": QUICK | params})
        write_songs(folder)
        run_stage("train_separator")
        return CadenzaData(folder / "data" / "demo" / "inputs" / "cadenza_data")

    return make


@pytest.mark.slow
def test_filters_are_fitted_and_used(fitted: Callable[..., CadenzaData], monkeypatch: pytest.MonkeyPatch) -> None:
    data = fitted()
    for stage in ("separate_music", "fit_music", "enhance_music"):
        run_stage(stage)
    assert sorted(path.name for path in (FITTED_FOLDER / "L2").iterdir()) == sorted(f"{stem}.json" for stem in STEMS)
    content = json.loads((FITTED_FOLDER / "L2" / "bass.json").read_text())
    assert content["listener"]["name"] == "L2"
    assert any(content["left"]["correction"])
    assert set(content["left"]["shares"]) == {"drums", "other", "vocals"}
    assert content["left"]["correction"] != content["right"]["correction"]

    # No song that is scored is looked at: without them the filters are the same.
    before, songs = hashes(Path(), FITTED_FOLDER), ENHANCED / "L2" / "b"
    inputs = [name for unit in stage_units("fit_music", load_params()) for name in unit.inputs]
    assert {Path(name).parent.name for name in inputs} == {"a", "separator"}
    for song in ("b", "c"):
        shutil.rmtree(data.song("valid", song))
    monkeypatch.setenv("HEARLAB_MEMO", "ignore")
    run_stage("fit_music")
    assert hashes(Path(), FITTED_FOLDER) == before
    monkeypatch.delenv("HEARLAB_MEMO")

    # Other filters are other units: no file needs to be named.
    sound = hashes(Path(), songs)
    keys = [unit.inputs for unit in stage_units("enhance_music", load_params())]
    assert (FITTED_FOLDER / "L2" / "bass.json").as_posix() in keys[0]
    content["left"]["correction"] = [6.0] * 11
    (FITTED_FOLDER / "L2" / "bass.json").unlink()
    (FITTED_FOLDER / "L2" / "bass.json").write_text(json.dumps(content))
    write_songs_again(data)
    run_stage("enhance_music")
    changed = {name for name, digest in hashes(Path(), songs).items() if sound[name] != digest}
    assert {Path(name).name for name in changed} == {"L2_b_left_bass.flac", "L2_b_left_bass.txt", "L2_b_remix.flac"}


def write_songs_again(data: CadenzaData) -> None:
    from test_music_stages import write_song

    for song in ("b", "c"):
        write_song(data, "valid", song, ord(song))


def test_other_systems_fit_nothing(repository: Make) -> None:
    repository()
    run_stage("fit_music")
    assert list(FITTED_FOLDER.iterdir()) == []


@pytest.mark.slow
def test_no_song_to_fit_with(fitted: Callable[..., CadenzaData]) -> None:
    data = fitted()
    shutil.copy(data.songs("valid"), data.songs("train"))
    line = (
        r"musdb18\.train\.json: lists no song to fit filters with \(wanted songs that are not in musdb18\.valid\.json"
    )
    with pytest.raises(InputError, match=line) as caught:
        run_stage("fit_music")
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_songs_and_listeners_that_do_not_serve(fitted: Callable[..., CadenzaData]) -> None:
    data = fitted()
    bass = data.stem("train", "a", "bass")
    samples, rate = soundfile.read(bass)
    samples[1000] = np.nan
    for part in (data.stem("train", "a", name) for name in ("mixture", *STEMS)):
        sound, _ = soundfile.read(part)
        soundfile.write(part, samples if part == bass else sound, rate, subtype="FLOAT")
    with pytest.raises(UnitsFailed, match=r"L2 bass: .*bass\.wav.*(NaN|finite)"):
        run_stage("fit_music")
    # The other stems are finished and kept.
    assert not (FITTED_FOLDER / "L2" / "bass.json").exists()
    bass.unlink()
    with pytest.raises(InputError, match=r"bass\.wav: no such file"):
        run_stage("fit_music")
    soundfile.write(bass, np.nan_to_num(samples), rate, subtype="FLOAT")
    data.listeners("valid").write_text(json.dumps({"L2": {"name": "L2"}}))
    with pytest.raises(InputError, match=r"listeners\.valid\.json: L2"):
        run_stage("fit_music")
    short = {**LISTENERS["L2"], "audiogram_cfs": [500, 600, 1000, 2000, 4000, 6000]}
    data.listeners("valid").write_text(json.dumps({"L2": short}))
    with pytest.raises(UnitsFailed, match=r"audiogram: frequencies: does not reach all needed frequencies"):
        run_stage("fit_music")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("params", "line"),
    [
        ({"filters": "elsewhere"}, r"params\.yaml: enhance\.params\.filters: is given by the stage; take it away"),
        ({"steps": 0}, r"Fitted: steps: wrong value \(found 0, wanted a whole number from 1"),
        ({"crop": 3.0}, r"Fitted: excerpt: wrong value"),
        ({"excerpt": 60.0, "crop": 30.0}, r"a: is shorter than a crop \(found 2 s, wanted at least 30 s\)"),
    ],
)
def test_wrong_parameters(repository: Make, params: dict[str, Any], line: str) -> None:
    folder = repository({**TRAINING, "enhance.system": FITTED, "enhance.params": QUICK | params})
    write_songs(folder)
    run_stage("train_separator")
    with pytest.raises((InputError, UnitsFailed), match=line):
        run_stage("fit_music")


def test_filters_of_one_s_own_are_refused_before_anything_runs(repository: Make) -> None:
    repository({"enhance.system": FITTED, "enhance.params": {"filters": "elsewhere"}})
    with pytest.raises(InputError, match=r"enhance\.params\.filters: is given by the stage"):
        run_stage("check_params")


@pytest.mark.slow
def test_filters_are_missing(fitted: Callable[..., CadenzaData]) -> None:
    fitted()
    run_stage("separate_music")
    with pytest.raises(UnitsFailed, match=r"2 units \(b L2, c L2\): .*fitted/L2/drums\.json: no such file"):
        run_stage("enhance_music")
