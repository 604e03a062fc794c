"""Compiled code that Python would take for that of a source which has changed since.

Python knows the source of a `.pyc` by its size and the second of its last change. A source that is changed twice in one
second, to as many bytes, is run as it was after the first change.
"""

from __future__ import annotations

import contextlib
import importlib.util
import marshal
import os

from hearlab.compute.code.file_cache import TICK
from hearlab.errors import InputError

HEADER = 16  # magic number, flags, time, size (Python's documentation, `importlib`, and PEP 552)


def _stale_bytecode(path: str) -> str | None:
    """The `.pyc` that Python would run for a source file, although it is of another source; None if there is none."""
    with contextlib.suppress(OSError, ValueError, EOFError, TypeError, SyntaxError, NotImplementedError):
        compiled = importlib.util.cache_from_source(path)
        source, kept = os.stat(path), os.stat(compiled)
        if kept.st_mtime_ns > source.st_mtime_ns + TICK:
            return None
        with open(compiled, "rb") as file:
            header, code = file.read(HEADER), file.read()
        fields = [int.from_bytes(header[start : start + 4], "little") for start in (4, 8, 12)]
        wanted = [0, int(source.st_mtime) & 0xFFFFFFFF, source.st_size & 0xFFFFFFFF]
        if header[:4] != importlib.util.MAGIC_NUMBER or fields != wanted:
            return None  # Python compiles it again
        with open(path, "rb") as file:
            if marshal.loads(code) != compile(file.read(), path, "exec", dont_inherit=True):
                return compiled
    return None


def drop_stale_bytecode(path: str) -> bool:
    """Remove it; whether there was one.

    Raises:
        InputError: it cannot be removed.
    """
    compiled = _stale_bytecode(path)
    if compiled is None:
        return False
    try:
        os.unlink(compiled)
    except FileNotFoundError:
        pass
    except OSError as error:
        problem = "is of another source than there is, and Python would run it"
        raise InputError(compiled, problem, found=error.strerror, advice="remove it") from None
    return True
