"""What a unit of work is: one scene to render, one scene-listener pair to enhance or to score."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Unit:
    """One independent piece of a stage's work.

    Attributes:
        id: what the user knows it by, such as 'S06001' or 'S06001 L0064'; unique within the stage.
        function: a module-level function, so that another process can import it.
        arguments: its keyword arguments; they travel to the process that runs it.
    """

    id: str
    function: Callable[..., Any]
    arguments: Mapping[str, Any] = field(default_factory=dict)
