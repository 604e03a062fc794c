"""Stage enhance_music: each song's stems fitted to each listener, and their remix."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hearlab.arrays import Array
from hearlab.audio import Samples, read_audio, resample
from hearlab.compute.units import GIBIBYTE, Unit
from hearlab.datasets.layout import REMIX_RATE, SAMPLE_RATE, SIDES, STEM_RATE, STEMS, music_file
from hearlab.datasets.song_lists import Segments, Song, check_segments, check_song
from hearlab.datasets.stem_files import factor_file, write_remix, write_stem
from hearlab.errors import ParameterError
from hearlab.listeners import Listener, listener_from_entry
from hearlab.params import Params
from hearlab.stages.common import song_listener_pairs, song_memory, song_segments, workspace
from hearlab.systems.base import (
    EnhancementSystem,
    check_music_output,
    is_fitted,
    is_native_system,
    seeded,
    shared_system,
    system_arguments,
)
from hearlab.systems.fitted import filters_file

# Four stereo stems in float64, as they come, fitted, and once more while one is worked on.
BYTES_PER_FRAME = 3 * len(STEMS) * 2 * 8


def folder(params: Params) -> Path:
    return workspace(params).enhanced_music


def check(params: Params) -> None:
    """The system can be constructed, and the songs are there."""
    shared_system(**arguments_of_system(params))
    data, segments = workspace(params).cadenza, song_segments(params)
    for song in dict(song_listener_pairs(params)):
        frames = check_song(data, song, signals=("mixture",))
        if song.name in segments:
            check_segments(data.segments, song.name, segments[song.name], frames)


def units(params: Params) -> list[Unit]:
    """One for each song-listener pair."""
    segments, memory = song_segments(params), song_memory(params, BYTES_PER_FRAME)
    return [
        pair_unit(params, song, listener, segments.get(song.name), memory[song.name])
        for song, listener in song_listener_pairs(params)
    ]


def pair_unit(params: Params, song: Song, listener: Listener, cut: Segments | None, memory: int = GIBIBYTE) -> Unit:
    """The unit of a pair, whether or not the lists name the pair; `cut` is of a test song."""
    separated, system = workspace(params).separated, system_arguments(params.enhance)
    filters = fitted_folder(params) if is_fitted(params.enhance.system) else None
    arguments = {
        "song": song.name,
        "listener": listener.as_entry(),
        "separated": separated.as_posix(),
        **system,
        "soft_clip": params.enhance.soft_clip,
        "objective": list(cut.objective) if cut else None,
        "subjective": list(cut.subjective) if cut else None,
        **({"filters": filters.as_posix()} if filters else {}),
    }
    inputs = [separated / song.name / f"{stem}.wav" for stem in STEMS]
    inputs += [filters_file(filters, listener.id, stem) for stem in STEMS] if filters else []
    return Unit(
        f"{song.name} {listener.id}",
        enhance_unit,
        arguments,
        inputs=tuple(path.as_posix() for path in inputs),
        outputs=tuple(path.as_posix() for path in outputs(song.name, listener.id)),
        code=(system["system"],),
        native=is_native_system(system["system"]),
        memory=memory,
    )


def arguments_of_system(params: Params) -> dict[str, str]:
    """What `shared_system` makes the system from that serves songs, too: see `system_arguments`."""
    arguments = system_arguments(params.enhance)
    if is_fitted(params.enhance.system):
        arguments["constructor"] = with_filters(arguments["constructor"], fitted_folder(params))
    return arguments


def fitted_folder(params: Params) -> Path:
    """Where the stage fit_music puts the filters of `hearlab.systems.fitted`."""
    return workspace(params).root / "fitted"


def with_filters(constructor: str, fitted: Path) -> str:
    """The constructor's arguments as JSON, with the folder of the fitted filters.

    Raises:
        ParameterError: the user has set that folder.
    """
    arguments = json.loads(constructor)
    if "filters" in arguments:
        field = "enhance.params.filters"
        raise ParameterError("params.yaml", "is given by the stage", field=field, advice="take it away")
    return json.dumps({**arguments, "filters": fitted.as_posix()}, sort_keys=True)


def outputs(song: str, listener: str) -> list[Path]:
    """Names of the files of a pair: eight stems, their factors, and the remix."""
    stems = [music_file(Path(), listener, song, f"{side}_{stem}") for stem in STEMS for side in SIDES]
    return [*stems, *(factor_file(path) for path in stems), music_file(Path(), listener, song, "remix")]


def enhance_unit(
    root: Path,
    out: Path,
    *,
    song: str,
    listener: dict[str, Any],
    separated: str,
    system: str,
    constructor: str,
    soft_clip: bool,
    objective: list[float] | None,
    subjective: list[float] | None,
    files: str = "",
    filters: str = "",
) -> None:
    """Hand a song's stems to the system; write what it returns by stem and ear, and the sum of it.

    With segments (of a test song) the stems are cut to the objective one, the remix to the subjective one. `filters` is
    the folder of filters that were fitted, for a system that is constructed with them.
    """
    if filters:
        constructor = with_filters(constructor, root / filters)
    person = listener_from_entry(listener["name"], listener)
    stems = read_stems(root / separated, song)
    output = enhanced(shared_system(system, constructor, files), system, stems, song, person)
    write_enhanced(out, song, person.id, output, soft_clip=soft_clip, objective=objective, subjective=subjective)


def read_stems(separated: Path, song: str) -> dict[str, Array]:
    """What a system is given of a song in the folder `separated`: its stems, each (n, 2), at SAMPLE_RATE."""
    return {stem: read_audio(separated / song / f"{stem}.wav", rate=SAMPLE_RATE, channels=2)[0] for stem in STEMS}


def enhanced(
    enhancer: EnhancementSystem, system: str, stems: dict[str, Array], song: str, person: Listener
) -> dict[str, Array]:
    """The stems as a system fits them, each (n, 2), checked; `system` is its name in errors. The pair seeds it."""
    output = seeded(f"{song} {person.id}", lambda: enhancer.music(stems, SAMPLE_RATE, person))
    return check_music_output(output, stems, system)


def write_enhanced(
    out: Path,
    song: str,
    listener: str,
    output: Mapping[str, Array],
    *,
    soft_clip: bool,
    objective: Sequence[float] | None = None,
    subjective: Sequence[float] | None = None,
) -> Path:
    """Write what a system returned into the folder `out`, by stem and ear, and the sum of it; returns the remix."""
    for stem, samples in output.items():
        for ear, side in enumerate(SIDES):
            path = music_file(out, listener, song, f"{side}_{stem}")
            write_stem(path, resample(_cut(samples[:, ear], objective), SAMPLE_RATE, STEM_RATE), STEM_RATE)
    remix = resample(_cut(remixed(output), subjective), SAMPLE_RATE, REMIX_RATE)
    path = music_file(out, listener, song, "remix")
    write_remix(path, remix, REMIX_RATE, soft_clip=soft_clip)
    return path


def remixed(stems: Mapping[str, Samples]) -> Samples:
    """The sum of all stems, shape (n, 2)."""
    return np.sum(list(stems.values()), axis=0)


def _cut(samples: Samples, segment: Sequence[float] | None) -> Samples:
    if segment is None:
        return samples
    start, end = (int(seconds * SAMPLE_RATE) for seconds in segment)
    return samples[start:end]
