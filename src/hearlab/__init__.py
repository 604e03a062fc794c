"""HearLab: an experiment repository for hearing-aid signal processing."""

import importlib
import time
from typing import Any

BEGAN = time.time_ns()  # no other module of HearLab was loaded before

__version__ = "0.1.0"

# Names of the package for notebooks, each imported when it is used: name -> module and its name there.
LAZY = {"open": ("lab.laboratory", "open_lab"), "scores": ("report.compare.pairs", "scores")}


def __getattr__(name: str) -> Any:
    if name not in LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    module, attribute = LAZY[name]
    return getattr(importlib.import_module(f"{__name__}.{module}"), attribute)
