"""Training the hearing aid's network.

The budget is a number of steps, never a time, and every random number comes from the seed, the step and the item: so a
run that was stopped and resumed from its checkpoint gives the same bytes as one that was not, on the same kind of
machine. Several workers share the items of each batch and add up their gradients (`hearlab.training.workers`).
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hearlab.enhancement.hearing import gains_of
from hearlab.enhancement.network import FREQUENCIES, formed_beams
from hearlab.enhancement.spectra import RATE, analysed, applied
from hearlab.enhancement.weights import described, weights_bytes
from hearlab.errors import InputError
from hearlab.kernels.arithmetic import fixed_variables
from hearlab.learning.library import torch
from hearlab.listeners import Listener
from hearlab.metrics import haspi_better_ear, unit_seed
from hearlab.networks.checkpoints import opened, sealed
from hearlab.networks.device import choose_device, repeatable
from hearlab.networks.weights import State
from hearlab.training.crops import Item, draw_item, item, stacked
from hearlab.training.losses import HearingAid, heard_with_gains, metric_loss, spectral_loss
from hearlab.training.materials import SceneFiles, mean_covariances
from hearlab.training.settings import LOSSES, Stretch, TrainingSettings
from hearlab.training.workers import Workers

WARM_UP = 20  # steps in which the learning rate rises
LARGEST_GRADIENT = 1.0
SCENES_FOR_BEAMS = 200
ITEMS_FOR_SCALES = 64


@dataclass(frozen=True)
class TrainingState:
    """The state of a training after a validation: losses of the steps since the last one, exact HASPI."""

    step: int
    steps: int
    loss: str
    train_loss: float
    haspi: float
    best: float
    learning_rate: float
    minutes_left: float


@dataclass(frozen=True)
class TrainedEnhancer:
    """The bytes of the weights file, and a description that JSON can hold."""

    weights: bytes
    description: dict[str, Any]


def train_enhancer(
    scenes: SceneFiles,
    training: Sequence[int],
    validation: Sequence[int],
    listeners: Sequence[Listener],
    settings: TrainingSettings,
    *,
    device: str = "auto",
    key: str = "",
    resume: bytes | None = None,
    checkpoint: Callable[[bytes], None] | None = None,
    progress: Callable[[TrainingState], None] | None = None,
    workers: Workers | None = None,
) -> TrainedEnhancer:
    """Train the network for these listeners.

    Args:
        scenes: all scenes.
        training, validation: the numbers of those to train with and of those held out.
        listeners: one is drawn for each item; those of the validation take turns.
        settings: what decides the result.
        device: 'auto', 'cpu', 'cuda' or 'cuda:N'.
        key: what else a checkpoint must agree with before it is resumed: it names the code and all samples.
        resume: a checkpoint to go on from, of the first worker; one of another training is discarded with a warning.
        checkpoint: called with the bytes of a checkpoint after each validation.
        progress: called after each validation.
        workers: this worker among all; alone by default.

    Raises:
        ParameterError: unknown device or loss.
        InputError: no scenes or listeners, a wrong file, a loss that is not finite; the line names the batch.
    """
    for what, members in (("training scenes", training), ("validation scenes", validation), ("listeners", listeners)):
        if not members:
            raise InputError("training", f"there are no {what}", found=0, wanted="one or more")
    chosen, crew = choose_device(device), workers or Workers()
    with repeatable(1), torch.enable_grad():
        identity = _identity(key, scenes, training, validation, listeners, settings, str(chosen), crew.count)
        torch.default_generator.manual_seed(_seed(settings.seed, "first weights"))
        run = _Run(scenes, training, validation, listeners, settings, chosen, crew)
        content = crew.from_first(None if resume is None else opened(resume, identity))
        if content is None:
            run.prepare()
        else:
            run.restore(content)
        while not run.finished:
            run.advance()
            if progress:
                progress(run.state())
            if checkpoint:
                checkpoint(sealed(run.checkpoint(), identity))
    return run.result()


class _Run:
    """A network in training, and all that a checkpoint must hold."""

    def __init__(
        self,
        scenes: SceneFiles,
        training: Sequence[int],
        validation: Sequence[int],
        listeners: Sequence[Listener],
        settings: TrainingSettings,
        device: torch.device,
        workers: Workers,
    ) -> None:
        self.scenes, self.training, self.validation = scenes, training, validation
        self.listeners, self.settings, self.device, self.workers = listeners, settings, device, workers
        self.network = settings.shape.network().to(device)
        self.optimiser = torch.optim.Adam(self.network.parameters())
        self.hearing_aid = HearingAid(RATE, **settings.hearing_aid)
        self.history: list[dict[str, Any]] = []
        self.best: State = {}
        self.step = self.first_step = 0
        self.began = time.monotonic()

    def prepare(self) -> None:
        """Find the beams, and the scale of each feature."""
        chosen = self.training[:SCENES_FOR_BEAMS]
        own = mean_covariances(self.scenes, [chosen[number] for number in self.workers.share(len(chosen))])
        beams = formed_beams(*self.workers.summed(own))
        self.scenes.prepare(beams, self.settings.shape.bands)
        drawn = [self._draw("scales", number) for number in range(ITEMS_FOR_SCALES)]
        values = np.concatenate([one.features for one in drawn]).astype(np.float64)
        with torch.no_grad():
            buffers = dict(self.network.named_buffers())
            buffers["beams"].copy_(torch.from_numpy(np.stack([beams.real, beams.imag])))
            buffers["mean"].copy_(torch.from_numpy(values.mean(axis=0)))
            buffers["deviation"].copy_(torch.from_numpy(np.maximum(values.std(axis=0), 1e-3)))
        self.best = self._weights()

    @property
    def finished(self) -> bool:
        return self.step >= self.settings.steps

    def advance(self) -> None:
        """Train up to the next validation, and validate; go to the next stretch if this one has gone on in vain."""
        stretch, first = self.settings.stretch_at(self.step)
        end = min(first + stretch.steps, self.step + self.settings.validate_every)
        self.network.train()
        losses = [self._learn(stretch, first, step) for step in range(self.step, end)]
        self.step = end
        self._validate(stretch, first, float(np.mean(losses)))

    def _learn(self, stretch: Stretch, first: int, step: int) -> float:
        """One step of the optimiser; the loss before it, of the whole batch."""
        rate = stretch.learning_rate * _schedule(step - first, stretch.steps)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        items = [self._draw(step, number) for number in self.workers.share(stretch.batch_size)]
        self.optimiser.zero_grad()
        loss = self._loss(stretch, items) * (len(items) / stretch.batch_size) if items else None
        if loss is not None:
            loss.backward()
        total = self.workers.add_up(self.network, 0.0 if loss is None else float(loss.detach()))
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), LARGEST_GRADIENT)
        if not (math.isfinite(total) and bool(torch.isfinite(norm))):
            names = ", ".join(one.name for one in items)
            advice = "the last good checkpoint is kept; try a lower learn.learning_rate"
            raise InputError(
                "training", "the loss is not finite", field=f"step {step}", found=f"{total} ({names})", advice=advice
            )
        self.optimiser.step()
        return total

    def _draw(self, *names: object) -> Item:
        return draw_item(self.scenes, self.training, self.listeners, self.settings, *names)

    def _loss(self, stretch: Stretch, items: Sequence[Item]) -> torch.Tensor:
        features = torch.from_numpy(stacked([one.features for one in items])).to(self.device)
        losses = torch.from_numpy(np.stack([one.losses for one in items])).to(self.device)
        gains = self.network(features, losses)
        metrics = LOSSES[stretch.loss]
        if not metrics:
            mixed, ideal = (
                torch.from_numpy(stacked([getattr(one, name) for one in items])).to(self.device)
                for name in ("mixed", "ideal")
            )
            return spectral_loss(gains, mixed, ideal)
        parts = [self._metric_loss(metrics, one, own) for one, own in zip(items, gains, strict=True)]
        return torch.stack(parts).mean()

    def _metric_loss(self, metrics: Sequence[str], one: Item, gains: torch.Tensor) -> torch.Tensor:
        scene, samples, factor = one.scene, one.samples, 10 ** (one.level / 20)
        target, interferer = scene.front[:, samples].astype(np.float64)
        mixture = (target + scene.gain(one.snr) * interferer) * factor
        spectra = torch.from_numpy(analysed(mixture).transpose(2, 0, 1).copy()).to(self.device)
        frames = one.features.shape[0]
        # The ear with the better SNR is nearly always the one that understands more; the other costs as much.
        ear = int(np.argmax(np.sum(target**2, axis=0) / (np.sum(interferer**2, axis=0) + 1e-12)))
        heard = heard_with_gains(spectra[[ear]], gains[:frames, ear][None].double(), mixture.shape[0])
        audiogram = (one.listener.left, one.listener.right)[ear]
        reference = scene.reference[samples, ear].astype(np.float64) * factor
        output = self.hearing_aid(heard, [audiogram])
        losses = audiogram.at(FREQUENCIES)[None]
        try:
            return metric_loss(metrics, reference[None], output, RATE, losses, self.settings.level)
        except InputError as error:
            advice = "too little speech in the excerpt: try a longer learn.excerpt"
            raise InputError(
                "training", error.problem, field=one.name, found=error.found, wanted=error.wanted, advice=advice
            ) from None

    def _validate(self, stretch: Stretch, first: int, train_loss: float) -> None:
        """Exact HASPI of the scenes that are held out, as they were rendered, each for one listener."""
        scores = {number: self._score(number) for number in self.workers.share(len(self.validation))}
        haspi = math.fsum(self.workers.gathered(scores)) / len(self.validation)
        rate = self.optimiser.param_groups[0]["lr"]
        before = self.best_haspi
        entry = {"step": self.step, "loss": stretch.loss, "train_loss": train_loss, "haspi": haspi}
        self.history.append({**entry, "learning_rate": rate})
        if haspi > before:
            self.best = self._weights()
        since = [entry["haspi"] for entry in self.history if entry["step"] > first]
        if len(since) - 1 - int(np.argmax(since)) >= self.settings.stop_patience:
            self.step = first + stretch.steps

    def _score(self, number: int) -> float:
        scene = self.scenes.scene(self.validation[number])
        listener = self.listeners[number % len(self.listeners)]
        one = item(scene, listener, slice(0, scene.parts.shape[1]), scene.snr, 0.0)
        network = self.network if self.device.type == "cpu" else self.settings.shape.network()
        if network is not self.network:
            network.load_state_dict(self._weights())
        gains = gains_of(network, one.mixed, one.losses)
        mixture = scene.front.sum(axis=0, dtype=np.float64)
        heard = applied(analysed(mixture), gains, mixture.shape[0])
        ears = (listener.left, listener.right)
        with torch.no_grad():
            output = self.hearing_aid(torch.from_numpy(heard.T.copy()), ears).numpy().T
        reference = scene.reference.astype(np.float64)
        rng = np.random.RandomState(unit_seed(scene.name))
        return float(haspi_better_ear(reference, output, RATE, listener, level=self.settings.level, rng=rng).score)

    @property
    def best_haspi(self) -> float:
        return max((entry["haspi"] for entry in self.history), default=-1.0)

    def state(self) -> TrainingState:
        last = self.history[-1]
        return TrainingState(
            last["step"],
            self.settings.steps,
            last["loss"],
            last["train_loss"],
            last["haspi"],
            self.best_haspi,
            last["learning_rate"],
            self._minutes_left(),
        )

    def _minutes_left(self) -> float:
        """If the other steps take as long as those until now."""
        done = max(self.step - self.first_step, 1)
        return (time.monotonic() - self.began) / done * (self.settings.steps - self.step) / 60

    def checkpoint(self) -> bytes:
        state = {
            "network": self._weights(),
            "optimiser": self.optimiser.state_dict(),
            "best": self.best,
            "history": json.dumps(self.history),
            "step": self.step,
        }
        buffer = io.BytesIO()
        torch.save(state, buffer)
        return buffer.getvalue()

    def restore(self, content: bytes) -> None:
        """Go on from a checkpoint of this very training."""
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.best, self.history, self.step = state["best"], json.loads(state["history"]), state["step"]
        self.first_step = self.step
        beams = self.best["beams"].numpy()
        self.scenes.prepare(beams[0] + 1j * beams[1], self.settings.shape.bands)

    def result(self) -> TrainedEnhancer:
        weights = weights_bytes(self.best)
        best = max(self.history, key=lambda entry: float(entry["haspi"]))
        settings = {name: value for name, value in dataclasses.asdict(self.settings).items() if name != "shape"}
        more = {
            "parameters": sum(value.numel() for value in self.network.parameters()),
            "best_step": best["step"],
            "best_haspi": best["haspi"],
            "history": self.history,
            "settings": settings,
            "listeners": [listener.id for listener in self.listeners],
        }
        return TrainedEnhancer(weights, described(weights, self.settings.shape, **more))

    def _weights(self) -> State:
        return {name: value.detach().cpu().clone() for name, value in self.network.state_dict().items()}


def _schedule(step: int, steps: int) -> float:
    """The factor of the learning rate: rising at first, then along a cosine to nothing."""
    return min(1.0, (step + 1) / WARM_UP) * 0.5 * (1 + math.cos(math.pi * step / steps))


def _seed(*names: object) -> int:
    return int.from_bytes(hashlib.sha256(" ".join(map(str, names)).encode()).digest()[:7], "big")


def _identity(
    key: str,
    scenes: SceneFiles,
    training: Sequence[int],
    validation: Sequence[int],
    listeners: Sequence[Listener],
    settings: TrainingSettings,
    device: str,
    workers: int,
) -> str:
    """What a checkpoint must agree with: all that decides the bytes of the weights."""
    capability = torch.backends.cpu.get_cpu_capability()
    machine = [torch.__version__, device, capability, workers, sorted(fixed_variables().items())]
    people = [listener.as_entry() for listener in listeners]
    run = [key, scenes.fingerprint(), list(training), list(validation), people, dataclasses.asdict(settings), machine]
    return hashlib.sha256(json.dumps(run).encode()).hexdigest()
