"""The published side: the tasks of bench.py and peer.py with pyclarity 0.9.0, run in an environment of its own.

The steps around its functions (reading, levels, seeds, order) are those of its recipes cec2 and cad1/task1.
"""

from __future__ import annotations

import hashlib
import logging
import warnings
from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from implementations.payload import read_signals, rendered_values
from implementations.serve import Job, serve

LIBRARIES = ("pyclarity", "numpy", "scipy", "numba", "llvmlite", "soxr", "soundfile", "librosa")
SCENE_RATE, STEM_RATE = 44100, 24000
STEMS, SIDES = ("drums", "bass", "other", "vocals"), ("left", "right")


def versions() -> Job:
    return Job(lambda: {name: np.array(version(name)) for name in LIBRARIES})


def haspi(
    *,
    signals: str,
    reference_rate: float,
    processed_rate: float,
    levels: Sequence[float],
    frequencies: Sequence[float],
    level: float,
    seed: int,
) -> Job:
    from clarity.evaluator.haspi import haspi_v2
    from clarity.utils.audiogram import Audiogram

    sounds, audiogram = read_signals(signals), Audiogram(levels, frequencies)

    def run() -> Any:
        np.random.seed(seed)
        return haspi_v2(
            sounds["reference"], reference_rate, sounds["processed"], processed_rate, audiogram, level1=level
        )

    return Job(run, lambda result: {"score": result[0], "features": result[1]})


def speech_scene(
    *, folder: str, scene: str, listeners: Sequence[dict[str, Any]], level: float, metrics: Sequence[str]
) -> Job:
    from clarity.evaluator.haspi import haspi_v2_be
    from clarity.evaluator.hasqi import hasqi_v2_better_ear
    from clarity.utils.audiogram import Listener

    known = {"haspi": haspi_v2_be, "hasqi": hasqi_v2_better_ear}
    people = [Listener.from_dict(entry) for entry in listeners]
    seed, place = _seed(scene), Path(folder)

    def run() -> dict[str, float]:
        anechoic, target, mix = (
            _scene_sound(place / f"{scene}_{signal}_CH1.wav") for signal in ("target_anechoic", "target", "mix")
        )
        reference = anechoic * _channel_rms(target) / _channel_rms(anechoic)
        scores = {}
        for person in people:
            enhanced = _scene_sound(place / f"{scene}_{person.id}_HA-output.wav")
            for condition, heard in (("enhanced", enhanced), ("unprocessed", mix)):
                for name in metrics:
                    np.random.seed(seed)
                    scores[f"{person.id} {name} {condition}"] = known[name](
                        *reference.T, *heard.T, sample_rate=SCENE_RATE, listener=person, level=level
                    )
        return scores

    return Job(run)


def hasqi(**case: Any) -> Job:
    from clarity.evaluator.hasqi import hasqi_v2

    return _quality(hasqi_v2, **case)


def haaqi(**case: Any) -> Job:
    from clarity.evaluator.haaqi import haaqi_v1

    return _quality(haaqi_v1, **case)


def _quality(
    metric: Callable[..., Any],
    *,
    signals: str,
    reference_rate: float,
    processed_rate: float,
    levels: Sequence[float],
    frequencies: Sequence[float],
    level: float,
    equalisation: int,
    seed: int,
) -> Job:
    from clarity.utils.audiogram import Audiogram

    sounds, audiogram = read_signals(signals), Audiogram(levels, frequencies)

    def run() -> Any:
        np.random.seed(seed)
        return metric(
            sounds["reference"],
            reference_rate,
            sounds["processed"],
            processed_rate,
            audiogram,
            equalisation,
            level1=level,
        )

    return Job(run, lambda result: dict(zip(("score", "nonlinear", "linear", "features"), result, strict=True)))


def haaqi_pair(*, root: str, song: str, references: str, enhanced: str, listener: dict[str, Any]) -> Job:
    from clarity.utils.audiogram import Listener

    person = Listener.from_dict(listener)

    def run() -> dict[str, float]:
        np.random.seed(_seed(song))
        scores = {}
        for stem in STEMS:
            reference = _music(Path(root, references, f"{stem}.wav"))
            for ear, (side, audiogram) in enumerate(
                zip(SIDES, (person.audiogram_left, person.audiogram_right), strict=True)
            ):
                name = f"{person.id}_{song}_{side}_{stem}"
                processed = _stem(Path(root, enhanced, person.id, song, f"{name}.flac"))
                scores[f"{side}_{stem}"] = _stem_score(reference[:, ear], processed, audiogram)
        return scores

    return Job(run)


def haaqi_stem(*, reference: str, processed: str, listener: dict[str, Any], seed: int) -> Job:
    from clarity.utils.audiogram import Listener

    person = Listener.from_dict(listener)

    def run() -> dict[str, float]:
        np.random.seed(seed)
        clean, heard = _music(Path(reference)), _stem(Path(processed))
        return {"score": _stem_score(clean[:, 0], heard, person.audiogram_left)}

    return Job(run)


def render(*, data_root: str, scene: dict[str, Any], room: dict[str, Any], out: str) -> Job:
    """A scene to its 14 files; the renderer, made before, is not timed."""
    renderer = _renderer(data_root)
    renderer.room_dict[room["name"]] = room
    renderer.paths.scenes = out
    return Job(lambda: renderer.render_scenes([scene]), lambda nothing: rendered_values(out, scene["scene"]))


def fitting(*, wav: str, listener: dict[str, Any], compressor: dict[str, float]) -> Job:
    from clarity.enhancer.compressor import Compressor
    from clarity.enhancer.nalr import NALR
    from clarity.utils.audiogram import Listener

    sound, person = _scene_sound(Path(wav)), Listener.from_dict(listener)
    prescription = NALR(nfir=220, sample_rate=SCENE_RATE)
    dynamics = Compressor(fs=SCENE_RATE, **compressor)

    def run() -> np.ndarray:
        ears = []
        for ear, audiogram in enumerate((person.audiogram_left, person.audiogram_right)):
            fir, _ = prescription.build(audiogram)
            ears.append(dynamics.process(prescription.apply(fir, sound[:, ear]))[0])
        return np.stack(ears, axis=1)

    return Job(run, lambda samples: {"samples": samples})


def nalr(*, signals: str, taps: int, rate: float, levels: Sequence[float], frequencies: Sequence[float]) -> Job:
    from clarity.enhancer.nalr import NALR
    from clarity.utils.audiogram import Audiogram

    sound = read_signals(signals)["signal"]

    def run() -> dict[str, np.ndarray]:
        prescription = NALR(taps, rate)
        fir, _ = prescription.build(Audiogram(levels, frequencies))
        return {"filter": fir, "samples": prescription.apply(fir, sound)}

    return Job(run)


def compressor(*, signals: str, rate: float, settings: dict[str, float]) -> Job:
    from clarity.enhancer.compressor import Compressor

    sound = read_signals(signals)["signal"]
    return Job(lambda: {"samples": Compressor(fs=rate, **settings).process(sound)[0]})


def _seed(name: str) -> int:
    return int(hashlib.md5(name.encode()).hexdigest(), 16) % 10**8


def _scene_sound(path: Path) -> np.ndarray:
    from scipy.io import wavfile

    return wavfile.read(path)[1] / 32768.0


def _channel_rms(sound: np.ndarray) -> np.ndarray:
    return np.sqrt(np.mean(sound**2, axis=0))


def _music(path: Path) -> np.ndarray:
    return _scene_sound(path).astype(np.float32)


def _stem(path: Path) -> np.ndarray:
    # The published reader needs one more compiled library for the same samples.
    import soundfile

    samples, _ = soundfile.read(path, dtype="float32")
    return samples * np.float32(float(path.with_name(f"{path.name.removesuffix('.flac')}.txt").read_text()))


def _stem_score(reference: np.ndarray, processed: np.ndarray, audiogram: Any) -> float:
    from clarity.evaluator.haaqi import compute_haaqi
    from clarity.utils.signal_processing import compute_rms, resample

    return compute_haaqi(
        processed_signal=processed,
        reference_signal=resample(reference, SCENE_RATE, STEM_RATE),
        processed_sample_rate=STEM_RATE,
        reference_sample_rate=STEM_RATE,
        audiogram=audiogram,
        equalisation=1,
        level1=65 - 20 * np.log10(compute_rms(reference)),
    )


@lru_cache(maxsize=1)
def _renderer(data_root: str) -> Any:
    from clarity.data.scene_renderer_cec2 import SceneRenderer

    root = Path(data_root)
    recordings = f"{root}/{{dataset}}"
    rooms = root / "metadata" / "no_rooms.json"
    rooms.write_text("[]")  # rooms are handed over with their scene
    return SceneRenderer(
        SimpleNamespace(
            hoairs=f"{recordings}/rooms/HOA_IRs",
            hrirs=f"{root}/hrir/HRIRs_MAT",
            targets=f"{recordings}/targets",
            interferers=f"{recordings}/interferers/{{type}}",
            scenes=None,
        ),
        SimpleNamespace(room_definitions=rooms, hrir_metadata=root / "metadata" / "hrir_data.json"),
        ambisonic_order=6,
        equalise_loudness=False,
        reference_channel=1,
        channel_norms=[12.0, 3.0, 3.0, 3.0],
    )


TASKS = {
    task.__name__: task
    for task in (
        versions,
        haspi,
        speech_scene,
        hasqi,
        haaqi,
        haaqi_pair,
        haaqi_stem,
        render,
        fitting,
        nalr,
        compressor,
    )
}

if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    serve(TASKS)
