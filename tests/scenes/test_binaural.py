"""The segment-wise renderer against the direct definition, channel by channel and sample by sample."""

from __future__ import annotations

import numpy as np
import pytest

from hearlab.scenes.ambisonics import channel_count, rotate, rotation_terms
from hearlab.scenes.binaural import Source, convolve_interval, render_groups
from hearlab.scenes.head_track import HeadTrack

ORDER = 2
CHANNELS = channel_count(ORDER)
# Both ways are exact but for the rounding of transforms.
ROUNDING = 1e-11


def direct(group: list[Source], decoders: list[np.ndarray], track: HeadTrack) -> list[np.ndarray]:
    """Ambisonic signals of the whole scene, each sample rotated, each channel convolved with its filter."""
    duration = track.theta.size
    signals = np.zeros((duration, CHANNELS))
    for source in group:
        for channel in range(CHANNELS):
            full = np.convolve(source.signal, source.response[:, channel])[: max(duration - source.delay, 0)]
            signals[source.delay : source.delay + full.size, channel] += full
    turned = rotate(signals, *rotation_terms(track.theta, ORDER), ORDER)
    return [
        np.stack(
            [sum(np.convolve(turned[:, c], decoder[:, c, ear]) for c in range(CHANNELS)) for ear in (0, 1)], axis=1
        )
        for decoder in decoders
    ]


def make_track(duration: int, start: int, end: int) -> HeadTrack:
    theta = np.interp(np.arange(duration), [start, end - 1], [0.3, 1.1])
    return HeadTrack(theta, start, end)


@pytest.mark.parametrize(
    ("start", "end"), [(300, 420), (0, 90), (880, 1000), (5, 12), (995, 1000), (0, 1000), (400, 985)]
)
def test_segments_equal_the_direct_definition(start: int, end: int) -> None:
    rng = np.random.RandomState(start + end)
    group = [
        Source(rng.standard_normal(700), rng.standard_normal((150, CHANNELS)), 120),
        Source(rng.standard_normal(1000), rng.standard_normal((90, CHANNELS)), 0),
        Source(rng.standard_normal(400), rng.standard_normal((1, CHANNELS)), 777),
    ]
    decoders = [rng.standard_normal((17, CHANNELS, 2)) for _ in range(2)]
    track = make_track(1000, start, end)
    alone, together = render_groups([group[:1], group], decoders, track, ORDER)
    expected = direct(group[:1], decoders, track) + direct(group, decoders, track)
    for found, wanted in zip(alone + together, expected, strict=True):
        assert found.shape == (1016, 2)
        np.testing.assert_allclose(found, wanted, atol=ROUNDING * np.max(np.abs(wanted)))


def test_a_head_that_never_turns() -> None:
    rng = np.random.RandomState(1)
    group = [Source(rng.standard_normal(300), rng.standard_normal((40, CHANNELS)), 10)]
    decoders = [rng.standard_normal((9, CHANNELS, 2))]
    track = HeadTrack(np.full(400, 0.7), 0, 0)
    (((found,),)) = render_groups([group], decoders, track, ORDER)
    wanted = direct(group, decoders, track)[0]
    np.testing.assert_allclose(found, wanted, atol=ROUNDING * np.max(np.abs(wanted)))


def test_rendering_is_linear_in_its_sources() -> None:
    rng = np.random.RandomState(2)
    one, two = (Source(rng.standard_normal(500), rng.standard_normal((60, CHANNELS)), d) for d in (0, 33))
    decoders = [rng.standard_normal((9, CHANNELS, 2))]
    track = make_track(600, 200, 260)
    (a,), (b,), (both,) = render_groups([[one], [two], [one, two]], decoders, track, ORDER)
    np.testing.assert_allclose(a + b, both, atol=1e-9)


@pytest.mark.parametrize(("start", "stop"), [(0, 50), (30, 200), (140, 400), (500, 520), (0, 1)])
@pytest.mark.parametrize("delay", [0, 25])
def test_an_interval_of_a_convolution(start: int, stop: int, delay: int) -> None:
    rng = np.random.RandomState(3)
    signal, response = rng.standard_normal(150), rng.standard_normal((40, 3))
    whole = np.zeros((600, 3))
    for channel in range(3):
        full = np.convolve(signal, response[:, channel])
        whole[delay : delay + full.size, channel] = full
    np.testing.assert_allclose(convolve_interval(signal, response, delay, start, stop), whole[start:stop], atol=1e-12)
