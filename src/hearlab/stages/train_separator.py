"""Stage train_separator: Open-Unmix networks for the four stems, trained on the training songs."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlab import progress
from hearlab.audio import opened
from hearlab.compute.notes import cleared, kept_bytes
from hearlab.compute.units import GIBIBYTE, Unit
from hearlab.datasets.layout import SAMPLE_RATE, STEMS
from hearlab.datasets.song_lists import Song, check_song, read_songs
from hearlab.errors import InputError
from hearlab.files import write_json
from hearlab.params import TRAINED, Params
from hearlab.separation.openunmix import TARGETS, UnmixShape
from hearlab.separation.training import TrainingSettings, TrainingState, separator_description, train_network
from hearlab.separation.training_data import Mixing
from hearlab.separators import SEPARATORS
from hearlab.stages.common import workspace
from hearlab.training.checkpoint_files import CHECKPOINTS, save

MEMORY = 3 * GIBIBYTE
SECONDS = 0.035  # of a step of one of the demo's networks; others take longer
KEPT_BYTES = 1 << 30


def folder(params: Params) -> Path:
    return workspace(params).separator


def units(params: Params) -> list[Unit]:
    """One for each network, and one for what is common to them; none if other weights are used."""
    if params.separator_weights != TRAINED:
        return []
    data = workspace(params).cadenza
    if not SEPARATORS[params.separate.model].trainable:
        raise InputError(
            "params.yaml",
            f"only {' and '.join(model.title for model in SEPARATORS.values() if model.trainable)} can be trained here",
            field="separate.weights",
            found=f"{TRAINED} with model {params.separate.model}",
            wanted="the folder or file of its weights",
        )
    songs = {split: read_songs(data.songs(split)) for split in ("train", "valid")}
    # The published lists of training songs hold the validation songs too.
    held_out = {song.name for song in songs["valid"]}
    songs["train"] = [song for song in songs["train"] if song.name not in held_out]
    for split, members in songs.items():
        if not members:
            raise InputError(data.songs(split), "lists no song to train or validate with")
        for song in members:
            check_song(data, song, signals=STEMS)
    folders = {split: [_folder(params, song) for song in members] for split, members in songs.items()}
    train = params.separate.train.model_dump(mode="json")
    inputs = tuple(f"{folder}/{stem}.wav" for members in folders.values() for folder in members for stem in STEMS)
    common = {"songs": folders["train"], "validation": folders["valid"], "train": train, "seed": params.seed}
    networks = [
        Unit(
            target,
            train_unit,
            {"target": target, "device": params.separate.device, **common},
            inputs=inputs,
            outputs=(f"{target}.pth", f"{target}.json"),
            memory=MEMORY,
            resumes=True,
            seconds=SECONDS * params.separate.train.steps,
        )
        for target in TARGETS
    ]
    return [*networks, Unit("separator", describe_unit, {"train": train}, outputs=("separator.json",))]


def finish(params: Params, results: Sequence[Any]) -> None:
    """Remove the checkpoints: until now, when all results are kept, a killed run goes on from the last ones."""
    for target in TARGETS if results else ():
        with contextlib.suppress(OSError):
            _checkpoint(Path(), target).unlink()


def _folder(params: Params, song: Song) -> str:
    return workspace(params).cadenza.song(song.split, song.name).as_posix()


def training_settings(train: dict[str, Any], seed: int) -> TrainingSettings:
    """Settings from the `separate.train` section of params.yaml."""
    shape = {name: train[name] for name in ("nfft", "nhop", "bandwidth", "hidden_size", "nb_layers", "unidirectional")}
    mixing = {name: train[name] for name in ("excerpt", "mix_songs", "swap_channels")}
    rest = {name: value for name, value in train.items() if name not in {*shape, *mixing, "gains"}}
    return TrainingSettings(
        shape=UnmixShape(sample_rate=SAMPLE_RATE, **shape),
        mixing=Mixing(gains=tuple(train["gains"]), **mixing),
        seed=seed,
        **rest,
    )


def train_unit(
    root: Path,
    out: Path,
    *,
    target: str,
    device: str,
    songs: Sequence[str],
    validation: Sequence[str],
    train: dict[str, Any],
    seed: int,
    key: str | None = None,
) -> dict[str, Any]:
    """Train the network of one stem; one that was interrupted goes on from its checkpoint, if it has the unit's key.

    Without a key there are no checkpoints.
    """
    checkpoint = _checkpoint(root, target)
    cleared(checkpoint)
    trained = train_network(
        target,
        SongFiles(root, songs),
        SongFiles(root, validation),
        training_settings(train, seed),
        device=device,
        key=key or "",
        resume=kept_bytes(checkpoint) if key and checkpoint.exists() else None,
        checkpoint=partial(save, checkpoint, out / "checkpoint") if key else None,
        progress=_show,
    )
    (out / f"{target}.pth").write_bytes(trained.weights)
    write_json(out / f"{target}.json", trained.description)
    return trained.description


def describe_unit(root: Path, out: Path, *, train: dict[str, Any]) -> None:
    """Write what is common to the four networks."""
    write_json(out / "separator.json", separator_description(training_settings(train, 0).shape))


def _checkpoint(root: Path, target: str) -> Path:
    return root / CHECKPOINTS / f"{target}.pt"


def _show(state: TrainingState) -> None:
    progress.note(
        f"{state.target} step {state.step} of at most {state.steps}, "
        f"loss {state.train_loss:.4g}, validation {state.valid_loss:.4g}"
    )


class SongFiles:
    """Songs on the disk, as `hearlab.separation.training_data.SongSource`; a song's name is its folder below `root`.

    Stems are kept in memory as long as all of them fit into `KEPT_BYTES`.
    """

    def __init__(self, root: Path, songs: Sequence[str]) -> None:
        self.songs = songs
        self._root = root
        self._frames: dict[str, int] = {}
        for song in songs:
            with opened(self._file(song, STEMS[0])) as sound:
                self._frames[song] = sound.frames
        self._keep = sum(self._frames.values()) * len(STEMS) * 2 * 4 <= KEPT_BYTES
        self._kept: dict[tuple[str, str], NDArray[np.float32]] = {}

    def frames(self, song: str) -> int:
        """Length of a song in samples."""
        return self._frames[song]

    def excerpt(self, song: str, stem: str, start: int, frames: int) -> NDArray[np.float32]:
        """Samples of a stem, shape (frames, 2)."""
        if not self._keep:
            return self._read(song, stem, start, frames)
        if (song, stem) not in self._kept:
            # Channel by channel, as excerpts are mixed.
            self._kept[song, stem] = np.asfortranarray(self._read(song, stem, 0, self._frames[song]))
        return self._kept[song, stem][start : start + frames]

    def _read(self, song: str, stem: str, start: int, frames: int) -> NDArray[np.float32]:
        with opened(self._file(song, stem)) as sound:
            sound.seek(start)
            samples: NDArray[np.float32] = sound.read(frames, dtype="float32", always_2d=True)
        return samples

    def _file(self, song: str, stem: str) -> Path:
        return self._root / song / f"{stem}.wav"
