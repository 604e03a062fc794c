"""DVC itself, called where reading its files is not enough. Importing it takes one to two seconds."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def run_dvc(
    root: Path, *arguments: str, environment: Mapping[str, str] | None = None, shown: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run the `dvc` of this Python in a folder.

    Args:
        root: the folder.
        arguments: the command and its options.
        environment: variables beside those of this process.
        shown: print its output to standard error instead of returning it.
    """
    # -P: no module of that folder takes the place of one of DVC's.
    command = (sys.executable, "-P", "-m", "dvc", *arguments)
    stream = 2 if shown else subprocess.PIPE
    variables = {**os.environ, **(environment or {})}
    return subprocess.run(command, cwd=root, env=variables, text=True, check=False, stdout=stream, stderr=stream)


def repository(root: Path) -> Any:
    """DVC's own object for the repository, to be used in a `with` block.

    Raises:
        ImportError: DVC is not installed.
        Exception: of DVC's own kinds.
    """
    return importlib.import_module("dvc.repo").Repo(os.fspath(root))


def full_config(root: Path) -> dict[str, Any]:
    """DVC's whole configuration here, that of the user and the machine included. Raises as `repository`."""
    with repository(root) as repo:
        return dict(repo.config)


def set_local_config(root: Path, values: Mapping[str, Any]) -> None:
    """Set sections of DVC's configuration in .dvc/config.local, which only this user can read: it may hold passwords.

    The keys of .dvc/config are not checked: an old revision may have some that this DVC does not know. DVC's object for
    the repository would check them, and leave a folder in DVC's site cache.

    Raises:
        ImportError: DVC is not installed.
        ValueError: the configuration cannot be read.
    """
    config = importlib.import_module("dvc.config").Config
    folder = root / ".dvc"
    (folder / "config.local").touch(mode=0o600)
    try:
        with config(dvc_dir=os.fspath(folder), validate=False).edit("local", validate=False) as local:
            local |= values
    except OSError:
        raise
    except Exception as error:  # of DVC and of the libraries by which it reads
        raise ValueError(" ".join(str(error).split())[:200]) from error


def remote_problem(root: Path, remote: str, seconds: float) -> str | None:
    """Why a remote cannot be used, passwords included; None if it answers whether it has one object of no remote."""
    program = (
        "import sys; from dvc.repo import Repo\n"
        "with Repo(sys.argv[1]) as repo:\n"
        "  odb = repo.cloud.get_remote_odb(sys.argv[2]); odb.fs.exists(odb.path)\n"
    )
    command = (sys.executable, "-c", program, str(root), remote)
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds)
    except subprocess.TimeoutExpired:
        return f"no answer in {seconds:g} s"
    return (done.stderr.strip().splitlines() or ["unknown error"])[-1] if done.returncode else None
