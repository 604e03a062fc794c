"""All that decides the weights of a hearing aid, next to the scenes and the listeners."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hearlab.enhancement.network import EnhancerShape

# Loss -> the metrics of which it is 1 minus the mean; none: distances of spectra.
LOSSES: dict[str, tuple[str, ...]] = {
    "spectral": (),
    "haspi": ("haspi",),
    "hasqi": ("hasqi",),
    "haspi+hasqi": ("haspi", "hasqi"),
}


@dataclass(frozen=True)
class Stretch:
    """A part of the training with its own loss: steps, items of a batch, and the learning rate it begins with.

    The learning rate rises over the first steps and falls to nothing at the end, along a cosine.
    """

    loss: str
    steps: int
    batch_size: int
    learning_rate: float


@dataclass(frozen=True)
class TrainingSettings:
    """Everything that decides the weights, next to the scenes and the listeners.

    Attributes:
        shape: of the network.
        stretches: one after the other.
        excerpt: length of a training item in s.
        snr_range: dB, at the better ear; the interferers of a scene are brought to an SNR drawn from it.
        level_range: dB, by which a mixture is louder than its scene.
        validate_every: steps between validations by the exact metric.
        stop_patience: validations without a new best that end a stretch.
        hearing_aid: arguments of `Baseline`, which follows the network: the published one, whatever `enhance` says.
        level: dB SPL of an RMS of 1, as in the challenge.
        seed: of all that is drawn.
    """

    shape: EnhancerShape = field(default_factory=EnhancerShape)
    stretches: tuple[Stretch, ...] = (Stretch("spectral", 400, 16, 2e-3),)
    excerpt: float = 2.0
    snr_range: tuple[float, float] = (-12.0, 6.0)
    level_range: tuple[float, float] = (-6.0, 6.0)
    validate_every: int = 100
    stop_patience: int = 4
    hearing_aid: dict[str, Any] = field(default_factory=dict)
    level: float = 100.0
    seed: int = 0

    @property
    def steps(self) -> int:
        return sum(stretch.steps for stretch in self.stretches)

    def stretch_at(self, step: int) -> tuple[Stretch, int]:
        """The stretch that a step belongs to, and the number of its first step."""
        first = 0
        for stretch in self.stretches:
            if step < first + stretch.steps:
                break
            first += stretch.steps
        return stretch, first
