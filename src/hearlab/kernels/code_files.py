"""Compiled code on the disk: damaged code is compiled again, and without a place to write to everything works, too.

Numba trusts its files. An empty or cut one would stop every later process, and one with an altered byte would run. So
these files hold a checksum and what they are the code of: numba, source, signature and processor. They are in the
user's cache folder under names made of that: each clone, and each experiment in a folder of its own, finds them.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import pickle
import tempfile
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import FunctionCache
from numba.core.runtime import rtsys
from numba.core.serialize import dumps

DIGEST = hashlib.sha256().digest_size
SUFFIX = ".nbc"
KEPT = 90 * 24 * 3600  # s since the code was last loaded
DAY = 24 * 3600
# One warning is enough, for the processes that this one starts, too.
TOLD = "HEARLAB_CODE_FILES_TOLD"

_log = logging.getLogger(__name__)


class CodeFiles(FunctionCache):
    """Numba's cache of one function, a file for each signature and processor.

    Args:
        function: the function.
        sources: stamp of the other sources that its code is made of, and of all else that tells it from others.
        plain: the code asks for nothing but memory, numpy's arrays and the C library's mathematics. It then runs
            without the tables of all that numba can compile, which take half of a first score: for them scipy.linalg
            is imported (does `np.dot` have a BLAS?), and a parser of C. They are filled when something is compiled.

    Raises:
        RuntimeError: there is no folder that can be written to.
    """

    def __init__(self, function: Callable[..., Any], sources: str, *, plain: bool = False) -> None:
        super().__init__(function)
        self._plain = plain
        stamp = self._impl.locator.get_source_stamp()
        self._made_of = numba.__version__, self._impl.filename_base, stamp, sources
        self._folder = _shared_folder() or Path(self.cache_path)

    def _place(self, signature: Any, codegen: Any) -> tuple[Path, bytes]:
        """The file for a signature, and the mark of what it must be the code of."""
        mark = _digest(repr((self._made_of, self._index_key(signature, codegen))).encode())
        return self._folder / f"{self._impl.filename_base}.{mark.hex()[:16]}{SUFFIX}", mark

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The compiled code; None if it is not there or not right."""
        if self._plain:
            rtsys.initialize(target_context)
        else:
            target_context.refresh()
        path, mark = self._place(sig, target_context.codegen())
        try:
            content = path.read_bytes()
            if _digest(content[DIGEST:]) != content[:DIGEST]:
                raise ValueError("damaged")
            if content[DIGEST : 2 * DIGEST] != mark:
                raise ValueError("of other code")
            if time.time() - path.stat().st_mtime > DAY:
                with contextlib.suppress(OSError):
                    os.utime(path)  # it is in use
            return self._impl.rebuild(target_context, pickle.loads(content[2 * DIGEST :]))  # noqa: S301 - written here
        except FileNotFoundError:
            return None
        except Exception as error:  # of many kinds
            tell("%s: cannot be used, and the function is compiled again (%s)", path, _reason(error))
        with contextlib.suppress(OSError):  # then `save_overload` replaces it, or it is done without
            path.rmdir() if path.is_dir() else path.unlink()
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep compiled code."""
        if not self._impl.check_cachable(data):
            return
        path, mark = self._place(sig, data.codegen)
        content = mark + dumps(self._impl.reduce(data))
        temporary = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(prefix=".", suffix=SUFFIX, dir=path.parent, delete=False) as file:
                temporary = file.name
                file.write(_digest(content) + content)
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
            _remove_unused(path.parent)
        except OSError as error:
            if temporary is not None:
                Path(temporary).unlink(missing_ok=True)
            tell_unwritable(path.parent, _reason(error))


def _shared_folder() -> Path | None:
    """The folder of all clones; None where it cannot be written to."""
    caches = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = Path(numba.config.CACHE_DIR or Path(caches, "hearlab", "compiled"))  # type: ignore[attr-defined]
    return folder if folder.is_absolute() and _can_be_written(folder) else None


@lru_cache(maxsize=8)
def _can_be_written(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True


def _remove_unused(folder: Path) -> None:
    """Remove code of sources that are gone: it was not loaded for months."""
    latest = time.time() - KEPT
    for path in folder.glob(f"*{SUFFIX}"):
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < latest:
                path.unlink()


def tell_unwritable(folder: object, reason: str) -> None:
    """Warn that code is compiled in each process."""
    advice = "each process compiles it again; NUMBA_CACHE_DIR can name another folder"
    tell(f"%s: compiled code cannot be kept here (%s): {advice}", folder, reason)


def tell(text: str, *values: object) -> None:
    """Log a warning, the first time."""
    if TOLD not in os.environ:
        os.environ[TOLD] = "1"
        _log.warning(text, *values)


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else str(error)) or type(error).__name__


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()
