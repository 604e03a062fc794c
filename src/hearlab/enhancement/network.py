"""The network of the hearing aid that learns: from energies of six microphones in bands to gains.

What it is given of each frame are energies in bands of eight signals: six beams, which are the generalised
eigenvectors of the mean covariances of targets and interferers at the microphones, and the two front microphones. So
direction is in the ratios of energies, and a mixture's energies at another SNR follow from those of its parts. With
them comes the hearing loss of both ears.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hearlab.arrays import Array
from hearlab.enhancement.energies import BEAMS, MICROPHONES, SIGNALS
from hearlab.enhancement.spectra import BINS
from hearlab.networks.library import require_torch

if TYPE_CHECKING:
    import torch

FREQUENCIES = (250.0, 500.0, 1000.0, 2000.0, 4000.0, 6000.0)  # Hz, of the audiogram
LOSSES = 2 * len(FREQUENCIES)
LOADING = 1e-3  # of the covariances, relative to their mean energy
# Energy of a band that is taken for silence; an RMS of 1 in all of the signal is of the order of 100.
QUIET = 1e-8
LOSS_SCALE = 50.0  # dB


@dataclass(frozen=True)
class EnhancerShape:
    """The size of a network; `version` is that of what its parameters mean."""

    bands: int = 40
    hidden_size: int = 128
    layers: int = 2
    version: int = 1

    def network(self) -> torch.nn.Module:
        """A network of this size with random weights of torch's global generator."""
        return _network_class()(self)

    @property
    def features(self) -> int:
        return self.bands * SIGNALS

    def as_entry(self) -> dict[str, int]:
        return dataclasses.asdict(self)


def formed_beams(target: NDArray[np.complex128], interferer: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Beams from mean covariances of targets and interferers, shape (BINS, 6, 6) each: generalised eigenvectors.

    The first has the most of the target, the last the most of the interferers.
    """
    from scipy.linalg import eigh

    identity = np.eye(MICROPHONES)
    beams = np.empty((BINS, MICROPHONES, BEAMS), dtype=np.complex128)
    for index in range(BINS):
        one, other = (
            matrix * (MICROPHONES / max(float(np.trace(matrix).real), 1e-30)) + LOADING * identity
            for matrix in (target[index], interferer[index])
        )
        beams[index] = eigh(one, other)[1][:, ::-1]
    return beams


def losses_of(levels: Sequence[Array]) -> Array:
    """What the network is told of the left and the right ear, dB HL at FREQUENCIES; shape (LOSSES,)."""
    return np.concatenate([np.asarray(ear, dtype=np.float64) for ear in levels]) / LOSS_SCALE


def features(mixed: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the network is given of energies (..., bands, SIGNALS), shape (..., bands * SIGNALS).

    The level of both front microphones, its difference between the ears, and the levels of the beams relative to it.
    """
    # numpy's logarithm: torch's is of a library that computes in another way on each make of processor.
    levels = np.log10(mixed + np.float32(QUIET))
    both = np.log10(mixed[..., BEAMS] + mixed[..., BEAMS + 1] + np.float32(QUIET))
    formed = levels[..., :BEAMS] - both[..., None]
    parts = [formed.reshape(*formed.shape[:-2], -1), levels[..., BEAMS] - levels[..., BEAMS + 1], both]
    return np.concatenate(parts, axis=-1)


def _network_class() -> Any:
    torch = require_torch()

    class GainNetwork(torch.nn.Module):  # type: ignore[name-defined]
        """Gains from 0 to 1 for each band and ear, from features and hearing losses."""

        def __init__(self, shape: EnhancerShape) -> None:
            super().__init__()
            self.shape = shape
            count = shape.features
            self.register_buffer("mean", torch.zeros(count))
            self.register_buffer("deviation", torch.ones(count))
            # Real and imaginary parts of the beams: they belong to the weights, and are learned from covariances.
            self.register_buffer("beams", torch.zeros(2, BINS, MICROPHONES, BEAMS, dtype=torch.float64))
            self.inner = torch.nn.Linear(count + LOSSES, shape.hidden_size)
            self.memory = torch.nn.GRU(shape.hidden_size, shape.hidden_size, shape.layers, batch_first=True)
            self.outer = torch.nn.Linear(2 * shape.hidden_size, 2 * shape.bands)

        def forward(self, features: Any, losses: Any) -> Any:
            """Gains, shape (items, frames, 2, bands), of features (items, frames, n) and losses (items, LOSSES)."""
            scaled = (features - self.mean) / self.deviation
            told = losses[:, None].expand(-1, scaled.shape[1], -1)
            inner = torch.relu(self.inner(torch.cat([scaled, told], dim=-1)))
            remembered, _ = self.memory(inner)
            both = torch.cat([inner, remembered], dim=-1)
            return torch.sigmoid(self.outer(both)).unflatten(-1, (2, self.shape.bands))

    return GainNetwork
