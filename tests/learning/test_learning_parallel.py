"""The operators of the parallel way, here on the CPU, are those of the compiled loops, values and gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from exact import LEVELS, LOSS, NAMES, OTHER_LOSS, differentiable, pair
from torch.autograd import gradcheck

from hearlab.ear.loss import loss_parameters
from hearlab.learning import compiled, parallel
from hearlab.learning.ear import Hearing, Losses, padded

RANDOM = np.random.RandomState(7)
LENGTHS = [900, 700]
BANDS = (0, 1, 20, 31)


def both(work, *inputs):
    """Values and gradients of both ways agree."""
    found = []
    for operators in (compiled, parallel):
        own = [tensor.detach().clone().requires_grad_() for tensor in inputs]
        outputs = [tensor for tensor in work(operators, *own) if tensor.requires_grad]
        weights = [torch.linspace(0.3, 1.0, tensor.numel()).double().reshape(tensor.shape) for tensor in outputs]
        sum((weight * tensor).sum() for weight, tensor in zip(weights, outputs, strict=True)).backward()
        found.append([*outputs, *(tensor.grad for tensor in own)])
    assert len(found[0]) > len(inputs)
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-10 * float(one.detach().abs().max()))


def sounds() -> torch.Tensor:
    return padded([0.1 * torch.tensor(RANDOM.standard_normal(length)) for length in LENGTHS])


def test_one_pole():
    values = torch.tensor(RANDOM.standard_normal((2, 1000)), requires_grad=True)
    found, state = parallel.one_pole(values, 0.97), torch.zeros(2)
    for t in range(1000):
        state = values[:, t] + 0.97 * state
        torch.testing.assert_close(found[:, t], state)
    assert gradcheck(lambda x: parallel.one_pole(x, 0.97), values[:, :140].detach().requires_grad_())


def test_an_ear():
    losses = Losses.of([loss_parameters(np.array(loss)) for loss in (LOSS, OTHER_LOSS)])

    def work(operators, signals):
        items = [signal[:length] for signal, length in zip(signals, LENGTHS, strict=True)]
        hearing = Hearing(operators, items, losses, np.array([65.0, 95.0]), torch.float64)
        envelopes, motions, rms = hearing.compress(BANDS, moving=True)
        levels = hearing.long_term_levels(rms.mean(1, keepdim=True).expand(-1, 32))
        return envelopes, motions, rms, levels, hearing.bandwidths

    both(work, sounds())


def test_hair_cells():
    offsets = np.array([[60.0, 30.0], [40.0, 50.0]])
    early, motion_early, late = (RANDOM.randint(-30, 30, (2, 2)) for _ in range(3))

    def work(operators, envelopes, motions):
        return operators.adapt(envelopes, motions, offsets, early, motion_early, np.abs(late), LENGTHS)

    rows = torch.tensor(RANDOM.standard_normal((2, 2, 904)))
    both(work, rows.abs(), 0.1 * rows.roll(1))


def test_covariances():
    clean = torch.tensor(RANDOM.standard_normal((2, 2, 904)))
    noisy = clean + 0.5 * torch.tensor(RANDOM.standard_normal(clean.shape))
    both(lambda operators, x: operators.covariances(clean, x, LENGTHS), noisy)


def test_delays():
    clean = torch.tensor(RANDOM.standard_normal((2, 2, 904)))
    late = clean.roll(17, dims=-1)
    for operators in (compiled, parallel):
        assert operators.broadband_delay(clean[0, 0], late[0, 0]) == 17
        assert operators.early_rows(clean, late, [904, 900]).tolist() == [[17, 17], [17, 17]]
    # Nothing to correlate: the exact metrics take the first lag.
    silent = torch.zeros_like(clean)
    found = [operators.early_rows(clean, silent, LENGTHS).tolist() for operators in (compiled, parallel)]
    assert found[0] == found[1]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that PyTorch can use")
@pytest.mark.parametrize("name", NAMES)
def test_a_gpu_scores_as_the_cpu(name):
    signals = [torch.tensor(np.stack([signal, signal])) for signal in pair(name, 24000, 12000)]
    found = []
    for device, dtype in (("cpu", torch.float64), ("cuda", torch.float64), ("cuda", torch.float32)):
        clean, heard = (signal.to(device, dtype) for signal in signals)
        heard.requires_grad_()
        scores = differentiable(name)(
            clean, heard, 24000, [LOSS, OTHER_LOSS], level=LEVELS[name], lengths=[12000, 9000]
        )
        scores.sum().backward()
        assert scores.device.type == device
        found.append((scores.detach().cpu().double(), heard.grad.cpu().double()))
    for (scores, gradient), tolerance in zip(found[1:], (1e-9, 1e-3), strict=True):
        torch.testing.assert_close(scores, found[0][0], rtol=0, atol=tolerance)
        assert (gradient - found[0][1]).norm() < 100 * tolerance * found[0][1].norm()
