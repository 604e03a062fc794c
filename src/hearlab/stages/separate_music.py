"""Stage separate_music: every song into its stems, once for all listeners."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Sequence
from pathlib import Path

from hearlab.audio import float_wav, opened, read_audio
from hearlab.compute.units import GIBIBYTE, Unit
from hearlab.datasets.layout import SAMPLE_RATE, STEMS
from hearlab.datasets.song_lists import check_song
from hearlab.named import load_named
from hearlab.networks.device import choose_device, repeatable
from hearlab.params import TRAINED, Params
from hearlab.separation import Separator, weights_files
from hearlab.separation.loading import loader
from hearlab.stages.common import file_state, songs_to_evaluate, workspace
from hearlab.versions.dvc_files import experiment_home

# What the networks and a chunk need, Hybrid Demucs on the CPU most of all: measured 2.6 GB, whatever the song's length.
MEMORY = 3 * GIBIBYTE


def folder(params: Params) -> Path:
    return workspace(params).separated


def check(params: Params) -> None:
    """The songs are there."""
    for song in songs_to_evaluate(params):
        check_song(workspace(params).cadenza, song, signals=("mixture",))


def units(params: Params) -> list[Unit]:
    """One for each song."""
    files, separate = workspace(params), params.separate
    songs = songs_to_evaluate(params)
    if not songs:
        return []
    weights = files.separator
    if params.separator_weights != TRAINED:
        weights = Path(params.separator_weights)
        link_home_weights(weights)
    needed = [path.as_posix() for path in weights_files(separate.model, weights)]
    load = loader(separate.model)
    common = {"load": load, "weights": weights.as_posix(), "files": needed}
    common |= separate.model_dump(include={"device", "segment", "overlap"})
    listed = []
    for song in songs:
        mixture = files.cadenza.stem(song.split, song.name, "mixture").as_posix()
        listed.append(
            Unit(
                song.name,
                separate_unit,
                {"song": song.name, "mixture": mixture, **common},
                inputs=(mixture, *needed),
                outputs=tuple(f"{song.name}/{stem}.wav" for stem in STEMS),
                code=(load,),
                memory=MEMORY,
                gpus=_gpus(separate.device),
            )
        )
    return listed


def link_home_weights(weights: Path) -> None:
    """Links to weights of the user's workspace, where DVC runs an experiment in a folder of its own.

    It brings what it knows of this data set: no weights that lie beside it, or belong to another one.
    """
    there = experiment_home(Path.cwd()) / weights  # of an absolute path it is that path
    if there.resolve() == weights.resolve() or not there.exists():
        return
    for path in [there] if there.is_file() else there.iterdir():
        link = weights if there.is_file() else weights / path.name
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.exists():
            link.symlink_to(path.resolve())


def _gpus(device: str) -> float:
    """Ray gives each worker a GPU of its own where one is wanted, or where there is one."""
    if device == "cpu":
        return 0.0
    try:
        import torch
    except ImportError:
        return 0.0  # the unit itself says what is missing
    return 1.0 if device != "auto" or torch.cuda.is_available() else 0.0


@functools.lru_cache(maxsize=1)
def _separator(
    load: str, weights: Path, states: tuple[tuple[int, ...], ...], device: str, segment: float, overlap: float
) -> Separator:
    """One for each process; the state of the weights' files is part of the key.

    One thread: workers share the cores song by song, and the last bits do not depend on how many there are.
    """
    chosen = choose_device(device)
    with repeatable(1):
        separator: Separator = load_named(load)(weights, chosen, segment=segment, overlap=overlap, threads=1)
    return separator


def separate_unit(
    root: Path,
    out: Path,
    *,
    song: str,
    mixture: str,
    load: str,
    weights: str,
    files: Sequence[str],
    device: str,
    segment: float,
    overlap: float,
) -> None:
    """Write the stems of one song as float32 WAV, chunk by chunk, so that memory does not grow with the song.

    `load` is the model's function ('module:load'), not its name in the table of models.
    """
    path = root / mixture
    read_audio(path, rate=SAMPLE_RATE, channels=2, frames=1)  # the header
    states = tuple(file_state(root / file) for file in files)
    separator = _separator(load, (root / weights).resolve(), states, device, segment, overlap)
    with opened(path) as sound, contextlib.ExitStack() as stack:

        def read(start: int, stop: int):  # type: ignore[no-untyped-def]
            sound.seek(start)
            return sound.read(stop - start, dtype="float32", always_2d=True)

        append = {
            stem: stack.enter_context(float_wav(out / song / f"{stem}.wav", SAMPLE_RATE, 2, sound.frames))
            for stem in STEMS
        }
        for span in separator.separate(read, sound.frames):
            for stem in STEMS:
                append[stem](span[stem])
