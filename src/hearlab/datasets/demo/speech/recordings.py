"""The "recordings" of the demo data: target sentences and interferers, each with its metadata entry."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from hearlab.arrays import Array
from hearlab.datasets.demo.seeds import item_rng
from hearlab.datasets.demo.speech.formant_synthesis import synthesise
from hearlab.datasets.demo.speech.interfering_sounds import NOISES, background_music
from hearlab.datasets.demo.speech.utterances import draw_talker, plan_utterance

# Talkers of the targets take turns. No talker is in both splits.
TARGET_TALKERS = {"train": ("T907", "T908"), "dev": ("T901", "T902", "T903", "T904", "T905", "T906")}
INTERFERING_TALKERS = {"train": ("syn_90004", "syn_90005"), "dev": ("syn_90001", "syn_90002", "syn_90003")}
# Class in the metadata, and its name in the file names.
NOISE_NAMES = {"ElectricFan": "fan", "Dishwasher": "dishwasher", "KettleBoiling": "kettle"}
NOISE_NUMBERS = {"train": (2,), "dev": (1, 3)}
# One file is MP3, as all are in the challenge.
MUSIC_FILES = {"train": ("03/9003.wav",), "dev": ("01/9001.wav", "02/9002.low.mp3")}

TARGET_SECONDS = (1.8, 2.6)
INTERFERER_SECONDS = 9.0

HIGHEST_PEAK = 0.95
# RMS in dB re full scale. With talkers of half the amplitude of other sources, 1 to 3 m away, targets have 57 to 63 dB
# SPL at the microphones (RMS 1 is 100 dB SPL), as those of the challenge.
TARGET_LEVEL = -22.0
INTERFERER_LEVEL = -20.0


@dataclass(frozen=True)
class Recording:
    """A mono recording, its file (in its folder of targets or interferers) and its metadata entry."""

    file: str
    samples: Array
    entry: dict[str, Any]


def targets(split: str, count: int, rate: int, seed: int) -> Iterator[Recording]:
    """Sentences by the split's talkers in turn."""
    names = TARGET_TALKERS[split]
    for index in range(count):
        yield target(names[index % len(names)], index + 1, split, rate, seed)


def target(talker_name: str, number: int, split: str, rate: int, seed: int) -> Recording:
    """A talker's sentence of this number."""
    talker = draw_talker(talker_name, item_rng(seed, talker_name))
    prompt = f"SYN_{number:05d}"
    name = f"{talker.name}_{prompt}"
    rng = item_rng(seed, name)
    seconds = round(rng.uniform(*TARGET_SECONDS), 2)
    plan = plan_utterance(talker, seconds, rng)
    samples = _at_level(synthesise(plan, talker, rate, rng), TARGET_LEVEL + rng.uniform(-1, 1))
    sentence = plan.text.capitalize() + "."
    entry = {
        "prompt": sentence,
        "prompt_id": prompt,
        "speaker": talker.name,
        "wavfile": name,
        "index": number,
        "dot": plan.text,
        "dataset": split,
        "sex": talker.sex,
        **_length(samples, rate),
    }
    return Recording(f"{name}.wav", samples, entry)


def speech_interferers(split: str, rate: int, seed: int) -> Iterator[Recording]:
    """Continuous speech by each of the split's talkers."""
    return (speech_interferer(name, split, rate, seed) for name in INTERFERING_TALKERS[split])


def speech_interferer(name: str, split: str, rate: int, seed: int) -> Recording:
    """A talker's continuous speech."""
    rng = item_rng(seed, name)
    talker = draw_talker(name, rng)
    plan = plan_utterance(talker, INTERFERER_SECONDS, rng)
    samples = _at_level(synthesise(plan, talker, rate, rng), INTERFERER_LEVEL)
    entry = {
        "utterances": [f"{name}_{index:011d}" for index, _ in enumerate(plan.text.split(), 1)],
        "dataset": split,
        "type": "speech",
        "speaker": name,
        **_length(samples, rate),
    }
    return Recording(f"{name}.wav", samples, entry)


def noise_interferers(split: str, rate: int, seed: int) -> Iterator[Recording]:
    """Every class of noise."""
    return (noise_interferer(kind, number, split, rate, seed) for kind in NOISES for number in NOISE_NUMBERS[split])


def noise_interferer(kind: str, number: int, split: str, rate: int, seed: int) -> Recording:
    """The noise of this number of a class."""
    name = f"SYN_{NOISE_NAMES[kind]}_{number:03d}"
    samples = NOISES[kind](round(INTERFERER_SECONDS * rate), rate, item_rng(seed, name))
    entry = {
        "ID": name,
        "class": kind,
        "source": "HearLab",
        "file": "synthetic",
        "dataset": split,
        "type": "noise",
        **_length(samples, rate),
    }
    return Recording(f"{name}.wav", _at_level(samples, INTERFERER_LEVEL), entry)


def music_interferers(split: str, rate: int, seed: int) -> Iterator[Recording]:
    """Pieces of music; the file's name in the metadata holds its folder."""
    return (music_interferer(file, split, rate, seed) for file in MUSIC_FILES[split])


def music_interferer(file: str, split: str, rate: int, seed: int) -> Recording:
    """A piece of music, by the name of its file, such as '01/9001.wav'."""
    number = file.split("/")[1].split(".")[0]
    samples = background_music(round(INTERFERER_SECONDS * rate), rate, item_rng(seed, f"music_{number}"))
    length = _length(samples, rate)
    entry = {
        "track": f"track_{number:>07}",
        "artist": "artist_909001",
        "album": "album_909001",
        "file": file,
        "duration": length["duration"],
        "dataset": split,
        "fs": length["fs"],
        "type": "music",
        "license": "MIT",
        "nsamples": length["nsamples"],
    }
    return Recording(file, _at_level(samples, INTERFERER_LEVEL), entry)


def _length(samples: Array, rate: int) -> dict[str, Any]:
    return {"nsamples": samples.size, "duration": samples.size / rate, "fs": rate}


def _at_level(samples: Array, level: float) -> Array:
    """Bring to an RMS of `level` dB re full scale, or to less where a peak would come close to full scale."""
    scaled = samples / np.sqrt(np.mean(samples**2)) * 10 ** (level / 20)
    return scaled * min(1.0, HIGHEST_PEAK / float(np.abs(scaled).max()))
