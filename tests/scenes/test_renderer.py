"""Rendering: the real scene against golden, a tiny world for everything else."""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from scipy.io import savemat, wavfile

from hearlab.audio import write_wav
from hearlab.errors import InputError
from hearlab.files import read_json
from hearlab.scenes import RenderOptions, render_scene
from hearlab.scenes.renderer import scene_inputs

RATE = 44100
SIGNALS = [f"{signal}_CH{channel}.wav" for signal in ("target", "interferer", "mix") for channel in range(4)]
FILES = sorted(["target_anechoic_CH1.wav", "hr.wav", *SIGNALS])
OPTIONS = RenderOptions(ambisonic_order=1)


# --- the real scene -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rendered(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rendered")
    scene = read_json(real_data / "metadata" / "scenes.dev.json")[0]
    rooms = {room["name"]: room for room in read_json(real_data / "metadata" / "rooms.dev.json")}
    render_scene(scene, rooms[scene["room"]], real_data, folder)
    return folder


@pytest.mark.parametrize("name", [name for name in FILES if name != "hr.wav"])
def test_the_real_scene_equals_golden(rendered: Path, golden: Path, name: str) -> None:
    found = wavfile.read(rendered / f"S06001_{name}")[1].astype(int)
    wanted = soundfile.read(golden / "render" / f"S06001_{name}".replace(".wav", ".flac"), dtype="int16")[0]
    assert found.shape == wanted.shape
    difference = np.abs(found - wanted)
    # The published renderer convolves in single precision, so a few samples fall on the other side of a step.
    assert difference.max() <= 1
    assert np.mean(difference == 0) >= 0.999


def test_the_head_track_equals_golden_to_the_byte(rendered: Path, golden: Path) -> None:
    name = "S06001_hr.wav"
    assert (rendered / name).read_bytes() == (golden / "render" / name).read_bytes()


def test_only_the_published_files_are_written(rendered: Path) -> None:
    assert sorted(path.name for path in rendered.iterdir()) == sorted(f"S06001_{name}" for name in FILES)


# --- a tiny world of first order ------------------------------------------------------------------------------


def tone(rng: np.random.RandomState, length: int) -> np.ndarray:
    return (0.1 * rng.standard_normal(length)).astype(np.float32)


@pytest.fixture
def world(tmp_path: Path) -> Path:
    root, rng = tmp_path / "clarity_data", np.random.RandomState(0)
    for source in ("t", "i1", "i2", "i3"):
        response = np.zeros((60, 4), dtype=np.float32)
        response[20 + rng.randint(10)] = [1, *rng.standard_normal(3)]
        write_wav(root / "dev" / "rooms" / "HOA_IRs" / f"HOA_R00001_{source}.wav", response, RATE)
    write_wav(root / "dev" / "targets" / "T1.wav", tone(rng, 3000), RATE)
    write_wav(root / "dev" / "interferers" / "noise" / "N1.wav", tone(rng, 9000), RATE)
    write_wav(root / "dev" / "interferers" / "speech" / "P1.wav", tone(rng, 9000), RATE)
    soundfile_music = root / "dev" / "interferers" / "music" / "08" / "M1.mp3"
    soundfile_music.parent.mkdir(parents=True)
    soundfile.write(soundfile_music, tone(rng, 3 * RATE), RATE, format="MP3")
    azimuths = np.linspace(0, 2 * np.pi, 8, endpoint=False)
    matrix = np.stack([np.ones(8), np.sin(azimuths), np.zeros(8), np.cos(azimuths)], axis=1)
    (root / "metadata").mkdir()
    selected = [True] * 8 + [False]
    (root / "metadata" / "hrir_data.json").write_text(
        json.dumps({"selected_channels": selected, "matrix": matrix.tolist(), "weights": [1.0] * 4})
    )
    for microphone in ("ED", "BTE_fr", "BTE_mid", "BTE_rear"):
        file = root / "hrir" / "HRIRs_MAT" / f"Head-{microphone}.mat"
        file.parent.mkdir(parents=True, exist_ok=True)
        savemat(file, {"M_data": rng.standard_normal((16, 9, 2)) * np.exp(-np.arange(16) / 3)[:, None, None]})
    return root


ROOM: dict[str, Any] = {
    "name": "R00001",
    "target": {"position": [0.0, 2.0, 1.2], "view_vector": [0.0, -1.0, 0.0]},
    "listener": {"position": [0.0, 1.0, 1.2], "view_vector": [0.0, 1.0, 0.0]},
    "interferers": [{"position": [1, 2, 1]}, {"position": [2, 2, 1]}, {"position": [3, 2, 1]}],
}


def interferer(position: int, kind: str, name: str, offset: int = 100) -> dict[str, Any]:
    return {
        "position": position,
        "time_start": 0,
        "time_end": 5000,
        "type": kind,
        "name": name,
        "offset": offset,
    }


SCENE: dict[str, Any] = {
    "dataset": "dev",
    "room": "R00001",
    "scene": "S00001",
    "target": {"name": "T1", "time_start": 1000, "time_end": 4000},
    "duration": 5000,
    "interferers": [interferer(1, "noise", "N1.wav"), interferer(3, "speech", "P1.wav")],
    "SNR": 3.0,
    "listener": {
        "rotation": [{"sample": 1500.5, "angle": 60.0}, {"sample": 2200.5, "angle": 85.0}],
        "hrir_filename": [f"Head-{microphone}" for microphone in ("ED", "BTE_fr", "BTE_mid", "BTE_rear")],
    },
}


def scene(**changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(SCENE), **changes}


def read(folder: Path, name: str) -> np.ndarray:
    return wavfile.read(folder / f"S00001_{name}")[1].astype(float)


def test_writes_all_files_with_their_formats(world: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    paths = render_scene(SCENE, ROOM, world, out, OPTIONS)
    assert sorted(path.name for path in out.iterdir()) == sorted(f"S00001_{name}" for name in FILES)
    assert sorted(paths) == sorted(out.iterdir())
    for name in FILES:
        info = soundfile.info(out / f"S00001_{name}")
        assert info.samplerate == RATE
        if name == "hr.wav":
            assert (info.channels, info.frames, info.subtype) == (1, 5000, "DOUBLE")
        else:
            assert (info.channels, info.frames, info.subtype) == (2, 5015, "PCM_16")


def test_two_runs_give_the_same_bytes(world: Path, tmp_path: Path) -> None:
    for out in ("a", "b"):
        render_scene(SCENE, ROOM, world, tmp_path / out, OPTIONS)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_mix_is_target_plus_interferer(world: Path, tmp_path: Path) -> None:
    render_scene(SCENE, ROOM, world, tmp_path, OPTIONS)
    for channel in range(4):
        parts = read(tmp_path, f"target_CH{channel}.wav") + read(tmp_path, f"interferer_CH{channel}.wav")
        # Each of the three files is truncated to 16 bits on its own.
        assert np.max(np.abs(parts - read(tmp_path, f"mix_CH{channel}.wav"))) <= 2


def test_the_snr_is_the_one_asked_for_and_only_the_interferer_changes(world: Path, tmp_path: Path) -> None:
    for snr in (-9.0, 0.0, 6.0):
        render_scene(scene(SNR=snr), ROOM, world, tmp_path / str(snr), OPTIONS)
    target = [read(tmp_path / str(snr), "target_CH1.wav") for snr in (-9.0, 6.0)]
    np.testing.assert_array_equal(*target)
    levels = [20 * np.log10(np.std(read(tmp_path / str(snr), "interferer_CH1.wav"))) for snr in (-9.0, 0.0, 6.0)]
    # 16-bit truncation of a signal near 40 dB below full scale moves its level by less than 0.02 dB.
    np.testing.assert_allclose(np.diff(levels), [-9, -6], atol=0.02)


def test_the_anechoic_reference_has_its_peak_at_full_scale(world: Path, tmp_path: Path) -> None:
    render_scene(SCENE, ROOM, world, tmp_path, OPTIONS)
    anechoic = read(tmp_path, "target_anechoic_CH1.wav")
    assert np.max(np.abs(anechoic)) == 32767
    # It starts with the target, delayed by the way of one metre at 344 m/s.
    assert np.flatnonzero(np.any(anechoic, axis=1))[0] >= 1000 + int(RATE / 344)
    assert np.flatnonzero(np.any(anechoic, axis=1))[0] <= 1000 + int(RATE / 344) + 3


def test_mp3_interferers_in_a_folder_of_their_own(world: Path, tmp_path: Path) -> None:
    music = scene(interferers=[interferer(1, "music", "08/M1.mp3", offset=2 * RATE)])
    render_scene(music, ROOM, world, tmp_path, OPTIONS)
    assert np.std(read(tmp_path, "interferer_CH1.wav")) > 0


def test_responses_are_used_in_sequence_unless_asked_for_by_position(world: Path, tmp_path: Path) -> None:
    moved = scene(interferers=[interferer(1, "noise", "N1.wav"), interferer(2, "speech", "P1.wav")])
    sequence, position = OPTIONS, RenderOptions(ambisonic_order=1, interferer_response="position")
    render_scene(SCENE, ROOM, world, tmp_path / "sequence", sequence)
    render_scene(moved, ROOM, world, tmp_path / "moved", sequence)
    render_scene(SCENE, ROOM, world, tmp_path / "position", position)
    render_scene(moved, ROOM, world, tmp_path / "moved position", position)
    name = "interferer_CH1.wav"
    np.testing.assert_array_equal(read(tmp_path / "sequence", name), read(tmp_path / "moved", name))
    np.testing.assert_array_equal(read(tmp_path / "sequence", name), read(tmp_path / "moved position", name))
    assert np.any(read(tmp_path / "sequence", name) != read(tmp_path / "position", name))


def test_interferers_of_another_rate_warn_and_can_be_resampled(
    world: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    seconds = np.arange(48000) / 48000
    write_wav(
        world / "dev" / "interferers" / "noise" / "N48.wav",
        (0.1 * np.sin(2 * np.pi * 4800 * seconds)).astype(np.float32),
        48000,
    )
    other = scene(interferers=[interferer(1, "noise", "N48.wav")])
    with caplog.at_level(logging.WARNING, logger="hearlab"):
        render_scene(other, ROOM, world, tmp_path / "as is", OPTIONS)
    assert "N48.wav: 48000 Hz, used as if it were 44100 Hz" in caplog.text
    render_scene(
        other, ROOM, world, tmp_path / "resampled", RenderOptions(ambisonic_order=1, resample_interferers=True)
    )
    peaks = []
    for folder in ("as is", "resampled"):
        signal = read(tmp_path / folder, "interferer_CH1.wav")[:4410, 0]
        peaks.append(10 * np.argmax(np.abs(np.fft.rfft(signal))))
    assert peaks == [4410, 4800]


def test_equalised_interferers_have_the_same_level(world: Path, tmp_path: Path) -> None:
    quiet = world / "dev" / "interferers" / "speech" / "P1.wav"
    loud = wavfile.read(quiet)[1]
    write_wav(quiet, (loud * 1e-4).astype(np.float32), RATE)
    options = RenderOptions(ambisonic_order=1, equalise_loudness=True)
    render_scene(SCENE, ROOM, world, tmp_path / "quiet", options)
    write_wav(quiet, loud, RATE)
    render_scene(SCENE, ROOM, world, tmp_path / "loud", options)
    name = "interferer_CH1.wav"
    # Equal but for the last step: 1e-4 in single precision is not exact.
    assert np.max(np.abs(read(tmp_path / "quiet", name) - read(tmp_path / "loud", name))) <= 1


def test_clipping_is_warned_of(world: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    options = RenderOptions(ambisonic_order=1, channel_norms=(12.0, 0.01, 3.0, 3.0))
    with caplog.at_level(logging.WARNING, logger="hearlab"):
        render_scene(SCENE, ROOM, world, tmp_path, options)
    assert "S00001_mix_CH1.wav" in caplog.text
    assert "samples clipped" in caplog.text


def test_short_sources_are_padded_with_a_warning_or_refused(
    world: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    late = scene(interferers=[interferer(1, "noise", "N1.wav", offset=6000)])
    with caplog.at_level(logging.WARNING, logger="hearlab"):
        render_scene(late, ROOM, world, tmp_path / "out", OPTIONS)
    assert "N1.wav: 3000 of 5000 samples that scene S00001 needs; padded with silence" in caplog.text
    strict = RenderOptions(ambisonic_order=1, short_sources="error")
    with pytest.raises(InputError, match=r"N1\.wav: length: is shorter than scene S00001 needs \(found 3000 samples"):
        render_scene(late, ROOM, world, tmp_path / "strict", strict)
    behind = scene(interferers=[interferer(1, "noise", "N1.wav", offset=9000)])
    with pytest.raises(InputError, match=r"found 0 samples, wanted 5000 samples"):
        render_scene(behind, ROOM, world, tmp_path / "strict", OPTIONS)
    target = scene(target={"name": "T1", "time_start": 1000, "time_end": 4500})
    with pytest.raises(InputError, match=r"T1\.wav: length: is shorter than scene S00001 needs"):
        render_scene(target, ROOM, world, tmp_path / "strict", strict)


def without(path: str) -> Callable[[dict[str, Any]], None]:
    def change(record: dict[str, Any]) -> None:
        *parents, last = path.split(".")
        for key in parents:
            record = record[int(key)] if key.isdigit() else record[key]
        del record[last]

    return change


@pytest.mark.parametrize(
    "path",
    ["duration", "target.name", "listener.rotation", "listener.hrir_filename", "SNR", "interferers", "dataset"],
)
def test_a_missing_field_is_named(world: Path, tmp_path: Path, path: str) -> None:
    broken = scene()
    without(path)(broken)
    with pytest.raises(InputError, match=rf"S00001: {path.replace('.', '[.]')}: field is missing"):
        render_scene(broken, ROOM, world, tmp_path / "out", OPTIONS)
    assert not (tmp_path / "out").exists()


def test_a_time_that_is_no_number_is_named(world: Path, tmp_path: Path) -> None:
    for value, found in ((None, "None"), ("soon", "'soon'"), (float("nan"), "nan"), ([1], r"\[1\]")):
        broken = scene()
        broken["interferers"][1]["time_end"] = value
        line = rf"S00001 interferer 2: time_end: is no number \(found {found}\)"
        with pytest.raises(InputError, match=line):
            scene_inputs(broken, world, OPTIONS)
        with pytest.raises(InputError, match=line):
            render_scene(broken, ROOM, world, tmp_path, OPTIONS)
    broken = scene()
    broken["target"]["time_start"] = {}
    with pytest.raises(InputError, match=r"S00001: target\.time_start: is no number"):
        scene_inputs(broken, world, OPTIONS)


def test_other_missing_fields(world: Path, tmp_path: Path) -> None:
    broken = scene()
    del broken["interferers"][1]["offset"]
    with pytest.raises(InputError, match="S00001 interferer 2: offset: field is missing"):
        render_scene(broken, ROOM, world, tmp_path / "out", OPTIONS)
    room = copy.deepcopy(ROOM)
    del room["target"]["position"]
    with pytest.raises(InputError, match=r"room R00001: target\.position: field is missing"):
        render_scene(SCENE, room, world, tmp_path / "out", OPTIONS)
    nameless = scene()
    del nameless["scene"]
    with pytest.raises(InputError, match="scene: scene: field is missing"):
        render_scene(nameless, ROOM, world, tmp_path / "out", OPTIONS)


@pytest.mark.parametrize(
    "file",
    [
        "dev/targets/T1.wav",
        "dev/interferers/noise/N1.wav",
        "dev/rooms/HOA_IRs/HOA_R00001_t.wav",
        "dev/rooms/HOA_IRs/HOA_R00001_i2.wav",
        "hrir/HRIRs_MAT/Head-BTE_mid.mat",
        "metadata/hrir_data.json",
    ],
)
def test_missing_and_damaged_files_are_named_and_nothing_is_written(world: Path, tmp_path: Path, file: str) -> None:
    path = world / file
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=path.name.replace(".", r"\.")):
        render_scene(SCENE, ROOM, world, tmp_path / "out", OPTIONS)
    path.unlink()
    with pytest.raises(InputError, match=rf"{path.name}: no such file"):
        render_scene(SCENE, ROOM, world, tmp_path / "out", OPTIONS)
    assert not (tmp_path / "out").exists()


def test_wrong_sources(world: Path, tmp_path: Path) -> None:
    target = world / "dev" / "targets" / "T1.wav"
    samples = wavfile.read(target)[1]
    write_wav(target, samples, 16000)
    with pytest.raises(InputError, match=r"T1\.wav: sample rate: wrong sample rate \(found 16000 Hz"):
        render_scene(SCENE, ROOM, world, tmp_path / "out", OPTIONS)
    write_wav(target, np.zeros_like(samples), RATE)
    with pytest.raises(InputError, match=r"T1\.wav: is silent"):
        render_scene(SCENE, ROOM, world, tmp_path / "out", OPTIONS)
    samples = samples.copy()
    samples[5] = np.nan
    write_wav(target, samples, RATE)
    with pytest.raises(InputError, match=r"T1\.wav: sample 5 channel 0: is not a finite number"):
        render_scene(SCENE, ROOM, world, tmp_path / "out", OPTIONS)


def test_silent_interferers(world: Path, tmp_path: Path) -> None:
    write_wav(world / "dev" / "interferers" / "noise" / "N1.wav", np.zeros(9000, dtype=np.int16), RATE)
    silent = scene(interferers=[interferer(1, "noise", "N1.wav")])
    with pytest.raises(InputError, match="S00001: SNR: the interferers are silent while the target speaks"):
        render_scene(silent, ROOM, world, tmp_path / "out", OPTIONS)


def test_too_few_ambisonic_channels(world: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"HOA_R00001_t\.wav: channels: too few ambisonic channels for order 2"):
        render_scene(SCENE, ROOM, world, tmp_path / "out", RenderOptions(ambisonic_order=2))


def test_responses_and_decoder_that_do_not_fit(world: Path, tmp_path: Path) -> None:
    savemat(world / "hrir" / "HRIRs_MAT" / "Head-ED.mat", {"M_data": np.ones((16, 5, 2))})
    with pytest.raises(InputError, match=r"hrir_data\.json: selected_channels, matrix: does not fit Head-ED\.mat"):
        render_scene(SCENE, ROOM, world, tmp_path / "out", OPTIONS)
    savemat(world / "hrir" / "HRIRs_MAT" / "Head-ED.mat", {"M_data": np.ones((16, 9))})
    with pytest.raises(InputError, match=r"Head-ED\.mat: M_data: has not the shape"):
        render_scene(SCENE, ROOM, world, tmp_path / "out", OPTIONS)


def test_a_scene_without_interferers(world: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no interferer"):
        render_scene(scene(interferers=[]), ROOM, world, tmp_path / "out", OPTIONS)


def test_unknown_split(world: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="S00001: dataset: unknown split"):
        render_scene(scene(dataset="test"), ROOM, world, tmp_path / "out", OPTIONS)


def test_a_full_disk_leaves_no_half_scene(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hearlab.scenes import renderer

    written = []

    def write(path: Path, samples: np.ndarray, rate: int) -> None:
        if len(written) == 6:
            raise OSError(28, "No space left on device")
        written.append(path)
        write_wav(path, samples, rate)

    monkeypatch.setattr(renderer, "write_wav", write)
    with pytest.raises(OSError, match="No space left"):
        render_scene(SCENE, ROOM, world, tmp_path / "out", OPTIONS)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(("start", "end"), [(1_000_000, 1_003_000), (-1, 3000), (2000, 2000), (4000, 5001)])
def test_a_target_outside_of_its_scene_is_named(world: Path, tmp_path: Path, start: int, end: int) -> None:
    outside = scene(target={"name": "T1", "time_start": start, "time_end": end})
    with pytest.raises(InputError, match=rf"S00001: target.time_start, target.time_end: .*{start}, {end}"):
        render_scene(outside, ROOM, world, tmp_path, OPTIONS)
    assert not list(tmp_path.glob("S00001*"))
