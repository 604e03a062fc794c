"""Files that are damaged in the ways in which files get damaged, and a disk that is small."""

from __future__ import annotations

import contextlib
import os
import pickle
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

# Before a command: root's right to read and write any file is given up.
CAPABILITIES = "-dac_override,-dac_read_search"
AS_ANYBODY = ("setpriv", f"--bounding-set={CAPABILITIES}", f"--inh-caps={CAPABILITIES}") if os.geteuid() == 0 else ()
HOWS = ("empty", "cut", "other bytes", "a byte", "a pickle", "zeros", "a folder")
DRAWN = ("cut", "other bytes", "a byte")  # another damage each time


def damage(path: Path, how: str, rng: random.Random) -> None:
    """Damage a file; it stays the file that it is, except if it becomes a folder."""
    content = path.read_bytes()
    if how == "a folder":
        path.unlink()
        path.mkdir()
        return
    place = rng.randrange(len(content)) if content else 0
    path.write_bytes(
        {
            "empty": b"",
            "cut": content[:place],
            "other bytes": rng.randbytes(len(content) or 9),
            "a byte": content[:place] + bytes([content[place] ^ 1 << rng.randrange(8)]) + content[place + 1 :]
            if content
            else b"\1",
            "a pickle": pickle.dumps(("0.1", {})),
            "zeros": bytes(len(content)),
        }[how]
    )


@contextlib.contextmanager
def small_disk(folder: Path, size: int = 1 << 16) -> Iterator[Path]:
    """A file system of few bytes."""
    folder.mkdir()
    if shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("needs the right to mount a small disk (root)")
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", os.fspath(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"needs the right to mount a small disk: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", os.fspath(folder)], check=True)


def fill(disk: Path) -> None:
    """Leave no byte free; `ballast` has them."""
    status = os.statvfs(disk)
    with (disk / "ballast").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, status.f_bavail * status.f_frsize)


def need_anybody() -> None:
    """Skip the test where root cannot give up that right."""
    if AS_ANYBODY and (shutil.which("setpriv") is None or subprocess.run([*AS_ANYBODY, "true"]).returncode):
        pytest.skip("needs setpriv, and the right to drop capabilities, or another user than root")
