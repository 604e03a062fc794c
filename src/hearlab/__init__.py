"""HearLab: an experiment repository for hearing-aid signal processing."""

import time

BEGAN = time.time_ns()  # no other module of HearLab was loaded before

__version__ = "0.1.0"

# Names of the package for notebooks, each imported when it is used: name -> module and its name there.
LAZY = {"open": ("lab.laboratory", "open_lab")}


def __getattr__(name: str) -> object:
    if name not in LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    module, attribute = LAZY[name]
    return getattr(importlib.import_module(f"{__name__}.{module}"), attribute)
