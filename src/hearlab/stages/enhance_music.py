"""Stage enhance_music: each song's stems fitted to each listener, and their remix."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hearlab.audio import Samples, read_audio, resample
from hearlab.compute.units import Unit
from hearlab.datasets.layout import REMIX_RATE, SAMPLE_RATE, SIDES, STEM_RATE, STEMS, music_file
from hearlab.datasets.song_lists import check_segments, check_song
from hearlab.datasets.stem_files import factor_file, write_remix, write_stem
from hearlab.listeners import listener_from_entry
from hearlab.params import Params
from hearlab.stages.common import song_listener_pairs, song_memory, song_segments, workspace
from hearlab.systems.base import check_music_output, is_native_system, seeded, shared_system, system_arguments

# Four stereo stems in float64, as they come, fitted, and once more while one is worked on.
BYTES_PER_FRAME = 3 * len(STEMS) * 2 * 8


def folder(params: Params) -> Path:
    return workspace(params).enhanced_music


def check(params: Params) -> None:
    """The system can be constructed, and the songs are there."""
    shared_system(**system_arguments(params.enhance))
    data, segments = workspace(params).cadenza, song_segments(params)
    for song in dict(song_listener_pairs(params)):
        frames = check_song(data, song, signals=("mixture",))
        if song.name in segments:
            check_segments(data.segments, song.name, segments[song.name], frames)


def units(params: Params) -> list[Unit]:
    """One for each song-listener pair."""
    separated, system = workspace(params).separated, system_arguments(params.enhance)
    segments, memory = song_segments(params), song_memory(params, BYTES_PER_FRAME)
    listed = []
    for song, listener in song_listener_pairs(params):
        cut = segments.get(song.name)
        arguments = {
            "song": song.name,
            "listener": listener.as_entry(),
            "separated": separated.as_posix(),
            **system,
            "soft_clip": params.enhance.soft_clip,
            "objective": list(cut.objective) if cut else None,
            "subjective": list(cut.subjective) if cut else None,
        }
        listed.append(
            Unit(
                f"{song.name} {listener.id}",
                enhance_unit,
                arguments,
                inputs=tuple((separated / song.name / f"{stem}.wav").as_posix() for stem in STEMS),
                outputs=tuple(path.as_posix() for path in outputs(song.name, listener.id)),
                code=(system["system"],),
                native=is_native_system(system["system"]),
                memory=memory[song.name],
            )
        )
    return listed


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
) -> None:
    """Hand a song's stems to the system; write what it returns by stem and ear, and the sum of it.

    With segments (of a test song) the stems are cut to the objective one, the remix to the subjective one.
    """
    person = listener_from_entry(listener["name"], listener)
    stems = {
        stem: read_audio(root / separated / song / f"{stem}.wav", rate=SAMPLE_RATE, channels=2)[0] for stem in STEMS
    }
    enhancer = shared_system(system, constructor, files)
    output = seeded(f"{song} {person.id}", lambda: enhancer.music(stems, SAMPLE_RATE, person))
    output = check_music_output(output, stems, system)
    for stem, samples in output.items():
        for ear, side in enumerate(SIDES):
            path = music_file(out, person.id, song, f"{side}_{stem}")
            write_stem(path, resample(_cut(samples[:, ear], objective), SAMPLE_RATE, STEM_RATE), STEM_RATE)
    remix = resample(_cut(remixed(output), subjective), SAMPLE_RATE, REMIX_RATE)
    write_remix(music_file(out, person.id, song, "remix"), remix, REMIX_RATE, soft_clip=soft_clip)


def remixed(stems: dict[str, Samples]) -> Samples:
    """The sum of all stems, shape (n, 2)."""
    return np.sum(list(stems.values()), axis=0)


def _cut(samples: Samples, segment: list[float] | None) -> Samples:
    if segment is None:
        return samples
    start, end = (int(seconds * SAMPLE_RATE) for seconds in segment)
    return samples[start:end]
