"""HearLab: an experiment repository for hearing-aid signal processing."""

import importlib
import time

BEGAN = time.time_ns()  # no other module of HearLab was loaded before

__version__ = "0.1.0"

# Names of the package for notebooks, each imported when it is used: name -> module and its name there, if not itself.
LAZY = {"open": ("lab.laboratory", "open_lab"), "scores": ("scores", "")}


def __getattr__(name: str) -> object:
    if name not in LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    place, attribute = LAZY[name]
    module = importlib.import_module(f"{__name__}.{place}")
    return getattr(module, attribute) if attribute else module
