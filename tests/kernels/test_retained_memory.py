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


# As in the rendering of a scene: 200 MB in blocks of up to 20 MB, all of them there at the same time.
LARGE = """
import resource
import numpy as np
from hearlab.kernels.retained_memory import keep_freed_memory, keep_much_freed_memory

{}()
for _ in range(6):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [np.ones(size << 17) for size in range(1, 20)]
    del blocks
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(faults)
"""

on_glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries keep memory by other rules")


def new_pages(script: str) -> int:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return int(done.stdout)


@on_glibc
def test_large_work_finds_its_pages_again() -> None:
    few, many = (new_pages(LARGE.format(name)) for name in ("keep_much_freed_memory", "keep_freed_memory"))
    assert few < 500
    assert many > 2000  # else the test no longer shows anything: 50,000 pages, or some of them together as huge ones


@on_glibc
def test_no_new_pages_for_the_same_work() -> None:
    # 14 MB of results and copies: 2,300 or more new pages each time if the memory is handed back.
    assert new_pages(SCRIPT) < 500
