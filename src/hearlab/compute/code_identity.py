"""The identity of the code that a unit runs.

HearLab's own code counts by the definitions that the unit reaches (`hearlab.compute.code.definitions`), a system of
one's own as a whole (`hearlab.compute.code.own_code`). Identities are kept while the files are as they were, which a
look at each of them tells: one stat for a file.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from hearlab.compute.code.definitions import OWN_PACKAGE, Definition, Reached
from hearlab.compute.code.file_cache import Stamp, settled, stamp
from hearlab.compute.code.own_code import OwnCode


@dataclass(frozen=True)
class Code:
    """The code behind a function.

    Attributes:
        identity: a hash, the same wherever the same code is installed.
        files: files whose definitions it reaches, with the digests of their bytes.
        own: all files of systems of one's own and what they import.
        folders: a file that is new or gone changes them.
        settled: whether any later change of a file changes its stamp.
    """

    identity: str
    files: dict[str, tuple[Stamp, str]]
    own: dict[str, Stamp]
    folders: dict[str, Stamp]
    settled: bool

    def unchanged(self) -> bool:
        """Whether all files are as they were, by their stamps."""
        marks = {**{path: mark for path, (mark, _) in self.files.items()}, **self.own, **self.folders}
        return self.settled and all(stamp(path) == mark for path, mark in marks.items())


_known: dict[Any, Code] = {}


def code_identity(function: Callable[..., Any], more: Iterable[str] = ()) -> str:
    """Hash of everything that `function`, and the classes or functions `more` ('package.module:Name'), can reach."""
    return code_of(function, more).identity


def code_of(function: Callable[..., Any] | None, more: Iterable[str] = ()) -> Code:
    """All code that `function`, and the classes or functions `more` ('package.module:Name'), can reach.

    Raises:
        InputError: a file of it is not Python.
    """
    start = {(function.__module__, function.__qualname__.split(".")[0])} if function else set()
    start |= {(module, name) for module, _, name in (dotted.partition(":") for dotted in more if not is_own(dotted))}
    own = tuple(sorted(filter(is_own, more)))
    key = (frozenset(start), own, tuple(sys.path))
    known = _known.get(key)
    if known is None or not known.unchanged():
        known = _known[key] = _read(start, own)
    return known


def is_own(dotted: str) -> bool:
    """Whether a name is that of a system of one's own, not of HearLab's code."""
    return not dotted.replace(":", ".").startswith(f"{OWN_PACKAGE}.")


def _read(start: set[Definition], own: tuple[str, ...]) -> Code:
    reached = Reached({OWN_PACKAGE} | {module.split(".")[0] for module, _ in start})
    reached.add(start)
    local = OwnCode(own, reached)
    digest = hashlib.sha256()
    for line in (*reached.lines(), *local.lines()):
        digest.update(f"{line}\n".encode())
    marks = [*(mark for mark, _ in reached.files.values()), *local.files.values()]
    return Code(
        digest.hexdigest(),
        reached.files,
        local.files,
        {**reached.folders, **local.folders},
        all(map(settled, marks)),
    )
