"""The melody of a demo song: phrases of chord tones with passing notes between them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hearlab.datasets.demo.music.song_form import STEPS, SongForm, scale_notes

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
# Degrees of the scale by which the chorus lies above the verse.
LIFT = 2
# A note that would be cut off sooner than this by the end of the song is not sung; in s.
SHORTEST = 0.15


@dataclass(frozen=True)
class MelodyNote:
    """A note: MIDI number, start and duration in s, loudness, and its place in the phrase."""

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
