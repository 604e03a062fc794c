"""Training one target's Open-Unmix network.

The loss is the mean squared error of the magnitude spectrum, the optimiser Adam. The learning rate falls when the
validation loss stops falling, and training ends early when that lasts. The weights are those of the best validation.
The budget is a number of steps, never a time, and every random number comes from the seed, the target and the step: so
a run that was stopped and resumed from its checkpoint gives the same bytes as one that was not, whatever else the
process has done, on the same machine with the same number of threads.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from hearlab.errors import InputError, ParameterError
from hearlab.kernels.arithmetic import fixed_variables
from hearlab.networks.checkpoints import opened, sealed
from hearlab.networks.device import choose_device, repeatable
from hearlab.networks.library import require_torch
from hearlab.separation.adam import Adam
from hearlab.separation.openunmix import CHANNELS, TARGETS, UnmixShape
from hearlab.separation.spectra import Statistics, block_frames, magnitude, mixture_statistics
from hearlab.separation.training_data import Mixing, Signal, SongSource, blocks, draw_batch, fingerprint
from hearlab.separation.weights import State

if TYPE_CHECKING:
    import torch


KEPT_BYTES = 1 << 28  # of the spectra of validation songs
# A network that trains in seconds on one core. Half the frames of `umxhq` are enough for it.
SMALL = UnmixShape(nfft=4096, nhop=2048, hidden_size=64, nb_layers=1)


@dataclass(frozen=True)
class TrainingSettings:
    """Everything that decides the weights, next to the songs.

    `steps` is the budget; every `validate_every` steps the validation loss is taken. The learning rate is multiplied
    by `decay` after every `decay_patience` validations without a new best, and training ends after `stop_patience`.
    The defaults are for `SMALL` and a minute of songs: many small batches do better than few large ones there, and
    the learning rate is ten times what the full size takes.
    """

    shape: UnmixShape = SMALL
    mixing: Mixing = field(default_factory=Mixing)
    batch_size: int = 2
    steps: int = 250
    learning_rate: float = 1e-2
    weight_decay: float = 1e-5
    validate_every: int = 25
    decay: float = 0.3
    decay_patience: int = 1
    stop_patience: int = 4
    seed: int = 0


@dataclass(frozen=True)
class TrainingState:
    """The state of a training after a validation."""

    target: str
    step: int
    steps: int
    train_loss: float
    valid_loss: float
    best_loss: float
    learning_rate: float


@dataclass(frozen=True)
class TrainedNetwork:
    """A trained network: the bytes of its weights file, and a description that JSON can hold."""

    weights: bytes
    description: dict[str, Any]


def separator_description(shape: UnmixShape) -> dict[str, Any]:
    """What `separator.json` says of all targets together, in openunmix's own terms."""
    return {
        "sample_rate": shape.sample_rate,
        "nfft": shape.nfft,
        "nhop": shape.nhop,
        "nb_channels": CHANNELS,
        "targets": list(TARGETS),
    }


def train_network(
    target: str,
    songs: SongSource,
    validation: SongSource,
    settings: TrainingSettings,
    *,
    statistics: Statistics | None = None,
    device: str = "auto",
    threads: int | None = 1,
    key: str = "",
    resume: bytes | None = None,
    checkpoint: Callable[[bytes], None] | None = None,
    progress: Callable[[TrainingState], None] | None = None,
) -> TrainedNetwork:
    """Train the network that finds `target` in a mixture.

    Args:
        target: the stem to find, one of `TARGETS`.
        songs: training songs.
        validation: validation songs; their mixtures are the sums of their stems.
        settings: what decides the result.
        statistics: of the training songs, if already known (see `mixture_statistics`).
        device: 'auto', 'cpu', 'cuda' or 'cuda:N'.
        threads: torch threads on the CPU; None leaves torch's number.
        key: what else a checkpoint must agree with before it is resumed: it names the code, and all samples of the
            songs, of which only some are compared here.
        resume: a checkpoint to resume from. One that is damaged or of another training (key, settings, songs, torch,
            threads or processor) is discarded with a warning.
        checkpoint: called with the bytes of a checkpoint after each validation.
        progress: called after each validation.

    Raises:
        ParameterError: impossible settings, unknown target or device.
        InputError: no songs, songs that are too short, a loss that is not finite.
    """
    torch = require_torch()
    _check(target, songs, validation, settings)
    chosen = choose_device(device)
    frames = max(int(settings.mixing.excerpt * settings.shape.sample_rate), settings.shape.nfft)
    generators = torch.random.fork_rng([chosen] if chosen.type == "cuda" else [])
    with repeatable(threads), generators, torch.enable_grad():
        identity = _identity(key, target, songs, validation, settings, chosen)
        _seed(settings, target, -1, chosen)  # of the first weights
        run = _Run(target, settings, chosen)
        content = None if resume is None else opened(resume, identity)
        if content is not None:
            run.restore(content)
        else:
            run.prepare(statistics or mixture_statistics(songs, settings.shape))
        held_out = _HeldOut(validation, target, settings.shape, chosen)
        while not run.finished:
            losses = []
            for step in range(run.step, min(run.step + settings.validate_every, settings.steps)):
                batch = draw_batch(
                    songs,
                    TARGETS,
                    target,
                    settings.mixing,
                    items=settings.batch_size,
                    frames=frames,
                    seed=(settings.seed, step),
                )
                _seed(settings, target, step, chosen)  # of the dropout
                losses.append(run.learn(*batch))
            run.validate(float(np.mean(losses)), held_out)
            if progress:
                progress(run.state())
            if checkpoint:
                checkpoint(sealed(run.checkpoint(), identity))
    return run.result()


class _Run:
    """A network in training, and all that a checkpoint must hold."""

    def __init__(self, target: str, settings: TrainingSettings, device: torch.device) -> None:
        self.target, self.settings, self.device = target, settings, device
        self.network = settings.shape.network().to(device)
        self.optimiser = Adam(
            self.network.parameters(), learning_rate=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self.best = self._weights()
        self.history: list[dict[str, float]] = []

    @property
    def step(self) -> int:
        """Steps that are done."""
        return int(self.history[-1]["step"]) if self.history else 0

    @property
    def finished(self) -> bool:
        return self.step >= self.settings.steps or self._validations_since_best() >= self.settings.stop_patience

    def prepare(self, statistics: Statistics) -> None:
        """Set what need not be learnt: the scale of the input, and an output that begins at an equal share per stem.

        Open-Unmix begins at the whole mixture. An equal share for each stem spares a short training its first steps:
        0.3 dB of SDR on the demo.
        """
        torch = require_torch()
        used, share = self.settings.shape.bins_used, 1 / len(TARGETS)
        with torch.no_grad():
            parameters = dict(self.network.named_parameters())
            parameters["input_mean"].copy_(torch.from_numpy(-statistics.mean[:used]))
            parameters["input_scale"].copy_(torch.from_numpy(1.0 / statistics.deviation[:used]))
            parameters["output_mean"].fill_(share)
            parameters["output_scale"].fill_(share)
        self.best = self._weights()

    def learn(self, mixtures: Signal, targets: Signal) -> float:
        """One step of the optimiser; the loss before it."""
        self.network.train()
        self.optimiser.clear()
        loss = self._loss(mixtures, targets)
        loss.backward()
        self.optimiser.step()
        return float(loss.detach())

    def validate(self, train_loss: float, songs: _HeldOut) -> None:
        """Take the validation loss and let the schedule follow it."""
        torch = require_torch()
        self.network.eval()
        total, frames = 0.0, 0
        with torch.inference_mode():
            for (mixture, target), length in songs:
                total += float(torch.nn.functional.mse_loss(self.network(mixture), target)) * length
                frames += length
        loss = total / max(frames, 1)
        step = min(self.step + self.settings.validate_every, self.settings.steps)
        if not (np.isfinite(loss) and np.isfinite(train_loss)):
            raise InputError("training", "does not converge", field=f"loss at step {step}", found=loss)
        best = self.best_loss
        rate = self.optimiser.learning_rate
        self.history.append({"step": step, "train_loss": train_loss, "valid_loss": loss, "learning_rate": rate})
        if loss < best:
            self.best = self._weights()
        elif self._validations_since_best() % self.settings.decay_patience == 0:
            self.optimiser.learning_rate = rate * self.settings.decay

    @property
    def best_loss(self) -> float:
        return min((entry["valid_loss"] for entry in self.history), default=float("inf"))

    def state(self) -> TrainingState:
        last = self.history[-1]
        losses = last["train_loss"], last["valid_loss"], self.best_loss
        return TrainingState(self.target, self.step, self.settings.steps, *losses, last["learning_rate"])

    def checkpoint(self) -> bytes:
        return _saved(
            {
                "network": self._weights(),
                "optimiser": self.optimiser.state(),
                "best": self.best,
                "history": json.dumps(self.history),
            }
        )

    def restore(self, checkpoint: bytes) -> None:
        """Resume from a checkpoint of this very training."""
        state = require_torch().load(io.BytesIO(checkpoint), map_location="cpu", weights_only=True)
        self.network.load_state_dict(state["network"])
        self.optimiser.restore(state["optimiser"])
        self.best, self.history = state["best"], json.loads(state["history"])

    def result(self) -> TrainedNetwork:
        # Fresh tensors: how these were made (trained here or read from a checkpoint) must not show in the bytes.
        weights = _saved({name: value.clone() for name, value in self.best.items()})
        shape, best = self.settings.shape, min(self.history, key=lambda entry: entry["valid_loss"])
        description = {
            "target": self.target,
            "sha256": hashlib.sha256(weights).hexdigest(),
            "args": {**dataclasses.asdict(shape), "nb_channels": CHANNELS, "target": self.target},
            "settings": {k: v for k, v in dataclasses.asdict(self.settings).items() if k != "shape"},
            "best_step": best["step"],
            "best_loss": best["valid_loss"],
            "history": self.history,
        }
        return TrainedNetwork(weights, description)

    def _loss(self, mixtures: Signal, targets: Signal) -> torch.Tensor:
        torch = require_torch()
        with torch.no_grad():
            mixture, target = _magnitudes(mixtures, targets, self.settings.shape, self.device)
        return torch.nn.functional.mse_loss(self.network(mixture), target)

    def _validations_since_best(self) -> int:
        losses = [entry["valid_loss"] for entry in self.history]
        return len(losses) - 1 - losses.index(min(losses)) if losses else 0

    def _weights(self) -> State:
        return {name: value.detach().cpu().clone() for name, value in self.network.state_dict().items()}


class _HeldOut:
    """The magnitude spectra of validation songs, block by block, and the samples of each block.

    They are the same in each validation, and half of its time: up to `KEPT_BYTES` they are kept.
    """

    def __init__(self, songs: SongSource, target: str, shape: UnmixShape, device: torch.device) -> None:
        self._songs, self._target, self._shape, self._device = songs, target, shape, device
        samples = sum(songs.frames(song) for song in songs.songs)
        self._keep = samples // shape.nhop * shape.bins * 2 * CHANNELS * 4 <= KEPT_BYTES
        self._kept: list[tuple[torch.Tensor, int]] = []

    def __iter__(self) -> Iterator[tuple[torch.Tensor, int]]:
        if self._kept:
            yield from self._kept
            return
        found = []
        for mixture, target in blocks(self._songs, TARGETS, self._target, block_frames(self._shape)):
            length = mixture.shape[1]
            if length >= self._shape.nfft:
                one = _magnitudes(mixture[np.newaxis], target[np.newaxis], self._shape, self._device), length
                found += [one] if self._keep else []
                yield one
        self._kept = found


def _magnitudes(mixtures: Signal, targets: Signal, shape: UnmixShape, device: torch.device) -> torch.Tensor:
    """Magnitude spectra of both together, (2, items, 2, bins, frames)."""
    return magnitude(require_torch().from_numpy(np.stack([mixtures, targets])).to(device), shape)


def _check(target: str, songs: SongSource, validation: SongSource, settings: TrainingSettings) -> None:
    if target not in TARGETS:
        raise ParameterError("target", "is not a stem", found=target, wanted=", ".join(TARGETS))
    for name in ("batch_size", "steps", "validate_every", "decay_patience", "stop_patience"):
        if getattr(settings, name) < 1:
            raise ParameterError("training", "is too small", field=name, found=getattr(settings, name), wanted=1)
    for where, source in (("training songs", songs), ("validation songs", validation)):
        if not any(source.frames(song) >= settings.shape.nfft for song in source.songs):
            raise InputError(where, "no song is long enough", wanted=f"one of {settings.shape.nfft} samples or more")


def _identity(
    key: str,
    target: str,
    songs: SongSource,
    validation: SongSource,
    settings: TrainingSettings,
    device: torch.device,
) -> str:
    """What a checkpoint must agree with: all that decides the bytes of the weights."""
    torch = require_torch()
    fingerprints = [fingerprint(source, TARGETS) for source in (songs, validation)]
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else torch.backends.cpu.get_cpu_capability()
    machine = [torch.__version__, torch.get_num_threads(), device.type, name, sorted(fixed_variables().items())]
    run = [key, target, list(TARGETS), dataclasses.asdict(settings), fingerprints, machine]
    return hashlib.sha256(json.dumps(run).encode()).hexdigest()


def _seed(settings: TrainingSettings, target: str, step: int, device: torch.device) -> None:
    """Seed the generators that this training draws from, and no others."""
    text = f"{settings.seed} {target} {step}"
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big")
    torch = require_torch()
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.default_generators[device.index].manual_seed(seed)


def _saved(state: dict[str, Any]) -> bytes:
    # In memory, because torch.save writes the name of a file into the file.
    buffer = io.BytesIO()
    require_torch().save(state, buffer)
    return buffer.getvalue()
