"""The filters of a stem and an ear, fitted by gradient ascent on HAAQI (see `hearlab.fitting.stem_filters`).

What is ascended is HAAQI of crops of training songs as the Cadenza challenge scores a stem: against the original stem
at 65 dB SPL, which the metric itself amplifies by NAL-R; without the metric's noise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hearlab.arrays import Array32
from hearlab.ear.loss import AUDIOMETRIC_FREQUENCIES
from hearlab.errors import InputError
from hearlab.fitting.nalr import frequency_sampled_fir
from hearlab.fitting.stem_filters import CENTRES, MOST_DB, MOST_SHARE, FitSettings, StemFilter, band_weights, nalr_gain
from hearlab.learning import metrics
from hearlab.learning.library import torch
from hearlab.listeners import Audiogram

Tensor = torch.Tensor

DESIGN_RATE = 44100  # Hz, at which the filters are designed and used
RATE = 24000  # Hz, of excerpts
# What a correction of 1 dB, and a share of 1, in all bands cost of the score: where nothing is gained, nothing is done.
CORRECTION_COST, SHARE_COST = 0.0002, 0.3
SHARE_STEP = 1 / 50  # of the step of a correction in dB
LAST_STEP = 0.1  # of the first one
TRIES = 20  # draws of a crop in which the stem is heard
HEARD = 0.1  # of the excerpt's RMS
ENDS = 5  # steps over which the scores of beginning and end are averaged
DECIMALS = 3  # of what is fitted: last bits of the arithmetic do not reach the filters


@dataclass(frozen=True, eq=False)
class Excerpt:
    """A part of a training song for one ear, at 24 kHz.

    Attributes:
        song: its name.
        reference: the original stem, shape (n,).
        stems: the separated stems, each (n,).
        level: dB SPL of an RMS of 1.
    """

    song: str
    reference: Array32
    stems: Mapping[str, Array32]
    level: float


@dataclass(frozen=True)
class Fit:
    """What was fitted.

    Attributes:
        filter: of the stem.
        scores: mean HAAQI of the crops in the first and in the last steps.
    """

    filter: StemFilter
    scores: tuple[float, float]


def fit_stem(
    stem: str, excerpts: Sequence[Excerpt], audiogram: Audiogram, settings: FitSettings, seed: Sequence[int]
) -> Fit | None:
    """Fit the filters of one stem for one ear.

    Args:
        stem: its name.
        excerpts: of the training songs. Those in which the stem is silent are left out.
        audiogram: of the ear, reaching from 250 to 6000 Hz.
        settings: of the fit.
        seed: of the draws of songs and crops.

    Returns:
        the fit; None if the stem is silent in all excerpts.

    Raises:
        InputError: an excerpt is shorter than a crop; the score is no finite number.
    """
    length = round(settings.crop * RATE)
    for excerpt in excerpts:
        if excerpt.reference.size < length:
            found, wanted = f"{excerpt.reference.size / RATE:g} s", f"at least {settings.crop:g} s"
            raise InputError(excerpt.song, "is shorter than a crop", found=found, wanted=wanted)
    heard = [excerpt for excerpt in excerpts if np.any(excerpt.reference)]
    if not heard:
        return None
    others = [name for name in heard[0].stems if name != stem] if settings.bleed else []
    design = _Design(audiogram, settings.taps, length)
    raw = torch.zeros(len(CENTRES), dtype=torch.float64, requires_grad=True)
    shares = torch.zeros((len(others), len(CENTRES)), dtype=torch.float64, requires_grad=True)
    rate = settings.learning_rate
    groups = [{"params": [raw], "lr": rate}, {"params": [shares], "lr": rate * SHARE_STEP}]
    optimiser = torch.optim.Adam(groups, foreach=False)
    losses = [float(value) for value in audiogram.at(AUDIOMETRIC_FREQUENCIES)]
    rng, curve = np.random.default_rng(seed), []
    for step in range(settings.steps):
        correction = MOST_DB * torch.tanh(raw / MOST_DB)
        responses = design.responses(correction, shares)
        # Songs in turn, in an order that is drawn anew for each round.
        chosen = [heard[k] for k in rng.permutation(len(heard))[: settings.batch]]
        references, outputs = [], []
        for excerpt in chosen:
            crop = slice(start := _start(excerpt.reference, length, rng), start + length)
            sources = [torch.from_numpy(excerpt.stems[name][crop].astype(np.float64)) for name in (stem, *others)]
            spectrum = torch.stack(
                [torch.fft.rfft(source) * response for source, response in zip(sources, responses, strict=True)]
            ).sum(0)
            outputs.append(torch.fft.irfft(spectrum, length))
            references.append(torch.from_numpy(excerpt.reference[crop].astype(np.float64)))
        levels = [excerpt.level for excerpt in chosen]
        score = metrics.haaqi(
            torch.stack(references), torch.stack(outputs), RATE, [losses] * len(chosen), level=levels
        ).mean()
        cost = CORRECTION_COST * correction.square().mean() + SHARE_COST * shares.square().sum() / len(CENTRES) / 3
        if not math.isfinite(value := float(score.detach())):
            songs = ", ".join(excerpt.song for excerpt in chosen)
            raise InputError(f"fit of {stem}", "HAAQI is no finite number", field=f"step {step}", found=songs)
        curve.append(value)
        optimiser.zero_grad()
        (cost - score).backward()
        optimiser.step()
        for group in optimiser.param_groups:
            group["lr"] *= LAST_STEP ** (1 / settings.steps)
    with torch.no_grad():
        correction = MOST_DB * torch.tanh(raw / MOST_DB)
        shares.clamp_(-MOST_SHARE, MOST_SHARE)
    taken = {name: _rounded(values) for name, values in zip(others, shares, strict=True)}
    ends = (float(np.mean(curve[:ENDS])), float(np.mean(curve[-ENDS:])))
    return Fit(StemFilter(_rounded(correction), taken), ends)


class _Design:
    """From corrections and shares to the responses of the filters at the frequencies of a crop's spectrum."""

    def __init__(self, audiogram: Audiogram, taps: int, length: int) -> None:
        self._gain = torch.from_numpy(nalr_gain(audiogram, taps, DESIGN_RATE))
        self._bands = torch.from_numpy(band_weights(taps, DESIGN_RATE).copy())
        # The design is linear in the amplitudes at the frequencies of its grid.
        columns = [frequency_sampled_fir(one) for one in np.eye(taps + 1)]
        self._design = torch.from_numpy(np.stack(columns, axis=1))
        # A spectrum of as many seconds at the filters' rate has its bins at the same frequencies.
        self._length, self._bins = round(length * DESIGN_RATE / RATE), length // 2 + 1

    def responses(self, correction: Tensor, shares: Tensor) -> list[Tensor]:
        """Of the own stem, then of the others, each of shape (bins,), with the filters' delay."""
        amplitude = 10 ** ((self._gain + self._bands @ correction) / 20)
        amplitudes = [amplitude, *(amplitude * (self._bands @ share) for share in shares)]
        return [torch.fft.rfft(self._design @ one, self._length)[: self._bins] for one in amplitudes]


def _start(reference: NDArray[np.float32], length: int, rng: np.random.Generator) -> int:
    """Where a crop begins: the first drawn in which the stem is heard, else the loudest of those drawn."""
    starts = rng.integers(0, reference.size - length + 1, TRIES)
    powers = [float(np.mean(np.square(reference[start : start + length], dtype=np.float64))) for start in starts]
    wanted = HEARD**2 * float(np.mean(np.square(reference, dtype=np.float64)))
    heard = [int(start) for start, power in zip(starts, powers, strict=True) if power >= wanted]
    return heard[0] if heard else int(starts[int(np.argmax(powers))])


def _rounded(values: Tensor) -> tuple[float, ...]:
    # Adding 0 makes no negative zeros.
    return tuple(round(float(value), DECIMALS) + 0.0 for value in values.detach())
