"""Whether what a run began with is still so: a result must not get the label of parameters, data or code of later."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import hearlab
from hearlab.compute.code.bytecode import drop_stale_bytecode
from hearlab.compute.code.definitions import OWN_PACKAGE, places
from hearlab.compute.code.file_cache import Stamp, is_left_over, stamp
from hearlab.compute.code.own_code import is_local
from hearlab.compute.code.param_files import named_files
from hearlab.compute.code_identity import Code, code_of, is_own
from hearlab.compute.units import Unit
from hearlab.errors import InputError, ParameterError
from hearlab.files import read_yaml
from hearlab.learners import named_weights
from hearlab.params import PARAMS_FILE, flat

KEPT = "what was finished before is kept: run it again"
WRITES = "if the system writes it, let it write outside of its package; what was finished before is kept: run it again"
# A dependency with more files is left to the identities of the units' inputs.
FILES_AT_MOST = 20_000


def changed(path: str, when: str = "while the stage ran", *, advice: str = KEPT, **details: Any) -> InputError:
    """The error for a file that is not as it was."""
    shown = os.path.relpath(path)
    return InputError(path if shown.startswith("..") else shown, f"changed {when}", advice=advice, **details)


def place(path: str) -> tuple[int, int, int]:
    """By what a file is known that is neither written again nor replaced; another link to it is no change."""
    size, written, inode, _ = stamp(path)
    return size, written, inode


class CodeWatch:
    """Code as it was when a run began.

    Args:
        system: 'package.module:Class' of systems of one's own that are loaded before their units are listed.
    """

    def __init__(self, system: Iterable[str] = ()) -> None:
        self._system = tuple(sorted(filter(is_own, system)))
        self._before = dict(code_of(None, self._system).own) if self._system else {}
        self._began = time.time_ns()  # of this watch; HearLab itself was loaded before
        self._codes: dict[tuple[Callable[..., Any] | None, tuple[str, ...]], Code] = {}

    def identity(self, unit: Unit) -> str:
        """The identity of a unit's code when the run began.

        Raises:
            InputError: it has changed since it was loaded, or is not Python.
        """
        return self.code(unit.function, unit.code).identity

    def code(self, function: Callable[..., Any] | None, names: tuple[str, ...]) -> Code:
        """As `identity`, of a function and what is loaded by name."""
        key = function, names
        if key not in self._codes:
            code = code_of(function, names)
            source = tuple(os.path.join(folder, "") for folder in places(OWN_PACKAGE))
            for path, (mark, _) in code.files.items():
                if not path.startswith(source):
                    continue
                if max(mark[1], mark[3]) > hearlab.BEGAN or (path.endswith(".py") and drop_stale_bytecode(path)):
                    raise changed(path, "while the stage started, or in the second in which it was compiled")
            if self._system and tuple(sorted(filter(is_own, names))) == self._system:
                self._check_loaded(code)
            self._codes[key] = code
        return self._codes[key]

    def _check_loaded(self, code: Code) -> None:
        for path in {**self._before, **code.own}:
            mark = code.own.get(path)
            if path not in self._before and mark is not None and max(mark[1], mark[3]) < self._began:
                raise InputError(
                    path,
                    "is found only after the system was loaded, so that the keys of its units do not cover it",
                    advice="put its folder on PYTHONPATH, or the file into the package",
                )
            if _differs(self._before.get(path), mark):
                raise changed(path, "while it was loaded")

    def check(self, unit: Unit) -> None:
        """Raise InputError if the unit's code has changed since the run began; costs a stat for each of its files."""
        self._check(unit.function, unit.code)

    def check_all(self) -> None:
        """`check` all code that was asked for, each file of it."""
        for function, names in list(self._codes):
            self._check(function, names, anew=True)

    def _check(self, function: Callable[..., Any] | None, names: tuple[str, ...], *, anew: bool = False) -> None:
        code = self.code(function, names)
        for path, mark in code.own.items():
            if place(path) != mark[:3]:  # even if its bytes are the same: others may have been read between
                raise changed(path, advice=KEPT if path.endswith(".py") else WRITES)
        moved = [path for path, (mark, _) in code.files.items() if place(path) != mark[:3]]
        if not anew and not moved and all(stamp(folder) == mark for folder, mark in code.folders.items()):
            return
        now = code_of(function, names)
        # A file that was changed and changed back: what was loaded between is not known. A file whose reached
        # definitions are the same has another comment, or a change that this code does not use.
        back = [path for path in moved if path in now.files and now.files[path][1] == code.files[path][1]]
        if now.identity != code.identity or back:
            files = {**code.own, **now.own, **code.files, **now.files}
            others = [path for path in files if (path in now.own) != (path in code.own)]
            first = next(iter([*back, *moved, *others, "the source"]))
            raise changed(first, advice=WRITES if first in others and not first.endswith(".py") else KEPT)
        self._codes[function, names] = now


def _differs(one: Stamp | None, other: Stamp | None) -> bool:
    return one is None or other is None or one[:3] != other[:3]


class StageWatch:
    """What a stage began with: params.yaml, the data that dvc.yaml names and the code of the stage's own functions.

    Args:
        stage, key: as in dvc.yaml, such as 'render_scenes' and 'dev'.
        functions: 'package.module:name' of the stage's functions.
    """

    def __init__(self, stage: str, key: str | None = None, *, functions: Iterable[str]) -> None:
        self._params = _params()
        self._data = _data(stage, key)
        self._files = _stamps(self._data)
        self.inputs: set[str] = set()  # of units, whose identities are looked at on their own
        system = self._params.get("enhance.system")
        self.code = CodeWatch([system] if isinstance(system, str) else [])
        self.code.code(None, tuple(functions))

    def check(self) -> None:
        """Raise InputError if anything is not as it was, with what has changed."""
        now = _params()
        for name in {**self._params, **now}:
            was, found = self._params.get(name), now.get(name)
            if repr(was) != repr(found):
                raise changed(PARAMS_FILE, field=name, found=found, wanted=was)
        files = _stamps(self._data)
        for path in {**self._files, **files}:
            if self._files.get(path) != files.get(path) and path not in self.inputs:
                raise changed(path)
        self.code.check_all()


def _params() -> dict[str, Any]:
    return flat(read_yaml(PARAMS_FILE, advice="run from the root of the repository", error=ParameterError))


def _data(stage: str, key: str | None) -> list[str]:
    """The dependencies of a stage in dvc.yaml, and the files that the system's parameters name.

    Without the source, whose reached definitions are looked at instead.
    """
    if not os.path.exists("dvc.yaml"):
        return []
    values = _params()
    entry: Any = read_yaml("dvc.yaml").get("stages", {}).get(stage, {})
    if "foreach" in entry:
        values |= {"key": key, **flat({"item": entry["foreach"].get(key, {})})}
        entry = entry["do"]
    named = [re.sub(r"\$\{([^}]+)\}", lambda match: str(values.get(match[1])), name) for name in entry.get("deps", ())]
    if "enhance" in entry.get("params", ()):
        own = {name: each for name, each in values.items() if name.startswith("enhance.params.")}
        named += named_files(
            named_weights(str(values.get("enhance.system")), values.get("learn.weights"), own)
        ).values()
    return [name for name in named if not name.startswith("src/") and name != PARAMS_FILE]


def _stamps(names: Iterable[str]) -> dict[str, tuple[int, int, int]]:
    found: dict[str, tuple[int, int, int]] = {}
    for name in names:
        paths = [name] if not os.path.isdir(name) else []
        for parent, folders, files in os.walk(name):
            folders[:] = [folder for folder in folders if not is_left_over(folder)]
            paths += (os.path.join(parent, file) for file in files if not is_left_over(file))
            if len(paths) > FILES_AT_MOST:
                paths = []
                break
        found |= {path: place(path) for path in paths}
    return found


# Local modules and other files whose code was run while a system ran in this process.
_loaded: dict[tuple[str, ...], dict[str, str]] = {}
_notes: list[dict[str, str]] = []  # of the blocks that are open


@functools.cache
def _listen() -> None:
    """Hear of each piece of code that is run as a whole: a module, in whatever way it is loaded, or a script."""

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "exec" and isinstance(file := getattr(arguments[0], "co_filename", None), str):
            for notes in _notes[-1:]:  # another thread may end the block meanwhile
                notes[file] = os.path.abspath(file)

    sys.addaudithook(hear)


@contextlib.contextmanager
def _noting(loaded: dict[str, str]) -> Iterator[None]:
    _listen()
    _notes.append(loaded)
    before = set(sys.modules)
    try:
        yield
    finally:
        _notes.pop()
        for name in sys.modules.keys() - before:
            file = getattr(getattr(sys.modules[name], "__spec__", None), "origin", None)
            if isinstance(file, str):
                loaded.pop(file, None)
                loaded[name] = file


@contextlib.contextmanager
def covered(names: Iterable[str]) -> Iterator[None]:
    """Inside the block systems of one's own are loaded or run.

    Raises:
        InputError: they have loaded a module that their identity does not cover.
    """
    own = tuple(sorted(filter(is_own, names)))
    if not own:
        yield
        return
    loaded = _loaded.setdefault(own, {})
    try:
        with _noting(loaded):
            yield
    finally:
        # Also for a unit that fails: later ones find what it has loaded in place.
        for name, file in list(loaded.items()):
            if not (os.path.isfile(file) and is_local(file)):
                del loaded[name]
    files = code_of(None, own).own if loaded else {}
    for name, file in loaded.items():
        if file not in files:
            raise InputError(
                ", ".join(own),
                "loads a module that the keys of its units do not cover",
                found=file if name.endswith(".py") else f"{name} in {file}",
                advice=f"import it plainly in your package (import {Path(name).stem})",
            )


def check_inputs(names: Mapping[str, str], identity: Callable[[str], str], when: str = "while the stage ran") -> None:
    """Raise InputError if a file is not what it was.

    Args:
        names: files with their identities.
        identity: gives a file's identity now.
        when: for the error.
    """
    for name, was in names.items():
        if identity(name) != was:
            raise changed(name, when)
