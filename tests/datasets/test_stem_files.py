"""Stems as FLAC with their factors, and remixes."""

from __future__ import annotations

import itertools
import logging
from pathlib import Path

import numpy as np
import pytest
import soundfile

from hearlab.audio import float_wav, read_audio
from hearlab.datasets.stem_files import factor_file, read_stem, write_remix, write_stem
from hearlab.errors import InputError

RATE = 24000
# Truncation to 16 bits at the peak: one step, and half of one more for the value 1 that saturates.
STEP = 1.5 / 32768
NAME = "L1_Mr. Étoile & 'Co' feat. A.flac - B_left_bass.flac"


def signal(peak: float, count: int = 5000) -> np.ndarray:
    samples = np.random.default_rng(1).standard_normal(count)
    return samples / np.max(np.abs(samples)) * peak


@pytest.mark.parametrize("peak", [1e-6, 0.1, 1.0, 37.5])
def test_a_stem_comes_back_in_its_scale(tmp_path: Path, peak: float) -> None:
    path = tmp_path / NAME
    stem = signal(peak)
    write_stem(path, stem, RATE)
    assert float(factor_file(path).read_text()) == pytest.approx(peak, rel=1e-12)
    np.testing.assert_allclose(read_stem(path, rate=RATE), stem, atol=STEP * peak)
    info = soundfile.info(path)
    assert (info.format, info.subtype, info.channels, info.samplerate) == ("FLAC", "PCM_16", 1, RATE)
    # All 16 bits are used.
    assert np.max(np.abs(soundfile.read(path, dtype="int16")[0].astype(int))) >= 32767


def test_the_same_bytes_twice(tmp_path: Path) -> None:
    for name in ("a.flac", "b.flac"):
        write_stem(tmp_path / name, signal(0.3), RATE)
    assert (tmp_path / "a.flac").read_bytes() == (tmp_path / "b.flac").read_bytes()


def test_a_silent_stem_has_the_factor_0(tmp_path: Path) -> None:
    write_stem(tmp_path / "x.flac", np.zeros(100), RATE)
    assert float((tmp_path / "x.txt").read_text()) == 0
    np.testing.assert_array_equal(read_stem(tmp_path / "x.flac", rate=RATE), np.zeros(100))


@pytest.mark.parametrize("text", ["", "loud", "nan", "inf", "-1"])
def test_a_wrong_factor(tmp_path: Path, text: str) -> None:
    write_stem(tmp_path / "x.flac", signal(0.5), RATE)
    (tmp_path / "x.txt").write_text(text)
    with pytest.raises(InputError, match=r"x\.txt: is not a factor"):
        read_stem(tmp_path / "x.flac", rate=RATE)


def test_without_a_factor_the_scale_is_that_of_the_file(tmp_path: Path) -> None:
    write_stem(tmp_path / "x.flac", signal(0.5), RATE)
    (tmp_path / "x.txt").unlink()
    assert np.max(np.abs(read_stem(tmp_path / "x.flac", rate=RATE))) == pytest.approx(1, abs=STEP)


def test_a_stereo_or_foreign_stem(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "x.flac", np.zeros((10, 2)), RATE)
    with pytest.raises(InputError, match="wrong number of channels"):
        read_stem(tmp_path / "x.flac", rate=RATE)
    with pytest.raises(InputError, match="wrong sample rate"):
        read_stem(tmp_path / "x.flac", rate=44100)


def test_a_remix_is_clipped_softly_or_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    remix = np.stack([signal(2.0), signal(0.5)], axis=1)
    write_remix(tmp_path / "soft.flac", remix, 32000, soft_clip=True)
    samples, rate = read_audio(tmp_path / "soft.flac")
    assert rate == 32000
    np.testing.assert_allclose(samples, np.tanh(remix), atol=STEP)
    assert caplog.records == []
    with caplog.at_level(logging.WARNING):
        write_remix(tmp_path / "hard.flac", remix, 32000, soft_clip=False)
    np.testing.assert_allclose(read_audio(tmp_path / "hard.flac")[0], np.clip(remix, -1, 1), atol=STEP)
    assert f"{int(np.sum(np.abs(remix) > 1))} samples clipped" in caplog.text


def test_a_float_wav_written_in_blocks(tmp_path: Path) -> None:
    samples = signal(3.0, 1000).astype(np.float32).reshape(-1, 2)
    for name, cuts in (("a.wav", [0, 500]), ("b.wav", [0, 1, 77, 500])):
        with float_wav(tmp_path / name, 44100, 2, 500) as append:
            for start, stop in itertools.pairwise(cuts):
                append(samples[start:stop])
    found, rate = read_audio(tmp_path / "a.wav")
    assert rate == 44100
    np.testing.assert_array_equal(found, samples)
    assert soundfile.info(tmp_path / "a.wav").subtype == "FLOAT"
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()


def test_a_float_wav_that_ends_too_early_is_not_left_behind(tmp_path: Path) -> None:
    def too_short() -> None:
        with float_wav(tmp_path / "a.wav", 44100, 2, 500) as append:
            append(np.zeros((499, 2), np.float32))

    with pytest.raises(ValueError, match="wanted 4000"):
        too_short()
    assert list(tmp_path.iterdir()) == []
