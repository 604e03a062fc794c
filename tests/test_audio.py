"""Reading, checking and writing audio files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from audio_files import SPOKEN, never_closed, piped_flac, piped_wav
from hearlab import audio
from hearlab.audio import (
    ENHANCED_FULL_SCALE,
    SCENE_FULL_SCALE,
    check_signal,
    opened,
    read_audio,
    resample,
    rms,
    to_pcm16,
    write_wav,
)
from hearlab.errors import InputError

RATE = 44100


@pytest.fixture
def tone(tmp_path: Path) -> Path:
    path = tmp_path / "tone.wav"
    samples = 0.5 * np.sin(np.arange(2000)[:, None] * [0.05, 0.07])
    write_wav(path, to_pcm16(samples, SCENE_FULL_SCALE), RATE)
    return path


@pytest.mark.parametrize("name", ["all.wav", "all.flac"])
def test_all_sixteen_bit_values_are_those_of_libsndfile(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    values = np.arange(-32768, 32768).astype(np.int16)
    soundfile.write(path, np.stack([values, values[::-1]], axis=1), RATE, subtype="PCM_16")
    wanted, _ = soundfile.read(path, dtype="float64")
    samples, _ = read_audio(path)
    assert samples.dtype == np.float64
    assert samples.tobytes() == wanted.tobytes()
    assert read_audio(path, start=65000, frames=100)[0].tobytes() == wanted[65000:65100].tobytes()


def test_sixteen_bit_values_are_divided_by_32768(tmp_path: Path) -> None:
    values = np.array([-32768, -1, 0, 1, 32767], dtype=np.int16)
    write_wav(tmp_path / "x.wav", values, RATE)
    samples, rate = read_audio(tmp_path / "x.wav")
    assert rate == RATE
    assert samples.shape == (5, 1)
    np.testing.assert_array_equal(samples[:, 0], values / 32768)


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_a_part_equals_the_slice_of_the_whole(tmp_path: Path, tone: Path, suffix: str) -> None:
    whole, _ = read_audio(tone)
    path = tmp_path / f"part{suffix}"
    soundfile.write(path, whole, RATE, subtype="PCM_16")
    part, _ = read_audio(path, start=700, frames=300)
    np.testing.assert_array_equal(part, whole[700:1000])
    beyond, _ = read_audio(path, start=1900, frames=300)
    np.testing.assert_array_equal(beyond, whole[1900:])
    nothing, _ = read_audio(path, start=5000, frames=300)
    assert nothing.shape == (0, 2)


def test_a_part_of_an_mp3_equals_the_slice_of_the_whole(tmp_path: Path) -> None:
    path = tmp_path / "music.mp3"
    rng = np.random.RandomState(1)
    soundfile.write(path, 0.2 * rng.standard_normal(3 * RATE), RATE, format="MP3")
    whole, _ = read_audio(path)
    part, _ = read_audio(path, start=2 * RATE + 11, frames=RATE)
    np.testing.assert_array_equal(part, whole[2 * RATE + 11 : 3 * RATE + 11])


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing\.wav: no such file"):
        read_audio(tmp_path / "nothing.wav")


@pytest.mark.parametrize("lost", [1, 100, 3000, 7990])
def test_truncated_wav(tone: Path, lost: int) -> None:
    tone.write_bytes(tone.read_bytes()[:-lost])
    with pytest.raises(InputError, match=rf"tone\.wav: data chunk: is truncated \(found {8000 - lost} bytes"):
        read_audio(tone)


def test_truncated_flac(tmp_path: Path) -> None:
    path = tmp_path / "noise.flac"
    soundfile.write(path, 0.1 * np.random.RandomState(0).standard_normal(20000), RATE)
    path.write_bytes(path.read_bytes()[:10000])
    with pytest.raises(InputError, match=r"noise\.flac: (is truncated|cannot be read)"):
        read_audio(path)


def test_not_audio(tmp_path: Path) -> None:
    path = tmp_path / "text.wav"
    path.write_text("not audio at all")
    with pytest.raises(InputError, match=r"text\.wav: cannot be read as audio"):
        read_audio(path)


def test_wrong_rate(tone: Path) -> None:
    with pytest.raises(InputError, match=r"sample rate: wrong sample rate \(found 44100 Hz, wanted 16000 Hz\)"):
        read_audio(tone, rate=16000)


def test_wrong_channels(tone: Path) -> None:
    with pytest.raises(InputError, match=r"channels: wrong number of channels \(found 2, wanted 1\)"):
        read_audio(tone, channels=1)


def test_nan_is_located(tmp_path: Path) -> None:
    samples = np.zeros((10, 2), dtype=np.float32)
    samples[7, 1] = np.nan
    write_wav(tmp_path / "nan.wav", samples, RATE)
    with pytest.raises(InputError, match=r"nan\.wav: sample 7 channel 1: is not a finite number"):
        read_audio(tmp_path / "nan.wav")


def test_silence_is_told_where_it_is_not_allowed(tmp_path: Path) -> None:
    write_wav(tmp_path / "silent.wav", np.zeros(50, dtype=np.int16), RATE)
    assert not read_audio(tmp_path / "silent.wav")[0].any()
    with pytest.raises(InputError, match="is silent"):
        read_audio(tmp_path / "silent.wav", silence=False)


def test_empty_signal() -> None:
    with pytest.raises(InputError, match="is empty"):
        check_signal(np.zeros((0, 2)), "x")


def test_write_leaves_no_temporary_file_and_the_same_bytes(tmp_path: Path) -> None:
    samples = np.random.RandomState(0).standard_normal(100)
    for name in ("a.wav", "b.wav"):
        write_wav(tmp_path / name, samples, RATE)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.wav", "b.wav"]
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write_wav(path, np.ones(4, dtype=np.int16), RATE)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="Unsupported data type"):
        write_wav(path, np.array(["text"]), RATE)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_published_16_bit_rules() -> None:
    values = np.array([-2.0, -1.0, -0.50001, 0.0, 0.99999, 1.0, 2.0])
    assert to_pcm16(values, SCENE_FULL_SCALE).tolist() == [-32767, -32767, -16383, 0, 32766, 32767, 32767]
    # A value of 1.0 saturates where the published enhancer wraps to -32768.
    assert to_pcm16(values, ENHANCED_FULL_SCALE).tolist() == [-32768, -32768, -16384, 0, 32767, 32767, 32767]


@given(st.floats(-1, 1), st.sampled_from([SCENE_FULL_SCALE, ENHANCED_FULL_SCALE]))
def test_16_bit_values_are_truncated_towards_zero(value: float, full_scale: int) -> None:
    written = int(to_pcm16(np.array([value]), full_scale)[0])
    assert abs(written) <= abs(value) * full_scale
    assert abs(value) * full_scale - abs(written) <= 1


def test_rms() -> None:
    assert rms(np.array([3.0, -4.0])) == pytest.approx(np.sqrt(12.5))
    assert rms(np.zeros(0)) == 0


def test_resampling_keeps_a_tone() -> None:
    seconds = np.arange(48000) / 48000
    converted = resample(np.sin(2 * np.pi * 440 * seconds), 48000, RATE)
    wanted = np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)
    assert converted.shape == wanted.shape
    # The filter rings in at the ends; soxr's high quality is good to 16 bits elsewhere.
    np.testing.assert_allclose(converted[500:-500], wanted[500:-500], atol=2**-15)


def test_a_flac_file_that_does_not_say_how_long_it_is(tmp_path: Path) -> None:
    path = piped_flac(tmp_path / "piped.flac")
    np.testing.assert_array_equal(read_audio(path, rate=RATE, channels=2)[0], SPOKEN / 32768)
    np.testing.assert_array_equal(read_audio(path, start=700, frames=300)[0], SPOKEN[700:1000] / 32768)
    np.testing.assert_array_equal(read_audio(path, start=8900, frames=300)[0], SPOKEN[8900:] / 32768)
    assert read_audio(path, start=9000)[0].shape == (0, 2)
    with opened(path) as sound:
        assert (sound.frames, sound.samplerate, sound.channels) == (9000, RATE, 2)


def test_such_a_file_is_no_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio, "MOST_SAMPLES", 10000)
    with pytest.raises(InputError, match="is too long"):
        read_audio(piped_flac(tmp_path / "piped.flac"))


@pytest.mark.parametrize("size", [0x7FFFF000, 0x7FFFFFFC, 0x80000000, 0xFFFFFFDB, 0xFFFFFFFF])
@pytest.mark.parametrize("riff", [None, 0, 0xFFFFFFFF])
def test_a_wav_file_from_a_pipe_reaches_to_its_end(tmp_path: Path, size: int, riff: int | None) -> None:
    path = piped_wav(tmp_path / "piped.wav", size, riff)
    np.testing.assert_array_equal(read_audio(path)[0], SPOKEN / 32768)


@pytest.mark.parametrize("riff", [0, 36])
def test_a_wav_file_that_was_never_closed(tmp_path: Path, riff: int) -> None:
    path = never_closed(tmp_path / "killed.wav", riff)
    line = r"killed\.wav: data chunk: was never finished: .*found a length of 0 and 36000 bytes behind it"
    with pytest.raises(InputError, match=line):
        read_audio(path)
    with pytest.raises(InputError, match=line), opened(path):
        pass


def test_an_empty_wav_file_with_another_chunk_is_only_empty(tmp_path: Path) -> None:
    path = tmp_path / "empty.wav"
    write_wav(path, SPOKEN[:0], RATE)
    content = bytearray(path.read_bytes() + b"LIST\4\0\0\0INFO")
    content[4:8] = (len(content) - 8).to_bytes(4, "little")
    path.write_bytes(content)
    assert read_audio(path)[0].shape == (0, 2)
