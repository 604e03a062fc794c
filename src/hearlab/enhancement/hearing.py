"""From six microphones to two ears: the gains that the network finds, applied to the front microphones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hearlab.arrays import Array
from hearlab.enhancement.energies import MICROPHONES, energies
from hearlab.enhancement.network import EnhancerShape, features
from hearlab.enhancement.spectra import HELD, analysed, applied
from hearlab.networks.device import repeatable
from hearlab.networks.library import require_torch

if TYPE_CHECKING:
    import torch


def enhanced(network: torch.nn.Module, microphones: Array, losses: Array) -> Array:
    """What the network makes of a scene.

    A sample of the output depends on nothing that comes `hearlab.enhancement.spectra.HEARD` samples or more after it.

    Args:
        network: of `EnhancerShape.network`, on the CPU.
        microphones: shape (n, MICROPHONES): the front, middle and rear pairs, at 44.1 kHz; an RMS of 1 is 100 dB SPL.
        losses: of both ears, see `hearlab.enhancement.network.losses_of`.

    Returns:
        shape (n, 2), the speech as it is at the front microphones.
    """
    if microphones.shape[1] != MICROPHONES:
        raise ValueError(f"{MICROPHONES} microphones are needed")
    spectra = analysed(microphones)
    gains = gains_of(network, energies(spectra[HELD - 1 :: HELD], beams_of(network), bands(network)), losses)
    return applied(spectra[..., :2], gains, microphones.shape[0])


def gains_of(network: torch.nn.Module, mixed: NDArray[np.float32], losses: NDArray[Any]) -> Array:
    """Gains from the energies of every HELD-th frame, shape (frames / HELD, 2, bands)."""
    torch = require_torch()
    with repeatable(1), torch.inference_mode():
        network.eval()
        told = torch.from_numpy(losses.astype(np.float32))[None]
        gains = network(torch.from_numpy(features(mixed))[None], told)[0]
        found: Array = gains.numpy().astype(np.float64)
    return found


def beams_of(network: torch.nn.Module) -> NDArray[np.complex128]:
    """The network's beams, shape (BINS, MICROPHONES, BEAMS), complex."""
    parts = network.get_buffer("beams").detach().cpu().numpy()
    beams: NDArray[np.complex128] = parts[0] + 1j * parts[1]
    return beams


def bands(network: torch.nn.Module) -> int:
    shape: EnhancerShape = network.shape  # type: ignore[assignment]
    return shape.bands
