"""Files that the parameters of a system name: weights, tables, settings."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any


def named_files(params: Mapping[str, Any]) -> dict[str, str]:
    """The values that are paths of files which exist, by the names of their parameters, such as 'net.weights'.

    A path is taken as the system takes it: relative to the current folder, which is the root of the workspace.
    """
    return {name: value for name, value in _texts(params, "") if os.path.isfile(value)}


def _texts(value: Any, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, Mapping | list | tuple):
        inner = value.items() if isinstance(value, Mapping) else enumerate(value)
        for key, part in inner:
            yield from _texts(part, f"{name}.{key}" if name else str(key))
