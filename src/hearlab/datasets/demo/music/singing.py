"""The singer of a demo song: syllables on a melody, vibrato and breath, by formant synthesis, stereo.

The vocal tract and the sounds of speech are those of the demo's talkers; the source, the pitch and the timing are sung.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft, ndimage

from hearlab.arrays import Array
from hearlab.datasets.demo.music.song_form import MelodyNote, SongForm
from hearlab.datasets.demo.sounds import add, hann, hump, overlapping_frames, pan
from hearlab.datasets.demo.speech.formant_synthesis import TRANSFORM, VOWEL_GAIN, glottal_pulse, vocal_tract
from hearlab.datasets.demo.speech.utterances import CONSONANTS, VOWELS, Consonant, Utterance

# Formants move slowly in singing: the vocal tract is constant over frames of this many samples, windowed with a Hann
# window of twice that.
HOP = 512
# Resolution of the pitch in s, and standard deviation of the glide from note to note.
PITCH_STEP = 0.0025
GLIDE = 0.022
# Vibrato begins this late in a note and takes this long to grow, in s. Shorter notes have none.
VIBRATO_ONSET = 0.2
VIBRATO_GROWTH = 0.2
# Phrases begin some semitones too low and reach the note within this time, in s.
SCOOP = 0.05
# Trained and close-miked voices are strong near 3 kHz (the singer's formant; Sundberg 1974).
SINGERS_FORMANT = (3000.0, 0.35, 1.2)
# Microphone and mixing engineer add brilliance above this frequency in Hz, up to this gain.
BRILLIANCE = (4000.0, 2.5)
NEUTRAL = (500.0, 1500.0, 2500.0)


@dataclass(frozen=True)
class Singer:
    """A voice.

    Attributes:
        lowest, highest: range in MIDI numbers.
        formant_scale: of all formants, relative to an adult male vocal tract.
        vibrato_rate: in Hz.
        vibrato_extent: from the middle to either side, in semitones.
        breathiness: noise in the voice source relative to its pulses.
        emphasis: samples' worth of slope by which high harmonics are lifted.
        doubling: level of the two copies to the left and the right, relative to the voice in the middle.
    """

    lowest: int
    highest: int
    formant_scale: float
    vibrato_rate: float
    vibrato_extent: float
    breathiness: float
    emphasis: float
    doubling: float


def draw_singer(low: bool, rng: np.random.Generator) -> Singer:
    """A low or a high voice."""
    lowest = int(rng.integers(44, 49) if low else rng.integers(56, 61))
    return Singer(
        lowest,
        lowest + 16,
        formant_scale=rng.uniform(0.95, 1.04) if low else rng.uniform(1.1, 1.2),
        vibrato_rate=rng.uniform(5.1, 5.9),
        vibrato_extent=rng.uniform(0.35, 0.6),
        breathiness=rng.uniform(0.03, 0.08),
        emphasis=rng.uniform(5.0, 8.0),
        doubling=rng.uniform(0.25, 0.4),
    )


def vocals(form: SongForm, notes: list[MelodyNote], singer: Singer, rate: int, rng: np.random.Generator) -> Array:
    """The singer's whole part, shape (2, n), at no particular level."""
    line = plan_line(notes, singer, form.seconds, rng)
    return _doubled(sing(line, singer, rate, rng), singer, rate, rng)


def plan_line(notes: list[MelodyNote], singer: Singer, seconds: float, rng: np.random.Generator) -> Utterance:
    """Put a syllable on each note; its vowel begins on the note's start and its consonant before."""
    plan = Utterance(seconds)
    syllables = [(str(rng.choice(list(CONSONANTS))), str(rng.choice(list(VOWELS)))) for _ in notes]
    starts = [
        max(note.start - CONSONANTS[consonant].duration * rng.uniform(0.85, 1.1), 0.0)
        for note, (consonant, _) in zip(notes, syllables, strict=True)
    ]
    for index, (note, (consonant, vowel)) in enumerate(zip(notes, syllables, strict=True)):
        end = note.start + note.seconds
        if not note.last and index + 1 < len(notes):
            end = starts[index + 1]
        if note.first:
            _add_breath(plan, starts[index], rng.uniform(0.06, 0.12))
        _add_syllable(plan, CONSONANTS[consonant], VOWELS[vowel], starts[index], note, max(end, note.start + 0.09))
        plan.text += consonant + vowel + " " * note.last
    plan.text = plan.text.strip()
    times = np.arange(0, seconds + PITCH_STEP, PITCH_STEP)
    plan.pitch.times = times.tolist()
    plan.pitch.values = (440 * 2 ** ((_pitch(times, notes, starts, singer, rng) - 69) / 12)).tolist()
    return plan


def _add_breath(plan: Utterance, before: float, strength: float) -> None:
    """The singer breathes in before a phrase."""
    if before < 0.35:
        return
    for at, level in ((-0.32, 0.0), (-0.18, strength), (-0.08, 0.8 * strength), (-0.04, 0.0)):
        plan.aspiration.add(before + at, level)
    plan.add_formants(before - 0.33, NEUTRAL)
    plan.add_formants(before - 0.04, NEUTRAL)


def _add_syllable(
    plan: Utterance, consonant: Consonant, vowel: tuple[float, float, float], start: float, note: MelodyNote, end: float
) -> None:
    """Landmarks of one syllable: a consonant from `start`, a vowel from the note's start to `end`."""
    loud, release = note.loudness, note.start
    length, onset = end - release, release - start
    voice_start = release + min(0.5 * consonant.aspiration, 0.2 * length)
    stop = consonant.manner == "stop"
    fall = min(0.07, 0.3 * length) if note.last else min(0.03, 0.2 * length)

    plan.voicing.add(start, 0.0 if stop or note.first else loud * consonant.voicing)
    plan.voicing.add(start + 0.25 * onset, loud * consonant.voicing)
    plan.voicing.add(voice_start - 0.002, loud * consonant.voicing)
    plan.voicing.add(voice_start + 0.025, 0.9 * loud)
    plan.voicing.add(voice_start + 0.6 * (end - fall - voice_start) + 0.02, 1.05 * loud)
    plan.voicing.add(max(end - fall, voice_start + 0.06), 0.85 * loud)
    plan.voicing.add(end - 0.01, 0.0 if note.last else 0.35 * loud)

    reached = voice_start + min(0.07, 0.4 * (end - voice_start))
    burst = ((-0.003, 0.0), (-0.001, 1.0), (0.009, 0.5), (0.02, 0.0))
    breath = ((release, 0.15), (voice_start, 0.1), (voice_start + 0.02, 0.0))
    plan.articulate(consonant, vowel, (start, release, reached, end), loud, burst, breath)


def _pitch(
    times: Array, notes: list[MelodyNote], starts: list[float], singer: Singer, rng: np.random.Generator
) -> Array:
    """Pitch as MIDI numbers: glides between the notes, scoops into phrases, vibrato on long notes, slow wavering."""
    pitch = np.full(times.size, float(notes[0].note) if notes else 60.0)
    extent = np.zeros(times.size)
    scoop = np.zeros(times.size)
    for note, start in zip(notes, starts, strict=True):
        # The pitch already moves when the vowel begins.
        begin = int((start if note.first else note.start - GLIDE) / PITCH_STEP)
        pitch[begin:] = note.note
        inside = times - note.start
        end = note.seconds
        if end > VIBRATO_ONSET + 0.5 * VIBRATO_GROWTH:
            growth = np.clip((inside - VIBRATO_ONSET) / VIBRATO_GROWTH, 0, 1) * np.clip((end - inside) / 0.05, 0, 1)
            extent = np.where((inside >= 0) & (inside < end), growth, extent)
        if note.first:
            scoop[begin:] = -1.0 * np.exp(-np.maximum(times[begin:] - note.start, 0) / SCOOP)
    pitch = ndimage.gaussian_filter1d(pitch, GLIDE / PITCH_STEP, mode="nearest")
    waver = ndimage.gaussian_filter1d(rng.standard_normal(times.size), 0.08 / PITCH_STEP, mode="nearest")
    waver *= 0.06 / max(float(np.std(waver)), 1e-9)
    vibrato = (
        singer.vibrato_extent * extent * np.sin(2 * np.pi * singer.vibrato_rate * times + rng.uniform(0, 2 * np.pi))
    )
    return pitch + scoop + waver + vibrato


def sing(line: Utterance, singer: Singer, rate: int, rng: np.random.Generator) -> Array:
    """The sound of a sung line, shape (n,), at no particular level; exactly 0 where nothing is sung."""
    length = round(line.duration * rate)
    sound = np.zeros(length + TRANSFORM)
    if not line.voicing.times:
        return sound[:length]
    time = np.arange(length) / rate
    turns = np.cumsum(line.pitch.at(time)) / rate
    voicing, aspiration, frication = (track.at(time) for track in (line.voicing, line.aspiration, line.noise))
    noise = rng.standard_normal((2, length))
    pulses = _pulses(turns)
    pulses += singer.emphasis * np.diff(pulses, prepend=pulses[0])
    breath = singer.breathiness * voicing * (1 - np.cos(2 * np.pi * turns)) + aspiration
    source = voicing * pulses + 0.5 * breath * np.diff(noise[0], prepend=0.0)
    frames = overlapping_frames(np.stack([source, VOWEL_GAIN * frication * noise[1]]), HOP)
    sounding = np.nonzero(np.any(frames != 0, axis=(0, 2)))[0]
    centres = sounding * HOP / rate
    formants = np.stack([track.at(centres) for track in line.formants], axis=1) * singer.formant_scale
    window = hann(2 * HOP)
    hertz = np.maximum(fft.rfftfreq(TRANSFORM, 1 / rate), 20.0)
    spectrum = fft.rfft(frames[0, sounding] * window, TRANSFORM)
    centre, octaves, gain = SINGERS_FORMANT
    corner, lift = BRILLIANCE
    colour = 1 + gain * hump(hertz, centre * singer.formant_scale, octaves) + lift / (1 + (corner / hertz) ** 2)
    spectrum *= colour
    spectrum *= vocal_tract(formants, singer.formant_scale, rate)
    noisy = np.nonzero(np.any(frames[1, sounding] != 0, axis=1))[0]
    width = line.noise_width.at(centres[noisy])[:, None]
    middle = line.noise_centre.at(centres[noisy])[:, None] * singer.formant_scale
    # Narrow noises are amplified, so that all consonants of the same amplitude are about equally loud.
    shape = hump(hertz, middle, width) / np.sqrt(width * middle / 4000.0)
    spectrum[noisy] += fft.rfft(frames[1, sounding[noisy]] * window, TRANSFORM) * shape
    for index, piece in zip(sounding, fft.irfft(spectrum, TRANSFORM), strict=True):
        add(sound, (int(index) - 1) * HOP, piece)
    return sound[:length]


def _pulses(turns: Array) -> Array:
    """Glottal pulses from the phase in periods.

    Each sample is the mean of the pulse over the time since the one before (a difference of its integral), which
    keeps harmonics beyond half the sample rate from folding back.
    """
    pulse = glottal_pulse()
    flow = np.concatenate([[0.0], np.cumsum(0.5 * (pulse[1:] + pulse[:-1]))]) / (pulse.size - 1)
    flow -= np.linspace(0, flow[-1], flow.size)
    passed = np.interp(turns % 1.0, np.linspace(0, 1, flow.size), flow)
    return np.diff(passed, prepend=passed[0]) / np.diff(turns, prepend=turns[0] - 1.0)


def _doubled(voice: Array, singer: Singer, rate: int, rng: np.random.Generator) -> Array:
    """The voice in the middle, and delayed copies left and right that are slightly out of tune."""
    time = np.arange(voice.size, dtype=np.float64)
    track = pan(voice, 0.0)
    for place, delay in ((-0.7, 0.013), (0.7, 0.019)):
        wander = 0.0015 * np.sin(2 * np.pi * rng.uniform(0.3, 0.7) * time / rate + rng.uniform(0, 2 * np.pi))
        copy = np.interp(time - (delay + wander) * rate, time, voice)
        track += singer.doubling * pan(copy, place)
    return track
