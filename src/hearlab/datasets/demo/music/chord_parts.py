"""The accompaniment of a demo song: guitar, piano and strings play its chords in the rhythms of its style."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hearlab.arrays import Array
from hearlab.datasets.demo.music.song_form import STEPS, Chord, MelodyNote, SongForm, voicing
from hearlab.datasets.demo.music.string_tones import Strings, StringTone, ensemble
from hearlab.datasets.demo.sounds import add, held, pan, saturate

# Rhythms as (step, length in steps, velocity); all notes of the chord unless the rhythm is an arpeggio.
Rhythm = tuple[tuple[int, float, float], ...]
RHYTHMS: dict[str, tuple[Rhythm, ...]] = {
    "chords": (
        ((0, 6, 1.0), (6, 2, 0.7), (8, 4, 0.9), (12, 4, 0.75)),
        ((0, 4, 1.0), (4, 4, 0.75), (8, 4, 0.9), (12, 4, 0.75)),
        ((0, 3, 1.0), (3, 5, 0.8), (8, 3, 0.9), (11, 5, 0.8)),
    ),
    "strummed": (
        ((0, 4, 1.0), (4, 2, 0.7), (6, 2, 0.6), (8, 2, 0.8), (10, 2, 0.6), (12, 2, 0.8), (14, 2, 0.6)),
        ((0, 2, 1.0), (2, 2, 0.6), (4, 2, 0.8), (6, 4, 0.7), (10, 2, 0.6), (12, 2, 0.8), (14, 2, 0.6)),
    ),
    "scratched": (
        ((2, 1.5, 0.9), (3, 0.6, 0.5), (6, 1.5, 0.9), (10, 1.0, 0.8), (11, 0.6, 0.5), (14, 1.5, 0.9)),
        ((0, 1.0, 0.8), (3, 1.2, 0.9), (6, 1.2, 0.8), (8, 0.6, 0.5), (11, 1.2, 0.9), (14, 1.0, 0.7)),
    ),
    "stabs": (
        ((2, 1.4, 0.9), (6, 1.4, 0.9), (10, 1.4, 0.9), (14, 1.4, 0.9)),
        ((0, 2.0, 1.0), (3, 1.5, 0.8), (6, 2.0, 0.9), (11, 2.0, 0.8)),
    ),
    "arpeggio": (tuple((step, 6.0, 1.0 if step % 8 == 0 else 0.75) for step in range(0, STEPS, 2)),),
}
# Order of the chord's notes in an arpeggio, from the lowest.
ARPEGGIOS = ((0, 2, 3, 4, 2, 3, 4, 3), (0, 3, 2, 4, 0, 3, 2, 4), (0, 1, 2, 3, 4, 3, 2, 1))
# Lowest note (MIDI number) and number of notes of a chord.
VOICINGS = {"guitar": (42, 5), "piano": (50, 4), "strings": (55, 4)}
# Levels of the instruments relative to each other.
LEVELS = {"guitar": 1.0, "piano": 1.0, "strings": 0.55, "melody": 1.0}
RELEASE = {"guitar": 0.05, "piano": 0.08}
# Amplitude during the singing, and the time in s in which players respond.
BEHIND_SINGER = 0.5
RESPONSE = 0.06
# From one string to the next in a strum, in s.
STRUM = 0.011


def accompaniment(form: SongForm, tune: Sequence[MelodyNote], sung: bool, rate: int, rng: np.random.Generator) -> Array:
    """All parts together, shape (2, n), at no particular level.

    Where the tune is sung, they are softer during it; otherwise a guitar plays it.
    """
    track = np.zeros((2, round(form.seconds * rate)))
    side = float(rng.choice([-1.0, 1.0]))
    for instrument, rhythm in form.style.parts:
        place = side * rng.uniform(0.3, 0.55)
        if instrument == "strings":
            part = _strings(form, place, rate, rng)
        else:
            part = pan(_string_part(form, instrument, rhythm, rate, rng), place)
        level = np.sqrt(np.mean(part**2))
        track += LEVELS[instrument] * part / level
        side = -side
    if sung:
        track *= _room_for(tune, form.seconds, rate)
    elif tune:
        lead = _lead(form, tune, rate, rng)
        track += LEVELS["melody"] * pan(lead / np.sqrt(np.mean(lead**2)), 0.5 * side)
    return track


def _room_for(tune: Sequence[MelodyNote], seconds: float, rate: int) -> Array:
    """Gains, shape (n,), of players who are softer during the singing than between the phrases."""
    times = np.arange(0, seconds + RESPONSE, RESPONSE)
    gains = np.ones(times.size)
    for note in tune:
        gains[(times >= note.start) & (times < note.start + note.seconds)] = BEHIND_SINGER
    return np.interp(np.arange(round(seconds * rate)) / rate, times, gains)


def draw_tone(instrument: str, rng: np.random.Generator) -> StringTone:
    """A random guitar or piano."""
    if instrument == "guitar":
        return StringTone(
            brightness=rng.uniform(3000, 4500),
            place=rng.uniform(0.1, 0.22),
            fading=rng.uniform(2.0, 3.5),
            damping=rng.uniform(1.5, 3.0),
            pick=0.3,
            pick_centre=rng.uniform(3000, 4500),
            body=((rng.uniform(100, 130), 0.2, 1.0), (rng.uniform(200, 260), 0.25, 1.0), (3000.0, 0.6, 0.8)),
        )
    return StringTone(
        brightness=rng.uniform(1800, 2800),
        place=0.12,
        fading=rng.uniform(1.6, 2.4),
        damping=rng.uniform(1.5, 2.5),
        stiffness=4e-4,
        detuning=(-0.7, 0.8),
        pick=0.2,
        pick_centre=900.0,
        body=((rng.uniform(180, 260), 0.5, 0.6), (rng.uniform(1300, 2000), 0.7, 0.6)),
    )


def _string_part(form: SongForm, instrument: str, rhythm: str, rate: int, rng: np.random.Generator) -> Array:
    """A guitar's or a piano's part, shape (n,)."""
    tone = draw_tone(instrument, rng)
    pattern = RHYTHMS[rhythm][int(rng.integers(len(RHYTHMS[rhythm])))]
    order = ARPEGGIOS[int(rng.integers(len(ARPEGGIOS)))] if rhythm == "arpeggio" else None
    low, count = VOICINGS[instrument]
    low += int(rng.integers(-2, 3))
    strings = Strings(tone, rate, rng)
    track = np.zeros(round(form.seconds * rate))
    release = round(RELEASE[instrument] * rate)
    for bar in form.bars:
        for index, (step, length, velocity) in enumerate(pattern):
            if not form.plays("other", bar, step):
                continue
            notes = voicing(form.chord(bar, step), low, count)
            if order is not None:
                notes = [notes[order[index % len(order)]]]
            elif instrument == "guitar" and step % 4 == 2:
                notes = notes[::-1]  # an upstroke
            start = form.time(bar, step) + rng.normal(0, 0.003)
            loud = velocity * bar.loudness * rng.uniform(0.92, 1.05)
            lasting = min(length, bar.fill - step) if bar.stop else length
            for place, note in enumerate(notes):
                late = STRUM * place if instrument == "guitar" else rng.uniform(0, 0.006)
                sound = held(strings.note(note), round(lasting * form.step * rate), 0, release)
                add(track, round((start + late) * rate), loud * rng.uniform(0.8, 1.0) * sound)
    if instrument == "guitar" and form.genre == "Rock":
        return saturate(track, 0.9)  # an amplifier turned up
    return saturate(track, 2.5)


def _lead(form: SongForm, tune: Sequence[MelodyNote], rate: int, rng: np.random.Generator) -> Array:
    """A melody on a guitar, shape (n,)."""
    tone = draw_tone("guitar", rng)
    track = np.zeros(round(form.seconds * rate))
    strings = Strings(tone, rate, rng)
    for played in tune:
        sound = held(strings.note(played.note), round(played.seconds * rate), 0, round(RELEASE["guitar"] * rate))
        add(track, round(played.start * rate), played.loudness * sound)
    return saturate(track, 2.0)


def _strings(form: SongForm, place: float, rate: int, rng: np.random.Generator) -> Array:
    """Held chords of bowed strings that overlap a little, shape (2, n)."""
    brightness = rng.uniform(2000, 3200)
    low, count = VOICINGS["strings"]
    low += int(rng.integers(-3, 4))
    chords: dict[Chord, Array] = {}
    track = np.zeros((2, round(form.seconds * rate)))
    attack, release = round(0.09 * rate), round(0.2 * rate)
    gains = np.sqrt(2) * pan(np.ones(1), 0.5 * place)
    for bar in form.bars:
        halves = [0, STEPS // 2] if bar.chords[0] != bar.chords[1] else [0]
        for step in halves:
            if not form.plays("other", bar, step):
                continue
            end = min(step + STEPS // len(halves), bar.fill)
            chord = form.chord(bar, step)
            if chord not in chords:
                chords[chord] = ensemble(voicing(chord, low, count), brightness, rate, rng)
            length = round((form.time(bar, end) - form.time(bar, step)) * rate)
            length = min(length, chords[chord].shape[1] - release)
            add(
                track,
                round(form.time(bar, step) * rate),
                bar.loudness * gains * held(chords[chord], length, attack, release),
            )
    return track
