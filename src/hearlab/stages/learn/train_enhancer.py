"""Stage train_enhancer: the network of the hearing aid that learns, trained with the training scenes."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from hearlab import progress
from hearlab.compute.notes import cleared, kept_bytes
from hearlab.compute.units import GIBIBYTE, Unit
from hearlab.datasets.layout import scene_file
from hearlab.enhancement.network import EnhancerShape
from hearlab.enhancement.weights import WEIGHTS, description_file
from hearlab.errors import InputError
from hearlab.files import read_json, write_json
from hearlab.listeners import listener_from_entry, load_listeners
from hearlab.params import Params
from hearlab.stages.common import read_list, workspace
from hearlab.training.checkpoint_files import CHECKPOINTS, save
from hearlab.training.materials import FRONT, PAIRS, SceneFiles
from hearlab.training.settings import Stretch, TrainingSettings
from hearlab.training.workers import Workers

MEMORY = 4 * GIBIBYTE
NO_SCENES = (
    "of clarity take -S learn.split=train; for recordings of your own name weights that were trained with other data: "
    "-S learn.weights=FILE"
)
CHECKPOINT = CHECKPOINTS / "enhancer.pt"


def folder(params: Params) -> Path:
    return workspace(params).enhancer


def units(params: Params) -> list[Unit]:
    """One; none if the hearing aid does not learn, or its weights are given.

    Raises:
        InputError: there are too few training scenes.
    """
    if not params.trains_enhancer:
        return []
    files, learn = workspace(params), params.learn
    scenes = training_scenes(params)
    if len(scenes) <= learn.validation:
        raise InputError(
            "train_enhancer",
            f"the split {learn.split} of the data set {params.dataset} has too few training scenes",
            found=len(scenes),
            wanted=f"more than learn.validation, {learn.validation}",
            advice=NO_SCENES,
        )
    people = load_listeners(learn.listeners or files.clarity.listeners)
    arguments = {
        "scenes": scenes,
        "listeners": [person.as_entry() for person in people.values()],
        "learn": learn.model_dump(
            mode="json", exclude={"weights", "split", "rooms", "device", "listeners", "processes", "fitted"}
        ),
        "seed": params.seed,
        "device": learn.device,
        "processes": learn.processes,
    }
    inputs = tuple(
        path.as_posix()
        for where, name in scenes
        for path in (
            *(scene_file(Path(where), name, signal, k) for signal in ("target", "interferer") for k in PAIRS),
            scene_file(Path(where), name, "target_anechoic", FRONT),
        )
    )
    outputs = (WEIGHTS, description_file(Path(WEIGHTS)).name)
    gpus = 1.0 if learn.device.startswith("cuda") else 0.0
    return [
        Unit("enhancer", train_unit, arguments, inputs=inputs, outputs=outputs, memory=MEMORY, gpus=gpus, resumes=True)
    ]


def training_scenes(params: Params) -> list[tuple[str, str]]:
    """Folder and name of each training scene."""
    files, split = workspace(params), params.learn.split
    return [(files.rendered(split).as_posix(), scene["scene"]) for scene in read_list(files.scenes(split), "scene")]


def finish(params: Params, results: Sequence[Any]) -> None:
    """Remove the checkpoint: until now, when the result is kept, a killed run goes on from the last one."""
    if results:
        with contextlib.suppress(OSError):
            CHECKPOINT.unlink()


def training_settings(learn: dict[str, Any], seed: int) -> TrainingSettings:
    """Settings from the `learn` section of params.yaml."""
    stretches = [Stretch("spectral", learn["steps"], learn["batch_size"], learn["learning_rate"])]
    if learn["loss"] != "spectral":
        fine = learn["fine"]
        stretches.append(Stretch(learn["loss"], fine["steps"], fine["batch_size"], fine["learning_rate"]))
    return TrainingSettings(
        shape=EnhancerShape(**learn["model"]),
        stretches=tuple(stretches),
        excerpt=learn["excerpt"],
        snr_range=tuple(learn["snr_range"]),
        level_range=tuple(learn["level_range"]),
        validate_every=learn["validate_every"],
        stop_patience=learn["stop_patience"],
        seed=seed,
    )


def train_unit(
    root: Path,
    out: Path,
    *,
    scenes: Sequence[Sequence[str]],
    listeners: Sequence[dict[str, Any]],
    learn: dict[str, Any],
    seed: int,
    device: str,
    processes: int,
    key: str | None = None,
) -> dict[str, Any]:
    """Train the network in so many processes.

    A training that was interrupted goes on from its checkpoint, if it has the unit's key; without a key there are no
    checkpoints.
    """
    from hearlab.training.launch import check_launched, in_processes
    from hearlab.training.workers import joined, launched

    check_launched(processes)
    job: dict[str, Any] = {
        "root": root,
        "out": out,
        "scenes": scenes,
        "listeners": listeners,
        "learn": learn,
        "seed": seed,
        "device": device,
        "key": key,
    }
    cleared(root / CHECKPOINT)
    if processes > 1 and not launched():
        in_processes(f"{__name__}:work", processes, device, job, _show)
    else:
        with joined(device) as workers:
            work(**job, workers=workers, tell=_show)
    path = out / description_file(Path(WEIGHTS)).name
    return dict(read_json(path)) if path.exists() else {}


def work(
    *,
    root: Path,
    out: Path,
    scenes: Sequence[Sequence[str]],
    listeners: Sequence[dict[str, Any]],
    learn: dict[str, Any],
    seed: int,
    device: str,
    key: str | None,
    workers: Workers,
    tell: Callable[[Any], None],
) -> None:
    """The part of one of the processes that train; the first of them writes the files."""
    from hearlab.training.loop import train_enhancer

    checkpoint, first = root / CHECKPOINT, workers.number == 0
    files = SceneFiles([(root / where, name) for where, name in scenes])
    numbers = range(len(files))
    trained = train_enhancer(
        files,
        numbers[: -learn["validation"]],
        numbers[-learn["validation"] :],
        [listener_from_entry(entry["name"], entry) for entry in listeners],
        training_settings(learn, seed),
        device=workers.device(device),
        key=key or "",
        resume=kept_bytes(checkpoint) if key and first and checkpoint.exists() else None,
        checkpoint=partial(save, checkpoint, out / "checkpoint") if key and first else None,
        progress=tell if first else None,
        workers=workers,
    )
    if first:
        (out / WEIGHTS).write_bytes(trained.weights)
        write_json(out / description_file(Path(WEIGHTS)).name, trained.description)


def assist(params: Params) -> None:
    """What the other processes of torchrun do, while the first of them runs the stage: train, and keep nothing."""
    for unit in units(params):
        with tempfile.TemporaryDirectory(prefix="training-") as out:
            unit.function(Path(), Path(out), **unit.arguments)


def _show(state: Any) -> None:
    progress.note(
        f"step {state.step} of at most {state.steps}, {state.loss} loss {state.train_loss:.4f}, "
        f"HASPI of held-out scenes {state.haspi:.4f}, best {state.best:.4f}, about {state.minutes_left:.0f} min left"
    )
