"""The plan of a demo song: tempo, key, chords, sections, groove and melody. All stems are played from one plan."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hearlab.datasets.demo.seeds import item_rng
from hearlab.datasets.demo.sounds import MAJOR

# Steps of a bar of four beats.
STEPS = 16
MINOR = (0, 2, 3, 5, 7, 8, 10)
# Roots of the chords of successive bars, as degrees of the scale.
PROGRESSIONS = {
    MAJOR: ((0, 4, 5, 3), (0, 5, 3, 4), (5, 3, 0, 4), (0, 3, 1, 4), (0, 2, 3, 4)),
    MINOR: ((0, 5, 2, 6), (0, 3, 5, 6), (0, 6, 5, 6), (5, 6, 0, 0)),
}
# The first downbeat, in s: later than 0, so that no onset is cut.
FIRST_DOWNBEAT = 0.04
# Stems that play in the bar before the voice enters.
INTROS = (("drums", "other"), ("bass", "other"), ("drums", "bass", "other"))
# Amplitude with which a section is played, relative to the chorus.
LOUDNESS = {"intro": 0.72, "verse": 0.8, "chorus": 1.0}


@dataclass(frozen=True)
class Groove:
    """Steps on which the drums strike; `more_kick` are struck in some bars."""

    kick: tuple[int, ...]
    more_kick: tuple[int, ...]
    snare: tuple[int, ...]
    ghost: tuple[int, ...]
    hat: tuple[int, ...]
    open_hat: tuple[int, ...]


_EIGHTHS = tuple(range(0, STEPS, 2))

GROOVES = {
    "backbeat": Groove((0, 8), (6, 10, 11), (4, 12), (15,), _EIGHTHS, (14,)),
    "driving": Groove((0, 6, 8), (2, 10, 14), (4, 12), (), _EIGHTHS, (10,)),
    "sixteenths": Groove((0, 3, 10), (6, 13), (4, 12), (7, 9, 15), tuple(range(STEPS)), (6,)),
    "shuffle": Groove((0, 8, 10), (3, 14), (4, 12), (7, 11), (0, 2, 4, 6, 7, 8, 10, 12, 14, 15), ()),
    "train": Groove((0, 8), (4, 12), (4, 12), (2, 6, 10, 14, 15), _EIGHTHS, ()),
    "four": Groove((0, 4, 8, 12), (14,), (4, 12), (15,), _EIGHTHS, (2, 6, 10, 14)),
}


@dataclass(frozen=True)
class Style:
    """How a genre is played.

    Attributes:
        tempo: lowest and highest, in beats per minute.
        groove: key of GROOVES.
        swing: position of the second eighth within a beat; 0.5 is straight.
        sevenths: whether chords have four notes.
        bass: "eighths", "kick" or "octaves".
        picked: whether the bass is played with a pick.
        parts: instrument and rhythm of each part of the accompaniment (see chord_parts).
    """

    tempo: tuple[float, float]
    groove: str
    swing: float
    sevenths: bool
    bass: str
    picked: bool
    parts: tuple[tuple[str, str], ...]


STYLES = {
    "Pop": Style((100, 122), "backbeat", 0.5, False, "kick", False, (("piano", "chords"), ("strings", "held"))),
    "Rock": Style((116, 136), "driving", 0.5, False, "eighths", True, (("guitar", "strummed"), ("strings", "held"))),
    "Funk": Style((96, 112), "sixteenths", 0.52, True, "kick", True, (("guitar", "scratched"), ("piano", "stabs"))),
    "Soul": Style((92, 106), "shuffle", 0.58, True, "kick", False, (("piano", "chords"), ("strings", "held"))),
    "Folk": Style((100, 120), "train", 0.5, False, "kick", False, (("guitar", "arpeggio"), ("strings", "held"))),
    "Electronic": Style((118, 130), "four", 0.5, True, "octaves", True, (("strings", "held"), ("piano", "stabs"))),
}


@dataclass(frozen=True)
class Chord:
    """Pitch classes of a chord, its root first."""

    tones: tuple[int, ...]

    @property
    def root(self) -> int:
        return self.tones[0]


@dataclass(frozen=True)
class Bar:
    """A bar.

    Attributes:
        start: in s.
        section: "intro", "verse" or "chorus".
        loudness: amplitude relative to the chorus.
        chords: of the two halves.
        kick: steps on which the bass drum strikes and the bass joins it.
        fill: the step from which the drums play a fill instead of the groove; STEPS for none.
        stop: whether bass and accompaniment pause during the fill.
    """

    start: float
    section: str
    loudness: float
    chords: tuple[Chord, Chord]
    kick: tuple[int, ...]
    fill: int
    stop: bool


@dataclass(frozen=True)
class SongForm:
    """A song's plan.

    Attributes:
        name: "Artist - Title".
        genre: key of STYLES.
        style: of the genre.
        tempo: in beats per minute.
        tonic: pitch class of the key.
        scale: semitones of the scale's degrees above the tonic.
        bars: they cover the song; the last may go beyond its end.
        seconds: length of the song.
        intro: stems that play in the intro.
    """

    name: str
    genre: str
    style: Style
    tempo: float
    tonic: int
    scale: tuple[int, ...]
    bars: tuple[Bar, ...]
    seconds: float
    intro: tuple[str, ...]

    @property
    def step(self) -> float:
        """Mean length of a step in s."""
        return 240.0 / self.tempo / STEPS

    def time(self, bar: Bar, step: float) -> float:
        """Time in s of a step, with the swing of the style."""
        beat, place = divmod(step / 4, 1.0)
        swing = self.style.swing
        place = place * 2 * swing if place < 0.5 else swing + (place - 0.5) * 2 * (1 - swing)
        return bar.start + (beat + place) * 4 * self.step

    def plays(self, stem: str, bar: Bar, step: float) -> bool:
        """Whether a stem sounds at a step: not all do in the intro, and some pause where the drums have a fill."""
        if bar.section == "intro" and stem not in self.intro:
            return False
        return not (bar.stop and step >= bar.fill and stem in ("bass", "other"))

    def chord(self, bar: Bar, step: float) -> Chord:
        return bar.chords[int(step >= STEPS / 2)]


def draw_form(name: str, split: str, number: int, seconds: float, seed: int) -> SongForm:
    """The form of song `number` of a split. Genres take turns, so that the training songs have them all."""
    rng = item_rng(seed, f"{name}/form")
    genres = item_rng(seed, f"{split}/genres").permutation(list(STYLES))
    genre = str(genres[number % len(genres)])
    style = STYLES[genre]
    tempo = round(rng.uniform(*style.tempo), 1)
    tonic = int(rng.integers(12))
    scale = MINOR if rng.random() < 0.4 else MAJOR
    progression = PROGRESSIONS[scale][int(rng.integers(len(PROGRESSIONS[scale])))]
    intro = INTROS[int(rng.integers(len(INTROS)))]
    # In some choruses the second half of a bar anticipates the next chord.
    hurried = bool(rng.random() < 0.4)
    stop = bool(rng.random() < 0.5)
    fill = int(rng.choice([8, 10, 12]))

    length = 240.0 / tempo
    count = int(np.ceil((seconds - FIRST_DOWNBEAT) / length))
    chorus = int(np.ceil(0.55 * count))
    bars = []
    for index in range(count):
        section = "intro" if index == 0 else "verse" if index < chorus else "chorus"
        degrees = [progression[index % len(progression)]] * 2
        if section == "chorus" and hurried:
            degrees[1] = progression[(index + 1) % len(progression)]
        before_chorus = index == chorus - 1
        groove = GROOVES[style.groove]
        kick = {*groove.kick, *(step for step in groove.more_kick if rng.random() < 0.4)}
        bars.append(
            Bar(
                FIRST_DOWNBEAT + index * length,
                section,
                LOUDNESS[section] * rng.uniform(0.95, 1.05),
                (_chord(tonic, scale, degrees[0], style.sevenths), _chord(tonic, scale, degrees[1], style.sevenths)),
                tuple(sorted(kick)),
                fill if before_chorus else STEPS,
                stop and before_chorus,
            )
        )
    return SongForm(name, genre, style, tempo, tonic, scale, tuple(bars), seconds, intro)


def _chord(tonic: int, scale: tuple[int, ...], degree: int, seventh: bool) -> Chord:
    steps = (0, 2, 4, 6) if seventh else (0, 2, 4)
    return Chord(tuple((tonic + scale[(degree + step) % len(scale)]) % 12 for step in steps))


def scale_notes(form: SongForm, low: int, high: int) -> list[int]:
    """MIDI numbers of the song's scale from `low` to `high`."""
    return [note for note in range(low, high + 1) if (note - form.tonic) % 12 in form.scale]


def voicing(chord: Chord, low: int, count: int) -> list[int]:
    """MIDI numbers of `count` notes of a chord: the lowest ones from `low` up."""
    notes = [note for note in range(low, low + 48) if note % 12 in chord.tones]
    return notes[:count]


def root_above(chord: Chord, low: int) -> int:
    """MIDI number of the lowest root that is not below `low`."""
    return low + (chord.root - low) % 12


# Rhythms of a phrase as (step, length in steps). Each leaves time to breathe before the next bar.
Motif = tuple[tuple[int, int], ...]
MOTIFS: dict[str, tuple[Motif, ...]] = {
    "verse": (
        ((0, 2), (2, 2), (4, 4), (8, 2), (10, 4)),
        ((2, 2), (4, 2), (6, 2), (8, 6)),
        ((0, 3), (3, 3), (6, 2), (8, 6)),
        ((0, 2), (2, 2), (4, 2), (6, 2), (8, 6)),
        ((4, 2), (6, 2), (8, 2), (10, 4)),
    ),
    "chorus": (
        ((0, 4), (4, 4), (8, 6)),
        ((0, 6), (6, 2), (8, 6)),
        ((0, 3), (3, 5), (8, 2), (10, 4)),
        ((0, 2), (2, 4), (6, 2), (8, 6)),
    ),
}
# Degrees of the scale by which the chorus is higher than the verse.
LIFT = 2
# A note that the end of the song would cut off sooner than this is left out; in s.
SHORTEST = 0.15


@dataclass(frozen=True)
class MelodyNote:
    """A note: MIDI number, start and duration in s, loudness, and its position in the phrase."""

    note: int
    start: float
    seconds: float
    loudness: float
    first: bool
    last: bool


def melody(form: SongForm, lowest: int, highest: int, rng: np.random.Generator) -> list[MelodyNote]:
    """The melody of all bars after the intro, between two MIDI numbers."""
    motifs = {section: rng.permutation(len(choices))[:2] for section, choices in MOTIFS.items()}
    scale = scale_notes(form, lowest, highest)
    at = len(scale) // 3
    notes = []
    for number, bar in enumerate(form.bars):
        if bar.section == "intro":
            continue
        motif = MOTIFS[bar.section][int(motifs[bar.section][number % 2])]
        home = len(scale) // 3 + (LIFT if bar.section == "chorus" else 0)
        for index, (step, length) in enumerate(motif):
            # A random walk that is drawn back to the middle of the range.
            at += int(rng.integers(-2, 3)) + int(np.sign(home - at) * (rng.random() < 0.5))
            at = int(np.clip(at, 0, len(scale) - 1))
            if length >= 4 or step % 8 == 0:
                tones = form.chord(bar, step).tones
                at = min((k for k, note in enumerate(scale) if note % 12 in tones), key=lambda k: abs(k - at))
            start = form.time(bar, step) + rng.normal(0.008, 0.008)
            end = form.time(bar, min(step + length, STEPS))
            accent = 1.0 if step % 4 == 0 else 0.85
            loud = bar.loudness * accent * rng.uniform(0.92, 1.05)
            notes.append(MelodyNote(scale[at], start, end - start, loud, index == 0, index == len(motif) - 1))
    notes = [note for note in notes if note.start + SHORTEST < form.seconds]
    return [*notes[:-1], *(replace(note, last=True) for note in notes[-1:])]
