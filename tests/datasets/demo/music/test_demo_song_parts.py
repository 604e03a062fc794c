"""The parts of a demo song one by one: form, melody, voice, strings, drums, bass, accompaniment, mix."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import signal

from hearlab.datasets.demo.music.bass_line import LOWEST, bass
from hearlab.datasets.demo.music.drum_kit import drums
from hearlab.datasets.demo.music.singing import VIBRATO_ONSET, Singer, draw_singer, plan_line, sing
from hearlab.datasets.demo.music.song_form import (
    STEPS,
    STYLES,
    MelodyNote,
    SongForm,
    draw_form,
    melody,
    root_above,
    voicing,
)
from hearlab.datasets.demo.music.song_mixing import PEAK_LEVEL, mix
from hearlab.datasets.demo.music.songs import low_voice
from hearlab.datasets.demo.music.string_tones import Strings, StringTone, ensemble
from hearlab.datasets.demo.sounds import add, frequency, held, pan, saturate
from hearlab.datasets.demo.speech.utterances import VOWELS

RATE = 44100
Array = NDArray[np.float64]


def _forms(seed: int = 0, split: str = "train", count: int = 6) -> list[SongForm]:
    return [draw_form(f"Somebody - Song {number}", split, number, 12.0, seed) for number in range(count)]


def _rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


# Form and melody


def test_training_songs_have_all_genres_and_differ_in_tempo_key_and_voice() -> None:
    forms = _forms()
    assert {form.genre for form in forms} == set(STYLES)
    assert len({form.tempo for form in forms}) == len(forms)
    assert len({(form.tonic, form.scale) for form in forms}) > len(forms) // 2
    assert [low_voice("train", number, 0) for number in range(4)] in ([True, False] * 2, [False, True] * 2)


@pytest.mark.parametrize("seed", range(5))
def test_bars_follow_each_other_from_intro_over_verse_to_chorus(seed: int) -> None:
    for form in _forms(seed):
        starts = [bar.start for bar in form.bars]
        np.testing.assert_allclose(np.diff(starts), 240 / form.tempo)
        assert starts[-1] < form.seconds <= starts[-1] + 240 / form.tempo
        sections = [bar.section for bar in form.bars]
        assert sections == sorted(sections, key=["intro", "verse", "chorus"].index)
        assert set(sections) == {"intro", "verse", "chorus"}
        fills = [index for index, bar in enumerate(form.bars) if bar.fill < STEPS]
        assert fills == [sections.index("chorus") - 1]
        for bar in form.bars:
            times = [form.time(bar, step) for step in range(STEPS + 1)]
            assert all(np.diff(times) > 0)
            assert times[-1] - times[0] == pytest.approx(240 / form.tempo)
            for chord in bar.chords:
                assert {(tone - form.tonic) % 12 for tone in chord.tones} <= set(form.scale)


def test_voicings_are_chord_tones() -> None:
    chord = _forms()[0].bars[0].chords[0]
    notes = voicing(chord, 50, 4)
    assert notes == sorted(notes)
    assert len(notes) == 4
    assert notes[0] >= 50
    assert {note % 12 for note in notes} == {tone for tone in chord.tones} or len(chord.tones) == 3
    assert root_above(chord, LOWEST) % 12 == chord.root
    assert LOWEST <= root_above(chord, LOWEST) < LOWEST + 12


@pytest.mark.parametrize("seed", range(5))
def test_melodies_stay_in_range_and_scale_rest_on_chord_tones_and_leave_time_to_breathe(seed: int) -> None:
    for form in _forms(seed):
        notes = melody(form, 57, 73, _rng(seed))
        assert len(notes) > 8
        assert notes[0].first
        assert notes[-1].last
        assert notes[0].start > form.bars[1].start - 0.05
        for note in notes:
            assert 57 <= note.note <= 73
            assert (note.note - form.tonic) % 12 in form.scale
            if note.seconds > 3.9 * form.step:
                bar = max((bar for bar in form.bars if bar.start <= note.start + 0.05), key=lambda bar: bar.start)
                step = (note.start - bar.start + 0.05) / form.step
                assert note.note % 12 in form.chord(bar, step).tones
        for this, following in itertools.pairwise(notes):
            assert following.first == this.last
            gap = following.start - this.start - this.seconds
            assert gap > (1.5 * form.step if this.last else -0.06)


# The voice

SINGER = Singer(45, 61, 1.0, vibrato_rate=5.5, vibrato_extent=0.5, breathiness=0.03, emphasis=5.0, doubling=0.3)


def _long_note(number: int, singer: Singer) -> tuple[Array, str]:
    """Two seconds of one syllable that begin at 0.5 s, and the vowel."""
    line = plan_line([MelodyNote(number, 0.5, 2.0, 1.0, True, True)], singer, 3.0, _rng(4))
    return sing(line, singer, RATE, _rng(5)), line.text


def _pitch_in_cents(sound: Array, fundamental: float) -> Array:
    """Instantaneous pitch relative to `fundamental`, from the phase of the first harmonic."""
    band = signal.butter(4, [0.8 * fundamental, 1.25 * fundamental], "band", fs=RATE, output="sos")
    phase = np.unwrap(np.angle(signal.hilbert(signal.sosfiltfilt(band, sound))))
    return 1200 * np.log2(np.maximum(np.diff(phase) * RATE / (2 * np.pi), 1.0) / fundamental)


@pytest.mark.parametrize("number", [50, 57])
def test_long_notes_are_in_tune_and_get_a_vibrato_after_their_onset(number: int) -> None:
    sound, _ = _long_note(number, SINGER)
    cents = _pitch_in_cents(sound, frequency(number))
    # 100 ms after the vowel begins it has settled; a slow waver of some 6 cents and the scoop's remains are left.
    early = cents[round(0.6 * RATE) : round((0.5 + VIBRATO_ONSET) * RATE)]
    late = cents[round(1.0 * RATE) : round(2.4 * RATE)]
    assert np.abs(early).max() < 35
    assert abs(late.mean()) < 15
    assert 35 < (late.max() - late.min()) / 2 < 75, "vibrato of half a semitone, and the waver"
    wave = late[::100] - late.mean()
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(wave.size), 8192))
    rates = np.fft.rfftfreq(8192, 100 / RATE)
    spectrum[rates < 3] = 0
    assert rates[spectrum.argmax()] == pytest.approx(SINGER.vibrato_rate, abs=0.15)


def test_drawn_singers_differ_in_range_and_have_natural_vibrato() -> None:
    for seed in range(5):
        low, high = draw_singer(True, _rng(seed)), draw_singer(False, _rng(seed))
        assert low.highest < high.highest
        assert low.formant_scale < high.formant_scale
        assert all(5 < singer.vibrato_rate < 6 for singer in (low, high))


def test_formants_are_those_of_the_vowel() -> None:
    singer = Singer(40, 56, 1.0, 5.5, 0.0, 0.0, 5.0, 0.3)
    sound, text = _long_note(40, singer)
    vowel = next(vowel for vowel in sorted(VOWELS, key=len, reverse=True) if text.endswith(vowel))
    steady = signal.decimate(sound[round(1.0 * RATE) : round(2.2 * RATE)], 5)
    # Formants by linear prediction of a pre-emphasised signal.
    steady = np.diff(steady) * np.hanning(steady.size - 1)
    order = 12
    correlation = np.array([steady[lag:] @ steady[: steady.size - lag] for lag in range(order + 1)])
    matrix = correlation[np.abs(np.subtract.outer(np.arange(order), np.arange(order)))]
    poles = np.roots(np.concatenate([[1.0], -np.linalg.solve(matrix, correlation[1:])]))
    sharp = poles[(poles.imag > 0) & (np.abs(poles) > 0.85)]
    found = np.sort(np.angle(sharp)) * RATE / 5 / (2 * np.pi)
    for formant in VOWELS[vowel][:2]:
        # Linear prediction is drawn to the nearest harmonic, at most half of 82 Hz away.
        assert np.abs(found - formant).min() < 60, (vowel, found)


def test_nothing_is_sung_before_a_breath_and_after_the_last_note() -> None:
    sound, _ = _long_note(52, SINGER)
    assert not sound[: round(0.08 * RATE)].any()
    breath, note = sound[round(0.15 * RATE) : round(0.4 * RATE)], sound[round(0.7 * RATE) : round(2.0 * RATE)]
    assert -60 < 20 * np.log10(np.std(breath) / np.std(note)) < -15
    assert not sound[round(2.6 * RATE) :].any()


def test_no_notes_are_silence() -> None:
    line = plan_line([], SINGER, 1.0, _rng())
    np.testing.assert_array_equal(sing(line, SINGER, RATE, _rng()), np.zeros(RATE))


def test_harmonics_of_high_notes_do_not_fold_back() -> None:
    singer = Singer(60, 76, 1.15, 5.5, 0.0, 0.0, 8.0, 0.3)
    sound, _ = _long_note(76, singer)
    steady = sound[round(1.0 * RATE) :][:32768] * signal.windows.blackmanharris(32768)
    power = np.abs(np.fft.rfft(steady)) ** 2
    hertz = np.fft.rfftfreq(32768, 1 / RATE)
    # Pitch wavers by some 6 cents, so that harmonic n is up to about n * 3 Hz wide.
    away = np.abs((hertz / frequency(76) + 0.5) % 1 - 0.5) * frequency(76)
    between = power[(away > 100) & (hertz < 8000)].sum()
    assert 10 * np.log10(between / power.sum()) < -45


# Strings

TONE = StringTone(brightness=3000.0, place=0.15, fading=2.0, damping=2.0, pick=0.2)


@pytest.mark.parametrize("number", [30, 45, 64])
def test_plucked_strings_are_in_tune_and_die_away_at_their_rate(number: int) -> None:
    sound = Strings(TONE, RATE, _rng()).note(number)
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(sound.size), 4 * sound.size))
    hertz = np.fft.rfftfreq(4 * sound.size, 1 / RATE)
    near = (hertz > 0.9 * frequency(number)) & (hertz < 1.1 * frequency(number))
    assert 1200 * abs(np.log2(hertz[near][spectrum[near].argmax()] / frequency(number))) < 5
    band = signal.butter(2, [0.7 * frequency(number), 1.4 * frequency(number)], "band", fs=RATE, output="sos")
    level = np.abs(signal.hilbert(signal.sosfiltfilt(band, sound)))
    fading = np.log(level[round(0.3 * RATE)] / level[round(1.0 * RATE)]) / 0.7
    expected = TONE.fading + TONE.damping * (frequency(number) / 1000) ** 1.2
    assert fading == pytest.approx(expected, rel=0.15)


def test_high_harmonics_of_a_string_die_first() -> None:
    sound = Strings(TONE, RATE, _rng()).note(40)
    high = signal.sosfilt(signal.butter(4, 1500, "high", fs=RATE, output="sos"), sound)
    # Where the note wraps round it is as quiet as it should be after 1.5 s, and nothing rings before the pluck.
    assert np.abs(sound[-2000:]).max() < 0.1 * np.abs(sound).max()
    loss = [
        20 * np.log10(np.std(x[: RATE // 10]) / np.std(x[RATE // 2 : RATE // 2 + RATE // 10])) for x in (sound, high)
    ]
    assert loss[1] > loss[0] + 6


def test_ensembles_repeat_without_a_seam_and_are_wide() -> None:
    sound = ensemble([60, 64, 67], 2000.0, RATE, _rng())
    seam = np.abs(np.diff(np.concatenate([sound[:, -2:], sound[:, :2]], axis=1))).max()
    assert seam < np.abs(np.diff(sound)).max()
    assert abs(np.corrcoef(sound)[0, 1]) < 0.3
    assert np.std(sound) == pytest.approx(1.0, rel=1e-6)


def test_notes_end_without_a_click() -> None:
    note = np.sin(2 * np.pi * 110 * np.arange(RATE) / RATE)
    short = held(note, 5000, 0, 1500)
    assert short.size == 6500
    assert short[-1] == pytest.approx(0.0, abs=1e-12)
    assert np.abs(np.diff(short)).max() < 1.05 * np.abs(np.diff(note)).max()
    assert held(note, 2 * RATE, 10, 100).size == RATE


# Parts and mix


def test_nothing_clicks_where_notes_end() -> None:
    """What is sharp enough to reach beyond 12 kHz is a pluck on a step of the bar; notes end between the steps."""
    for form in _forms()[:2]:
        track = bass(form, RATE, _rng()).mean(axis=0)
        high = np.abs(signal.sosfilt(signal.butter(6, 12000, "high", fs=RATE, output="sos"), track))
        steps = np.array([form.time(bar, step) for bar in form.bars for step in range(STEPS)])
        for _ in range(20):
            at = int(high.argmax())
            # Players are some ms early or late.
            assert np.abs(steps - at / RATE).min() < 0.012
            high[max(at - RATE // 20, 0) : at + RATE // 20] = 0


def test_the_bass_plays_the_roots_of_the_chords() -> None:
    for form in _forms(1)[:3]:
        track = bass(form, RATE, _rng()).mean(axis=0)
        right = 0
        bars = [bar for bar in form.bars[1:-1] if form.plays("bass", bar, 0)]
        for bar in bars:
            first = round((form.time(bar, 0) + 0.05) * RATE)
            piece = track[first : first + round(1.6 * form.step * RATE)]
            spectrum = np.abs(np.fft.rfft(piece * np.hanning(piece.size), 1 << 17))
            hertz = np.fft.rfftfreq(1 << 17, 1 / RATE)
            notes = np.arange(LOWEST, LOWEST + 12)
            # The note whose first four harmonics are the strongest.
            strength = [sum(np.interp(k * frequency(n), hertz, spectrum) for k in range(1, 5)) for n in notes]
            right += int(notes[int(np.argmax(strength))] % 12 == bar.chords[0].root)
        assert right >= len(bars) - 1, form.genre


def test_drums_strike_on_the_grid_with_changing_force() -> None:
    form = _forms()[0]
    track = drums(form, RATE, _rng())
    energy = np.mean(track[:, : track.shape[1] // 441 * 441].reshape(2, -1, 441) ** 2, axis=(0, 2))
    for bar in form.bars[1:-1]:
        for step in bar.kick:
            if step < bar.fill:
                at = round(form.time(bar, step) * 100)
                assert energy[at - 1 : at + 4].max() > 4 * np.median(energy)
    # Left and right differ, and are about as loud.
    assert 0.3 < np.corrcoef(track)[0, 1] < 0.98
    assert abs(20 * np.log10(np.std(track[0]) / np.std(track[1]))) < 3


def test_the_mix_is_the_sum_of_its_stems_at_the_peak_level_and_adds_a_room() -> None:
    rng = _rng()
    click = np.zeros((2, 2 * RATE))
    click[:, RATE // 2] = 1.0
    stems = {
        "vocals": np.zeros((2, 2 * RATE)),
        "drums": click,
        "bass": pan(np.sin(2 * np.pi * 80 * np.arange(2 * RATE) / RATE), 0.0),
        "other": rng.standard_normal((2, 2 * RATE)),
    }
    mixed = mix(stems, RATE, rng)
    np.testing.assert_array_equal(mixed["mixture"], sum(mixed[name].astype(np.int32) for name in stems))
    assert not mixed["vocals"].any()
    peak = 20 * np.log10(np.abs(mixed["mixture"].astype(float)).max() / 32768)
    assert PEAK_LEVEL[0] - 0.01 < peak < PEAK_LEVEL[1] + 0.01
    tail = mixed["drums"][RATE // 2 + 400 : RATE // 2 + RATE // 10].astype(float)
    assert np.abs(tail).max() > 5
    assert np.abs(tail).max() < 0.2 * np.abs(mixed["drums"]).max()
    assert not np.array_equal(tail[:, 0], tail[:, 1])


def test_stems_that_cancel_each_other_do_not_clip() -> None:
    tone = pan(np.sin(2 * np.pi * 300 * np.arange(2 * RATE) / RATE), 0.0)
    quiet = np.zeros((2, 2 * RATE))
    mixed = mix({"vocals": tone, "drums": quiet, "bass": -tone, "other": quiet}, RATE, _rng())
    peaks = [np.abs(mixed[name].astype(np.int32)).max() for name in ("vocals", "bass", "mixture")]
    assert 0.9 * 32768 < max(peaks) < 32767
    assert peaks[2] < peaks[0]
    np.testing.assert_array_equal(mixed["mixture"], mixed["vocals"] + mixed["bass"])


def test_sounds_are_placed_wherever_they_begin() -> None:
    track, sound = np.zeros((2, 10)), np.ones((2, 4))
    add(track, -2, sound)
    add(track, 8, sound)
    add(track, 20, sound)
    add(track, -9, sound)
    np.testing.assert_array_equal(track, np.array([[1, 1, 0, 0, 0, 0, 0, 0, 1, 1]] * 2))


def test_panning_keeps_the_power_and_saturation_the_bounds() -> None:
    sound = _rng().standard_normal(1000)
    for place in (-1.0, -0.3, 0.0, 0.8):
        assert np.sum(pan(sound, place) ** 2) == pytest.approx(np.sum(sound**2))
    assert np.abs(pan(sound, -1.0)[1]).max() < 1e-12
    assert np.abs(saturate(sound, 1.5)).max() <= 1.5 * np.std(sound) * 1.01
    np.testing.assert_array_equal(saturate(np.zeros(5), 1.5), np.zeros(5))
