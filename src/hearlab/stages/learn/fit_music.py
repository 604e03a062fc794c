"""Stage fit_music: filters of the stems for each listener, fitted by HAAQI to the training songs.

Only for `hearlab.systems.fitted:Fitted`; for other systems there is nothing to do.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlab.arrays import Array32
from hearlab.audio import opened, read_audio, resample, rms
from hearlab.compute.units import GIBIBYTE, Unit
from hearlab.datasets.layout import SAMPLE_RATE, SIDES, STEM_RATE, STEMS
from hearlab.datasets.song_lists import Song, check_song, read_songs
from hearlab.errors import InputError
from hearlab.files import write_json
from hearlab.fitting.stem_filters import FitSettings, StemFilter
from hearlab.listeners import listener_from_entry
from hearlab.metrics.haaqi import STEM_LEVEL_DB
from hearlab.named import load_named
from hearlab.networks.device import choose_device, repeatable
from hearlab.params import TRAINED, Params
from hearlab.scoring.tracks import CHALLENGE
from hearlab.separation import Separator, weights_files
from hearlab.separation.loading import loader
from hearlab.stages.common import file_state, song_listener_pairs, workspace
from hearlab.stages.enhance_music import arguments_of_system, fitted_folder
from hearlab.systems.base import is_fitted, shared_system
from hearlab.systems.fitted import filters_content, filters_file

# The networks, of which Hybrid Demucs needs most, and the excerpts.
MEMORY = 4 * GIBIBYTE


def folder(params: Params) -> Path:
    return fitted_folder(params)


def check(params: Params) -> None:
    """The settings are right, and the training songs are whole."""
    if is_fitted(params.enhance.system):
        shared_system(**arguments_of_system(params))
        for song in training_songs(params):
            check_song(workspace(params).cadenza, song)


def units(params: Params) -> list[Unit]:
    """One for each listener and stem; none for a system that fits nothing, or without songs to enhance."""
    if not is_fitted(params.enhance.system):
        return []
    listeners = {listener.id: listener for _, listener in song_listener_pairs(params)}
    if not listeners:
        return []
    data, separate = workspace(params).cadenza, params.separate
    weights = workspace(params).separator if params.separator_weights == TRAINED else Path(params.separator_weights)
    needed = [path.as_posix() for path in weights_files(separate.model, weights)]
    load, settings = loader(separate.model), FitSettings(**params.enhance.params)
    songs = training_songs(params)[: settings.songs]
    folders = [data.song(song.split, song.name).as_posix() for song in songs]
    common = {
        "songs": folders,
        "settings": {**vars(settings)},
        "seed": params.seed,
        "music_level": params.evaluate.music_level,
        "load": load,
        "weights": weights.as_posix(),
        "files": needed,
        **separate.model_dump(include={"segment", "overlap"}),
    }
    return [
        Unit(
            f"{listener.id} {stem}",
            fit_unit,
            {"listener": listener.as_entry(), "stem": stem, **common},
            inputs=(*(f"{song}/{signal}.wav" for song in folders for signal in ("mixture", stem)), *needed),
            outputs=(filters_file(Path(), listener.id, stem).as_posix(),),
            code=(load,),
            memory=MEMORY,
        )
        for listener in listeners.values()
        for stem in STEMS
    ]


def training_songs(params: Params) -> list[Song]:
    """The songs of the list `train` that are neither scored nor held out for validation, in its order.

    Raises:
        InputError: there is none, or a list is wrong.
    """
    data = workspace(params).cadenza
    path = data.songs("train")
    # The published lists of training songs hold the validation songs, too.
    held_out = {song.name for song in read_songs(data.songs("valid"))}
    held_out |= {song.name for song in read_songs(data.songs(params.evaluate.song_split))}
    songs = [song for song in read_songs(path) if song.name not in held_out]
    if not songs:
        wanted = f"songs that are not in {data.songs(params.evaluate.song_split).name}, which are scored"
        raise InputError(path, "lists no song to fit filters with", wanted=wanted)
    return songs


def fit_unit(
    root: Path,
    out: Path,
    *,
    listener: dict[str, Any],
    stem: str,
    songs: Sequence[str],
    settings: dict[str, Any],
    seed: int,
    music_level: str,
    load: str,
    weights: str,
    files: Sequence[str],
    segment: float,
    overlap: float,
) -> dict[str, Any]:
    """Fit the filters of a listener's stem, both ears, and write them; returns the scores of the crops.

    `load` is the model's function ('module:load').
    """
    from hearlab.learning.fits.stems import Excerpt, fit_stem  # torch, which other systems do not need

    person, how = listener_from_entry(listener["name"], listener), FitSettings(**settings)
    mixtures = tuple((root / song / "mixture.wav").resolve() for song in songs)
    places = (*mixtures, *(root / file for file in files))
    states = tuple(file_state(path) for path in places)
    separated = _separated(load, (root / weights).resolve(), mixtures, states, segment, overlap, how.excerpt)
    originals = [_original(root / song, stem, how.excerpt, music_level) for song in songs]
    filters, scores = {}, {}
    for ear, (side, audiogram) in enumerate(zip(SIDES, (person.left, person.right), strict=True)):
        excerpts = [
            Excerpt(
                Path(song).name, original[:, ear], {name: part[:, ear] for name, part in parts.items()}, levels[ear]
            )
            for song, (original, levels), parts in zip(songs, originals, separated, strict=True)
        ]
        with repeatable(1):
            fit = fit_stem(stem, excerpts, audiogram, how, (seed, STEMS.index(stem), ear))
        # A stem that no training song has stays as NAL-R makes it.
        filters[side] = StemFilter() if fit is None else fit.filter
        scores[side] = None if fit is None else [round(score, 4) for score in fit.scores]
    write_json(out / filters_file(Path(), person.id, stem), filters_content(person, stem, filters, scores))
    return scores


@functools.lru_cache(maxsize=1)
def _separated(
    load: str,
    weights: Path,
    mixtures: tuple[Path, ...],
    states: tuple[tuple[int, ...], ...],
    segment: float,
    overlap: float,
    excerpt: float,
) -> list[dict[str, Array32]]:
    """Excerpts of songs, separated, at 24 kHz; once for all listeners and stems of a process.

    On the CPU in one thread, so that the filters do not depend on what else there is.
    """
    with repeatable(1):
        separator: Separator = load_named(load)(
            weights, choose_device("cpu"), segment=segment, overlap=overlap, threads=1
        )
        found = []
        for path in mixtures:
            samples, _ = _excerpt(path, excerpt)
            stems = separator.separate_array(samples, SAMPLE_RATE)
            found.append({stem: _at_24_khz(stems[stem]) for stem in STEMS})
    return found


def _original(song: Path, stem: str, excerpt: float, music_level: str) -> tuple[Array32, list[float]]:
    """The excerpt of an original stem at 24 kHz, and for each ear the level of an RMS of 1, as the song is scored."""
    path = song / f"{stem}.wav"
    whole, _ = read_audio(path, rate=SAMPLE_RATE, channels=2)
    measured = resample(whole, SAMPLE_RATE, STEM_RATE) if music_level == CHALLENGE else whole
    loudness = [rms(measured[:, ear]) for ear in range(len(SIDES))]
    levels = [STEM_LEVEL_DB - 20 * float(np.log10(one)) if one > 0 else STEM_LEVEL_DB for one in loudness]
    samples, _ = _excerpt(path, excerpt)
    return _at_24_khz(samples), levels


def _at_24_khz(samples: NDArray[np.floating]) -> Array32:
    return resample(samples.astype(np.float64), SAMPLE_RATE, STEM_RATE).astype(np.float32)


def _excerpt(path: Path, seconds: float) -> tuple[Any, int]:
    """The part of a song that is used, the same of all its files: from a place that its name draws."""
    with opened(path) as sound:
        frames = sound.frames
    wanted = min(round(seconds * SAMPLE_RATE), frames)
    start = int(np.random.default_rng(zlib.crc32(path.parent.name.encode())).integers(0, frames - wanted + 1))
    return read_audio(path, rate=SAMPLE_RATE, channels=2, start=start, frames=wanted)
