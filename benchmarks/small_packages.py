"""Packages of the speech challenge as `hearlab data unpack` leaves them: as many files, of the same forms, but small.

Every file has bytes of its own, so that DVC's cache holds as many objects as with the real ones.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from hearlab.datasets.demo.listeners import LISTENERS_PER_SCENE, demo_listeners, listener_ids
from hearlab.datasets.demo.speech.heads import HEADS
from hearlab.datasets.demo.speech.hrir_files import decoder_metadata, hrir_mat
from hearlab.datasets.demo.speech.room_files import ac_text, rpf_text
from hearlab.datasets.demo.speech.rooms import SOURCES, draw_room
from hearlab.datasets.layout import MICROPHONES, SAMPLE_RATE, ClarityData
from hearlab.datasets.packages.receipt import FileLine, Receipt, write_receipt
from hearlab.files import write_json

SPLITS = ("train", "dev")
FIRST = {"train": 1, "dev": 6001}  # room and scene, as in the challenge
# Samples of a target, and of a scene before and after it. Scenes of `train` are only rendered; HASPI, which hears those
# of `dev`, wants at least 0.23 s that are not silent.
TARGET = {"train": 1024, "dev": 11000}
MARGIN = 512
INTERFERER = 44100
INTERFERERS = 20  # of each kind and split: few, for they are read again and again
NOISES = ("fan", "dishwasher", "kettle")
RESPONSE = 64  # samples of a room response
ORDER = 1  # of its ambisonics: 4 channels, where the real ones have 49
HEADS_USED = tuple(HEADS)
PACKAGE = "cec2-core"


def make(home: Path, scenes: dict[str, int], seed: int = 0) -> int:
    """Write the packages' files and their receipt into a home; returns the number of files.

    Args:
        home: of the data set, as `packages_home` gives it.
        scenes: of each of SPLITS; each has a room and a target of its own, as in the challenge.
        seed: of what is drawn.
    """
    data = ClarityData(home / "clarity_data")
    rng = np.random.default_rng(seed)
    lists: dict[str, list[dict[str, Any]]] = {}
    for split in SPLITS:
        numbers = range(FIRST[split], FIRST[split] + scenes[split])
        _write_rooms(data, split, numbers, rng, seed)
        for name, entries in _write_recordings(data, split, numbers, rng).items():
            lists.setdefault(name, []).extend(entries)
    for name, entries in lists.items():
        write_json(data.metadata / f"{name}.json", entries)
    write_json(data.hrir_metadata, decoder_metadata())
    for head, microphone in itertools.product(HEADS.values(), MICROPHONES):
        path = data.hrir(f"{head.name}-{microphone}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(hrir_mat(head, microphone, SAMPLE_RATE, seed))
    write_json(data.listeners, demo_listeners(seed))
    ears = itertools.cycle(listener_ids())
    names = [f"S{number:05d}" for number in range(FIRST["dev"], FIRST["dev"] + scenes["dev"])]
    write_json(
        data.scenes_listeners("dev"), {name: list(itertools.islice(ears, LISTENERS_PER_SCENE)) for name in names}
    )
    return _write_receipt(home, data.root)


def _write_rooms(data: ClarityData, split: str, numbers: Sequence[int], rng: np.random.Generator, seed: int) -> None:
    folder = data.rpf(split)
    for part in (folder, folder.parent / "ac", data.room_response(split, "", "").parent):
        part.mkdir(parents=True)
    for number in numbers:
        room = draw_room(f"R{number:05d}", seed)
        (folder.parent / "ac" / f"{room.name}.ac").write_bytes(ac_text(room).encode())
        for source in SOURCES:
            (folder / f"{room.name}_{source}.rpf").write_bytes(rpf_text(room, source, SAMPLE_RATE).encode())
            response = rng.standard_normal((RESPONSE, (ORDER + 1) ** 2)) * np.exp(-np.arange(RESPONSE) / 8)[:, None]
            soundfile.write(data.room_response(split, room.name, source), response / 16, SAMPLE_RATE, subtype="FLOAT")


def _write_recordings(
    data: ClarityData, split: str, numbers: Sequence[int], rng: np.random.Generator
) -> dict[str, list[dict[str, Any]]]:
    """The entries of the lists, by their names."""
    length = {"nsamples": INTERFERER, "dataset": split}
    lists: dict[str, list[dict[str, Any]]] = {
        "target_speech_list": [
            {"wavfile": f"T_{number:05d}", "nsamples": TARGET[split], "dataset": split} for number in numbers
        ],
        "masker_speech_list": [{"speaker": f"{split}_s{k}", **length} for k in range(INTERFERERS)],
        "masker_nonspeech_list": [
            {"ID": f"{split}_{noise}{k}", "class": noise, **length}
            for noise in NOISES
            for k in range(INTERFERERS // len(NOISES))
        ],
        "masker_music_list": [{"file": f"00/{split}_m{k}.wav", **length} for k in range(INTERFERERS)],
    }
    for entry in lists["target_speech_list"]:
        _write_noise(data.target(split, entry["wavfile"]), TARGET[split], rng)
    for kind, name, field, suffix in (
        ("speech", "masker_speech_list", "speaker", ".wav"),
        ("noise", "masker_nonspeech_list", "ID", ".wav"),
        ("music", "masker_music_list", "file", ""),
    ):
        for entry in lists[name]:
            _write_noise(data.interferer(split, kind, entry[field] + suffix), INTERFERER, rng)
    return lists


def _write_noise(path: Path, samples: int, rng: np.random.Generator) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # As loud as speech now and then: the metric compares how levels change.
    noise = 0.05 * rng.standard_normal(samples) * (1 + np.sin(2 * np.pi * 8 * np.arange(samples) / SAMPLE_RATE))
    soundfile.write(path, noise, SAMPLE_RATE, subtype="PCM_16")


def _write_receipt(home: Path, root: Path) -> int:
    lines = {}
    for path in filter(Path.is_file, root.rglob("*")):
        content, name = path.read_bytes(), path.relative_to(root).as_posix()
        lines[name] = FileLine(name, len(content), hashlib.md5(content, usedforsecurity=False).hexdigest())
    write_receipt(home / f"packages/receipts/{PACKAGE}.jsonl", Receipt(PACKAGE, "x.tgz", 1, None, lines))
    return len(lines)
