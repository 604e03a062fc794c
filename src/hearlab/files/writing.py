"""Files written whole or not at all."""

from __future__ import annotations

import contextlib
import contextvars
import json
import os
import re
import socket
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Inside `synced_later` the caller brings everything to the disk at once.
_synced_later = contextvars.ContextVar("synced_later", default=False)


@contextlib.contextmanager
def synced_later() -> Iterator[None]:
    """Inside the block, files are renamed without an fsync of their own: the caller syncs all of them together.

    An fsync takes 3 ms on an ordinary disk; a scene has 13 files.
    """
    token = _synced_later.set(True)
    try:
        yield
    finally:
        _synced_later.reset(token)


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary name beside `path`; on leaving without an error it becomes `path`, else it is removed.

    The bytes are on the disk (fsync, but see `synced_later`) before the rename, so that a reader sees the old file or
    the new one and never half of one. The temporary name ends in the final suffix, because some writers choose the
    format by it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{path.stem[:40]}.part-{_host()}-{os.getpid()}-"
    handle, name = tempfile.mkstemp(prefix=prefix, suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        if not _synced_later.get():
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
        # mkstemp makes private files; give the permissions an ordinary open() would have given.
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def remove_left_over(folder: str | os.PathLike[str]) -> None:
    """Remove the temporary files that processes of this machine left in a folder when they were killed."""
    for path in Path(folder).glob(".*.part-*"):
        found = re.search(rf"\.part-{_host()}-(\d+)-\w+(\.\w+)?$", path.name)
        if found and not _runs(int(found[1])):
            path.unlink(missing_ok=True)


def _host() -> str:
    """A short name of this machine: folders can be shared, and another machine has other processes."""
    return f"{zlib.crc32(socket.gethostname().encode()):08x}"


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` as UTF-8 with an atomic rename."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: str | os.PathLike[str], value: Any, *, indent: int = 1) -> None:
    """Write `value` as JSON (two runs give the same bytes: keys keep their order) with an atomic rename."""
    write_text(path, json.dumps(value, indent=indent, ensure_ascii=False) + "\n")
