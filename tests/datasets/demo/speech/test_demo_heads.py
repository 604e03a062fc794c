"""The demo heads: a rigid sphere's response, differences between ears and microphones, the decoder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat

from hearlab.datasets.demo.speech.heads import DIRECTIONS, HEADS, SPEED_OF_SOUND, head_responses, sphere_response
from hearlab.datasets.demo.speech.hrir_files import decoder_metadata, hrir_mat
from hearlab.datasets.demo.speech.spherical_harmonics import N3D_GAIN, real_spherical_harmonics

RATE = 44100
RADIUS = 0.0875
LEFT, RIGHT = 0, 1


@pytest.fixture(scope="module")
def responses() -> dict[str, np.ndarray]:
    """Symmetrical responses of one head, shape (taps, directions, ears), by microphone."""
    return {name: head_responses(HEADS["DemoA"], name, RATE) for name in HEADS["DemoA"].microphones}


def _at(azimuth: float, elevation: float = 0.0) -> int:
    return int(np.flatnonzero(((azimuth, elevation) == DIRECTIONS).all(axis=1))[0])


def _level(response: np.ndarray, low: float, high: float) -> float:
    """Mean power in dB between two frequencies in Hz."""
    spectrum = np.abs(np.fft.rfft(response, 1024)) ** 2
    frequency = np.fft.rfftfreq(1024, 1 / RATE)
    return 10 * np.log10(np.mean(spectrum[(frequency >= low) & (frequency < high)]))


def _lag(first: np.ndarray, second: np.ndarray, high: float = 3000.0) -> float:
    """By how many samples `second` is later, from the phase of their cross-spectrum up to `high` Hz."""
    size = 4096
    cross = np.conj(np.fft.rfft(first, size)) * np.fft.rfft(second, size)
    cross[np.fft.rfftfreq(size, 1 / RATE) > high] = 0
    correlation = np.fft.irfft(cross, 16 * size)  # 16 points per sample
    peak = int(np.argmax(correlation))
    return (peak if peak < 8 * size else peak - 16 * size) / 16


def test_sphere_at_low_and_high_frequencies() -> None:
    frequencies = np.array([0.0, 1.0, 200.0, 20000.0])
    towards, beside, behind = 0, 1, 2
    pressure = sphere_response(np.array([1.0, -0.9, -1.0]), RADIUS, frequencies)
    np.testing.assert_allclose(np.abs(pressure[:2]), 1.0, atol=1e-3)
    # A sphere that is large against the wavelength doubles the pressure (Duda & Martens 1998, figure 2: +6 dB).
    assert 20 * np.log10(np.abs(pressure[3, towards])) == pytest.approx(6.0, abs=0.2)
    # The bright spot: straight behind, sound from all around the sphere arrives in phase.
    assert np.abs(pressure[3, behind]) > 2 * np.abs(pressure[3, beside])


def test_sphere_delays_low_frequencies_by_one_and_a_half_radii() -> None:
    # Kuhn (1977): the phase at low frequencies is 1.5 k a cos(incidence).
    frequency = 100.0
    front, back = sphere_response(np.array([1.0, -1.0]), RADIUS, np.array([0.0, frequency]))[1]
    delay = np.angle(front / back) / (2 * np.pi * frequency)
    assert delay == pytest.approx(2 * 1.5 * RADIUS / SPEED_OF_SOUND, rel=0.02)


@pytest.mark.parametrize("name", ["ED", "BTE_fr", "BTE_mid", "BTE_rear"])
def test_the_ear_on_the_sources_side_hears_it_louder_and_earlier(responses: dict[str, np.ndarray], name: str) -> None:
    response = responses[name]
    right, left = response[:, _at(90)], response[:, _at(-90)]
    # 0.6 to 0.8 ms are what heads of this size give; shadows grow with frequency.
    assert 0.6e-3 < _lag(right[:, RIGHT], right[:, LEFT], 1000.0) / RATE < 0.9e-3
    assert _level(right[:, RIGHT], 4000, 8000) > _level(right[:, LEFT], 4000, 8000) + 6
    assert abs(_level(right[:, RIGHT], 40, 130) - _level(right[:, LEFT], 40, 130)) < 1.5
    np.testing.assert_allclose(left[:, ::-1], right, atol=1e-7)  # the mirror image, but for rounding to 2^-26
    # Straight ahead both ears hear the same.
    np.testing.assert_allclose(response[:, _at(0), LEFT], response[:, _at(0), RIGHT], atol=1e-7)


def test_front_and_rear_microphones_tell_front_from_back(responses: dict[str, np.ndarray]) -> None:
    front, rear = responses["BTE_fr"], responses["BTE_rear"]
    ahead = _lag(front[:, _at(0), LEFT], rear[:, _at(0), LEFT])
    behind = _lag(front[:, _at(-180), LEFT], rear[:, _at(-180), LEFT])
    # 1 to 3 samples are 8 to 23 mm of sound path.
    assert 1 < ahead < 3
    assert -3 < behind < -1


def test_the_eardrum_hears_the_ear_canals_resonance(responses: dict[str, np.ndarray]) -> None:
    gain = _level(responses["ED"][:, _at(0), LEFT], 2500, 3500) - _level(
        responses["BTE_mid"][:, _at(0), LEFT], 2500, 3500
    )
    assert 8 < gain < 20
    # The pinna weakens what comes from behind.
    for response in responses.values():
        assert _level(response[:, _at(0), LEFT], 3000, 7000) > _level(response[:, _at(-180), LEFT], 3000, 7000) - 2


def test_responses_are_causal_and_have_died_out(responses: dict[str, np.ndarray]) -> None:
    # Sound reaches the near ear at least a radius after it would have reached the shoulder: sample 48 - 15.
    for response in responses.values():
        energy = np.sum(response**2, axis=0)
        assert (np.sum(response[:24] ** 2, axis=0) < 1e-3 * energy).all()
        assert (np.sum(response[200:] ** 2, axis=0) < 1e-3 * energy).all()


def test_mat_files_are_reproducible_and_heads_differ() -> None:
    first = hrir_mat(HEADS["DemoA"], "ED", RATE, 0)
    assert first == hrir_mat(HEADS["DemoA"], "ED", RATE, 0)
    assert first != hrir_mat(HEADS["DemoB"], "ED", RATE, 0)
    assert first.startswith(b"MATLAB 5.0 MAT-file")
    assert first[124:128] == b"\x00\x01IM", "version and byte order, as scipy and MATLAB write them"


def test_decoder_hears_a_source_on_the_left_of_the_room_on_the_right() -> None:
    # The challenge's decoder matrix and head-related responses together mirror the room (see decoder_metadata).
    metadata = decoder_metadata()
    matrix = np.array(metadata["matrix"])[:, :49]
    response = head_responses(HEADS["DemoA"], "BTE_fr", RATE)[:, np.array(metadata["selected_channels"])]
    decoder = np.einsum("cl,tle->tce", np.linalg.pinv(matrix), response)
    left = np.array([[0.0, 1.0, 0.0]])  # front, left, up in the coordinates of the room responses
    heard = np.einsum("c,tce->te", real_spherical_harmonics(6, left)[0], decoder)
    assert _level(heard[:, RIGHT], 1000, 4000) > _level(heard[:, LEFT], 1000, 4000) + 5
    assert _lag(heard[:, RIGHT], heard[:, LEFT], 1000.0) > 20
    # The loudness of the room's coordinates comes out unchanged: a plane wave of 1 is 1 at low frequencies.
    assert abs(_level(heard[:, LEFT], 40, 130)) < 1.5


def test_decoder_does_not_amplify_rounding_errors() -> None:
    matrix = np.array(decoder_metadata()["matrix"])[:, :49]
    values = np.linalg.svd(matrix, compute_uv=False)
    # The ring layout carries 40 of 49 components; the others must be noughts to the pseudo-inverse (limit 1e-15).
    assert values[39] > 0.1 * values[0]
    assert values[40] < 0.5e-15 * values[0]
    assert np.abs(np.linalg.pinv(matrix)).max() < 1


def test_harmonics_are_orthonormal() -> None:
    order = 7
    # Gauss-Legendre in elevation and equal steps in azimuth integrate products of this order exactly.
    z, weights = np.polynomial.legendre.leggauss(order + 1)
    azimuth = np.arange(2 * order + 2) * 2 * np.pi / (2 * order + 2)
    level = np.sqrt(1 - z**2)[:, None]
    directions = np.stack(
        [level * np.cos(azimuth), level * np.sin(azimuth), np.broadcast_to(z[:, None], (z.size, azimuth.size))], axis=-1
    ).reshape(-1, 3)
    area = np.repeat(weights * 2 * np.pi / azimuth.size, azimuth.size)
    harmonics = real_spherical_harmonics(order, directions)
    np.testing.assert_allclose(harmonics.T @ (harmonics * area[:, None]), np.eye(64), atol=1e-12)


def test_harmonics_follow_acn_n3d() -> None:
    x, y, z = np.array([0.6, 0.48, 0.64])
    n3d = N3D_GAIN * real_spherical_harmonics(2, np.array([[x, y, z]]))[0]
    root3, root5, root15 = np.sqrt([3, 5, 15])
    expected = [1, root3 * y, root3 * z, root3 * x, root15 * x * y, root15 * y * z]
    expected += [root5 / 2 * (3 * z**2 - 1), root15 * x * z, root15 / 2 * (x**2 - y**2)]
    np.testing.assert_allclose(n3d, expected, atol=1e-12)


def test_directions_and_decoder_are_those_of_the_real_files(real_data: Path) -> None:
    real = json.loads((real_data / "metadata" / "hrir_data.json").read_text())
    ours = decoder_metadata()
    assert ours["selected_channels"] == real["selected_channels"]
    np.testing.assert_allclose(ours["matrix"], real["matrix"], atol=1e-13)
    np.testing.assert_allclose(ours["weights"], real["weights"], atol=1e-13)
    mat = loadmat(real_data / "hrir" / "HRIRs_MAT" / "VP_N6-ED.mat")
    np.testing.assert_array_equal(mat["M_directions"], DIRECTIONS.T)
    # The real head, too, hears +90 degrees louder in the second channel.
    energy = np.sum(mat["M_data"][:, _at(90)] ** 2, axis=0)
    assert energy[RIGHT] > 10 * energy[LEFT]
