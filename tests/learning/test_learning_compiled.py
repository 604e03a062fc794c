"""The operators of compiled loops: their backward passes are the adjoints of what they compute."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from hearlab.ear import filterbank
from hearlab.ear.compression import compress as exact_compress
from hearlab.ear.compression import compression
from hearlab.ear.loss import loss_parameters
from hearlab.kernels.rows import MARGIN, empty_rows
from hearlab.learning import compiled
from hearlab.learning.ear import Hearing, Losses
from hearlab.learning.kernels import compression as kernels

RANDOM = np.random.RandomState(3)
LENGTHS = [150, 131]  # more than a block of the carrier, less than the rows
ROOM = 152


def noise(*shape: int) -> torch.Tensor:
    return torch.tensor(RANDOM.standard_normal(shape), requires_grad=True)


def signals() -> torch.Tensor:
    return noise(2, ROOM)


def test_blocks_are_those_of_the_carrier():
    assert kernels.BLOCK == filterbank.BLOCK


def test_sections():
    four = 0.3 * RANDOM.standard_normal((4, 5))
    assert gradcheck(lambda x: compiled.sections(x, four), signals())
    assert gradcheck(lambda x: compiled.sections(x, four[:2]), signals())
    one_by_one = signals()
    chained = one_by_one
    for section in four:
        chained = compiled.sections(chained, section[None])
    torch.testing.assert_close(compiled.sections(one_by_one, four), chained, rtol=1e-12, atol=1e-12)


def test_control_rms():
    assert gradcheck(lambda x: compiled.control_rms(x, LENGTHS, (4, 5, 30, 31)), signals())
    alone = compiled.control_rms(signals(), LENGTHS, (4, 5))
    assert alone.shape == (2, 2)


def test_compression_with_the_gradients_of_poles_and_factors():
    bands = (3, 4)
    poles = torch.tensor([[0.9, 0.85], [0.95, 0.8]], requires_grad=True, dtype=torch.float64)
    factors = torch.tensor([[1.0, 0.5], [2.0, 0.7]], requires_grad=True, dtype=torch.float64)
    # Powers below the lower knee, between both knees, and above the upper one.
    curves = np.array([[[0.02, 30.0, -0.3], [0.5, 3.0, -0.2]], [[0.1, 1e3, -0.35], [1e-3, 1e3, -0.1]]])

    def work(x: torch.Tensor, p: torch.Tensor, f: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return compiled.compress(x, p, f, curves, LENGTHS, bands, True, torch.float64)

    sounds = signals()
    # Of the order of 1: the powers are of 1e5, and beside them small differences are of rounding.
    scales = [float(output.detach().abs().max()) for output in work(sounds, poles, factors)]

    def scaled(*inputs: torch.Tensor) -> list[torch.Tensor]:
        return [output / scale for output, scale in zip(work(*inputs), scales, strict=True)]

    assert gradcheck(scaled, (sounds, poles, factors), atol=1e-6)
    envelopes, motions, _ = work(signals(), poles, factors)
    assert torch.all(motions.abs() <= envelopes * (1 + 1e-12))
    assert not torch.any(envelopes[1, :, LENGTHS[1] :])


def test_compression_is_that_of_the_exact_metrics():
    sound = 0.1 * RANDOM.standard_normal(3000)
    loss = loss_parameters(np.array([0.0, 10, 25, 45, 60, 80]))
    hearing = Hearing(compiled, [torch.tensor(sound)], Losses.of([loss]), np.array([70.0]), torch.float64)
    envelopes, motions, rms = hearing.compress((10, 11), moving=True)
    heard = filterbank.middle_ear(sound)
    channels = filterbank.Channels((heard, heard), (10, 11))
    control = filterbank.control_rms(channels)
    bandwidths = hearing.bandwidths[0, 10:12].numpy()
    how = compression((10, 11), bandwidths, control, loss, 70.0)
    rows, moves = empty_rows(2, 3000), empty_rows(2, 3000)
    exact_rms = exact_compress(channels, how, rows, moves)
    inside = slice(MARGIN, MARGIN + 3000)
    for found, wanted in ((envelopes, rows), (motions, moves)):
        np.testing.assert_allclose(found[0, :, :3000], wanted[:, inside], atol=2e-6 * float(np.max(wanted)))
    np.testing.assert_allclose(rms[0], exact_rms, rtol=1e-6)


def test_silence_has_a_finite_gradient():
    sound = torch.zeros(1, 400, dtype=torch.float64)
    sound[0, 100:130] = 0.1
    sound.requires_grad_()
    hearing = Hearing(compiled, [sound[0]], Losses.of([loss_parameters(np.zeros(6))]), np.array([65.0]), torch.float64)
    envelopes, motions, rms = hearing.compress(tuple(range(32)), moving=True)
    (envelopes.sum() + motions.sum() + rms.sum()).backward()
    assert torch.all(torch.isfinite(sound.grad))
    assert torch.any(sound.grad != 0)


def test_second_derivatives_are_refused():
    sound = signals()
    (gradient,) = torch.autograd.grad(
        compiled.control_rms(sound, LENGTHS, (4, 5)).square().sum(), sound, create_graph=True
    )
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()
