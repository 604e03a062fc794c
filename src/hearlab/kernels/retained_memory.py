"""What a process keeps: freed memory for the next array, and objects that stay.

glibc gives freed memory back when more than twice the largest block that it ever mapped is free, and the next array
then pays for each of its pages again: 1.7 us for 4 kB on a virtual machine. By what a process had done before, NAL-R
and compressor of a scene of 6.5 s took 12 ms (2,300 new pages each time) or 6.5 ms (none).

Python looks for garbage each time that 700 more objects are there, also while libraries are imported, which make
200,000 that stay.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import platform
from collections.abc import Iterator

LARGEST_COUNTED = 31 << 20  # bytes; glibc does not count blocks above 32 MB
MOST_KEPT = 256 << 20
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # of malloc.h


@functools.cache
def keep_freed_memory() -> None:
    """Let the process keep up to 64 MB that are free. Elsewhere than on glibc nothing happens.

    A large block that is freed raises the limit; it is never touched, so it takes no memory.
    """
    import numpy as np  # whose loops may not be chosen yet when this module is imported

    np.empty(LARGEST_COUNTED, dtype=np.uint8)


@functools.cache
def keep_much_freed_memory() -> None:
    """Let the process keep up to 256 MB that are free. Elsewhere than on glibc nothing happens.

    For work that makes and frees more than `keep_freed_memory` keeps. The limits no longer follow the blocks then.
    """
    if platform.libc_ver()[0] == "glibc":
        with contextlib.suppress(AttributeError):
            mallopt = ctypes.CDLL(None).mallopt
            mallopt(TRIM_THRESHOLD, MOST_KEPT)
            mallopt(MMAP_THRESHOLD, LARGEST_COUNTED)


@contextlib.contextmanager
def objects_stay() -> Iterator[None]:
    """Inside, Python looks for no garbage; what was made counts as old afterwards, so that the next search skips it.

    Where the caller has switched the search off it stays off, and what is frozen (`gc.freeze`) stays frozen.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        if not gc.get_freeze_count():
            gc.freeze()  # all of it into a generation of its own, without looking at it
            gc.unfreeze()  # and that into the oldest
        gc.enable()
