"""HASPI, HASQI and HAAQI of batches as functions and losses in PyTorch, with gradients (docs/learning.md).

Values agree with `hearlab.metrics` to 1e-6. A gradient leads from the score to `processed` by all of its way:
conversion to 24 kHz, middle ear, filters whose bandwidth depends on the level, compression, adaptation, averages,
cepstra, modulation filters, networks. Choices have none, and are held: which part of the reference is active and which
frames are above threshold, the delays of the whole signal and of each band (whole samples), and in each segment of
HASQI and HAAQI the lag of the highest covariance. They are found as the exact metrics find them.

On the CPU filters and all that follows sample by sample run in double precision; with torch.float32, envelopes and
motions are kept in single precision, as in the exact metrics, which halves the memory.
"""

from __future__ import annotations

from typing import Any

from hearlab.learning import intelligibility, quality
from hearlab.learning.batch import Metric, SilentItemWarning, score_batch
from hearlab.learning.library import torch
from hearlab.metrics.quality import AMPLIFY, check_length, equalisation_mode

__all__ = [
    "HaaqiLoss",
    "HaspiLoss",
    "HasqiLoss",
    "SilentItemWarning",
    "haaqi",
    "haspi",
    "haspi_better_ear",
    "hasqi",
    "hasqi_better_ear",
]

Tensor = torch.Tensor

_HASPI = Metric(intelligibility.scores, intelligibility.check_length, {})


def haspi(
    reference: Tensor,
    processed: Tensor,
    rate: float,
    audiograms: Any,
    *,
    level: Any = 65.0,
    dither: Any = None,
    lengths: Any = None,
    delay: Any = None,
    bands_at_once: int | None = None,
) -> Tensor:
    """HASPI v2 of each item of a batch; see `hearlab.metrics.haspi` for what is scored, and the source.

    Args:
        reference: clean speech, full scale 1, torch.float32 or torch.float64, shape (batch, n). It has no gradient.
        processed: what the listeners hear, of the same shape and on the same device.
        rate: sample rate in Hz of both.
        audiograms: hearing losses in dB HL at 250, 500, 1000, 2000, 4000 and 6000 Hz, shape (batch, 6).
        level: dB SPL of a signal whose RMS is 1; one for all, or one for each item.
        dither: None, no noise: the smooth form that is best for training. A seed for each item: the published numbers.
            Or standard normals, floating point, shape (batch, 2, frames, 32), with frames for all of the speech (a
            frame for every nine samples at 24 kHz are enough).
        lengths: numbers of samples of the items, shape (batch,); the rest of each row is not looked at.
        delay: by how many samples at 24 kHz each item's processed signal is late, shape (batch,), instead of the delay
            that is found. The delays of single bands, within 100 ms, are still found.
        bands_at_once: bounds the memory of training: the rows of so many bands (even, 2 to 32) are kept at a time, and
            those of others are computed again in the backward pass. None keeps all.

    Returns:
        shape (batch,), share of keywords understood, about 0 to 1, of the type of `processed`. An item that is silent
        or below threshold has the score 0 and no gradient; a SilentItemWarning names it.

    Raises:
        InputError: tensors of a wrong shape, type or device, numbers that are not finite, a wrong rate, level, number
            of audiograms, lengths, seeds or delays; less than 0.23 s of reference without the silence around it.

    Examples:
        >>> import torch
        >>> drawn = torch.Generator().manual_seed(0)
        >>> clean, noise = 0.05 * torch.randn(2, 1, 12000, dtype=torch.float64, generator=drawn)
        >>> haspi(clean, clean + noise, 24000, [[20, 20, 30, 40, 50, 60]]).shape
        torch.Size([1])
    """
    return score_batch(
        _HASPI,
        reference,
        processed,
        rate,
        audiograms,
        level=level,
        dither=dither,
        lengths=lengths,
        delay=delay,
        bands_at_once=bands_at_once,
    )


def haspi_better_ear(
    reference: Tensor,
    processed: Tensor,
    rate: float,
    audiograms: Any,
    *,
    level: Any = 100.0,
    dither: Any = None,
    lengths: Any = None,
    delay: Any = None,
    bands_at_once: int | None = None,
) -> Tensor:
    """HASPI v2 of the better ear of each item; the gradient is that of this ear.

    Args:
        reference, processed: as of `haspi`, shape (batch, n, 2), left ear first.
        audiograms: shape (batch, 2, 6).
        level: as in the Clarity challenges, 100 dB SPL.
        dither: as of `haspi`; one seed serves the left ear, then the right ear. Normals: (batch, ears, 2, frames, 32).

    Returns:
        shape (batch,).

    Raises:
        InputError: as `haspi`, the ear named.

    Examples:
        >>> import torch
        >>> drawn = torch.Generator().manual_seed(0)
        >>> clean, noise = 0.05 * torch.randn(2, 1, 12000, 2, dtype=torch.float64, generator=drawn)
        >>> haspi_better_ear(clean, clean + noise, 24000, [[[20, 20, 30, 40, 50, 60]] * 2]).shape
        torch.Size([1])
    """
    scores = score_batch(
        _HASPI,
        reference,
        processed,
        rate,
        audiograms,
        level=level,
        dither=dither,
        lengths=lengths,
        delay=delay,
        ears=2,
        bands_at_once=bands_at_once,
    )
    return scores.amax(dim=1)


def hasqi(
    reference: Tensor,
    processed: Tensor,
    rate: float,
    audiograms: Any,
    *,
    level: Any = 65.0,
    dither: Any = None,
    lengths: Any = None,
    delay: Any = None,
    bands_at_once: int | None = None,
    equalisation: int = AMPLIFY,
) -> Tensor:
    """HASQI v2 of each item of a batch; see `hearlab.metrics.hasqi` for what is scored, and the source.

    Args:
        reference: clean speech, as of `haspi`. It is heard by the listener's own ear.
        processed, rate, audiograms, level, lengths, delay, bands_at_once: as of `haspi`.
        dither: None, a seed for each item, or standard normals, shape (batch, 2, 32, samples at 24 kHz).
        equalisation: 1 when the reference is not amplified (NAL-R is applied here), 2 when NAL-R was applied to it.

    Returns:
        shape (batch,), 0 (bad) to 1 (like the reference), nearly; 0 without a gradient for silent items.

    Raises:
        InputError: as `haspi`; an unknown `equalisation`; less than 16 ms of reference without the silence around it.

    Examples:
        >>> import torch
        >>> drawn = torch.Generator().manual_seed(0)
        >>> clean, noise = 0.05 * torch.randn(2, 1, 12000, dtype=torch.float64, generator=drawn)
        >>> hasqi(clean, clean + noise, 24000, [[20, 20, 30, 40, 50, 60]]).shape
        torch.Size([1])
    """
    return score_batch(
        _quality(quality.SPEECH, equalisation),
        reference,
        processed,
        rate,
        audiograms,
        level=level,
        dither=dither,
        lengths=lengths,
        delay=delay,
        bands_at_once=bands_at_once,
    )


def hasqi_better_ear(
    reference: Tensor,
    processed: Tensor,
    rate: float,
    audiograms: Any,
    *,
    level: Any = 100.0,
    dither: Any = None,
    lengths: Any = None,
    delay: Any = None,
    bands_at_once: int | None = None,
) -> Tensor:
    """HASQI v2 of the better ear of each item; arguments as of `haspi_better_ear`, the dither as of `hasqi`.

    Examples:
        >>> import torch
        >>> drawn = torch.Generator().manual_seed(0)
        >>> clean, noise = 0.05 * torch.randn(2, 1, 12000, 2, dtype=torch.float64, generator=drawn)
        >>> hasqi_better_ear(clean, clean + noise, 24000, [[[20, 20, 30, 40, 50, 60]] * 2]).shape
        torch.Size([1])
    """
    scores = score_batch(
        _quality(quality.SPEECH, AMPLIFY),
        reference,
        processed,
        rate,
        audiograms,
        level=level,
        dither=dither,
        lengths=lengths,
        delay=delay,
        ears=2,
        bands_at_once=bands_at_once,
    )
    return scores.amax(dim=1)


def haaqi(
    reference: Tensor,
    processed: Tensor,
    rate: float,
    audiograms: Any,
    *,
    level: Any = 65.0,
    dither: Any = None,
    lengths: Any = None,
    delay: Any = None,
    bands_at_once: int | None = None,
    equalisation: int = AMPLIFY,
) -> Tensor:
    """HAAQI v1 of each item of a batch of music; see `hearlab.metrics.haaqi` for what is scored, and the source.

    Arguments, result and errors are those of `hasqi`. An item whose reference is silent has the score 0, where the
    exact metric says 1 if the processed signal is silent, too.

    Examples:
        >>> import torch
        >>> drawn = torch.Generator().manual_seed(0)
        >>> clean, noise = 0.05 * torch.randn(2, 1, 12000, dtype=torch.float64, generator=drawn)
        >>> haaqi(clean, clean + noise, 24000, [[20, 20, 30, 40, 50, 60]]).shape
        torch.Size([1])
    """
    return score_batch(
        _quality(quality.MUSIC, equalisation),
        reference,
        processed,
        rate,
        audiograms,
        level=level,
        dither=dither,
        lengths=lengths,
        delay=delay,
        bands_at_once=bands_at_once,
    )


def _quality(options: dict[str, Any], equalisation: int) -> Metric:
    return Metric(quality.scores, check_length, options, amplified=equalisation_mode(equalisation) == AMPLIFY)


class _Loss(torch.nn.Module):
    """1 - a metric, averaged over the batch.

    Args:
        rate: sample rate in Hz.
        options: further arguments of the metric, the same in every call: `level`, `bands_at_once` and, where there is
            one, `equalisation`.
    """

    metric: Any

    def __init__(self, rate: float, **options: Any) -> None:
        super().__init__()
        self.rate, self.options = rate, options

    def forward(
        self,
        reference: Tensor,
        processed: Tensor,
        audiograms: Any,
        *,
        dither: Any = None,
        lengths: Any = None,
        delay: Any = None,
    ) -> Tensor:
        """The loss, a scalar; arguments as of the metric."""
        scores = type(self).metric(
            reference,
            processed,
            self.rate,
            audiograms,
            dither=dither,
            lengths=lengths,
            delay=delay,
            **self.options,
        )
        return 1 - scores.mean()


class HaspiLoss(_Loss):
    """1 - `haspi`, averaged over the batch; `HaspiLoss(rate, level=65.0, bands_at_once=None)`.

    Examples:
        >>> import torch
        >>> drawn = torch.Generator().manual_seed(0)
        >>> clean, noise = 0.05 * torch.randn(2, 1, 12000, dtype=torch.float64, generator=drawn)
        >>> gain = torch.ones((), dtype=torch.float64, requires_grad=True)
        >>> HaspiLoss(24000)(clean, gain * (clean + noise), [[20, 20, 30, 40, 50, 60]]).backward()
        >>> bool(gain.grad.isfinite())
        True
    """

    metric = staticmethod(haspi)


class HasqiLoss(_Loss):
    """1 - `hasqi`, averaged over the batch; `HasqiLoss(rate, level=65.0, equalisation=1, bands_at_once=None)`.

    Examples:
        >>> import torch
        >>> drawn = torch.Generator().manual_seed(0)
        >>> clean, noise = 0.05 * torch.randn(2, 1, 12000, dtype=torch.float64, generator=drawn)
        >>> gain = torch.ones((), dtype=torch.float64, requires_grad=True)
        >>> HasqiLoss(24000)(clean, gain * (clean + noise), [[20, 20, 30, 40, 50, 60]]).backward()
        >>> bool(gain.grad.isfinite())
        True
    """

    metric = staticmethod(hasqi)


class HaaqiLoss(_Loss):
    """1 - `haaqi`, averaged over the batch; `HaaqiLoss(rate, level=65.0, equalisation=1, bands_at_once=None)`.

    Examples:
        >>> import torch
        >>> drawn = torch.Generator().manual_seed(0)
        >>> clean, noise = 0.05 * torch.randn(2, 1, 12000, dtype=torch.float64, generator=drawn)
        >>> gain = torch.ones((), dtype=torch.float64, requires_grad=True)
        >>> HaaqiLoss(24000)(clean, gain * (clean + noise), [[20, 20, 30, 40, 50, 60]]).backward()
        >>> bool(gain.grad.isfinite())
        True
    """

    metric = staticmethod(haaqi)
