"""The stages of the music track on two short songs with names as they come, and what they refuse."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from hearlab.audio import read_audio, resample, rms
from hearlab.compute.attempts.failures import UnitsFailed
from hearlab.datasets.layout import SIDES, STEMS, CadenzaData, music_file
from hearlab.datasets.stem_files import read_stem
from hearlab.errors import InputError
from hearlab.fitting import NalR
from hearlab.listeners import load_listeners
from hearlab.metrics import haaqi, unit_seed
from hearlab.params import load_params
from hearlab.stages import prepare_music, run_stage
from hearlab.stages.score_music import COLUMNS

torch = pytest.importorskip("torch", reason="the music track needs torch: pip install 'hearlab[music]'")

Make = Callable[..., Path]
RATE = 44100
FRAMES = 2 * RATE
INSTRUMENTAL = 'Ærø & "The Who\'s" - Où, Pt. 2'
SUNG = "plain - song"
LISTENERS = {
    "L1": {
        "audiogram_cfs": [250, 500, 1000, 2000, 4000, 6000],
        "audiogram_levels_l": [10] * 6,
        "audiogram_levels_r": [20] * 6,
    },
    "L2": {
        "audiogram_cfs": [250, 500, 1000, 2000, 4000, 6000],
        "audiogram_levels_l": [20, 25, 35, 45, 60, 65],
        "audiogram_levels_r": [25, 30, 40, 50, 60, 70],
    },
}
# Two roundings to 16 bits at full scale, and that of the factor.
ROUNDING = 3 / 32768
TINY = {
    "hidden_size": 4,
    "nb_layers": 1,
    "nfft": 1024,
    "nhop": 512,
    "excerpt": 0.5,
    "batch_size": 2,
    "steps": 2,
    "validate_every": 1,
}


def write_song(data: CadenzaData, split: str, name: str, seed: int, silent: str | None = None) -> None:
    rng = np.random.default_rng(seed)
    data.song(split, name).mkdir(parents=True)
    time = np.arange(FRAMES) / RATE
    mixture = np.zeros((FRAMES, 2), np.int16)
    for k, stem in enumerate(STEMS):
        tone = np.sin(2 * np.pi * 110 * (k + 1) * time) * (1 + np.sin(2 * np.pi * (k + 1) * time))
        samples = (2000 * tone[:, np.newaxis] + 500 * rng.standard_normal((FRAMES, 2))).astype(np.int16)
        if stem == silent:
            samples[:] = 0
        soundfile.write(data.stem(split, name, stem), samples, RATE, subtype="PCM_16")
        mixture += samples
    soundfile.write(data.stem(split, name, "mixture"), mixture, RATE, subtype="PCM_16")


@pytest.fixture
def songs(repository: Make) -> Callable[..., CadenzaData]:
    """`songs(changes)` makes a repository with two songs for validation and one for training and for test each."""

    def make(changes: dict[str, Any] | None = None) -> CadenzaData:
        changes = {f"separate.train.{name}": value for name, value in TINY.items()} | (changes or {})
        folder = repository(changes)
        data = CadenzaData(folder / "data" / "demo" / "inputs" / "cadenza_data")
        data.metadata.mkdir(parents=True)
        for split in ("train", "valid", "test"):
            data.listeners(split).write_text(json.dumps(LISTENERS))
        members = {"train": ["a"], "valid": [SUNG, INSTRUMENTAL], "test": ["t"]}
        for k, (split, names) in enumerate(members.items()):
            entries = [{"Track Name": name, "Split": split} for name in names]
            data.songs(split).write_text(json.dumps(entries))
            for name in names:
                write_song(data, split, name, k, "vocals" if name == INSTRUMENTAL else None)
        cut = {"objective_evaluation": {"start": 0.5, "end": 1.5}, "subjective_evaluation": {"start": 1, "end": 1.75}}
        data.segments.write_text(json.dumps({"t": cut}))
        return data

    return make


def run_all(*stages: str) -> None:
    for stage in stages or ("train_separator", "separate_music", "enhance_music", "score_music"):
        run_stage(stage)


def hashes(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.md5(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("stage", ["prepare_music", "enhance_music"])
def test_a_segment_that_ends_after_its_song(songs: Callable[..., CadenzaData], stage: str) -> None:
    data = songs({"evaluate.song_split": "test"})
    cut = {"objective_evaluation": {"start": 0.5, "end": 1.5}, "subjective_evaluation": {"start": 1, "end": 999}}
    data.segments.write_text(json.dumps({"t": cut}))
    line = r"segments\.test\.json: t\.subjective_evaluation\.end: ends after the song \(found 999 s, wanted at most "
    with pytest.raises(InputError, match=line):
        prepare_music.check(data, load_params()) if stage == "prepare_music" else run_stage(stage)


@pytest.mark.slow
def test_the_whole_track(songs: Callable[..., CadenzaData], monkeypatch: pytest.MonkeyPatch) -> None:
    data = songs({"enhance.gain": 6})
    root = data.root.parents[1]
    run_all()
    listeners = load_listeners(data.listeners("valid"))

    # Separation: the stems of a mixture masked by networks, as long as it is.
    stems = {stem: read_audio(root / "separated" / SUNG / f"{stem}.wav", rate=RATE, channels=2)[0] for stem in STEMS}
    assert all(samples.shape == (FRAMES, 2) for samples in stems.values())

    # Enhancement: left stems with the left audiogram, scaled to their peak.
    gain = 10 ** (6 / 20)
    fitted = {}
    nalr = NalR(taps=220, rate=RATE)
    for ear, (side, audiogram) in enumerate(zip(SIDES, (listeners["L2"].left, listeners["L2"].right), strict=True)):
        for stem in STEMS:
            fitted[side, stem] = gain * nalr.apply(nalr.filter(audiogram), stems[stem][:, ear])
            wanted = resample(fitted[side, stem], RATE, 24000)
            found = read_stem(music_file(root / "enhanced_music", "L2", SUNG, f"{side}_{stem}"), rate=24000)
            np.testing.assert_allclose(found, wanted, atol=ROUNDING * np.max(np.abs(wanted)))
    # The remix is their sum, softly clipped.
    both = np.stack([np.sum([fitted[side, stem] for stem in STEMS], axis=0) for side in SIDES], axis=1)
    remix, rate = read_audio(music_file(root / "enhanced_music", "L2", SUNG, "remix"), channels=2)
    assert rate == 32000
    np.testing.assert_allclose(remix, np.tanh(resample(both, RATE, 32000)), atol=ROUNDING)
    assert len(hashes(root / "enhanced_music")) == 2 * 2 * 17

    # Scores: one stream for a pair; drums, bass, other, vocals, left before right.
    with Path("metrics/music.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["song"], row["listener"]) for row in rows] == [
        (SUNG, "L1"), (SUNG, "L2"), (INSTRUMENTAL, "L1"), (INSTRUMENTAL, "L2"),
    ]  # fmt: skip
    pairs = ",".join(f"left_{stem},right_{stem}" for stem in ("bass", "drums", "other", "vocals"))
    assert Path("metrics/music.csv").read_text().splitlines()[0] == f"song,listener,score,{pairs}"
    rng = np.random.RandomState(unit_seed(SUNG))
    scores, current = {}, {}
    for stem in ("drums", "bass", "other", "vocals"):
        reference = soundfile.read(data.stem("valid", SUNG, stem), dtype="float32")[0]
        for ear, (side, audiogram) in enumerate(zip(SIDES, (listeners["L2"].left, listeners["L2"].right), strict=True)):
            processed = read_stem(music_file(root / "enhanced_music", "L2", SUNG, f"{side}_{stem}"), rate=24000)
            clean = resample(reference[:, ear], RATE, 24000)
            signals = clean, 24000, processed.astype(np.float32), 24000, audiogram
            if not current:
                level = 65 - 20 * np.log10(rms(reference[:, ear].astype(float)))
                current[f"{side}_{stem}"] = haaqi(*signals, level=level, rng=unit_seed(SUNG)).score
            level = 65 - 20 * np.log10(rms(clean.astype(float)))
            scores[f"{side}_{stem}"] = haaqi(*signals, level=level, rng=rng).score
    for name in COLUMNS:
        assert float(rows[1][name]) == pytest.approx(scores[name], abs=1e-8)
    assert float(rows[1]["score"]) == pytest.approx(np.mean(list(scores.values())), abs=1e-8)
    # The instrumental's vocals are silent and what was found of them is not.
    assert {rows[3]["left_vocals"], rows[3]["right_vocals"]} == {"0.0"}
    averages = json.loads(Path("metrics/music.json").read_text())["haaqi"]
    assert averages["pairs"] == 4
    assert averages["score"] == pytest.approx(np.mean([float(row["score"]) for row in rows]), abs=1e-8)
    assert list(averages["songs"]) == [SUNG, INSTRUMENTAL]
    assert averages["stems"]["bass"] == pytest.approx(
        np.mean([float(row[f"{side}_bass"]) for row in rows for side in SIDES]), abs=1e-8
    )

    # The level as later versions of the published code take it, of the stem at 44.1 kHz.
    text = Path("params.yaml").read_text()
    Path("params.yaml").write_text(text.replace("music_level: challenge", "music_level: current"))
    run_all("score_music")
    with Path("metrics/music.csv").open(newline="", encoding="utf-8") as file:
        found = list(csv.DictReader(file))[1]
    ((name, score),) = current.items()
    assert float(found[name]) == pytest.approx(score, abs=1e-8)
    assert abs(score - scores[name]) > 1e-4

    # Twice the same bytes.
    before = hashes(root / "separator") | hashes(root / "separated") | hashes(root / "enhanced_music")
    monkeypatch.setenv("HEARLAB_MEMO", "ignore")
    run_all()
    assert hashes(root / "separator") | hashes(root / "separated") | hashes(root / "enhanced_music") == before


@pytest.mark.slow
def test_test_songs_are_cut_and_packed(songs: Callable[..., CadenzaData], capsys: pytest.CaptureFixture[str]) -> None:
    from hearlab.cli import main

    data = songs({"evaluate.song_split": "test"})
    run_all()
    folder = data.root.parents[1] / "enhanced_music"
    assert soundfile.info(music_file(folder, "L1", "t", "left_bass")).frames == 24000
    assert soundfile.info(music_file(folder, "L1", "t", "remix")).frames == 24000  # 0.75 s at 32 kHz
    assert main(["submission", "pack", "T001"]) == 0
    assert "18 audio files are right, 0 faults" in capsys.readouterr().out
    assert main(["submission", "check", "submission_T001.zip"]) == 0


@pytest.mark.slow
def test_the_small_test_takes_every_15th_pair(songs: Callable[..., CadenzaData]) -> None:
    songs({"evaluate.small_test": True})
    run_all()
    with Path("metrics/music.csv").open(newline="", encoding="utf-8") as file:
        assert [(row["song"], row["listener"]) for row in csv.DictReader(file)] == [(SUNG, "L1")]


def test_weights_that_are_not_there(songs: Callable[..., CadenzaData]) -> None:
    songs({"separate.weights": "data/weights"})
    run_all("train_separator")
    assert list(Path("data/demo/separator").iterdir()) == []
    with pytest.raises(InputError, match=r"no such weights file.*hearlab weights fetch openunmix") as caught:
        run_all("separate_music")
    assert "\n" not in str(caught.value)


def test_wrong_songs_are_told_in_one_line(songs: Callable[..., CadenzaData]) -> None:
    data = songs()
    run_all("train_separator")
    mixture = data.stem("valid", SUNG, "mixture")
    samples = soundfile.read(mixture)[0]
    soundfile.write(mixture, samples, 48000)
    with pytest.raises(InputError, match=r"mixture\.wav: sample rate: wrong sample rate \(found 48000 Hz"):
        run_all("separate_music")
    soundfile.write(mixture, samples[:, 0], RATE)
    with pytest.raises(InputError, match=r"mixture\.wav: channels: is not stereo"):
        run_all("separate_music")
    soundfile.write(mixture, samples, RATE)
    mixture.write_bytes(mixture.read_bytes()[:-1000])
    with pytest.raises(UnitsFailed, match=r"plain - song: .*mixture\.wav.*truncated") as caught:
        run_all("separate_music")
    assert len(caught.value.failures) == 1
    entries = [*json.loads(data.songs("valid").read_text()), {"Track Name": "gone", "Split": "valid"}]
    data.songs("valid").write_text(json.dumps(entries))
    with pytest.raises(InputError, match=r"gone: no such song"):
        run_all("separate_music")


def test_stems_of_unequal_length_and_a_listener_without_audiogram(songs: Callable[..., CadenzaData]) -> None:
    data = songs()
    run_all("train_separator", "separate_music", "enhance_music")
    bass = data.stem("valid", SUNG, "bass")
    samples = soundfile.read(bass)[0]
    soundfile.write(bass, samples[:-10], RATE)
    with pytest.raises(InputError, match=r"bass\.wav: is not as long as"):
        run_all("score_music")
    bass.unlink()
    with pytest.raises(InputError, match=r"bass\.wav: no such file"):
        run_all("score_music")
    data.listeners("valid").write_text(json.dumps({"L1": {"audiogram_cfs": [250, 500]}}))
    with pytest.raises(InputError, match=r"listeners\.valid\.json: L1"):
        run_all("enhance_music")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"separate.model": "spleeter"},
            r"separate\.model: wrong value \(found \"spleeter\", wanted 'openunmix' or 'hdemucs'",
        ),
        ({"separate.device": "tpu"}, r"separate\.device"),
        ({"separate.weights": "trained", "separate.model": "hdemucs"}, r"only Open-Unmix can be trained"),
    ],
)
def test_wrong_parameters(songs: Callable[..., CadenzaData], change: dict[str, Any], message: str) -> None:
    songs(change)
    with pytest.raises(InputError, match=message) as caught:
        run_all("train_separator")
    assert "\n" not in str(caught.value)
