"""The ear model put together."""

from __future__ import annotations

import numpy as np
import pytest

from hearlab.ear.loss import AUDIOMETRIC_FREQUENCIES, loss_parameters, normal_hearing
from hearlab.ear.reference_ear import ReferenceEar

N = 12000


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    time = np.arange(N) / 24000
    voice = sum(np.sin(2 * np.pi * 150 * k * time + k * k) / k for k in range(1, 30))
    return np.maximum(np.sin(2 * np.pi * 5 * time), 0) * voice


@pytest.fixture(scope="module")
def ear(speech) -> ReferenceEar:
    return ReferenceEar(speech, 65.0)


def reference_envelopes(ear: ReferenceEar) -> np.ndarray:
    return np.stack([envelope[: ear.samples].copy() for envelope in ear.envelopes()])


def processed_envelopes(ear: ReferenceEar, signal: np.ndarray, loss) -> np.ndarray:
    return np.stack([envelope[: ear.samples].copy() for envelope in ear.processed_envelopes(signal, loss)])


def test_shapes_and_floor(ear):
    envelopes = reference_envelopes(ear)
    assert envelopes.shape == (32, ear.samples)
    assert 0.85 * N < ear.samples <= N  # the last pause and the very onset are cut off
    assert np.min(envelopes) == 0
    assert 30 < np.max(envelopes) < 120


def test_zeros_before_and_after(ear, speech):
    plain = reference_envelopes(ear)
    for envelope, expected in zip(ear.envelopes(25), plain, strict=True):
        assert not np.any(envelope[:25])
        np.testing.assert_array_equal(envelope[25 : 25 + ear.samples], expected)
        assert not np.any(envelope[25 + ear.samples : 25 + ear.samples + 480])
    for envelope in ear.processed_envelopes(speech, normal_hearing(), 25):
        assert not np.any(envelope[:25])


def test_the_reference_heard_as_processed_is_the_reference(ear, speech):
    processed = processed_envelopes(ear, speech, normal_hearing())
    difference = np.abs(processed - reference_envelopes(ear))
    # The 2 ms margin at the broadband stage is undone per band; filter onsets at the cut differ.
    assert np.median(difference) < 1e-5
    assert np.mean(difference) < 0.3


def test_a_loss_lowers_the_envelopes(ear, speech):
    loss = loss_parameters(np.full(len(AUDIOMETRIC_FREQUENCIES), 50.0))
    assert np.mean(processed_envelopes(ear, speech, loss)) < 0.6 * np.mean(reference_envelopes(ear))


def test_processed_signals_do_not_influence_each_other(speech):
    loss = loss_parameters(np.array([0.0, 10, 20, 30, 40, 50]))
    other = np.random.RandomState(0).standard_normal(N)
    shared = ReferenceEar(speech, 65.0)
    before = reference_envelopes(shared)
    processed_envelopes(shared, other, loss)
    alone = processed_envelopes(ReferenceEar(speech, 65.0), speech, loss)
    np.testing.assert_array_equal(processed_envelopes(shared, speech, loss), alone)
    np.testing.assert_array_equal(reference_envelopes(shared), before)


def test_level_is_what_an_rms_of_one_means(speech):
    ten_decibels = 10 ** (10 / 20)
    louder = reference_envelopes(ReferenceEar(speech * ten_decibels, 65.0))
    relabelled = reference_envelopes(ReferenceEar(speech, 75.0))
    np.testing.assert_allclose(louder, relabelled, atol=1e-4)


def test_silent_processed_signal_gives_silence(ear):
    assert not np.any(processed_envelopes(ear, np.zeros(N), normal_hearing()))
