"""Mend an environment whose folder was moved or copied: its scripts and editable installs name the former folder.

    .venv/bin/python tools/mend_environment.py

Nothing is installed or fetched: the names are replaced. `.venv/.folder` says where the environment is at home.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

FOLDER = ".folder"
LONGEST_FIRST_LINE = 127  # of a script, that every kernel reads


def former_folder(environment: Path) -> str:
    """Where the environment was before: as noted, or where it has HearLab installed from."""
    noted = environment / FOLDER
    if noted.is_file():
        return noted.read_text(encoding="utf-8").rstrip("\n")
    for path in environment.glob("lib/python*/site-packages/__editable__.hearlab-*.pth"):
        return path.read_text(encoding="utf-8").strip().removesuffix("/src")
    return ""


def mend(environment: Path, before: str, now: str) -> None:
    """Replace the former folder in the environment's scripts, and in what tells Python of packages in this folder."""
    texts = [path for path in (environment / "bin").iterdir() if path.is_file() and not path.is_symlink()]
    for pattern in ("__editable__*.pth", "__editable___*_finder.py", "*.dist-info/direct_url.json"):
        texts += environment.glob(f"lib/python*/site-packages/{pattern}")
    for path in [*texts, environment / "pyvenv.cfg"]:
        content = path.read_bytes()
        # Whole names only: the folder of a neighbour may begin with the same letters.
        changed = content.replace(f"{before}/".encode(), f"{now}/".encode())
        if changed != content and b"\0" not in content:
            path.write_bytes(_runnable(changed))


def _runnable(script: bytes) -> bytes:
    """A script whose first line the kernel can read; one that it cannot goes through the shell, as pip writes it."""
    first, _, rest = script.partition(b"\n")
    if first.startswith(b"#!/") and (b" " in first or len(first) > LONGEST_FIRST_LINE):
        program = first[2:]
        return b"#!/bin/sh\n'''exec' \"" + program + b'" "$0" "$@"\n' + b"' '''\n" + rest
    return script


def main() -> None:
    environment = Path(sys.prefix)
    before, now = former_folder(environment), os.fspath(environment.parent)
    if before and before != now:
        mend(environment, before, now)
    (environment / FOLDER).write_text(f"{now}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
