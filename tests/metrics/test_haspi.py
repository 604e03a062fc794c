"""HASPI v2: what is its own; see test_all_metrics.py and test_speech.py for the rest."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from sounds import FREQUENCIES, lively_speech

from hearlab.errors import InputError
from hearlab.listeners import Audiogram, Listener
from hearlab.metrics import haspi, haspi_better_ear

RATE = 24000
GOOD = 0.1 * np.random.RandomState(0).standard_normal(12000)
AUDIOGRAM = Audiogram([0, 10, 20, 30, 40, 50], [250, 500, 1000, 2000, 4000, 6000])


def test_score_falls_as_hearing_falls():
    # Up to about 30 dB HL this level is audible and the score stays at its ceiling.
    speech = lively_speech()
    losses = [Audiogram([loss] * 8, FREQUENCIES) for loss in (30, 45, 55, 65)]
    scores = [haspi(speech, RATE, speech, RATE, loss, rng=1).score for loss in losses]
    assert all(worse < better for better, worse in pairwise(scores))
    assert scores[0] > 0.99
    assert scores[-1] < 0.1


@pytest.mark.parametrize("level", [0.0, 30.0])
def test_signal_below_threshold(level):
    with pytest.raises(InputError, match=r"^reference: signal below threshold .*check `level`"):
        haspi(GOOD, RATE, GOOD, RATE, AUDIOGRAM, level=level, rng=1)


@pytest.mark.parametrize(("seconds", "enough"), [(0.05, False), (0.15, True)])
def test_a_short_word_between_inaudible_sounds(seconds, enough):
    word = round(seconds * RATE)
    signal = np.concatenate([GOOD[:100], 1e-3 * GOOD, GOOD[:word], 1e-3 * GOOD, GOOD[-100:]])
    if enough:
        assert haspi(signal, RATE, signal, RATE, AUDIOGRAM, rng=1).score >= 0
    else:
        with pytest.raises(InputError, match=r"signal below threshold .*wanted 0\.1 s"):
            haspi(signal, RATE, signal, RATE, AUDIOGRAM, rng=1)


def test_reference_faint_beyond_squaring():
    with pytest.raises(InputError, match="signal below threshold"):
        haspi(GOOD * 1e-200, 16000, GOOD, 48000, AUDIOGRAM, rng=1)


def test_the_ear_below_threshold_is_named():
    stereo = np.stack([GOOD, GOOD], axis=1)
    with pytest.raises(InputError, match=r"^reference, right ear: signal below threshold"):
        haspi_better_ear(stereo * [1, 1e-6], stereo, RATE, Listener("L1", AUDIOGRAM, AUDIOGRAM), rng=1)


MEMORY = """
import sys
import numpy as np
from hearlab.listeners import Audiogram
from hearlab.metrics import haspi

clean = 0.1 * np.random.RandomState(0).standard_normal(int(sys.argv[1]) * 60 * 24000)
heard = np.roll(clean, 100)
haspi(clean, 24000, heard, 24000, Audiogram([40] * 6, [250, 500, 1000, 2000, 4000, 6000]), rng=1)
(line,) = (line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(int(line.split()[1]) * 1024 - clean.nbytes - heard.nbytes)
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the peak is read as Linux has it, freed memory left out")
def test_memory_of_long_sounds():
    # glibc hands back what is freed, so that the peak is what is in use.
    given = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "1000000", "MALLOC_TRIM_THRESHOLD_": "1000000"}
    two, four = (
        int(subprocess.run([sys.executable, "-c", MEMORY, minutes], env=given, capture_output=True, check=True).stdout)
        for minutes in ("2", "4")
    )
    # Ten minutes in less than 0.7 GB beside the caller's signals, of which 0.14 GB do not depend on the length.
    assert (four - two) / 2 < 56e6
    assert four - 4 * 56e6 < 140e6
