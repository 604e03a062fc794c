"""Write the demo music: invented songs with four stems, in layout and formats of the challenge's `cadenza_data`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlab.audio import write_wav
from hearlab.datasets.demo.listeners import FREQUENCIES, HIGHEST_LEVEL, STANDARD_AUDIOGRAMS
from hearlab.datasets.demo.music.bass_line import bass
from hearlab.datasets.demo.music.chord_parts import accompaniment
from hearlab.datasets.demo.music.drum_kit import drums
from hearlab.datasets.demo.music.singing import draw_singer, vocals
from hearlab.datasets.demo.music.song_form import SongForm, draw_form
from hearlab.datasets.demo.music.song_melody import melody
from hearlab.datasets.demo.music.song_mixing import mix
from hearlab.datasets.demo.seeds import item_rng
from hearlab.datasets.layout import SAMPLE_RATE, CadenzaData
from hearlab.errors import InputError
from hearlab.files import write_json

SONG_SECONDS = 12.0
# Invented. Among them are what has broken pipelines: blanks, apostrophes, ampersands, commas, letters beyond ASCII.
NAMES = {
    "train": (
        "Copper Kettle Club - Rust & Rain",
        "Nadja Brandt - Paper Boats",
        "Små Fåglar - Över Bron",
        "Half Past Monday - Slow Train Home",
        "Delta Orchard - Glass Elevator",
        "The Night Ferrymen - Hold, Release",
    ),
    "valid": (
        "Zoë & The Tin Roofs - Don't Look Down",
        "Low Tide Trio - Salt, Sand, Stone",
        "Añil Peña - Corazón de Papel",
    ),
    "test": ("Müller & Søn - It's Late, Isn't It",),
}
# The validation song of this number has no singer: its vocals are silence.
INSTRUMENTAL = 1
# Mild to severe for training; for validation a mild and a moderately severe sloping loss (of 31 and 63 dB in the mean
# over 0.5, 1, 2 and 4 kHz).
LISTENERS = {"train": {"L5001": "N1", "L5002": "N3", "L5003": "S2"}, "valid": {"L5041": "N2", "L5042": "N4"}}
# What is evaluated of a test song begins with its second bar; seconds.
OBJECTIVE_SECONDS = 8.0
SUBJECTIVE_SECONDS = 4.0

Progress = Callable[[int, int], None]


def make_demo_music(
    out_dir: Path,
    seed: int = 0,
    *,
    train: int = 6,
    valid: int = 3,
    test: int = 1,
    progress: Progress | None = None,
) -> None:
    """Write the demo music.

    The same seed gives the same bytes, whatever was there before; every file is written atomically.

    Args:
        out_dir: becomes the data root that holds task1/.
        seed: of everything that is drawn at random; names of songs do not depend on it.
        train: number of training songs.
        valid: number of validation songs; the second of them is an instrumental with silent vocals.
        test: number of test songs.
        progress: called with (songs done, songs in all) after each song.

    Raises:
        InputError: a number is too small, or `out_dir` is not a folder.
    """
    counts = {"train": train, "valid": valid, "test": test}
    for name, value, least in (
        *((split, count, int(split != "test")) for split, count in counts.items()),
        ("seed", seed, 0),
    ):
        if value < least:
            raise InputError("demo music", "is too small", field=name, found=value, wanted=f"at least {least}")
    out_dir = Path(out_dir)
    if out_dir.exists() and not out_dir.is_dir():
        raise InputError(out_dir, "is not a folder", wanted="a folder for the demo music")

    data = CadenzaData(out_dir)
    segments: dict[str, Any] = {}
    done = 0
    for split, count in counts.items():
        entries = []
        for number in range(count):
            form = draw_form(song_name(split, number), split, number, SONG_SECONDS, seed)
            instrumental = split == "valid" and number == INSTRUMENTAL
            song = make_song(form, seed, low_voice=low_voice(split, number, seed), instrumental=instrumental)
            for stem, samples in song.items():
                write_wav(data.stem(split, form.name, stem), samples, SAMPLE_RATE)
            entries.append({"Track Name": form.name, "Split": split, "Genre": form.genre})
            if split == "test":
                segments[form.name] = _segments(form)
            done += 1
            if progress is not None:
                progress(done, sum(counts.values()))
        write_json(data.songs(split), entries)
    write_json(data.segments, segments)
    for split in LISTENERS:
        write_json(data.listeners(split), music_listeners(split, seed))


def song_name(split: str, number: int) -> str:
    """Name of a song of a split; beyond the invented names there are second takes, third takes and so on."""
    names = NAMES[split]
    take = number // len(names) + 1
    return names[number % len(names)] + (f" (Take {take})" if take > 1 else "")


def low_voice(split: str, number: int, seed: int) -> bool:
    """Whether a low voice sings a song: low and high ones take turns."""
    return number % 2 == int(item_rng(seed, f"{split}/voices").integers(2))


def make_song(form: SongForm, seed: int, *, low_voice: bool, instrumental: bool) -> dict[str, NDArray[np.int16]]:
    """The four stems of a song and "mixture", their exact sum, shape (n, 2) each at 44.1 kHz."""
    streams = {part: item_rng(seed, f"{form.name}/{part}") for part in ("singer", "drums", "bass", "other", "mix")}
    singer = draw_singer(low_voice, streams["singer"])
    tune = melody(form, singer.lowest, singer.highest, streams["singer"])
    stems = {
        "vocals": vocals(form, [] if instrumental else tune, singer, SAMPLE_RATE, streams["singer"]),
        "drums": drums(form, SAMPLE_RATE, streams["drums"]),
        "bass": bass(form, SAMPLE_RATE, streams["bass"]),
        "other": accompaniment(form, tune, not instrumental, SAMPLE_RATE, streams["other"]),
    }
    return mix(stems, SAMPLE_RATE, streams["mix"])


def music_listeners(split: str, seed: int) -> dict[str, dict[str, Any]]:
    """Content of listeners.{split}.json: levels in dB HL in steps of 5 dB; the two ears differ."""
    listeners = {}
    for identity, standard in LISTENERS[split].items():
        rng = item_rng(seed, identity)
        better = np.array(STANDARD_AUDIOGRAMS[standard]) + 5 * rng.choice([-1, 0, 0, 0, 1], len(FREQUENCIES))
        worse = better + 5 * rng.choice([0, 1, 1, 2], len(FREQUENCIES))
        worse[0] = better[0] + 5  # at one frequency they differ whatever is drawn
        ears = [better, worse] if rng.random() < 0.5 else [worse, better]
        left, right = ([int(level) for level in np.clip(ear, 0, HIGHEST_LEVEL)] for ear in ears)
        listeners[identity] = {
            "name": identity,
            "audiogram_cfs": list(FREQUENCIES),
            "audiogram_levels_l": left,
            "audiogram_levels_r": right,
        }
    return listeners


def _segments(form: SongForm) -> dict[str, dict[str, float]]:
    """Seconds of a test song that are evaluated: the longer part by metrics, the shorter one by listeners."""
    start = round(form.bars[1].start, 2)
    later = round(start + (OBJECTIVE_SECONDS - SUBJECTIVE_SECONDS) / 2, 2)
    return {
        "objective_evaluation": {"start": start, "end": round(start + OBJECTIVE_SECONDS, 2)},
        "subjective_evaluation": {"start": later, "end": round(later + SUBJECTIVE_SECONDS, 2)},
    }
