"""The identity of the code that a unit runs.

HearLab's own code counts by the definitions that the unit reaches (`hearlab.compute.code.definitions`), a system of
one's own as a whole (`hearlab.compute.code.own_code`). Identities are kept while the files are as they were, which a
look at each of them tells: one stat for a file. Those of HearLab's own code are kept on disk, too: to follow its
definitions takes a third of the time of a stage that has nothing to do.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hearlab.compute import code as reader
from hearlab.compute.code.definitions import OWN_PACKAGE, Definition, Reached, places
from hearlab.compute.code.file_cache import Stamp, settled, stamp
from hearlab.compute.code.own_code import OwnCode
from hearlab.compute.entries import CHECK, checksum, sealed
from hearlab.compute.memo import FOLDER
from hearlab.compute.notes import done_without, kept_bytes
from hearlab.files import write_text


@dataclass(frozen=True)
class Code:
    """The code behind a function.

    Attributes:
        identity: a hash, the same wherever the same code is installed.
        files: files whose definitions it reaches, with the digests of their bytes.
        own: all files of systems of one's own and what they import.
        folders: a file that is new or gone changes them.
        settled: whether any later change of a file changes its stamp.
        looked: where a module was looked for that is not there.
    """

    identity: str
    files: dict[str, tuple[Stamp, str]]
    own: dict[str, Stamp]
    folders: dict[str, Stamp]
    settled: bool
    looked: dict[str, Stamp] = field(default_factory=dict)

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
        file = _kept_file(start) if not own and all(is_hearlab(module) for module, _ in start) else None
        known = _kept(file) if file else None
        if known is None:
            known = _read(start, own)
            if file and known.settled and all(map(settled, known.folders.values())):
                _keep(file, known)
        _known[key] = known
    return known


def is_own(dotted: str) -> bool:
    """Whether a name is that of a system of one's own, not of HearLab's code."""
    return not is_hearlab(dotted.replace(":", "."))


def is_hearlab(module: str) -> bool:
    """Whether it is a module of HearLab."""
    return module.startswith(f"{OWN_PACKAGE}.")


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
        local.looked,
    )


# --- kept on disk -------------------------------------------------------------------------------------------------


def _kept_file(start: set[Definition]) -> Path | None:
    """Where the identity of what these reach is kept; nowhere outside of a workspace in which a stage has run."""
    name = hashlib.sha256(repr(sorted(start)).encode()).hexdigest()[:16]
    return Path(FOLDER) / f"code-{name}.json" if os.path.isdir(FOLDER) else None


@functools.cache
def _reader() -> str:
    """What else decides an identity: the Python that parses, and the code that follows definitions."""
    sources = sorted(os.fspath(path) for folder in reader.__path__ for path in Path(folder).glob("*.py"))
    return repr((sys.version, places(OWN_PACKAGE), [stamp(path) for path in (__file__, *sources)]))


def _kept(file: Path) -> Code | None:
    """What is kept, if all is as it was."""
    try:
        record = json.loads(kept_bytes(file) or b"{}")
        if not sealed(record) or record["reader"] != _reader():
            return None
        files = {path: (_stamp(mark), str(digest)) for path, (mark, digest) in record["files"].items()}
        folders = {path: _stamp(mark) for path, mark in record["folders"].items()}
        code = Code(str(record["identity"]), files, {}, folders, True)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return code if code.unchanged() else None


def _stamp(mark: Iterable[Any]) -> Stamp:
    size, written, inode, changed = map(int, mark)
    return size, written, inode, changed


def _keep(file: Path, code: Code) -> None:
    record: dict[str, Any] = {"reader": _reader(), "identity": code.identity}
    record |= {"files": code.files, "folders": code.folders}
    record = json.loads(json.dumps(record))  # tuples are lists, as they will be read
    with done_without(file):
        write_text(file, json.dumps({**record, CHECK: checksum(record)}))
