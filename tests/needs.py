"""Packages that a module of tests needs; `pytest.importorskip` would import them where no test of it is chosen, too."""

from __future__ import annotations

import importlib.util

import pytest


def need(package: str) -> None:
    """Skips the module that calls it if the package is not installed."""
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed: make test installs it", allow_module_level=True)
