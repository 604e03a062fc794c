"""Packages that a module of tests needs. `pytest.importorskip` imports them in every run, also where no test is chosen."""

from __future__ import annotations

import importlib.util

import pytest


def need(package: str) -> None:
    """Skips the module that calls it if the package is not installed."""
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed: make test installs it", allow_module_level=True)
