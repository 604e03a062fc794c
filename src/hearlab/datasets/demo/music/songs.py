"""Write the demo music: invented songs with four stems, in layout and formats of the challenge's `cadenza_data`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hearlab.audio import write_wav
from hearlab.datasets.demo.listeners import MUSIC_PANEL, music_listeners
from hearlab.datasets.demo.music.bass_line import bass
from hearlab.datasets.demo.music.chord_parts import accompaniment
from hearlab.datasets.demo.music.drum_kit import drums
from hearlab.datasets.demo.music.singing import draw_singer, vocals
from hearlab.datasets.demo.music.song_form import SongForm, draw_form, melody
from hearlab.datasets.demo.music.song_mixing import mix
from hearlab.datasets.demo.seeds import check_request, item_rng
from hearlab.datasets.layout import SAMPLE_RATE, CadenzaData
from hearlab.files import write_json

SONG_SECONDS = 12.0
# Invented, with what has broken pipelines: blanks, apostrophes, ampersands, commas, letters beyond ASCII.
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
# The evaluated segments of a test song begin with its second bar; seconds.
OBJECTIVE_SECONDS = 8.0
SUBJECTIVE_SECONDS = 4.0


def make_demo_music(
    out_dir: Path, seed: int = 0, *, train: int = 6, valid: int = 3, test: int = 1, threads: int = 1
) -> None:
    """Write the demo music.

    The same seed gives the same bytes, whatever was there before; every file is written atomically.

    Args:
        out_dir: becomes the data root that holds task1/.
        seed: of everything that is drawn at random; names of songs do not depend on it.
        train: number of training songs.
        valid: number of validation songs; the second of them is an instrumental with silent vocals.
        test: number of test songs.
        threads: songs that are made at a time.

    Raises:
        InputError: a number is too small, or `out_dir` is not a folder.
    """
    counts = {"train": train, "valid": valid, "test": test}
    least = {"train": (train, 1), "valid": (valid, 1), "test": (test, 0), "seed": (seed, 0)}
    check_request("demo music", out_dir, least)

    data = CadenzaData(Path(out_dir))
    with ThreadPoolExecutor(threads) as pool:
        songs = {
            split: pool.map(partial(_write_song, data, split, seed), range(count)) for split, count in counts.items()
        }
        forms = {split: list(written) for split, written in songs.items()}
    for split, written in forms.items():
        entries = [{"Track Name": form.name, "Split": split, "Genre": form.genre} for form in written]
        write_json(data.songs(split), entries)
    write_json(data.segments, {form.name: _segments(form) for form in forms["test"]})
    for split in MUSIC_PANEL:
        write_json(data.listeners(split), music_listeners(split, seed))


def _write_song(data: CadenzaData, split: str, seed: int, number: int) -> SongForm:
    """Write the stems of a song and their sum."""
    form = draw_form(song_name(split, number), split, number, SONG_SECONDS, seed)
    instrumental = split == "valid" and number == INSTRUMENTAL
    song = make_song(form, seed, low_voice=low_voice(split, number, seed), instrumental=instrumental)
    for stem, samples in song.items():
        write_wav(data.stem(split, form.name, stem), samples, SAMPLE_RATE)
    return form


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


def _segments(form: SongForm) -> dict[str, dict[str, float]]:
    """Seconds of a test song that are evaluated: the longer part by metrics, the shorter one by listeners."""
    start = round(form.bars[1].start, 2)
    later = round(start + (OBJECTIVE_SECONDS - SUBJECTIVE_SECONDS) / 2, 2)
    return {
        "objective_evaluation": {"start": start, "end": round(start + OBJECTIVE_SECONDS, 2)},
        "subjective_evaluation": {"start": later, "end": round(later + SUBJECTIVE_SECONDS, 2)},
    }
