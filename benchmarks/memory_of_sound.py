"""Peak memory of a long sound: `python benchmarks/memory_of_sound.py haspi|hearing_aid MINUTES`.

Prints the peak of the process and what the caller's own signals are of it (GB), and seconds of its core.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from hearlab.kernels.arithmetic import fix

fix()

import numpy as np  # noqa: E402

RATE = 44100
WARM_UP = 60_000  # samples: code is loaded before the peak is looked at


def peak() -> float:
    """GB that this process had at most."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / 1e9


def haspi(count: int) -> tuple[float, float]:
    from hearlab.listeners import Audiogram
    from hearlab.metrics import haspi as metric

    audiogram = Audiogram([30, 35, 40, 50, 60, 65], [250, 500, 1000, 2000, 4000, 6000])
    rng = np.random.default_rng(0)
    reference = speech_like(count, rng)
    processed = rng.standard_normal(count)
    processed *= 0.01
    processed += reference
    for samples in (WARM_UP, count):
        started = time.process_time()
        metric(reference[:samples], RATE, processed[:samples], RATE, audiogram, level=100, rng=np.random.RandomState(1))
    return (reference.nbytes + processed.nbytes) / 1e9, time.process_time() - started


def hearing_aid(count: int) -> tuple[float, float]:
    from hearlab.listeners import Audiogram, Listener
    from hearlab.systems.baseline import Baseline

    audiogram = Audiogram([30, 35, 40, 50, 60, 65], [250, 500, 1000, 2000, 4000, 6000])
    listener, system = Listener("L", audiogram, audiogram), Baseline()
    signal = np.repeat(speech_like(count, np.random.default_rng(0))[:, None], 2, axis=1)
    for samples in (WARM_UP, count):
        started = time.process_time()
        output = system.speech({"CH1": signal[:samples]}, RATE, listener)
    return (signal.nbytes + output.nbytes) / 1e9, time.process_time() - started


def speech_like(count: int, rng: np.random.Generator) -> np.ndarray:
    """Noise whose level changes ten times a second."""
    signal = rng.standard_normal(count)
    signal *= 0.05
    for start in range(0, count, RATE // 10):
        signal[start : start + RATE // 10] *= rng.random()
    return signal


def main() -> None:
    work, minutes = sys.argv[1:]
    given, seconds = {"haspi": haspi, "hearing_aid": hearing_aid}[work](round(float(minutes) * 60 * RATE))
    print(peak(), given, seconds)


if __name__ == "__main__":
    main()
