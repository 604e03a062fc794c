"""Losses of the hearing aid's training: what follows the network is the real hearing aid, with a gradient."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs hearlab[music]")

from scene_files import LISTENERS, RATE  # noqa: E402

from hearlab.enhancement.spectra import HELD, analysed, applied  # noqa: E402
from hearlab.systems.baseline import Baseline  # noqa: E402
from hearlab.training.losses import HearingAid, heard_with_gains, spectral_loss  # noqa: E402

ROUNDING = 1e-12
LISTENER = LISTENERS[0]


def signal() -> np.ndarray:
    return 0.1 * np.random.default_rng(0).standard_normal((RATE // 3, 2))


@pytest.mark.parametrize("soft_clip", [True, False])
def test_the_hearing_aid_is_the_baseline(soft_clip: bool) -> None:
    options = {"gain": 6.0, "compressor": {"threshold": 0.2}, "soft_clip": soft_clip}
    wanted = Baseline(**options).speech({"CH1": signal()}, RATE, LISTENER)
    heard = HearingAid(RATE, **options)(torch.from_numpy(signal().T.copy()), [LISTENER.left, LISTENER.right])
    np.testing.assert_allclose(heard.numpy().T, wanted[: len(signal())], rtol=0, atol=ROUNDING)


def test_gains_are_applied_as_they_are_when_it_is_used() -> None:
    spectra = analysed(signal())
    gains = np.random.default_rng(1).uniform(0, 1, (len(spectra) // HELD, 2, 8))
    wanted = applied(spectra, gains, len(signal()))
    found = heard_with_gains(
        torch.from_numpy(spectra.transpose(2, 0, 1).copy()), torch.from_numpy(gains).transpose(0, 1), len(signal())
    )
    np.testing.assert_allclose(found.numpy().T, wanted, rtol=0, atol=ROUNDING)


def test_a_gradient_leads_to_the_gains() -> None:
    spectra = torch.from_numpy(analysed(signal()).transpose(2, 0, 1).copy())
    gains = torch.full((2, spectra.shape[1] // HELD, 8), 0.5, dtype=torch.float64, requires_grad=True)
    output = HearingAid(RATE)(heard_with_gains(spectra, gains, len(signal())), [LISTENER.left, LISTENER.right])
    output.square().sum().backward()
    assert gains.grad is not None
    assert bool((gains.grad[:, :-1].abs().amax(dim=1) > 0).all())


def test_the_spectral_loss_is_least_at_the_target_s_share() -> None:
    rng = np.random.default_rng(0)
    mixed, ideal = (
        torch.from_numpy(rng.uniform(0.1, 1, (2, 5, 4, 8))),
        torch.from_numpy(rng.uniform(0.1, 0.9, (2, 5, 2, 4))),
    )
    least = spectral_loss(ideal, mixed, ideal)
    for other in (ideal * 0.9, ideal * 0.5 + 0.5):
        assert spectral_loss(other, mixed, ideal) > least
