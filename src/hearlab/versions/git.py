"""Git, asked by its command: what it prints, or that it failed."""

from __future__ import annotations

import subprocess
from pathlib import Path

from hearlab.errors import InputError
from hearlab.secrets import hide
from hearlab.text import size_text

MOST = 1 << 26  # bytes of a file in git that is read at once


def git(root: Path, *arguments: str) -> bytes | None:
    """What git printed, or None if it failed.

    Raises:
        InputError: git is not installed.
    """
    done = _run(root, *arguments)
    return done.stdout if done.returncode == 0 else None


def git_bounded(root: Path, *arguments: str, most: int = MOST) -> bytes | None:
    """What git printed, or None if it failed, where a stranger's commit decides how much that is.

    Raises:
        InputError: more than `most` bytes, or git is not installed.
    """
    try:
        with subprocess.Popen(_command(root, *arguments), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            assert process.stdout is not None
            content = process.stdout.read(most + 1)
            process.kill() if len(content) > most else process.wait()
    except ValueError:  # NUL in a name
        return None
    except OSError:
        raise InputError("git", "is not installed", advice="install git") from None
    if len(content) > most:
        raise InputError("git", f"{arguments[0]} gives more than {size_text(most)}", field=arguments[-1])
    return content if process.returncode == 0 else None


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
        raise InputError("git", f"{arguments[0]} failed", found=hide(last)[:200])


def _command(root: Path, *arguments: str) -> tuple[str, ...]:
    return "git", "-C", str(root), *arguments


def _run(root: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = _command(root, *arguments)
    try:
        return subprocess.run(command, capture_output=True, check=False)
    except ValueError:  # NUL in a name that comes from a file
        return subprocess.CompletedProcess(command, 128, b"", b"NUL in an argument")
    except OSError:
        raise InputError("git", "is not installed", advice="install git") from None
