"""What a network is shown in training."""

from __future__ import annotations

import numpy as np
import pytest
from song_arrays import SongArrays

from hearlab.errors import InputError
from hearlab.separation.training_data import Mixing, blocks, draw_batch, excerpt

STEMS = ("vocals", "drums")
PLAIN = Mixing(mix_songs=0, gains=(1, 1), swap_channels=0)


def constant_songs(count=3, frames=50):
    """Song k: vocals are 10 k + 1 on the left and 10 k + 2 on the right, drums a thousand times that."""
    values = np.array([1.0, 2.0])
    return SongArrays(
        {
            f"song {k}": {
                "vocals": np.tile(10 * k + values, (frames, 1)),
                "drums": np.tile(1000 * (10 * k + values), (frames, 1)),
            }
            for k in range(count)
        }
    )


def counting_song(frames=1000):
    """Both stems count the samples, so that an excerpt shows where it was taken."""
    count = np.arange(frames, dtype=np.float32)
    return SongArrays({"song": {"vocals": np.stack([count, count], 1), "drums": np.stack([count, count], 1)}})


def draw(source, mixing, *, items=400, frames=10, seed=(0, 0), target="vocals", **options):
    return draw_batch(source, STEMS, target, mixing, items=items, frames=frames, seed=seed, **options)


def test_shapes_and_types():
    mixtures, targets = draw(constant_songs(), Mixing(), items=5, frames=20)
    assert mixtures.shape == targets.shape == (5, 2, 20)
    assert mixtures.dtype == targets.dtype == np.float32


def test_the_same_seed_draws_the_same_and_another_step_or_target_something_else():
    source = counting_song()
    first = draw(source, Mixing())
    assert all(np.array_equal(*pair) for pair in zip(first, draw(source, Mixing()), strict=True))
    assert not np.array_equal(first[0], draw(source, Mixing(), seed=(0, 1))[0])
    assert not np.array_equal(first[0], draw(source, Mixing(), seed=(1, 0))[0])
    assert not np.array_equal(first[0], draw(source, Mixing(), target="drums")[0])


def test_an_item_does_not_depend_on_the_batch():
    source = counting_song()
    few, many = draw(source, Mixing(), items=3), draw(source, Mixing(), items=9)
    assert np.array_equal(few[0], many[0][:3])


def test_no_global_random_state_is_used():
    before = np.random.get_state()[1].copy()
    draw(counting_song(), Mixing())
    assert np.array_equal(before, np.random.get_state()[1])


def test_stems_of_one_song_stay_together_unless_songs_are_mixed():
    source = constant_songs()
    mixtures, targets = draw(source, PLAIN)
    assert np.array_equal(mixtures, 1001 * targets)
    mixtures, targets = draw(source, Mixing(mix_songs=1, gains=(1, 1), swap_channels=0))
    apart = np.mean((mixtures - targets)[:, 0, 0] != 1000 * targets[:, 0, 0])
    assert apart == pytest.approx(2 / 3, abs=0.1)  # of three songs, two are another one
    halfway = draw(source, Mixing(mix_songs=0.5, gains=(1, 1), swap_channels=0))
    apart = np.mean((halfway[0] - halfway[1])[:, 0, 0] != 1000 * halfway[1][:, 0, 0])
    assert apart == pytest.approx(1 / 3, abs=0.1)


def test_excerpts_come_from_everywhere_and_stay_inside():
    source = counting_song(frames=100)
    mixtures, targets = draw(source, PLAIN, frames=40, items=2000)
    starts = targets[:, 0, 0]
    assert set(starts) == set(range(61))
    assert np.array_equal(targets[:, 0], starts[:, np.newaxis] + np.arange(40))
    assert np.array_equal(mixtures, 2 * targets)
    apart = draw(source, Mixing(mix_songs=1, gains=(1, 1), swap_channels=0), frames=40)
    assert np.any(apart[0] != 2 * apart[1])


def test_gains_and_swapped_channels():
    source = constant_songs(count=1)
    gains = draw(source, Mixing(mix_songs=0, gains=(0.25, 1.25), swap_channels=0), items=2000)[1][:, 0, 0]
    assert 0.25 <= gains.min() < 0.26 < 1.24 < gains.max() <= 1.25
    mixtures, targets = draw(source, Mixing(mix_songs=0, gains=(1, 1), swap_channels=0.25), items=2000)
    swapped = targets[:, 0, 0] == 2
    assert np.array_equal(targets[swapped][0, :, 0], [2, 1])
    assert swapped.mean() == pytest.approx(0.25, abs=0.05)
    drums_swapped = (mixtures - targets)[:, 0, 0] == 2000
    # Each stem by itself.
    assert np.mean(swapped & drums_swapped) == pytest.approx(0.0625, abs=0.03)


def test_a_short_song_is_filled_with_silence():
    source = constant_songs(count=1, frames=6)
    targets = draw(source, PLAIN, frames=10, items=2)[1]
    assert np.array_equal(targets[0], [[1] * 6 + [0] * 4, [2] * 6 + [0] * 4])


def test_blocks_are_the_songs_as_they_are():
    source = counting_song(frames=25)
    parts = list(blocks(source, STEMS, "drums", 10))
    assert [mixture.shape for mixture, _ in parts] == [(2, 10), (2, 10), (2, 5)]
    assert np.array_equal(np.concatenate([target for _, target in parts], axis=1)[0], np.arange(25))
    assert np.array_equal(np.concatenate([mixture for mixture, _ in parts], axis=1)[1], 2 * np.arange(25))
    assert not any(np.any(nothing) for _, nothing in blocks(source, STEMS, None, 10))


def test_a_source_of_another_shape_is_refused():
    mono = SongArrays({"song": {"vocals": np.zeros((10, 1)), "drums": np.zeros((10, 1))}})
    with pytest.raises(InputError, match=r"song: vocals: stem has another shape \(found \(5, 1\), wanted \(5, 2\)\)"):
        excerpt(mono, "song", "vocals", 0, 5)
    unequal = SongArrays({"song": {"vocals": np.zeros((10, 2)), "drums": np.zeros((7, 2))}})
    with pytest.raises(InputError, match=r"song: drums: stem has another shape \(found \(7, 2\), wanted \(10, 2\)\)"):
        list(blocks(unequal, STEMS, None, 100))
