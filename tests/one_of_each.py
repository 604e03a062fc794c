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


def main() -> None:
    os.chdir(sys.argv[1])
    found = {}
    for part in sys.argv[3:]:
        with contextlib.redirect_stdout(sys.stderr):
            found[part] = {"prepare": prepared, "build_scenes": built}.get(part, lambda part=part: unit_of(part))()
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
