"""The demo music as files and as sound: layout, formats, levels, and that its stems need a real separator."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from scipy import fft, signal
from scipy.io import wavfile

from hearlab.datasets.demo import make_demo_music
from hearlab.datasets.demo.music.song_form import draw_form
from hearlab.datasets.demo.music.songs import INSTRUMENTAL, NAMES, SONG_SECONDS, make_song, song_name
from hearlab.datasets.layout import SAMPLE_RATE, STEMS, CadenzaData
from hearlab.errors import InputError
from hearlab.listeners import load_listeners

COUNTS = {"train": 1, "valid": 2, "test": 1}
SONGS = [(split, song_name(split, number)) for split, count in COUNTS.items() for number in range(count)]
SUNG = [song for song in SONGS if song != ("valid", song_name("valid", INSTRUMENTAL))]

# SDR in dB of the best time-invariant filter for a stem, made knowing all stems. 0 dB is what silence scores, and -4.4
# to -5.5 dB the mixture. Over 40 songs of four seeds it came to 3.0 (bass) to 4.3 (vocals) in the mean, 5.6 at most.
FIXED_FILTER_LIMIT = 6.5
# What a ratio mask over time and frequency gains on the mixture, and on that filter: 12.7 to 16.1 and 4.3 to 6.3 in the
# mean over the same songs, 10.1 and 3.1 at least.
MASK_GAIN = 8.0
MASK_OVER_FILTER = 3.0


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> CadenzaData:
    root = tmp_path_factory.mktemp("music") / "cadenza_data"
    make_demo_music(root, 2, **COUNTS)
    return CadenzaData(root)


def _read(music: CadenzaData, split: str, song: str) -> dict[str, NDArray[np.float64]]:
    return {stem: soundfile.read(music.stem(split, song, stem))[0] for stem in ("mixture", *STEMS)}


@pytest.fixture(scope="module")
def sung(music: CadenzaData) -> dict[str, dict[str, NDArray[np.float64]]]:
    """Songs with a singer: stems and mixture in [-1, 1]."""
    return {song: _read(music, split, song) for split, song in SUNG}


def _content(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def _rms_level(samples: NDArray[np.float64]) -> float:
    return float(10 * np.log10(np.mean(samples**2)))


def test_the_layout_is_the_challenges(music: CadenzaData) -> None:
    expected = {music.stem(split, song, stem) for split, song in SONGS for stem in ("mixture", *STEMS)}
    expected |= {music.songs(split) for split in COUNTS} | {music.segments}
    expected |= {music.listeners("train"), music.listeners("valid")}
    # Equality also says that no temporary file was left.
    assert {path for path in music.root.rglob("*") if path.is_file()} == expected


def test_song_lists_name_every_song_and_its_split(music: CadenzaData) -> None:
    for split, count in COUNTS.items():
        entries = json.loads(music.songs(split).read_text(encoding="utf-8"))
        assert [entry["Track Name"] for entry in entries] == [song_name(split, number) for number in range(count)]
        assert all(entry["Split"] == split for entry in entries)
        assert all(entry["Genre"] for entry in entries)


def test_names_are_those_that_break_pipelines_and_legal_everywhere() -> None:
    names = [name for split in NAMES.values() for name in split]
    assert [len(NAMES[split]) for split in ("train", "valid", "test")] == [6, 3, 1]
    assert len({unicodedata.normalize("NFC", name).casefold() for name in names}) == len(names)
    for name in names:
        assert name.count(" - ") == 1, "artist and title"
        assert not set(name) & set('<>:"/\\|?*'), "not allowed on Windows"
        assert name.isprintable()
        assert name == name.strip(" .") == unicodedata.normalize("NFC", name)
        assert len(name.encode()) < 80
    validation = "".join(NAMES["valid"])
    assert all(sign in validation for sign in "',& ")
    assert not validation.isascii()
    assert song_name("test", 1) == f"{NAMES['test'][0]} (Take 2)"


def test_songs_are_16_bit_stereo_and_the_mixture_is_the_sum_of_the_stems(music: CadenzaData) -> None:
    for split, song in SONGS:
        samples = {}
        for stem in ("mixture", *STEMS):
            rate, samples[stem] = wavfile.read(music.stem(split, song, stem))
            assert rate == SAMPLE_RATE
            assert samples[stem].dtype == np.int16
            assert samples[stem].shape == (SONG_SECONDS * SAMPLE_RATE, 2)
        np.testing.assert_array_equal(samples["mixture"], sum(samples[stem].astype(np.int32) for stem in STEMS))


def test_levels_are_those_of_commercial_mixes(sung: dict) -> None:
    for song, samples in sung.items():
        peak = 20 * np.log10(np.abs(samples["mixture"]).max())
        assert -3 < peak < -1, song
        assert -18 < _rms_level(samples["mixture"]) < -12, song
        for stem in STEMS:
            level = _rms_level(samples[stem])
            assert -30 < level < -12, (song, stem)
            assert 6 < 20 * np.log10(np.abs(samples[stem]).max()) - level < 24, (song, stem, "crest factor")
            # Nothing below hearing: direct current and drift are 60 dB below the sound.
            assert np.abs(samples[stem].mean(axis=0)).max() < 1e-3 * 10 ** (level / 20), (song, stem)
            assert np.abs(samples[stem][-1]).max() < 1e-3, (song, stem, "faded out")


def test_stems_differ_in_width_and_none_is_mono(sung: dict) -> None:
    for song, samples in sung.items():
        widths = {}
        for stem in STEMS:
            middle, side = samples[stem].sum(axis=1), samples[stem][:, 0] - samples[stem][:, 1]
            widths[stem] = _rms_level(side) - _rms_level(middle)
        assert all(-30 < width < 0 for width in widths.values()), (song, widths)
        assert widths["other"] > widths["bass"] + 6, (song, widths)


def test_the_instrumental_has_no_vocals_and_all_else(music: CadenzaData) -> None:
    samples = _read(music, "valid", song_name("valid", INSTRUMENTAL))
    assert not samples["vocals"].any()
    for stem in ("drums", "bass", "other"):
        assert _rms_level(samples[stem]) > -30


def test_the_voice_enters_after_an_intro(sung: dict) -> None:
    for samples in sung.values():
        first = {stem: np.argmax(np.abs(samples[stem]).max(axis=1) > 0.01) / SAMPLE_RATE for stem in STEMS}
        assert first["vocals"] > 1.5
        assert first["other"] < 0.5
        assert not samples["vocals"][: SAMPLE_RATE // 2].any(), "silence is zeros"


def test_bass_and_bass_drum_play_together(sung: dict) -> None:
    """Onsets of the bass are near strokes of the drums far more often than chance has it."""
    for song, samples in sung.items():
        rises = {}
        for stem in ("bass", "drums"):
            mono = samples[stem].mean(axis=1)
            energy = np.log10(np.mean(mono[: mono.size // 441 * 441].reshape(-1, 441) ** 2, axis=1) + 1e-7)
            rises[stem] = np.maximum(np.diff(signal.lfilter([0.5, 0.5], 1, energy)), 0)
        together = [np.mean(rises["bass"] * np.roll(rises["drums"], lag)) for lag in range(-100, 100)]
        assert max(together[97:104]) > 2 * np.mean(together), song


def _spectra(samples: NDArray[np.float64]) -> NDArray[np.complex128]:
    """Frames of 4096 samples, 2048 apart, shape (2, frames, bins); the squared windows add up to 1."""
    frames = np.lib.stride_tricks.sliding_window_view(samples.T, 4096, axis=1)[:, ::2048]
    return fft.rfft(frames * signal.windows.cosine(4096))


def _sdr(reference: NDArray[np.complex128], estimate: NDArray[np.complex128]) -> float:
    """Signal-to-distortion ratio in dB. Among spectra it is that of the sound, or less for masked ones."""
    error = reference - estimate
    return float(10 * np.log10(np.vdot(reference, reference).real / np.vdot(error, error).real))


# One of each kind is enough here; see FIXED_FILTER_LIMIT for more.
@pytest.mark.parametrize("song", [song for split, song in SUNG if split != "train"])
def test_no_fixed_filter_separates_a_stem_but_a_mask_in_time_and_frequency_does(sung: dict, song: str) -> None:
    spectra = {name: _spectra(samples) for name, samples in sung[song].items()}
    mixture = spectra.pop("mixture")
    magnitudes = {stem: np.abs(spectrum) for stem, spectrum in spectra.items()}
    total = sum(magnitudes.values()) + 1e-12
    power = np.sum(np.abs(mixture) ** 2, axis=1)
    for stem, spectrum in spectra.items():
        # The least-squares filter of each channel, from spectra over the whole song.
        wiener = np.sum(spectrum * mixture.conj(), axis=1) / power
        fixed = _sdr(spectrum, wiener[:, np.newaxis] * mixture)
        masked = _sdr(spectrum, magnitudes[stem] / total * mixture)
        assert fixed < FIXED_FILTER_LIMIT, stem
        assert masked - _sdr(spectrum, mixture) > MASK_GAIN, stem
        assert masked - fixed > MASK_OVER_FILTER, stem


def test_segments_lie_inside_the_test_songs(music: CadenzaData) -> None:
    segments = json.loads(music.segments.read_text(encoding="utf-8"))
    assert list(segments) == [song_name("test", 0)]
    for segment in segments.values():
        objective, subjective = segment["objective_evaluation"], segment["subjective_evaluation"]
        assert 0 <= objective["start"] <= subjective["start"] < subjective["end"] <= objective["end"] <= SONG_SECONDS


def test_validation_listeners_have_a_mild_and_a_moderately_severe_sloping_loss(music: CadenzaData) -> None:
    listeners = list(load_listeners(music.listeners("valid")).values())
    assert len(listeners) == 2
    averages = []
    for listener in listeners:
        better, worse = sorted((listener.left, listener.right), key=lambda ear: ear.levels.sum())
        assert (better.levels != worse.levels).any()
        assert np.mean(better.at([4000, 6000])) > np.mean(better.at([250, 500])) + 10
        averages.append(np.mean(better.at([500, 1000, 2000, 4000])))
    # Grades of hearing loss by the average over these frequencies (Clark 1981).
    assert 25 < averages[0] <= 40
    assert 55 < averages[1] <= 70
    training = load_listeners(music.listeners("train"))
    assert len(training) == 3
    assert not training.keys() & {listener.id for listener in listeners}


def test_the_same_seed_gives_the_same_bytes_and_another_other_songs(music: CadenzaData, tmp_path: Path) -> None:
    # Fewer songs, over remains of something else, two at a time.
    metadata = CadenzaData(tmp_path / "again").metadata
    metadata.mkdir(parents=True)
    (metadata / "musdb18.train.json").write_text("{")
    make_demo_music(tmp_path / "again", 2, train=1, valid=1, test=0, threads=2)
    first, again = _content(music.root), _content(tmp_path / "again")
    listing = {
        str(path.relative_to(music.root)) for path in (music.songs("valid"), music.songs("test"), music.segments)
    }
    assert len(again) == 2 * 5 + 6
    assert not [name for name in again.keys() - listing if again[name] != first[name]]

    form = draw_form(song_name("train", 0), "train", 0, SONG_SECONDS, seed=3)
    other = make_song(form, 3, low_voice=True, instrumental=False)
    for stem, samples in other.items():
        assert not np.array_equal(samples, wavfile.read(music.stem("train", form.name, stem))[1])


@pytest.mark.parametrize("wrong", [{"train": 0}, {"valid": 0}, {"test": -1}, {"seed": -1}])
def test_impossible_numbers_are_refused(tmp_path: Path, wrong: dict) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        make_demo_music(tmp_path, **wrong)
    assert not list(tmp_path.iterdir())


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "music").write_text("")
    with pytest.raises(InputError, match="not a folder"):
        make_demo_music(tmp_path / "music", 0)
