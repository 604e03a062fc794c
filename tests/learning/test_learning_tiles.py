"""Covariances of motions in segments as an operator."""

from __future__ import annotations

import numpy as np
import torch
from torch.autograd import gradcheck

from hearlab.kernels.rows import MARGIN, empty_rows
from hearlab.learning import compiled
from hearlab.learning.kernels import covariance as kernels
from hearlab.learning.tiles import segments
from hearlab.metrics import covariance

RANDOM = np.random.RandomState(5)


def motions(samples: int) -> tuple[torch.Tensor, torch.Tensor]:
    clean = RANDOM.standard_normal((2, 1, samples))
    noisy = np.roll(clean, 5, axis=-1) + 0.5 * RANDOM.standard_normal(clean.shape)
    return torch.tensor(clean), torch.tensor(noisy, requires_grad=True)


def test_constants_are_those_of_the_exact_metrics():
    assert (kernels.LAGS, kernels.TINY) == (covariance.LAGS, covariance.TINY)


def test_gradient():
    clean, noisy = motions(640)
    assert gradcheck(lambda x: compiled.covariances(clean, x, [640, 500])[0], (noisy,))


def test_values_are_those_of_the_exact_metrics():
    clean, noisy = motions(2000)
    found, powers = compiled.covariances(clean, noisy, [2000, 1700])
    for item, length in enumerate((2000, 1700)):
        both = empty_rows(2, length)
        for row, tensor in zip(both, (clean, noisy), strict=True):
            row[MARGIN : MARGIN + length] = tensor[item, 0, :length].detach().numpy()
        wanted, levels = covariance.segment_covariances(*(row[MARGIN:] for row in both), length)
        own = segments(length)
        np.testing.assert_allclose(found[item, 0, :own].detach(), wanted, atol=2e-6)
        np.testing.assert_allclose((2 * powers[item, 0, :own]).sqrt(), levels, rtol=2e-6)
        assert not torch.any(found[item, 0, own:])


def test_equal_and_silent_motions_have_no_gradient():
    clean, noisy = motions(800)
    for processed in (clean.clone(), 0 * clean):
        processed.requires_grad_()
        found, _ = compiled.covariances(clean, processed, [800, 800])
        found.sum().backward()
        assert torch.all(torch.isfinite(processed.grad))
        assert float(processed.grad.abs().max()) < 1e-6
    assert float(compiled.covariances(clean, noisy, [800, 800])[0].detach().min()) > 0.5
