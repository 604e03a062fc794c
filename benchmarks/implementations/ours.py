"""HearLab's side: the tasks of bench.py and peer.py, run by a worker process of HearLab's own environment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from implementations.payload import read_signals, rendered_values
from implementations.serve import Job, serve

LIBRARIES = ("hearlab", "numpy", "scipy", "numba", "llvmlite", "soxr", "soundfile")


def versions() -> Job:
    """Versions of what computes."""
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
    from hearlab.listeners import Audiogram
    from hearlab.metrics import haspi as metric

    sounds, audiogram = read_signals(signals), Audiogram(levels, frequencies)

    def run() -> Any:
        rng = np.random.RandomState(seed)
        return metric(
            sounds["reference"], reference_rate, sounds["processed"], processed_rate, audiogram, level=level, rng=rng
        )

    return Job(run, lambda result: {"score": result.score, "features": result.features})


def speech_scene(
    *, folder: str, scene: str, listeners: Sequence[dict[str, Any]], level: float, metrics: Sequence[str]
) -> Job:
    """The units of `score_speech` of one scene, files and all; the folder is a new one in each repetition."""
    from hearlab.scoring.tracks import CONDITIONS, TRACKS
    from hearlab.stages.score_speech import score_unit

    track = TRACKS["speech"]
    chosen = track.chosen(metrics, "metrics")
    keys = {
        f"{metric.name} {condition}": track.result_key(metric, condition)
        for metric in chosen
        for condition in CONDITIONS
    }
    conditions = {
        condition: {track.result_key(metric, condition): metric.scorer for metric in chosen} for condition in CONDITIONS
    }

    def run() -> dict[str, float]:
        scores = {}
        for listener in listeners:
            unit = score_unit(
                Path(folder),
                Path(folder),
                scene=scene,
                listener=listener,
                scenes=".",
                enhanced=".",
                reference_channel=1,
                level=level,
                conditions=conditions,
            )
            scores.update({f"{listener['name']} {name}": unit[key] for name, key in keys.items()})
        return scores

    return Job(run)


def hasqi(**case: Any) -> Job:
    from hearlab.metrics import hasqi as metric

    return _quality(metric, **case)


def haaqi(**case: Any) -> Job:
    from hearlab.metrics import haaqi as metric

    return _quality(metric, **case)


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
    from hearlab.listeners import Audiogram

    sounds, audiogram = read_signals(signals), Audiogram(levels, frequencies)

    def run() -> Any:
        return metric(
            sounds["reference"],
            reference_rate,
            sounds["processed"],
            processed_rate,
            audiogram,
            equalisation=equalisation,
            level=level,
            rng=np.random.RandomState(seed),
        )

    return Job(run, _quality_values)


def learning(
    metric: str,
    gradient: bool,
    *,
    signals: str,
    reference_rate: float,
    processed_rate: float,
    levels: Sequence[float],
    frequencies: Sequence[float],
    level: float,
    seed: int,
    **options: Any,
) -> Job:
    """A metric in PyTorch on one thread, with the published noise, and the gradient of the score."""
    import torch

    import hearlab.learning.metrics
    from hearlab.ear.loss import AUDIOMETRIC_FREQUENCIES
    from hearlab.listeners import Audiogram

    if reference_rate != processed_rate:
        raise ValueError("the metrics in PyTorch have one rate")
    torch.set_num_threads(1)
    sounds, losses = read_signals(signals), Audiogram(levels, frequencies).at(AUDIOMETRIC_FREQUENCIES)
    common = min(sounds["reference"].size, sounds["processed"].size)
    reference, processed = (torch.tensor(sounds[name][None, :common]) for name in ("reference", "processed"))
    processed.requires_grad_(gradient)

    def run() -> Any:
        score = getattr(hearlab.learning.metrics, metric)(
            reference, processed, reference_rate, losses[None], level=level, dither=[seed], **options
        )
        if gradient:
            score.sum().backward()
        return score

    return Job(run, lambda score: {"score": score.item()})


def haaqi_pair(*, root: str, song: str, references: str, enhanced: str, listener: dict[str, Any]) -> Job:
    """The unit of `score_music` of a song and a listener: eight stems, files and all."""
    from hearlab.stages.score_music import COLUMNS, score_unit

    def run() -> dict[str, Any]:
        return score_unit(
            Path(root),
            Path(root),
            song=song,
            listener=listener,
            references=references,
            enhanced=enhanced,
            segment=None,
            music_level="current",  # pyclarity 0.9.0
        )

    return Job(run, lambda scores: {name: scores[name] for name in COLUMNS})


def haaqi_stem(*, reference: str, processed: str, listener: dict[str, Any], seed: int) -> Job:
    """The left ear of one stem, read from its files."""
    from hearlab.audio import read_audio
    from hearlab.datasets.stem_files import read_stem
    from hearlab.listeners import listener_from_entry
    from hearlab.metrics.haaqi import haaqi_stem as metric

    person = listener_from_entry(listener["name"], listener)

    def run() -> Any:
        clean, clean_rate = read_audio(reference)
        heard = read_stem(Path(processed), rate=24000)
        signals = clean[:, 0], clean_rate, heard, 24000
        # The level is that of pyclarity 0.9.0.
        return metric(*signals, person.left, music_level="current", rng=np.random.RandomState(seed))

    return Job(run, _quality_values)


def render(*, data_root: str, scene: dict[str, Any], room: dict[str, Any], out: str) -> Job:
    """A scene to its 14 files, as the pipeline does it: what is written is brought to the disk later."""
    from hearlab.files import synced_later
    from hearlab.scenes import render_scene

    def run() -> list[Path]:
        with synced_later():
            return render_scene(scene, room, data_root, out)

    return Job(run, lambda files: rendered_values(out, scene["scene"]))


def fitting(*, wav: str, listener: dict[str, Any], compressor: dict[str, float]) -> Job:
    """NAL-R and compressor on both ears of a scene: filters are made anew, the two objects are kept."""
    from hearlab.audio import read_audio
    from hearlab.fitting import Compressor, NalR
    from hearlab.listeners import listener_from_entry

    sound, rate = read_audio(wav, channels=2)
    person = listener_from_entry(listener["name"], listener)
    prescription, dynamics = NalR(rate=rate), Compressor(rate, **compressor)

    def run() -> np.ndarray:
        fitted = np.empty((sound.shape[0] + prescription.taps, 2))
        for ear, audiogram in enumerate((person.left, person.right)):
            prescription.apply(prescription.filter(audiogram), sound[:, ear], out=fitted[:, ear])
        return dynamics.apply(fitted, out=fitted)

    return Job(run, lambda samples: {"samples": samples})


def nalr(*, signals: str, taps: int, rate: float, levels: Sequence[float], frequencies: Sequence[float]) -> Job:
    from hearlab.fitting import NalR
    from hearlab.listeners import Audiogram

    def run() -> dict[str, np.ndarray]:
        prescription = NalR(taps, rate)
        fir = prescription.filter(Audiogram(levels, frequencies))
        return {"filter": fir, "samples": prescription.apply(fir, sound)}

    sound = read_signals(signals)["signal"]
    return Job(run)


def compressor(*, signals: str, rate: float, settings: dict[str, float]) -> Job:
    from hearlab.fitting import Compressor

    sound = read_signals(signals)["signal"]
    return Job(lambda: {"samples": Compressor(rate, **settings).apply(sound)})


def _quality_values(result: Any) -> dict[str, Any]:
    return {
        "score": result.score,
        "nonlinear": result.nonlinear,
        "linear": result.linear,
        "features": result.features,
    }


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
for name in ("haspi", "hasqi", "haaqi"):
    TASKS |= {f"{name}_torch": partial(learning, name, False), f"{name}_training": partial(learning, name, True)}

if __name__ == "__main__":
    serve(TASKS)
