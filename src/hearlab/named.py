"""Code that is loaded by its name."""

from __future__ import annotations

import importlib
from typing import Any


def load_named(name: str) -> Any:
    """What 'package.module:name' names. A unit lists in `Unit.code` what it loads so: its key covers that code, too."""
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)
