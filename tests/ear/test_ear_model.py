"""The ear model put together."""

from __future__ import annotations

import numpy as np
import pytest

from hearlab.ear.loss import AUDIOMETRIC_FREQUENCIES, loss_parameters, normal_hearing
from hearlab.ear.model import ReferenceEar

N = 12000


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    time = np.arange(N) / 24000
    voice = sum(np.sin(2 * np.pi * 150 * k * time + k * k) / k for k in range(1, 30))
    return np.maximum(np.sin(2 * np.pi * 5 * time), 0) * voice


@pytest.fixture(scope="module")
def ear(speech) -> ReferenceEar:
    return ReferenceEar(speech, 65.0)


def test_shapes_and_floor(ear, speech):
    envelopes = ear.envelopes()
    assert envelopes.shape == (32, ear.samples)
    assert 0.85 * N < ear.samples <= N  # the last pause and the very onset are cut off
    assert np.min(envelopes) == 0
    assert 30 < np.max(envelopes) < 120


def test_the_reference_heard_as_processed_is_the_reference(ear, speech):
    processed = ear.processed_envelopes(speech, normal_hearing())
    difference = np.abs(processed - ear.envelopes())
    # The 2 ms margin at the broadband stage is undone per band; filter onsets at the cut differ.
    assert np.median(difference) < 1e-6
    assert np.mean(difference) < 0.3


def test_a_loss_lowers_the_envelopes(ear, speech):
    loss = loss_parameters(np.full(len(AUDIOMETRIC_FREQUENCIES), 50.0))
    impaired = ear.processed_envelopes(speech, loss)
    assert np.mean(impaired) < 0.6 * np.mean(ear.envelopes())


def test_processed_signals_do_not_influence_each_other(speech):
    loss = loss_parameters(np.array([0.0, 10, 20, 30, 40, 50]))
    other = np.random.RandomState(0).standard_normal(N)
    shared = ReferenceEar(speech, 65.0)
    before = shared.envelopes()
    shared.processed_envelopes(other, loss)
    np.testing.assert_array_equal(
        shared.processed_envelopes(speech, loss), ReferenceEar(speech, 65.0).processed_envelopes(speech, loss)
    )
    np.testing.assert_array_equal(shared.envelopes(), before)


def test_level_is_what_an_rms_of_one_means(speech):
    ten_decibels = 10 ** (10 / 20)
    louder = ReferenceEar(speech * ten_decibels, 65.0).envelopes()
    relabelled = ReferenceEar(speech, 75.0).envelopes()
    # Decaying envelopes carry the rounding of the recursive filters, enlarged by the logarithm.
    np.testing.assert_allclose(louder, relabelled, atol=1e-4)


def test_silent_processed_signal_gives_silence(ear):
    assert not np.any(ear.processed_envelopes(np.zeros(N), normal_hearing()))
