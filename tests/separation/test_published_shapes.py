"""The networks in their published size, with random weights, through the path of real weights."""

from __future__ import annotations

import hashlib
import sys
import time

import numpy as np
import pytest

from hearlab.separation import load_separator, weights_files
from hearlab.separation.hdemucs import build_hdemucs
from hearlab.separation.openunmix import OBSOLETE, TARGETS, UnmixShape

torch = pytest.importorskip("torch", reason="needs hearlab[music]")

RATE = 44100
SECONDS = 12
SONG = (0.1 * np.random.default_rng(0).standard_normal((SECONDS * RATE, 2))).astype(np.float32)
# A published umxhq file has 35,637,796 bytes, and hdemucs_high_trained.pt, of the shape used here, 334,697,255. What
# versions of torch add to the parameters differs by less than this.
OVERHEAD = 20_000

pytestmark = pytest.mark.slow


def save_umxhq(folder):
    torch.manual_seed(1)
    for target in TARGETS:
        state = UnmixShape().network().state_dict()
        window = torch.hann_window(4096)
        state |= dict(zip(OBSOLETE, (torch.tensor(44100.0), window, window), strict=True))
        path = folder / "saving"
        # In the format of 2019, as the published ones.
        torch.save(state, path, _use_new_zipfile_serialization=False)
        digits = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
        path.rename(folder / f"{target}-{digits}.pth")


def save_hdemucs(folder):
    torch.manual_seed(1)
    torch.save(build_hdemucs().state_dict(), folder / "hdemucs_high_musdbhq_only.pt")


@pytest.mark.parametrize(
    ("model", "save", "size"),
    [("openunmix", save_umxhq, 35_637_796), ("hdemucs", save_hdemucs, 334_697_255)],
)
def test_random_weights_run_on_twelve_seconds(tmp_path, capsys, model, save, size):
    save(tmp_path)
    for path in weights_files(model, tmp_path):
        assert abs(path.stat().st_size - size) < OVERHEAD
    begin = time.perf_counter()
    separator = load_separator(model, tmp_path, "cpu")
    loaded = time.perf_counter() - begin
    assert separator.rate == RATE
    assert sorted(separator.sources) == sorted(TARGETS)
    one_sample = separator.separate_array(SONG[:1], RATE)
    assert all(stem.shape == (1, 2) and np.all(np.isfinite(stem)) for stem in one_sample.values())
    begin = time.perf_counter()
    stems = separator.separate_array(SONG, RATE)
    wall = time.perf_counter() - begin
    with capsys.disabled():
        sys.stdout.write(
            f"\n{model}: loaded in {loaded:.2f} s; {wall:.2f} s for {SECONDS} s of audio, "
            f"real-time factor {wall / SECONDS:.3f} with {torch.get_num_threads()} threads\n"
        )
    for stem in stems.values():
        assert stem.shape == SONG.shape
        assert np.all(np.isfinite(stem))
        assert np.any(stem)
    again = separator.separate_array(SONG, RATE)
    assert all(np.array_equal(stem, again[name]) for name, stem in stems.items())
