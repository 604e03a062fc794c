"""Git, asked by its command: what it prints, or that it failed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from hearlab.errors import InputError
from hearlab.secrets import hide
from hearlab.text import size_text

MOST = 1 << 26  # bytes of a file in git that is read at once
# git gives them to its hooks: what a hook starts in another folder would ask the wrong repository.
OF_A_HOOK = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY")
NO_REPOSITORY = "this folder is no git repository"


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
        with subprocess.Popen(
            _command(root, *arguments), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=git_environment()
        ) as process:
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


def git_environment() -> dict[str, str]:
    """Variables for git: the user's, with messages that are known, and without those of another place."""
    kept = {name: value for name, value in os.environ.items() if name not in OF_A_HOOK}
    return {**kept, "LC_ALL": "C"}


def repository_problem(root: Path) -> str | None:
    """Why git knows nothing of a folder's files, and what can be done; None if it does."""
    try:
        done = _run(root, "rev-parse", "--is-inside-work-tree")
    except InputError:
        return "git is not installed"
    if done.stdout.strip() == b"true":
        return None
    said = " ".join(done.stderr.decode("utf-8", errors="replace").split())
    if "not a git repository (or any" in said:
        return NO_REPOSITORY
    if "dubious ownership" in said or "unsafe repository" in said:
        advice = said[said.find("git config") :]
        return f"this folder's git repository belongs to another user, and git refuses it; if you trust it: {advice}"
    return f"git cannot use this folder's repository: {said or 'it is a bare one, without files'}"


def head_commit(root: Path) -> str:
    """The hash of the commit that is checked out.

    Raises:
        InputError: there is none, or git cannot tell it.
    """
    problem = repository_problem(root)
    commit = "" if problem else git_text(root, "rev-parse", "--verify", "--quiet", "HEAD")
    if not commit:
        raise InputError("HEAD", problem or "the repository has no commit yet")
    return commit


def is_shallow(root: Path) -> bool:
    """Whether a clone has only the latest commits."""
    return git_text(root, "rev-parse", "--is-shallow-repository") == "true"


def _command(root: Path, *arguments: str) -> tuple[str, ...]:
    return "git", "-C", str(root), *arguments


def _run(root: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = _command(root, *arguments)
    try:
        return subprocess.run(command, capture_output=True, check=False, env=git_environment())
    except ValueError:  # NUL in a name that comes from a file
        return subprocess.CompletedProcess(command, 128, b"", b"NUL in an argument")
    except OSError:
        raise InputError("git", "is not installed", advice="install git") from None
