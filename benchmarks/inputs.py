"""What the rows are measured on: a scene (the real one, or one of the demo data set) and music, prepared once."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import wavfile

from hearlab.audio import ENHANCED_FULL_SCALE, read_audio, resample, rms, to_pcm16, write_wav
from hearlab.datasets.demo import DEMO_HEADS, make_demo, make_demo_music
from hearlab.datasets.layout import (
    SAMPLE_RATE,
    SIDES,
    STEM_RATE,
    STEMS,
    CadenzaData,
    ClarityData,
    enhanced_file,
    music_file,
    scene_file,
)
from hearlab.datasets.stem_files import write_stem
from hearlab.files import read_json
from hearlab.listeners import listener_from_entry
from hearlab.metrics import unit_seed
from hearlab.params import load_params
from hearlab.scenes import build_rooms, build_scenes, render_scene
from hearlab.stages.build_scenes import scene_config
from hearlab.stages.score_speech import scene_reference
from hearlab.systems.baseline import Baseline

REPOSITORY = Path(__file__).resolve().parent.parent
SPEECH_LEVEL_DB = 100.0
LISTENERS = 3
# The published baseline's settings.
COMPRESSOR = {"threshold": 0.35, "attenuation": 0.1, "attack": 50, "release": 1000, "rms_buffer_size": 0.064}
# Noise in the separated stems, relative to the stem: about what a separator leaves.
SEPARATION_NOISE_DB = -25.0


def reference_material() -> Path | None:
    """The folder of the reference material: HEARLAB_REFERENCE, or `shared` beside the repository; None if absent."""
    folder = Path(os.environ.get("HEARLAB_REFERENCE", REPOSITORY.parent / "shared"))
    return folder if (folder / "real" / "clarity_data").is_dir() else None


@dataclass(frozen=True)
class SceneData:
    """One scene with its data root, room and listeners (entries of listeners.json)."""

    name: str
    data: ClarityData
    scene: dict[str, Any]
    room: dict[str, Any]
    listeners: list[dict[str, Any]]


@dataclass(frozen=True)
class SongData:
    """One song: stems of shape (n, 2) at 44.1 kHz, and a listener."""

    name: str
    stems: dict[str, np.ndarray]
    listener: dict[str, Any]


class Inputs:
    """Makes inputs on demand in `scratch`. Arguments for tasks are the same for both implementations.

    What a repetition reads is copied under a new name (`tag`), so that an implementation which keeps what it computed
    from a file finds nothing to reuse but what stays the same between scenes: the head-related responses.
    """

    def __init__(self, scratch: Path, reference: Path | None) -> None:
        self.scratch = scratch
        self.reference = reference

    @property
    def scene_source(self) -> str:
        return "real scene" if self.reference else "demo scene"

    @cached_property
    def scene(self) -> SceneData:
        if self.reference:
            data = ClarityData(self.reference / "real" / "clarity_data")
            scenes, rooms = (read_json(data.metadata / f"{name}.dev.json") for name in ("scenes", "rooms"))
        else:
            data = ClarityData(self.scratch / "demo")
            make_demo(data.root, dev_scenes=1, train_scenes=0)
            rooms = build_rooms(data.rpf("dev"), 6001, 1)
            scenes = build_scenes(_demo_config(), rooms, data.metadata)
        scene = scenes[0]
        (room,) = (room for room in rooms if room["name"] == scene["room"])
        listeners = read_json(data.listeners)
        names = read_json(data.scenes_listeners("dev"))[scene["scene"]][:LISTENERS]
        return SceneData(scene["scene"], data, scene, room, [listeners[name] for name in names])

    @cached_property
    def scene_folder(self) -> Path:
        """The scene's rendered files, and what the baseline makes of them for each listener."""
        folder = self.scratch / "scene"
        scene = self.scene
        render_scene(scene.scene, scene.room, scene.data.root, folder)
        microphones = {"CH1": read_audio(scene_file(folder, scene.name, "mix", 1))[0]}
        system = Baseline(compressor=COMPRESSOR)
        for entry in scene.listeners:
            output = system.speech(microphones, SAMPLE_RATE, listener_from_entry(entry["name"], entry))
            samples = to_pcm16(output, ENHANCED_FULL_SCALE)
            write_wav(enhanced_file(folder, scene.name, entry["name"]), samples, SAMPLE_RATE)
        return folder

    def haspi(self, tag: str, seconds: float | None = None) -> dict[str, Any]:
        """The left ear of the first listener, as it is or repeated to a length."""
        folder, name, listener = self.scene_folder, self.scene.name, self.scene.listeners[0]
        reference = scene_reference(*(scene_file(folder, name, part, 1) for part in ("target_anechoic", "target")))
        processed, _ = read_audio(enhanced_file(folder, name, listener["name"]))
        speech = reference.shape[0] if seconds is None else int(seconds * SAMPLE_RATE)
        begin = 0 if seconds is None else int(self.scene.scene["target"]["time_start"])
        signals = {
            "reference": _repeated(reference[begin:, 0], speech),
            "processed": _repeated(processed[begin:, 0], speech) if seconds else processed[:, 0],
        }
        return {
            "signals": self._save(f"haspi-{tag}", **signals),
            "reference_rate": SAMPLE_RATE,
            "processed_rate": SAMPLE_RATE,
            "levels": listener["audiogram_levels_l"],
            "frequencies": listener["audiogram_cfs"],
            "level": SPEECH_LEVEL_DB,
            "seed": unit_seed(name),
        }

    def hasqi(self, tag: str, seconds: float | None = None) -> dict[str, Any]:
        return {**self.haspi(tag, seconds), "equalisation": 1}

    def speech_scene(self, tag: str, metrics: Sequence[str]) -> dict[str, Any]:
        folder = self.scratch / f"scoring-{tag}"
        shutil.copytree(self.scene_folder, folder)
        scene = self.scene
        return {
            "folder": os.fspath(folder),
            "scene": scene.name,
            "listeners": scene.listeners,
            "level": SPEECH_LEVEL_DB,
            "metrics": list(metrics),
        }

    def render(self, tag: str, seconds: float | None = None) -> dict[str, Any]:
        """The scene with its room and recordings under new names; cut or repeated to a length if one is given."""
        scene, data = self.scene, self.scene.data
        root = ClarityData(self.scratch / "rooms")
        for part in ("hrir", "metadata"):
            if not (root.root / part).exists():
                (root.root / part).parent.mkdir(parents=True, exist_ok=True)
                shutil.copytree(data.root / part, root.root / part)
        changed = {**scene.scene, "room": f"{scene.room['name']}-{tag}"}
        for source in ("t", *(f"i{k + 1}" for k in range(len(scene.scene["interferers"])))):
            _copy(
                data.room_response("dev", scene.room["name"], source),
                root.room_response("dev", changed["room"], source),
            )
        samples = None if seconds is None else int(seconds * SAMPLE_RATE)
        target = scene.scene["target"]
        changed["target"] = {**target, "name": f"{target['name']}-{tag}"}
        _recording(data.target("dev", target["name"]), root.target("dev", changed["target"]["name"]), samples)
        changed["interferers"] = []
        for entry in scene.scene["interferers"]:
            name = Path(entry["name"])
            # A recording of a given length is written as WAV.
            new = f"{name.stem}-{tag}{name.suffix if samples is None else '.wav'}"
            _recording(
                data.interferer("dev", entry["type"], entry["name"]),
                root.interferer("dev", entry["type"], new),
                samples,
            )
            changed["interferers"].append({**entry, "name": new})
        if samples is not None:
            _retime(changed, samples)
        return {
            "data_root": os.fspath(root.root),
            "scene": changed,
            "room": {**scene.room, "name": changed["room"]},
        }

    def fitting(self, tag: str, seconds: float | None = None) -> dict[str, Any]:
        wav = scene_file(self.scene_folder, self.scene.name, "mix", 1)
        if seconds is not None:
            sound = wavfile.read(wav)[1]
            wav = self.scratch / f"mix-{tag}.wav"
            wavfile.write(wav, SAMPLE_RATE, _repeated(sound, int(seconds * SAMPLE_RATE)))
        return {"wav": os.fspath(wav), "listener": self.scene.listeners[0], "compressor": COMPRESSOR}

    @cached_property
    def song(self) -> SongData:
        data = CadenzaData(self.scratch / "demo-music")
        make_demo_music(data.root, train=1, valid=1, test=0)
        name = read_json(data.songs("valid"))[0]["Track Name"]
        stems = {stem: wavfile.read(data.stem("valid", name, stem))[1] for stem in STEMS}
        return SongData(name, stems, next(iter(read_json(data.listeners("valid")).values())))

    def haaqi(self, tag: str, seconds: float) -> dict[str, Any]:
        """One ear of a song at 24 kHz: the sum of its stems, with a little noise and clipped in the processed one."""
        song = self.song
        sound = sum(stem[:, 0] / 32768 for stem in song.stems.values())
        clean = _repeated(resample(sound, SAMPLE_RATE, STEM_RATE), int(seconds * STEM_RATE))
        random = np.random.default_rng(5)
        noisy = clean + 0.03 * rms(clean) * random.standard_normal(clean.size)
        limit = 0.7 * np.max(np.abs(clean))
        return {
            "signals": self._save(f"haaqi-{tag}", reference=clean, processed=np.clip(noisy, -limit, limit)),
            "reference_rate": STEM_RATE,
            "processed_rate": STEM_RATE,
            "levels": song.listener["audiogram_levels_l"],
            "frequencies": song.listener["audiogram_cfs"],
            "level": 65 - 20 * float(np.log10(rms(clean))),
            "equalisation": 1,
            "seed": unit_seed(song.name),
        }

    def haaqi_pair(self, tag: str, seconds: float) -> dict[str, Any]:
        """Eight stems of the song's beginning for one listener, as the music stages write them."""
        song, root = self.song, self.scratch / f"pair-{tag}"
        for stem in STEMS:
            self._write_stem(root, stem, seconds)
        return {
            "root": os.fspath(root),
            "song": song.name,
            "references": "references",
            "enhanced": "enhanced",
            "listener": song.listener,
        }

    def haaqi_stem(self, tag: str, seconds: float) -> dict[str, Any]:
        """The accompaniment of a song of any length."""
        song, root = self.song, self.scratch / f"stem-{tag}"
        self._write_stem(root, "other", seconds)
        processed = music_file(root / "enhanced", song.listener["name"], song.name, "left_other")
        return {
            "reference": os.fspath(root / "references" / "other.wav"),
            "processed": os.fspath(processed),
            "listener": song.listener,
            "seed": unit_seed(song.name),
        }

    def _write_stem(self, root: Path, stem: str, seconds: float) -> None:
        song = self.song
        sound = _repeated(song.stems[stem], int(seconds * SAMPLE_RATE))
        write_wav(root / "references" / f"{stem}.wav", sound, SAMPLE_RATE)
        clean = sound / 32768
        noise = np.random.default_rng(STEMS.index(stem)).standard_normal(clean.shape)
        separated = clean + 10 ** (SEPARATION_NOISE_DB / 20) * rms(clean) * noise
        person = listener_from_entry(song.listener["name"], song.listener)
        fitted = Baseline().music({stem: separated}, SAMPLE_RATE, person)[stem]
        for ear, side in enumerate(SIDES):
            path = music_file(root / "enhanced", person.id, song.name, f"{side}_{stem}")
            write_stem(path, resample(fitted[:, ear], SAMPLE_RATE, STEM_RATE), STEM_RATE)

    def _save(self, name: str, **signals: np.ndarray) -> str:
        path = self.scratch / f"{name}.npz"
        np.savez(path, **signals)
        return os.fspath(path)


def _repeated(sound: np.ndarray, length: int) -> np.ndarray:
    return np.resize(sound, (length, *sound.shape[1:]))


def _copy(source: Path, destination: Path) -> None:
    destination.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, destination)


def _recording(source: Path, destination: Path, samples: int | None) -> None:
    if samples is None:
        _copy(source, destination)
        return
    sound, rate = read_audio(source)
    write_wav(destination, to_pcm16(_repeated(sound[:, 0], samples), 32767), rate)


def _retime(scene: dict[str, Any], samples: int) -> None:
    """Make a scene last `samples`: at most half a second before and after the target, the head turn in its middle."""
    edge = min(SAMPLE_RATE // 2, samples // 8)
    scene["duration"] = samples
    scene["target"] = {**scene["target"], "time_start": edge, "time_end": samples - edge}
    scene["interferers"] = [
        {**entry, "time_start": 0, "time_end": samples, "offset": 0} for entry in scene["interferers"]
    ]
    first, second = scene["listener"]["rotation"]
    turn = min(second["sample"] - first["sample"], samples // 4)
    rotation = [{**first, "sample": samples / 2}, {**second, "sample": samples / 2 + turn}]
    scene["listener"] = {**scene["listener"], "rotation": rotation}


def _demo_config() -> dict[str, Any]:
    """One scene drawn as published, but from the demo's own heads."""
    published = load_params(REPOSITORY / "params.yaml").model_copy(update={"dataset": "clarity"})
    config = scene_config(
        published,
        "dev",
        count=1,
        first=6001,
        room_selection="SEQUENTIAL",
        target_selection="SEQUENTIAL",
        shuffle_rooms=False,
    )
    config["listener"]["heads"] = list(DEMO_HEADS)
    return config
