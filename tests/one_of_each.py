"""One unit of each stage, computed in this process: digests of what it makes, one line of JSON.

    python one_of_each.py PROJECT LEVEL PART...

PROJECT is a project with results, LEVEL the x86-64 level of the processor ('-' to ask it), which an emulator does not
tell in /proc/cpuinfo. The parts are names of stages.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from hearlab.kernels import arithmetic

if sys.argv[2] != "-":
    level = int(sys.argv[2])
    arithmetic.processor_level = lambda: level
arithmetic.fix()

import numpy as np  # noqa: E402
import soundfile  # noqa: E402

UNITS = {
    "render_scenes": "render_scenes dev",
    "enhance_speech": "enhance_speech",
    "score_speech": "score_speech",
    "train_separator": "train_separator",
    "separate_music": "separate_music",
    "enhance_music": "enhance_music",
    "score_music": "score_music",
}
SMALL_TRAINING = {
    "model": {"bands": 8, "hidden_size": 8, "layers": 1},
    "validation": 1,
    "excerpt": 0.9,
    "steps": 2,
    "batch_size": 2,
    "fine": {"steps": 2, "batch_size": 1, "learning_rate": 0.001},
    "validate_every": 2,
}


def digest(content: Any) -> str:
    return hashlib.md5(content if isinstance(content, bytes) else repr(content).encode()).hexdigest()


def prepared() -> dict[str, str]:
    """A little of each kind of the demo's sounds, as it is written: with 16 bits."""
    from hearlab.audio import SCENE_FULL_SCALE, to_pcm16
    from hearlab.datasets.demo.music.song_form import draw_form
    from hearlab.datasets.demo.music.songs import make_song
    from hearlab.datasets.demo.speech.interfering_sounds import NOISES
    from hearlab.datasets.demo.speech.recordings import targets

    rate = 44100
    sounds = {recording.file: recording.samples for recording in targets("dev", 1, rate, 5)}
    for kind, make in NOISES.items():
        noise = make(rate // 2, rate, np.random.default_rng(1))
        sounds[kind] = 0.1 * noise / np.sqrt(np.mean(noise**2))
    found = {name: digest(to_pcm16(samples, SCENE_FULL_SCALE).tobytes()) for name, samples in sounds.items()}
    song = make_song(draw_form("A Song", "valid", 0, 4.0, 3), 3, low_voice=True, instrumental=False)
    return found | {name: digest(samples.tobytes()) for name, samples in song.items()}


def built() -> dict[str, str]:
    from hearlab.params import load_params
    from hearlab.stages import build_scenes

    build_scenes.run(load_params(), "dev")
    return {path.name: digest(path.read_bytes()) for path in sorted(Path("data/demo/scene_lists").glob("*.dev.json"))}


def unit_of(stage: str) -> dict[str, str]:
    from hearlab.compute.execution import execute
    from hearlab.params import load_params
    from hearlab.stages import stage_units

    unit = stage_units(*_arguments(stage, load_params()))[0]
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as out:
        root = Path.cwd()
        if stage in ("score_speech", "score_music"):  # whole sounds take an emulator ten minutes
            root = Path(folder)
            for name in unit.inputs:
                begin(Path.cwd() / name, root / name)
        outcome = execute(unit, root, Path(out))
        if outcome.failure is not None:
            sys.exit(outcome.failure.trace)
        files = {name: digest((Path(out) / name).read_bytes()) for name in unit.outputs}
    return {**files, "result": digest(outcome.result)}


def learned() -> dict[str, str]:
    """A hearing aid, trained for a few steps with both losses by small scenes, and what it makes of a scene."""
    sys.path.insert(0, str(Path(__file__).resolve().parent / "training"))
    from scene_files import LISTENERS, write_scenes

    from hearlab.audio import SCENE_FULL_SCALE, to_pcm16
    from hearlab.params import load_params
    from hearlab.stages.learn.train_enhancer import train_unit
    from hearlab.systems.learned import Learned

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        scenes = [(where.name, name) for where, name in write_scenes(out / "scenes", 3)]
        people = [person.as_entry() for person in LISTENERS]
        learn = load_params().learn.model_dump(mode="json") | SMALL_TRAINING
        train_unit(out, out, scenes=scenes, listeners=people, learn=learn, seed=1, device="cpu", processes=1)
        weights = out / "enhancer.pth"
        rng = np.random.default_rng(1)
        microphones = {channel: 0.05 * rng.standard_normal((22050, 2)) for channel in ("CH1", "CH2", "CH3")}
        sound = Learned(weights=str(weights)).speech(microphones, 44100, LISTENERS[0])
        return {"weights": digest(weights.read_bytes()), "sound": digest(to_pcm16(sound, SCENE_FULL_SCALE).tobytes())}


def fitted() -> dict[str, str]:
    """Filters of one stem, fitted for a step to a second of a song that the project's own networks separate."""
    from hearlab.fitting.stem_filters import FitSettings
    from hearlab.listeners import load_listeners
    from hearlab.params import load_params
    from hearlab.separation.loading import loader
    from hearlab.stages.common import workspace
    from hearlab.stages.learn.fit_music import fit_unit, training_songs

    params = load_params()
    files = workspace(params)
    song = training_songs(params)[0]
    listener = next(iter(load_listeners(files.cadenza.listeners("valid")).values()))
    with tempfile.TemporaryDirectory() as folder:
        scores = fit_unit(
            Path(),
            Path(folder),
            listener=listener.as_entry(),
            stem="drums",
            songs=[files.cadenza.song(song.split, song.name).as_posix()],
            settings=vars(FitSettings(steps=1, crop=1.0, excerpt=1.0)),
            seed=1,
            music_level=params.evaluate.music_level,
            load=loader(params.separate.model),
            weights=files.separator.as_posix(),
            files=[],
            segment=params.separate.segment,
            overlap=params.separate.overlap,
        )
        found = {path.name: digest(path.read_bytes()) for path in Path(folder).rglob("*.json")}
    return {**found, "scores": digest(scores)}


def begin(path: Path, copy: Path) -> None:
    """Copy a file; of a sound the first second and a half."""
    copy.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix in (".wav", ".flac"):
        samples, rate = soundfile.read(path, dtype="int16", always_2d=True)
        soundfile.write(copy, samples[: round(1.5 * rate)], rate, subtype="PCM_16")
    else:
        shutil.copy(path, copy)


def _arguments(stage: str, params: Any) -> list[Any]:
    name, *more = UNITS[stage].split()
    return [name, params, *more]


OWN = {"prepare": prepared, "build_scenes": built, "learned": learned, "fitted": fitted}


def main() -> None:
    os.chdir(sys.argv[1])
    found = {}
    for part in sys.argv[3:]:
        with contextlib.redirect_stdout(sys.stderr):
            found[part] = OWN.get(part, lambda part=part: unit_of(part))()
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
