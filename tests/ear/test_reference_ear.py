"""The ear model put together."""

from __future__ import annotations

import numpy as np
import pytest

from hearlab.ear import reference_ear as reference_ear_module
from hearlab.ear.alignment import BroadbandAlignment
from hearlab.ear.hearing import Hearing
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
    return reference_ear(speech)


def reference_ear(signal: np.ndarray, level: float = 65.0) -> ReferenceEar:
    return ReferenceEar(BroadbandAlignment(signal).active, level)


def heard(speech: np.ndarray, signal: np.ndarray, loss) -> Hearing:
    """A processed signal aligned with the speech."""
    return Hearing(BroadbandAlignment(speech).apply(signal), loss, 65.0)


def reference_envelopes(ear: ReferenceEar) -> np.ndarray:
    return np.stack([envelope[: ear.samples].copy() for envelope in ear.envelopes()])


def processed_envelopes(ear: ReferenceEar, processed: Hearing) -> np.ndarray:
    return np.stack([envelope[: ear.samples].copy() for envelope in ear.processed_envelopes(processed)])


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
    for envelope in ear.processed_envelopes(heard(speech, speech, normal_hearing()), 25):
        assert not np.any(envelope[:25])


def test_the_reference_heard_as_processed_is_the_reference(ear, speech):
    processed = processed_envelopes(ear, heard(speech, speech, normal_hearing()))
    difference = np.abs(processed - reference_envelopes(ear))
    # The 2 ms margin at the broadband stage is undone per band; filter onsets at the cut differ.
    assert np.median(difference) < 1e-5
    assert np.mean(difference) < 0.3


def test_a_loss_lowers_the_envelopes(ear, speech):
    loss = loss_parameters(np.full(len(AUDIOMETRIC_FREQUENCIES), 50.0))
    assert np.mean(processed_envelopes(ear, heard(speech, speech, loss))) < 0.6 * np.mean(reference_envelopes(ear))


def test_processed_signals_do_not_influence_each_other(speech):
    loss = loss_parameters(np.array([0.0, 10, 20, 30, 40, 50]))
    other = np.random.RandomState(0).standard_normal(N)
    shared = reference_ear(speech)
    before = reference_envelopes(shared)
    processed_envelopes(shared, heard(speech, other, loss))
    signal = heard(speech, speech, loss)
    alone = processed_envelopes(reference_ear(speech), signal)
    np.testing.assert_array_equal(processed_envelopes(shared, signal), alone)
    np.testing.assert_array_equal(reference_envelopes(shared), before)


@pytest.mark.parametrize("loss", [0.0, 50.0])
def test_long_references_are_not_kept_and_sound_the_same(speech, monkeypatch, loss):
    losses = loss_parameters(np.full(len(AUDIOMETRIC_FREQUENCIES), loss))
    signal = heard(speech, np.roll(speech, 300) + 0.1 * np.random.RandomState(1).standard_normal(N), losses)
    kept = reference_ear(speech)
    wanted = reference_envelopes(kept), processed_envelopes(kept, signal)
    monkeypatch.setattr(reference_ear_module, "KEPT_SAMPLES", kept.samples - 1)
    again = reference_ear(speech)
    assert not again._hearing.kept_envelopes
    for _ in range(2):
        np.testing.assert_array_equal(reference_envelopes(again), wanted[0])
        np.testing.assert_array_equal(processed_envelopes(again, signal), wanted[1])


def test_level_is_what_an_rms_of_one_means(speech):
    ten_decibels = 10 ** (10 / 20)
    louder = reference_envelopes(reference_ear(speech * ten_decibels))
    relabelled = reference_envelopes(reference_ear(speech, 75.0))
    np.testing.assert_allclose(louder, relabelled, atol=1e-4)


def test_silent_processed_signal_gives_silence(ear, speech):
    assert not np.any(processed_envelopes(ear, heard(speech, np.zeros(N), normal_hearing())))
