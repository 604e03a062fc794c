"""Energies in bands: as by their definition, and of a mixture as of its parts."""

from __future__ import annotations

import numpy as np

from hearlab.enhancement.energies import BEAMS, MICROPHONES, energies, energies_of_parts
from hearlab.enhancement.spectra import BINS, band_weights

SINGLE = 1e-5  # relative, of what is kept in single precision


def spectra(seed: int) -> np.ndarray:
    real, imaginary = np.random.default_rng(seed).standard_normal((2, 5, BINS, MICROPHONES))
    return real + 1j * imaginary


BEAM = np.random.default_rng(9).standard_normal((BINS, MICROPHONES, BEAMS)) * (1 + 0.5j)


def test_by_the_definition() -> None:
    one = spectra(0)
    signals = np.concatenate([np.einsum("fij,tfi->tfj", BEAM.conj(), one), one[..., :2]], axis=-1)
    weights = band_weights(12)
    wanted = np.einsum("bf,tfc->tbc", weights / weights.sum(axis=1, keepdims=True), np.abs(signals) ** 2)
    np.testing.assert_allclose(energies(one, BEAM, 12), wanted, rtol=SINGLE)


def test_a_mixture_at_any_gain_is_that_of_its_parts() -> None:
    target, interferer = spectra(1), spectra(2)
    own, other, cross = energies_of_parts(target, interferer, BEAM, 12)
    np.testing.assert_allclose(own, energies(target, BEAM, 12), rtol=SINGLE)
    for gain in (0.1, 3.0):
        wanted = energies(target + gain * interferer, BEAM, 12)
        np.testing.assert_allclose(own + gain**2 * other + gain * cross, wanted, rtol=SINGLE, atol=SINGLE)
