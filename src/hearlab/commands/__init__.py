"""The subcommands of `hearlab`: a folder for each task, whose docstring is its title, and one module for each command.

`add` of a module puts its command into the parser. What a command needs is imported when it runs, so that
`hearlab --help` is quick.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import TypeAlias

# In quotes, because argparse's class takes no parameters when the program runs.
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

TASKS = ("running", "results", "challenge", "setup")  # in the order of `hearlab --help`


def modules_by_task() -> Iterator[tuple[str, list[ModuleType]]]:
    """Title of each task and the modules of its commands, by name."""
    for task in TASKS:
        folder = importlib.import_module(f"{__name__}.{task}")
        names = [found.name for found in pkgutil.iter_modules(folder.__path__, f"{folder.__name__}.")]
        yield str(folder.__doc__).strip(), [importlib.import_module(name) for name in names]
