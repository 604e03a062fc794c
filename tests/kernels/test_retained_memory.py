"""Arrays that are made again and again find their memory still there."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

SCRIPT = """
import resource
import numpy as np
from hearlab.fitting import Compressor, NalR

nalr, compressor, x = NalR(), Compressor(44100), np.zeros(288000)
fir = np.ones(221)
for _ in range(6):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.stack([compressor.apply(nalr.apply(fir, x)) for _ in range(2)], axis=1)
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(faults)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries keep memory by other rules")
def test_no_new_pages_for_the_same_work() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    # 14 MB of results and copies: 2,300 or more new pages each time if the memory is handed back.
    assert int(done.stdout) < 500
