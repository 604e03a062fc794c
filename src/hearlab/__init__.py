"""HearLab: an experiment repository for hearing-aid signal processing."""

import importlib
import time
from typing import Any

BEGAN = time.time_ns()  # no other module of HearLab was loaded before

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # Not before it is asked for: `hearlab --help` is quick.
    if name == "scores":
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
