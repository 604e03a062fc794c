"""The drum kit of a demo song: its sounds at two overhead microphones, and the rhythm."""

from __future__ import annotations

import numpy as np

from hearlab.arrays import Array
from hearlab.datasets.demo.music.song_form import GROOVES, STEPS, Bar, Groove, SongForm
from hearlab.datasets.demo.sounds import add, hump, pan, saturate, shaped_noise

# Every drum is struck softly, firmly and hard; a stroke takes the nearest of these takes.
VELOCITIES = (0.35, 0.7, 1.0)
# Amplitudes of the drums in the mix of the kit.
LEVELS = {"kick": 1.0, "snare": 0.8, "hat": 0.26, "open_hat": 0.28, "high_tom": 0.7, "low_tom": 0.75, "crash": 0.3}
# Panning, seen from the audience.
PLACES = {"kick": 0.0, "snare": 0.12, "hat": 0.55, "open_hat": 0.55, "high_tom": 0.25, "low_tom": -0.5, "crash": -0.6}
# Delay between the two microphones for a drum at one side, in s.
SPREAD = 0.0006
# Ratios of the modes of a clamped circular membrane, and of a cymbal's strongest ones.
MEMBRANE = (1.0, 1.59, 2.14, 2.30, 2.65)
CYMBAL = (1.0, 1.48, 1.83, 2.55, 2.63, 3.91, 4.4, 5.7)


Kit = dict[str, float]
# Limits between which the tuning of a kit is drawn: pitches in Hz or as factors, decays in s, factors on the centres of
# noise and on levels.
TUNING = {
    "kick": (52, 70),
    "kick_decay": (0.04, 0.065),
    "beater": (0.25, 0.5),
    "snare": (170, 235),
    "wires": (0.07, 0.12),
    "tom": (0.85, 1.2),
    "cymbal": (0.85, 1.2),
    "hat_decay": (0.03, 0.05),
    "brightness": (0.85, 1.2),
}


def drums(form: SongForm, rate: int, rng: np.random.Generator) -> Array:
    """The drummer's whole part, shape (2, n), at no particular level."""
    kit = {name: rng.uniform(*limits) for name, limits in TUNING.items()}
    takes: dict[tuple[str, int], Array] = {}
    track = np.zeros((2, round(form.seconds * rate)))
    strokes = sorted(_strokes(form, rng))
    for index, (time, drum, velocity) in enumerate(strokes):
        layer = int(np.argmin(np.abs(np.array(VELOCITIES) - velocity)))
        if (drum, layer) not in takes:
            take = _drum(kit, drum, VELOCITIES[layer], rate, rng)
            takes[drum, layer] = LEVELS[drum] * _overheads(take, PLACES[drum], rate)
        sound = takes[drum, layer] * velocity
        if drum == "open_hat":
            sound = _choked(sound, time, strokes[index + 1 :], rate)
        add(track, round(time * rate), sound)
    return saturate(track, 5.0)


def _choked(sound: Array, time: float, later: list[tuple[float, str, float]], rate: int) -> Array:
    """An open hi-hat ends where the closed one is struck next."""
    close = next((after for after, drum, _ in later if drum == "hat"), None)
    if close is None:
        return sound
    last, fade = round((close - time) * rate), round(0.01 * rate)
    cut = sound[:, : last + fade].copy()
    if cut.shape[1] == last + fade:
        cut[:, -fade:] *= np.linspace(1, 0, fade)
    return cut


def _strokes(form: SongForm, rng: np.random.Generator) -> list[tuple[float, str, float]]:
    """All strokes as (time in s, drum, velocity)."""
    strokes: list[tuple[float, str, float]] = []
    groove = GROOVES[form.style.groove]
    after_fill = False
    for bar in form.bars:
        crash = after_fill or (bar.section == "verse" and bar is form.bars[1])
        for drum, step, velocity in _bar(bar, crash, groove, rng):
            if form.plays("drums", bar, step):
                time = form.time(bar, step) + rng.normal(0, 0.003)
                strokes.append((time, drum, float(np.clip(velocity * rng.normal(1, 0.08), 0.1, 1.1))))
        after_fill = bar.fill < STEPS
    return strokes


def _bar(bar: Bar, crash: bool, groove: Groove, rng: np.random.Generator) -> list[tuple[str, float, float]]:
    """One bar's strokes as (drum, step, velocity)."""
    loud = bar.loudness
    strokes: list[tuple[str, float, float]] = [("kick", step, 0.95 * loud) for step in bar.kick]
    strokes += [("snare", step, 0.95 * loud) for step in groove.snare if bar.section != "intro" or step > 8]
    strokes += [("snare", step, 0.22 * loud) for step in groove.ghost if rng.random() < 0.6]
    for step in groove.hat:
        if step in groove.open_hat and bar.section == "chorus":
            strokes.append(("open_hat", step, 0.8 * loud))
        else:
            accent = 0.95 if step % 4 == 0 else 0.7 if step % 2 == 0 else 0.45
            strokes.append(("hat", step, accent * loud))
    if crash:
        strokes.append(("crash", 0, 0.9))
    strokes = [stroke for stroke in strokes if stroke[1] < bar.fill]
    if bar.fill < STEPS:
        for step in range(bar.fill, STEPS):
            if step % 2 == 0 or rng.random() < 0.6:
                third = 3 * (step - bar.fill) // (STEPS - bar.fill)
                growing = 0.7 + 0.3 * (step - bar.fill) / (STEPS - bar.fill)
                strokes.append((("snare", "high_tom", "low_tom")[third], step, growing))
        strokes += [("kick", step, 0.7) for step in range(bar.fill, STEPS, 4)]
    return strokes


def _overheads(sound: Array, place: float, rate: int) -> Array:
    """A drum at two microphones: louder and earlier at the nearer one. `sound` is (n,) or, if wide, (2, n)."""
    late = round(abs(place) * SPREAD * rate)
    wide = sound if sound.ndim == 2 else np.stack([sound, sound])
    gains = np.sqrt(2) * pan(np.ones(1), place)
    heard = np.zeros((2, sound.shape[-1] + late))
    for ear in range(2):
        delay = late if (place > 0) == (ear == 0) else 0
        heard[ear, delay : delay + sound.shape[-1]] = gains[ear] * wide[ear]
    return heard


def _drum(kit: Kit, drum: str, velocity: float, rate: int, rng: np.random.Generator) -> Array:
    """One stroke, peak about 1; harder strokes are brighter."""
    bright = kit["brightness"] * (0.6 + 0.4 * velocity)
    if drum == "kick":
        return _kick(kit, bright, rate, rng)
    if drum == "snare":
        return _snare(kit, bright, rate, rng)
    if drum in ("high_tom", "low_tom"):
        return _tom(kit["tom"] * (150.0 if drum == "high_tom" else 95.0), bright, rate, rng)
    if drum == "crash":
        return _cymbal(kit["cymbal"] * 330, 0.5, 1.6, bright, rate, rng)
    return _cymbal(kit["cymbal"] * 420, kit["hat_decay"] if drum == "hat" else 0.18, 0.25, bright, rate, rng)


def _kick(kit: Kit, bright: float, rate: int, rng: np.random.Generator) -> Array:
    """A membrane whose pitch falls, and the click of the beater."""
    time = np.arange(round(0.4 * rate)) / rate
    sweep, fall = 2.2 * kit["kick"], 0.018
    phase = 2 * np.pi * (kit["kick"] * time + sweep * fall * (1 - np.exp(-time / fall)))
    body = np.sin(phase) + 0.25 * np.sin(2 * phase) * np.exp(-time / 0.03)
    click = shaped_noise((time.size,), rate, rng, lambda f: hump(f, 2600 * bright, 0.8) + 0.4 * hump(f, 700, 0.9))
    sound = body * np.exp(-time / kit["kick_decay"]) + kit["beater"] * bright * click * np.exp(-time / 0.007)
    return _faded(sound * np.minimum(1, time / 0.0015))


def _snare(kit: Kit, bright: float, rate: int, rng: np.random.Generator) -> Array:
    """Two modes of the heads and the rattling wires."""
    time = np.arange(round(0.5 * rate)) / rate
    heads = sum(
        gain
        * np.exp(-time / decay)
        * np.sin(2 * np.pi * ratio * kit["snare"] * (time + 0.004 * (1 - np.exp(-time / 0.02))))
        for ratio, gain, decay in ((1.0, 0.6, 0.06), (1.78, 0.35, 0.045), (2.6, 0.15, 0.03))
    )
    wires = shaped_noise((2, time.size), rate, rng, lambda f: hump(f, 3600 * bright, 1.15) + 0.25 * hump(f, 420, 0.7))
    wires = 0.8 * wires[:1] + 0.6 * wires  # wires sound much the same from both sides
    rattle = 0.22 * np.exp(-time / kit["wires"]) + 0.3 * np.exp(-time / 0.012)
    return _faded((heads + rattle * wires) * np.minimum(1, time / 0.0008))


def _tom(pitch: float, bright: float, rate: int, rng: np.random.Generator) -> Array:
    time = np.arange(round(0.6 * rate)) / rate
    bent = time + 0.006 * (1 - np.exp(-time / 0.04))
    sound = np.zeros_like(time)
    for order, ratio in enumerate(MEMBRANE, 1):
        sound += np.exp(-time * order**0.7 / 0.16) * np.sin(2 * np.pi * ratio * pitch * bent) / order**1.3
    stick = shaped_noise((time.size,), rate, rng, lambda f: hump(f, 1800 * bright, 1.0))
    return _faded((0.7 * sound + 0.3 * stick * np.exp(-time / 0.009)) * np.minimum(1, time / 0.001))


def _cymbal(base: float, decay: float, seconds: float, bright: float, rate: int, rng: np.random.Generator) -> Array:
    """Bronze: noise of many dense modes, brighter at the stroke, with some stronger modes; shape (2, n)."""
    time = np.arange(round(seconds * rate)) / rate

    def spectrum(hertz: Array) -> Array:
        gain = hump(hertz, 8500 * bright, 0.75) + 0.12 * hump(hertz, 900, 0.8)
        for ratio in CYMBAL:
            near = np.abs(hertz - base * ratio) < 12.0
            gain[near] += 2.5
        return gain * (hertz < 19000)

    noise = shaped_noise((2, time.size), rate, rng, spectrum)
    noise = 0.4 * noise[:1] + 0.8 * noise  # much the same at both microphones
    envelope = 0.75 * np.exp(-time / decay) + 0.5 * np.exp(-time / (0.25 * decay))
    return _faded(0.45 * noise * envelope * np.minimum(1, time / 0.0008))


def _faded(sound: Array) -> Array:
    """With a short fade-out."""
    fade = sound.shape[-1] // 8
    sound[..., -fade:] *= np.linspace(1, 0, fade)
    return sound
