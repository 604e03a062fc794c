"""Whose HearLab runs: that of the environment, or the source beside dvc.yaml, which dvc.lock records.

They are two where DVC runs an experiment in a folder of its own, and in a clone that was moved or copied with its
environment: the `hearlab` of the PATH is installed from another folder.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from hearlab.errors import InputError

STARTED = "HEARLAB_SOURCE"  # the folder whose source a process was started with, for those that it starts
# The other source is imported here, so that one that is broken is told in one line. No folder but its own is searched
# before Python's: a module beside dvc.yaml would take the place of an installed one.
LAUNCH = """
import sys
source, *sys.argv = sys.argv[1:]
try:
    from hearlab.cli import main
except Exception as error:
    text = " ".join(f"{type(error).__name__}: {error}".split())
    sys.exit(f"hearlab: {source}: cannot be run with {sys.executable} (found {text}); mend it, or run make demo here")
sys.exit(main())
"""


def running_source() -> Path:
    """The folder from which the running HearLab was imported."""
    return Path(__file__).resolve().parent.parent


def checkout_source(root: Path) -> Path | None:
    """The source beside dvc.yaml; None where there is none."""
    source = root / "src"
    return source.resolve() if (root / "dvc.yaml").is_file() and (source / "hearlab").is_dir() else None


def run_checkout(root: Path, arguments: Sequence[str] | None) -> None:
    """Make sure that the source beside dvc.yaml runs: this process is replaced by one that runs it, if need be.

    Args:
        root: the workspace.
        arguments: None if this process is the `hearlab` command; else it belongs to somebody else.

    Raises:
        InputError: it cannot be run.
    """
    own = checkout_source(root)
    if own is None or own == running_source():
        return
    if arguments is None and sys.executable and os.environ.get(STARTED) != str(own):
        _replace(own)
    advice = "run make demo here, which installs it"
    raise InputError(own, "the source beside dvc.yaml does not run", found=running_source(), advice=advice)


def _replace(source: Path) -> NoReturn:
    paths = [str(source), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), STARTED: str(source)}
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, "-P", "-c", LAUNCH, str(source), *sys.argv], environment)
