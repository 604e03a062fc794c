"""Importing PyTorch late: the rest of HearLab imports without it, and one line says what to install."""

from __future__ import annotations

import importlib
from typing import Any

from hearlab.errors import InputError

ADVICE = "pip install 'hearlab[music]'"


def require_torch() -> Any:
    """The torch module.

    Raises:
        InputError: torch is not installed.
    """
    return require("torch")


def require(name: str) -> Any:
    """A module of an optional package.

    Raises:
        InputError: it is not installed, or cannot be imported.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        problem = "is not installed" if getattr(error, "name", None) == package else "cannot be imported"
        found = None if problem == "is not installed" else str(error)
        raise InputError(package, problem, found=found, advice=ADVICE) from None
