"""Imports without a search for garbage: what they make stays, and Python would look through it again and again."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


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
