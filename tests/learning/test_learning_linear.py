"""Filters that change the rate, and conversion to 24 kHz."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from hearlab.ear import resampling
from hearlab.learning import compiled, parallel
from hearlab.learning.linear import change_rate, to_model_rate

RANDOM = np.random.RandomState(6)


@pytest.mark.parametrize(("up", "down", "origin"), [(1, 9, 25), (3, 2, 7), (6, 11, 20), (5, 1, 0)])
def test_against_the_sum(up, down, origin):
    taps, signal, count = RANDOM.standard_normal(31), RANDOM.standard_normal(40), 25
    wanted = np.zeros(count)
    for k in range(count):
        for j in range(signal.size):
            index = origin + j * up - k * down
            wanted[k] += taps[index] * signal[j] if 0 <= index < taps.size else 0.0
    found = change_rate(torch.tensor(signal), taps, up, down, origin, count)
    np.testing.assert_allclose(found, wanted, atol=1e-12)


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 24000, 32000, 44100, 48000])
def test_conversion_is_that_of_the_exact_metrics(rate):
    signal = RANDOM.standard_normal(1501)
    wanted = resampling.to_model_rate(signal, rate)
    for operators in (compiled, parallel):
        np.testing.assert_allclose(to_model_rate(torch.tensor(signal), rate, operators), wanted, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("rate", [16000, 44100])
def test_gradient(rate):
    signal = torch.tensor(RANDOM.standard_normal(120), requires_grad=True)
    assert gradcheck(lambda x: to_model_rate(x, rate, compiled), signal)
