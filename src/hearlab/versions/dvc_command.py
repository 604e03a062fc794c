"""DVC itself, called where reading its files is not enough. Importing it takes one to two seconds."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


def dvc_line(*arguments: str) -> list[str]:
    """The command line of this Python's `dvc`."""
    # -P: no module of the folder where it runs takes the place of one of DVC's.
    return [sys.executable, "-P", "-m", "dvc", *arguments]


def run_dvc(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `dvc` in a folder, the user's own."""
    return subprocess.run(
        dvc_line(*arguments), cwd=root, encoding="utf-8", errors="replace", check=False, capture_output=True
    )


def repository(root: Path) -> Any:
    """DVC's own object for the repository, to be used in a `with` block.

    Raises:
        ImportError: DVC is not installed.
        Exception: of DVC's own kinds.
    """
    return importlib.import_module("dvc.repo").Repo(os.fspath(root))


def remote_problem(root: Path, remote: str, seconds: float) -> str | None:
    """Why a remote cannot be used, passwords included; None if it answers whether it has one object of no remote."""
    program = (
        "import sys; from dvc.repo import Repo\n"
        "with Repo(sys.argv[1]) as repo:\n"
        "  odb = repo.cloud.get_remote_odb(sys.argv[2]); odb.fs.exists(odb.path)\n"
    )
    command = (sys.executable, "-P", "-c", program, str(root), remote)
    try:
        done = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", check=False, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        return f"no answer in {seconds:g} s"
    return (done.stderr.strip().splitlines() or ["unknown error"])[-1] if done.returncode else None
