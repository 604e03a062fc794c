"""The noise of a batch: the published stream, numbers of one's own, or none."""

from __future__ import annotations

import numpy as np
import torch

from hearlab.learning.dither import Drawn, dithers


def test_the_published_stream():
    drawn, random = Drawn(np.random.RandomState(8)), np.random.RandomState(8)
    random.standard_normal(2 * 32 * 100)  # for the motions of both signals, which HASPI does not use
    np.testing.assert_allclose(drawn.frames(100, 11), random.standard_normal((2, 11, 32)), rtol=1e-12)
    drawn.pass_over(7)
    random.standard_normal(7)
    np.testing.assert_allclose(drawn.motions(50), random.standard_normal((2, 32, 50)), rtol=1e-12)


def test_ears_of_an_item_share_a_stream():
    left, right, other, _ = dithers(torch.tensor([4, 5]), 2, ears=2)
    random = np.random.RandomState(4)
    for ear in (left, right):
        np.testing.assert_allclose(ear.motions(10), random.standard_normal((2, 32, 10)), rtol=1e-12)
    np.testing.assert_allclose(other.motions(10), np.random.RandomState(5).standard_normal((2, 32, 10)), rtol=1e-12)


def test_one_seed_for_all():
    one, two = dithers(3, 2)
    assert torch.equal(one.motions(9), two.motions(9))


def test_no_noise():
    assert [noise.frames(10, 3) for noise in dithers(None, 2)] == [None, None]
