"""Compile HearLab's loops before the first score needs them, on two cores: `make demo` and `make test` do it once.

python tools/kernels.py        what is there already is only loaded
python tools/kernels.py PART   one part, in this process

The code is kept in the user's cache folder, for all clones (NUMBA_CACHE_DIR names another).
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

# Parts of one round have nothing in common (that of the site is short); the second finds what the first has compiled.
ROUNDS = (("ear", "alignment", "site"), ("speech", "music"))
RATE = 44100


def main(arguments: list[str]) -> int:
    """Compile all parts, or one."""
    if arguments:
        PARTS[arguments[0]]()
        return 0
    started = time.monotonic()
    print("Compiling the loops of ear, metrics, hearing aid and site (once for a user and a version)", flush=True)
    for parts in ROUNDS:
        workers = [subprocess.Popen([sys.executable, os.path.abspath(__file__), part]) for part in parts]
        try:
            codes = [worker.wait() for worker in workers]
        finally:  # Ctrl-C
            for worker in workers:
                worker.kill()
        if any(codes):
            print("They could not be compiled now: they will be when they are first used", file=sys.stderr)
            return 0
    print(f"Compiled in {time.monotonic() - started:.0f} s")
    return 0


def _ear() -> None:
    from hearlab.ear.reference_ear import ReferenceEar
    from hearlab.ear.resampling import to_model_rate
    from hearlab.fitting import Compressor, NalR
    from hearlab.fitting.soft_clip import soft_clip
    from hearlab.kernels.rows import empty_rows
    from hearlab.metrics.covariance import segment_covariances
    from hearlab.metrics.haspi import WINDOW_BEFORE, smoothed_cepstra
    from hearlab.metrics.loudness import loudness

    sound = _sound()
    ear = ReferenceEar(to_model_rate(sound, RATE), 65.0)
    smoothed_cepstra(ear.envelopes(WINDOW_BEFORE), ear.samples, loudness=True).loudness()
    loudness(sound[:3200].reshape(100, 32))
    rows = empty_rows(2, 4800)
    segment_covariances(rows[0], rows[1], 4800)
    aid = NalR(rate=RATE)
    soft_clip(Compressor(RATE).apply(aid.apply(aid.filter(_audiogram()), sound)))


def _alignment() -> None:
    import numpy as np

    from hearlab.ear.alignment import BroadbandAlignment, align_rows
    from hearlab.kernels.normals import NormalStream
    from hearlab.kernels.rows import empty_rows, inside

    sound = _sound()
    BroadbandAlignment(sound).apply(sound)
    rows = empty_rows(2, sound.size)
    inside(rows)[:, : sound.size] = sound
    align_rows(rows, rows.copy(), sound.size)
    noise = NormalStream(np.random.RandomState(0))
    noise.skip(101)
    noise.add(np.zeros(100), 1.0)
    noise.add(np.zeros(100, dtype=np.float32), 1.0)


def _speech() -> None:
    from hearlab.metrics import haspi, hasqi

    for metric in (haspi, hasqi):
        metric(_sound(), RATE, _sound(), RATE, _audiogram(), rng=0)


def _music() -> None:
    from hearlab.metrics import haaqi_stem

    haaqi_stem(_sound(), RATE, _sound(), RATE, _audiogram(), rng=0)


def _site() -> None:
    from hearlab.report.site.sound.loudness import loudness
    from hearlab.report.site.sound.spectrogram import spectrogram

    sound = _sound()[:, None]
    loudness(sound, RATE)
    spectrogram(sound, RATE)


PARTS: dict[str, Callable[[], None]] = {
    "ear": _ear,
    "alignment": _alignment,
    "speech": _speech,
    "music": _music,
    "site": _site,
}


def _sound() -> Any:
    import numpy as np

    return np.random.default_rng(0).uniform(-0.1, 0.1, RATE // 2)


def _audiogram() -> Any:
    from hearlab.listeners import Audiogram

    return Audiogram([30.0, 35, 40, 50, 60, 65], [250.0, 500, 1000, 2000, 4000, 6000])


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
