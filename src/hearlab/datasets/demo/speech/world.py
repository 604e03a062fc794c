"""Write the demo data set: an invented world in the layout and the formats of the challenge's `clarity_data`."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import soundfile

from hearlab.arrays import Array
from hearlab.audio import SCENE_FULL_SCALE, to_pcm16, write_wav
from hearlab.datasets.demo.listeners import demo_listeners, scene_listeners
from hearlab.datasets.demo.seeds import check_request
from hearlab.datasets.demo.speech import recordings
from hearlab.datasets.demo.speech.heads import HEADS
from hearlab.datasets.demo.speech.hrir_files import decoder_metadata, hrir_mat
from hearlab.datasets.demo.speech.room_files import ac_text, rpf_text
from hearlab.datasets.demo.speech.rooms import SOURCES, draw_room, room_response
from hearlab.datasets.layout import MICROPHONES, SAMPLE_RATE, ClarityData
from hearlab.files import atomic_path, write_json

# Names of the heads: their files are hrir/HRIRs_MAT/{head}-{microphone}.mat.
DEMO_HEADS = tuple(HEADS)
# Scenes cycle over these rooms. No more rooms than scenes are made.
DEV_ROOMS = 6
TRAIN_ROOMS = 2
MOST_ROOMS = {"train": TRAIN_ROOMS, "dev": DEV_ROOMS}
# Numbers of the first room and the first scene of a split, as in the challenge.
FIRST_NUMBER = {"train": 1, "dev": 6001}
# Rooms for learning are of the split train, beyond all that the challenge has: each with talkers and sounds of its own.
FIRST_LEARNING_ROOM = 20001
SENTENCES = 2  # of a learning room's talkers: one in each of its scenes

Lists = dict[str, list[dict[str, Any]]]
"""Metadata entries of recordings by the names of their lists."""


def make_demo(out_dir: Path, seed: int = 0, *, dev_scenes: int = 12, train_scenes: int = 4, threads: int = 1) -> None:
    """Write the demo data set.

    The same seed gives the same bytes, whatever was there before; every file is written atomically.

    Args:
        out_dir: becomes the data root that holds hrir/, train/, dev/ and metadata/.
        seed: of everything that is drawn at random.
        dev_scenes: scenes of the dev split for which there are targets (one each) and listeners.
        train_scenes: the same for the train split; with 0 it is left out.
        threads: rooms and recordings that are made at a time.

    Raises:
        InputError: a number is negative, there is no dev scene, or `out_dir` is not a folder.
    """
    least = {"dev_scenes": (dev_scenes, 1), "train_scenes": (train_scenes, 0), "seed": (seed, 0)}
    check_request("demo data", out_dir, least)
    data = ClarityData(Path(out_dir))
    scenes = {split: count for split, count in (("train", train_scenes), ("dev", dev_scenes)) if count}
    _write_heads(data, seed)  # alone: of all these it takes products of matrices, whose sums go by the threads
    rooms = [
        (split, FIRST_NUMBER[split] + place)
        for split, count in scenes.items()
        for place in range(min(MOST_ROOMS[split], count))
    ]
    with ThreadPoolExecutor(threads) as pool:
        parts = [pool.submit(_write_recordings, data, scenes, seed)]
        parts += [pool.submit(_write_rooms, data, split, number, 1, seed) for split, number in rooms]
        for part in parts:
            part.result()
    write_json(data.listeners, demo_listeners(seed))
    for split, count in scenes.items():
        first = FIRST_NUMBER[split]
        names = [f"S{number:05d}" for number in range(first, first + count)]
        write_json(data.scenes_listeners(split), scene_listeners(names))


def make_learning_room(out_dir: Path, number: int, seed: int) -> None:
    """Write one room for learning, in the layout of the demo data set: what SENTENCES scenes of the split train need.

    Two target talkers with a sentence each, two interfering talkers, a noise of each class and a piece of music, all of
    this room alone: none of them is in the demo data set. Heads and listeners are not written.

    Args:
        out_dir: becomes the data root that holds train/ and metadata/.
        number: of the room, FIRST_LEARNING_ROOM or above.
        seed: of the demo data.
    """
    check_request("learning room", out_dir, {"number": (number, FIRST_LEARNING_ROOM), "seed": (seed, 0)})
    data, split = ClarityData(Path(out_dir)), "train"
    _write_rooms(data, split, number, 1, seed)
    targets = [recordings.target(f"T{number}{k}", k + 1, split, SAMPLE_RATE, seed) for k in range(SENTENCES)]
    speech = [recordings.speech_interferer(f"syn_{number}{k}", split, SAMPLE_RATE, seed) for k in range(2)]
    noise = [recordings.noise_interferer(kind, number, split, SAMPLE_RATE, seed) for kind in recordings.NOISE_NAMES]
    music = [recordings.music_interferer(f"{number}/{number}.wav", split, SAMPLE_RATE, seed)]
    lists = {"target_speech": targets, "masker_speech": speech, "masker_nonspeech": noise, "masker_music": music}
    _write_lists(data, {f"{name}_list": _written(data, split, recorded) for name, recorded in lists.items()})


def _write_heads(data: ClarityData, seed: int) -> None:
    write_json(data.hrir_metadata, decoder_metadata())
    for head in HEADS.values():
        for microphone in MICROPHONES:
            content = hrir_mat(head, microphone, SAMPLE_RATE, seed)
            _write_bytes(data.hrir(f"{head.name}-{microphone}"), content)


def _write_rooms(data: ClarityData, split: str, first: int, count: int, seed: int) -> None:
    folder = data.rpf(split)
    for number in range(first, first + count):
        room = draw_room(f"R{number:05d}", seed)
        _write_bytes(folder.parent / "ac" / f"{room.name}.ac", ac_text(room).encode())
        for source in SOURCES:
            _write_bytes(folder / f"{room.name}_{source}.rpf", rpf_text(room, source, SAMPLE_RATE).encode())
            response = room_response(room, source, SAMPLE_RATE, seed)
            write_wav(data.room_response(split, room.name, source), response, SAMPLE_RATE)


def _write_recordings(data: ClarityData, scenes: dict[str, int], seed: int) -> None:
    lists: Lists = {}
    for split, count in scenes.items():
        made = {
            "target_speech_list": recordings.targets(split, count, SAMPLE_RATE, seed),
            "masker_speech_list": recordings.speech_interferers(split, SAMPLE_RATE, seed),
            "masker_nonspeech_list": recordings.noise_interferers(split, SAMPLE_RATE, seed),
            "masker_music_list": recordings.music_interferers(split, SAMPLE_RATE, seed),
        }
        for name, recorded in made.items():
            lists.setdefault(name, []).extend(_written(data, split, recorded))
    _write_lists(data, lists)


def _written(data: ClarityData, split: str, recorded: Iterable[recordings.Recording]) -> list[dict[str, Any]]:
    """The metadata entries of recordings, which are written."""
    entries = []
    for recording in recorded:
        entry = recording.entry
        if "wavfile" in entry:
            path = data.target(split, entry["wavfile"])
        else:
            path = data.interferer(split, entry["type"], recording.file)
        _write_sound(path, recording.samples)
        entries.append(entry)
    return entries


def _write_lists(data: ClarityData, lists: Lists) -> None:
    for name, entries in lists.items():
        write_json(data.metadata / f"{name}.json", entries)


def _write_bytes(path: Path, content: bytes) -> None:
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def _write_sound(path: Path, samples: Array) -> None:
    """Write 16-bit WAV, or MP3 where the name says so."""
    if path.suffix == ".mp3":
        with atomic_path(path) as temporary:
            soundfile.write(temporary, samples, SAMPLE_RATE, format="MP3", subtype="MPEG_LAYER_III")
    else:
        write_wav(path, to_pcm16(samples, SCENE_FULL_SCALE), SAMPLE_RATE)
