"""Inner hair cells as an operator: shifted, delayed, and with a gradient."""

from __future__ import annotations

import numpy as np
import torch
from torch.autograd import gradcheck

from hearlab.ear import adaptation
from hearlab.ear.alignment import advance
from hearlab.kernels.rows import MARGIN, empty_rows
from hearlab.learning import compiled
from hearlab.learning.kernels import adaptation as kernels

RANDOM = np.random.RandomState(4)
LENGTHS = [90, 61]
OFFSETS = np.array([[60.0, 20.0], [30.0, 65.0]])
EARLY, MOTION_EARLY, LATE = np.array([[3, -4], [0, 100]]), np.array([[0, 5], [-2, 1]]), np.array([[0, 7], [2, 0]])


def rows() -> tuple[torch.Tensor, torch.Tensor]:
    envelopes = torch.tensor(np.exp(RANDOM.uniform(-5, 0, (2, 2, 96))), requires_grad=True)
    return envelopes, torch.tensor(0.1 * RANDOM.standard_normal((2, 2, 96)), requires_grad=True)


def test_constants_are_those_of_the_exact_metrics():
    assert kernels.TINY == adaptation.TINY


def test_gradients():
    def work(envelopes: torch.Tensor, motions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return compiled.adapt(envelopes, motions, OFFSETS, EARLY, MOTION_EARLY, LATE, LENGTHS)

    assert gradcheck(work, rows(), eps=1e-7, atol=1e-5)


def test_gradients_without_motions():
    envelopes, motions = rows()
    assert gradcheck(
        lambda e: compiled.adapt(e, motions[..., :0], OFFSETS, EARLY, EARLY, LATE, LENGTHS)[0],
        (envelopes,),
        eps=1e-7,
        atol=1e-5,
    )


def test_values_are_those_of_the_exact_metrics():
    envelope = np.exp(RANDOM.uniform(-8, 0, 1000)) * np.repeat(RANDOM.uniform(0, 1, 10) > 0.3, 100)
    row = empty_rows(1, 1000)[0]
    row[MARGIN : MARGIN + 1000] = advance(envelope, 6)
    adaptation.adapt(row, 10.0, 65.0)
    zero = np.zeros((1, 1), dtype=int)
    tensor = torch.tensor(envelope)[None, None]
    found, _ = compiled.adapt(tensor, tensor[..., :0], np.array([[55.0]]), zero + 6, zero, zero + 20, [1000])
    assert not torch.any(found[0, 0, :20])
    wanted = row[MARGIN : MARGIN + 980]
    np.testing.assert_allclose(found[0, 0, 20:].numpy(), wanted, atol=1e-6 * float(np.max(wanted)))


def test_silence_has_a_finite_gradient():
    envelopes, motions = rows()
    envelopes = (envelopes.detach() * torch.tensor([0.0, 1e-31]).double()[:, None]).requires_grad_()
    firing, moved = compiled.adapt(envelopes, motions, OFFSETS, EARLY, MOTION_EARLY, LATE, LENGTHS)
    (firing.sum() + moved.sum()).backward()
    assert torch.all(torch.isfinite(envelopes.grad))
    assert torch.all(torch.isfinite(motions.grad))
