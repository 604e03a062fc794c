"""The operators of the ear for devices that work in parallel, in PyTorch alone; they are those of `compiled`.

Filters are products of spectra, with zeros behind the signals for as long as the filters ring, or, where a slow decay
meets a threshold (gain, adaptation), scans in blocks: inside a block one product with a triangular matrix, and from
block to block the same again. All have their adjoints from autograd. They work on the CPU as well (tests).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from hearlab.arrays import Array
from hearlab.ear.adaptation import DECIBELS_PER_OCTAVE, TINY
from hearlab.ear.alignment import BAND_RANGE
from hearlab.ear.compression import GAIN_LOW_PASS_HZ
from hearlab.ear.filter_design import butterworth
from hearlab.ear.filterbank import control_filters
from hearlab.ear.loss import centre_frequencies
from hearlab.ear.resampling import MODEL_RATE
from hearlab.kernels.fast_lengths import fast_length
from hearlab.learning.hair_cells import adaptation_parts
from hearlab.learning.kernels.sections import filter_section
from hearlab.learning.library import torch
from hearlab.learning.tiles import covariance_window, segments
from hearlab.metrics.covariance import HALF, LAGS, SEGMENT
from hearlab.metrics.covariance import TINY as NO_POWER

Tensor = torch.Tensor

# Samples after which the narrowest filter of the lowest band has decayed by 17 decades.
RINGING = 8192

# Samples of a block of a scan.
BLOCK = 128

# An impulse response ends where it stays below this part of its peak.
LAST_OF_RESPONSE = 1e-20


def sections(signals: Tensor, coefficients: Array) -> Tensor:
    response = torch.as_tensor(_response(coefficients.tobytes()), dtype=signals.dtype, device=signals.device)
    n = signals.shape[-1]
    size = fast_length(n + response.shape[-1])
    return torch.fft.irfft(torch.fft.rfft(signals, size) * torch.fft.rfft(response, size), size)[..., :n]


def control_rms(signals: Tensor, lengths: Sequence[int], bands: Sequence[int]) -> Tensor:
    poles, gains = (torch.as_tensor(values, device=signals.device) for values in control_filters(tuple(bands)))
    path = _path(_spectra(signals), poles.expand(signals.shape[0], -1), bands, signals.shape[-1])
    return gains * (_squares(path) * _inside(path, lengths)).sum(-1).div(_counts(path, lengths)).sqrt()


def compress(
    signals: Tensor,
    poles: Tensor,
    factors: Tensor,
    curves: Array,
    lengths: Sequence[int],
    bands: Sequence[int],
    moving: bool,
    dtype: torch.dtype,
) -> tuple[Tensor, Tensor, Tensor]:
    spectra, n = _spectra(signals), signals.shape[-1]
    if dtype == torch.float32:
        spectra = spectra.to(torch.complex64)
    wide = torch.as_tensor(control_filters(tuple(bands))[0], device=signals.device).expand_as(poles)
    knee, upper, exponent = torch.as_tensor(curves, device=signals.device).to(dtype).unsqueeze(-2).unbind(-1)
    control = _squares(_path(spectra, wide, bands, n))
    over_knee = control * knee
    clipped = torch.minimum(over_knee.clamp_min(1.0), upper)
    raw = clipped**exponent * factors.to(dtype)[..., None]
    _, denominator = butterworth(1, GAIN_LOW_PASS_HZ, MODEL_RATE)
    gains = one_pole(raw + torch.nn.functional.pad(raw[..., :-1], (1, 0)), -float(denominator[1]))
    path = _path(spectra, poles, bands, n)
    inside = _inside(path, lengths)
    squares = _squares(path) * inside
    audible = squares > 0
    sizes = torch.where(audible, torch.where(audible, squares, 1.0).sqrt(), 0.0)
    motions = gains * path.real * inside if moving else squares[..., :0]
    return gains * sizes, motions, squares.double().sum(-1) / _counts(path, lengths)


def adapt(
    envelopes: Tensor,
    motions: Tensor,
    offsets: Array,
    early: Any,
    motion_early: Any,
    late: Any,
    lengths: Sequence[int],
) -> tuple[Tensor, Tensor]:
    linear = _moved(envelopes, early, lengths)
    octaves = torch.log2(linear + TINY)
    levels = (octaves * DECIBELS_PER_OCTAVE + torch.as_tensor(offsets).to(linear)[..., None]).clamp_min(0.0)
    residues, poles, direct = adaptation_parts()
    current = direct * levels
    for residue, pole in zip(residues, poles, strict=True):
        current = current + float(residue) * one_pole(levels, float(pole))
    firing = current.clamp_min(0.0)
    if not motions.shape[-1]:
        return _moved(firing, -late, lengths), motions
    moves = _moved(motions, motion_early, lengths)
    # As in the compiled loops, a ratio that hangs on TINY alone has no gradient.
    heard = firing > 0
    ratio = (firing + TINY) / (torch.where(heard, linear, linear.detach()) + TINY)
    return _moved(firing, -late, lengths), _moved(moves * ratio, -late, lengths)


def covariances(references: Tensor, processed: Tensor, lengths: Sequence[int]) -> tuple[Tensor, Tensor]:
    window, half_shares, shares = (torch.as_tensor(values, device=processed.device) for values in covariance_window())
    count = segments(max(lengths))
    found, powers = [], []
    pieces = [_pieces(rows, count) for rows in (references, processed)]
    # All segments as if they were the first, one in the middle, or the last one; each is then taken as what it is.
    for part, share in ((window[HALF:], half_shares), (window, shares), (window[:HALF], half_shares)):
        pair = [piece[..., : part.shape[0]] * part for piece in pieces]
        cuts = [side - side.mean(-1, keepdim=True) for side in pair]
        values, power = _best_covariance(cuts[0], cuts[1], share)
        found.append(values)
        powers.append(power)
    number = torch.arange(count, device=processed.device)
    last = torch.tensor([segments(length) - 1 for length in lengths], device=processed.device)[:, None, None]
    kinds = torch.where(number == 0, 0, torch.where(number == last, 2, 1)).expand_as(found[0])
    inside = number <= last
    chosen = [torch.stack(values).gather(0, kinds[None])[0] * inside for values in (found, powers)]
    return chosen[0], chosen[1].detach()


def broadband_delay(reference: Tensor, processed: Tensor) -> int:
    n = reference.shape[-1]
    correlation = _correlation(reference - reference.mean(), processed - processed.mean(), 1 - n, n - 1)
    return -(int(correlation.abs().argmax()) + 1 - n)


def early_rows(references: Tensor, processed: Tensor, lengths: Sequence[int]) -> Any:
    found = []
    for one, other, length in zip(references, processed, lengths, strict=True):
        first, last = 1 - min(BAND_RANGE, length), min(BAND_RANGE, length - 1)
        correlation = _correlation(one[:, :length].double(), other[:, :length].double(), first, last)
        found.append(-(correlation.argmax(-1).cpu().numpy() + first))
    return np.stack(found)


def one_pole(values: Tensor, pole: float) -> Tensor:
    """y[t] = x[t] + pole * y[t - 1] along the last axis."""
    n = values.shape[-1]
    if n <= BLOCK:
        return values @ _triangle(pole, n, values)
    blocks = -(-n // BLOCK)
    local = torch.nn.functional.pad(values, (0, blocks * BLOCK - n)).unflatten(-1, (blocks, BLOCK))
    local = local @ _triangle(pole, BLOCK, values)
    ends = one_pole(local[..., -1], pole**BLOCK)
    before = torch.nn.functional.pad(ends[..., :-1], (1, 0))
    powers = torch.as_tensor(pole ** np.arange(1.0, BLOCK + 1), dtype=values.dtype, device=values.device)
    return (local + before[..., None] * powers).flatten(-2)[..., :n]


def _triangle(pole: float, size: int, like: Tensor) -> Tensor:
    distance = np.arange(size)[None, :] - np.arange(size)[:, None]
    return torch.as_tensor(np.where(distance >= 0, pole ** np.maximum(distance, 0.0), 0.0)).to(like)


def _spectra(signals: Tensor) -> Tensor:
    """Spectra of signals with room behind them for the ringing of the filters, (items, 1, size)."""
    return torch.fft.fft(signals, fast_length(signals.shape[-1] + RINGING))[:, None]


def _path(spectra: Tensor, poles: Tensor, bands: Sequence[int], samples: int) -> Tensor:
    """Signals in gammatone filters, complex: a quarter of their analytic output, (items, bands, samples)."""
    size = spectra.shape[-1]
    centres = torch.as_tensor(2 * np.pi / MODEL_RATE * centre_frequencies()[list(bands)], device=spectra.device)
    angles = torch.arange(size, device=spectra.device, dtype=torch.float64) * (2 * np.pi / size) - centres[:, None]
    late = poles[..., None] * torch.polar(torch.ones_like(angles), -angles)
    response = 0.25 * (1 + 4 * late + 4 * late**2) / (1 - late) ** 4
    found: Tensor = torch.fft.ifft(spectra * response.to(spectra.dtype))[..., :samples]
    return found


def _squares(path: Tensor) -> Tensor:
    return path.real.square() + path.imag.square()


def _inside(rows: Tensor, lengths: Sequence[int]) -> Tensor:
    """Which samples belong to the items, (items, 1, N)."""
    ends = torch.tensor(lengths, device=rows.device)[:, None, None]
    return torch.arange(rows.shape[-1], device=rows.device) < ends


def _counts(rows: Tensor, lengths: Sequence[int]) -> Tensor:
    return torch.tensor(lengths, device=rows.device, dtype=torch.float64)[:, None]


def _moved(rows: Tensor, early: Any, lengths: Sequence[int]) -> Tensor:
    """Rows read so many samples early, (items, bands), zeros from outside of each item, and outside of it."""
    shift = torch.as_tensor(np.ascontiguousarray(early), device=rows.device)[..., None]
    places = torch.arange(rows.shape[-1], device=rows.device) + shift
    ends = torch.tensor(lengths, device=rows.device)[:, None, None]
    inside = (places >= 0) & (places < ends) & _inside(rows, lengths)
    return torch.where(inside, rows.gather(-1, places.clamp(0, rows.shape[-1] - 1)), 0.0)


def _pieces(rows: Tensor, count: int) -> Tensor:
    """Segments that lie half a segment apart, in double precision, (items, bands, count, SEGMENT)."""
    wanted = (count + 1) * HALF
    room = torch.nn.functional.pad(rows[..., :wanted].double(), (0, max(wanted - rows.shape[-1], 0)))
    return room.unfold(-1, SEGMENT, HALF)


def _best_covariance(reference: Tensor, processed: Tensor, shares: Tensor) -> tuple[Tensor, Tensor]:
    """The highest covariance of segments without their means, and the power of the reference."""
    size = reference.shape[-1]
    power, other = (side.square().sum(-1) * shares[LAGS] for side in (reference, processed))
    with torch.no_grad():
        best = (_correlation(reference, processed, -LAGS, LAGS) * shares).abs().argmax(-1, keepdim=True)
    places = torch.arange(size, device=reference.device) + best - LAGS
    inside = (places >= 0) & (places < size)
    slid = torch.where(inside, reference.gather(-1, places.clamp(0, size - 1)), 0.0)
    product = (slid * processed).sum(-1) * shares[best[..., 0]]
    audible = (power > NO_POWER) & (other > NO_POWER)
    norms = torch.where(audible, power * other, 1.0).sqrt()
    return torch.where(audible, (product.abs() / norms).clamp_max(1.0), 0.0), power


def _correlation(reference: Tensor, signal: Tensor, first: int, last: int) -> Tensor:
    """Sums of reference[t + lag] * signal[t] along the last axis, for the lags from `first` to `last`."""
    size = fast_length(reference.shape[-1] + max(-first, last))
    spectra = torch.fft.rfft(reference, size) * torch.fft.rfft(signal, size).conj()
    found = torch.fft.irfft(spectra, size)
    return torch.cat([found[..., first:], found[..., : last + 1]], dim=-1) if first < 0 else found[..., : last + 1]


@lru_cache(maxsize=16)
def _response(coefficients: bytes) -> Array:
    """Impulse response of sections, up to where nothing is left of it."""
    response = np.zeros(1 << 16)
    response[0] = 1.0
    for section in np.frombuffer(coefficients).reshape(-1, 5):
        filter_section(response, section.copy(), response)
    loud = np.flatnonzero(np.abs(response) > LAST_OF_RESPONSE * np.max(np.abs(response)))
    return response[: int(loud[-1]) + 1]
