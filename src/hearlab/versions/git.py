"""Git, asked by its command: what it prints, or that it failed."""

from __future__ import annotations

import subprocess
from pathlib import Path

from hearlab.errors import InputError


def git(root: Path, *arguments: str) -> bytes | None:
    """What git printed, or None if it failed.

    Raises:
        InputError: git is not installed.
    """
    done = _run(root, *arguments)
    return done.stdout if done.returncode == 0 else None


def git_text(root: Path, *arguments: str) -> str:
    """What git printed, without its last line end; empty if it failed or is not installed."""
    try:
        return (git(root, *arguments) or b"").decode("utf-8", errors="replace").removesuffix("\n")
    except InputError:
        return ""


def run_git(root: Path, *arguments: str) -> None:
    """Run git for what it does.

    Raises:
        InputError: git failed (the last line that it printed says why), or is not installed.
    """
    done = _run(root, *arguments)
    if done.returncode != 0:
        last = (done.stderr.decode("utf-8", errors="replace").strip().splitlines() or ["no reason"])[-1]
        raise InputError("git", f"{arguments[0]} failed", found=last[:200])


def _run(root: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(("git", "-C", str(root), *arguments), capture_output=True, check=False)
    except OSError:
        raise InputError("git", "is not installed", advice="install git") from None
