"""A folder of packages without the hundreds of this environment: a look for a distribution reads the lists of all."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

import pytest


def packages_of(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts a folder first on the path, and takes those of this environment away; what is imported already stays so."""
    monkeypatch.syspath_prepend(folder)  # at the end it gives back the path as it was
    hidden = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
    sys.path[:] = [each for each in sys.path if each not in hidden]
