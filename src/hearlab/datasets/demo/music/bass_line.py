"""The bass of a demo song: roots, fifths and octaves that join the bass drum, on a plucked string with an amplifier."""

from __future__ import annotations

import numpy as np

from hearlab.arrays import Array
from hearlab.datasets.demo.music.song_form import STEPS, Bar, SongForm, root_above
from hearlab.datasets.demo.music.string_tones import Strings, StringTone
from hearlab.datasets.demo.sounds import add, held, pan, saturate

# MIDI number of the lowest string.
LOWEST = 28
PLACE = -0.08
# A note is damped within this time, in s.
RELEASE = 0.035
# By which fraction of its amplitude the bass is turned down when the bass drum is struck, and times in s.
KICK_DEPTH = 0.75
KICK_ATTACK = 0.004
KICK_RECOVERY = 0.07


def bass(form: SongForm, rate: int, rng: np.random.Generator) -> Array:
    """The bass player's whole part, shape (2, n), at no particular level."""
    picked = form.style.picked
    brightness = rng.uniform(450, 700) if picked else rng.uniform(300, 450)
    tone = StringTone(
        brightness=brightness,
        place=rng.uniform(0.12, 0.2),
        fading=rng.uniform(1.5, 2.5),
        damping=rng.uniform(5, 8),
        pick=0.35 if picked else 0.2,
        pick_centre=rng.uniform(1600, 2600) if picked else rng.uniform(900, 1500),
        body=((80.0, 0.7, 1.2), (900.0, 0.6, 0.5)),
    )
    strings = Strings(tone, rate, rng)
    track = np.zeros(round(form.seconds * rate))
    notes = _notes(form, rng)
    for index, (time, note, seconds, velocity) in enumerate(notes):
        # One string at a time: a note ends when the next one begins.
        following = notes[index + 1][0] - time if index + 1 < len(notes) else seconds
        length = round(min(seconds, following) * rate)
        add(track, round(time * rate), velocity * held(strings.note(note), length, 0, round(RELEASE * rate)))
    return pan(saturate(track, rng.uniform(1.2, 1.8)) * _under_kick(form, rate), PLACE)


def _under_kick(form: SongForm, rate: int) -> Array:
    """Gains, shape (n,), of a compressor keyed by the bass drum: it turns the bass down at each stroke."""
    gains = np.ones(round(form.seconds * rate))
    dip = 1 - KICK_DEPTH * np.exp(-np.arange(round(8 * KICK_RECOVERY * rate)) / (KICK_RECOVERY * rate))
    rise = round(KICK_ATTACK * rate)
    dip = np.concatenate([np.linspace(1, dip[0], rise, endpoint=False), dip])
    for bar in form.bars:
        for step in bar.kick:
            if form.plays("drums", bar, step) and step < bar.fill:
                first = round(form.time(bar, step) * rate) - rise
                part = gains[max(first, 0) : first + dip.size]
                part *= dip[max(-first, 0) :][: part.size]
    return gains


def _notes(form: SongForm, rng: np.random.Generator) -> list[tuple[float, int, float, float]]:
    """All notes as (time in s, MIDI number, longest duration in s, velocity)."""
    notes = []
    for number, bar in enumerate(form.bars):
        following = form.bars[(number + 1) % len(form.bars)]
        steps = _steps(form, bar, rng)
        for index, step in enumerate(steps):
            if not form.plays("bass", bar, step):
                continue
            end = steps[index + 1] if index + 1 < len(steps) else STEPS
            root = root_above(form.chord(bar, step), LOWEST)
            note = _choose(form, bar, step, root, root_above(following.chords[0], LOWEST), rng)
            gate = rng.uniform(0.6, 0.85)
            velocity = bar.loudness * (1.0 if step in bar.kick else 0.8) * rng.uniform(0.9, 1.05)
            time = form.time(bar, step) + rng.normal(0.002, 0.002)
            notes.append((time, note, gate * (end - step) * form.step, velocity))
    return notes


def _steps(form: SongForm, bar: Bar, rng: np.random.Generator) -> list[int]:
    """Steps of a bar on which a note begins."""
    if form.style.bass == "kick":
        more = [step for step in (6, 12, 14) if rng.random() < 0.45]
        return sorted({*bar.kick, *more})
    return list(range(0, STEPS, 2))


def _choose(form: SongForm, bar: Bar, step: int, root: int, next_root: int, rng: np.random.Generator) -> int:
    """Root on the strong steps, its fifth or octave between them, and a step towards the next bar's root at its end."""
    if form.style.bass == "octaves":
        return root + 12 * (step % 4 == 2)
    if step >= 14 and next_root != root:
        near = [note for note in range(next_root - 2, next_root + 3) if (note - form.tonic) % 12 in form.scale]
        near = [note for note in near if note != next_root and note >= LOWEST]
        return int(rng.choice(near)) if near else root
    if step % 8 == 0 or step in bar.kick or rng.random() < 0.4:
        return root
    fifth = form.chord(bar, step).tones[2]
    return int(rng.choice([root + 12, root + (fifth - root) % 12]))
