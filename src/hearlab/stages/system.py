"""Stage system: what the code of the enhancement system is now. DVC runs it every time, so that an edit is noticed.

DVC looks into no package of one's own. So this stage writes a hash of all code that the system reaches, the version of
its distribution, and hashes of the files that `enhance.params` names; `enhance_speech` and `enhance_music` depend on
what it writes. HearLab's own modules are named in dvc.yaml: of a system of HearLab only the name is written.

It runs at each `dvc repro`, so it must be quick: what it found is kept in .hearlab with a stamp of each file and
folder that was looked at. While those are as they were, nothing is read and no library imported.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hearlab.compute.code.file_cache import Stamp, digests, settled, stamp
from hearlab.compute.code.param_files import named_files
from hearlab.errors import InputError, ParameterError
from hearlab.files import read_json, read_yaml, write_json, write_text
from hearlab.learners import named_weights

NAME = "system"
OUTPUT = Path("data") / "system.json"
PARAMS_FILE = "params.yaml"
FOLDER = ".hearlab"
KEPT = Path(FOLDER) / "system.json"


@dataclass(frozen=True)
class SystemState:
    """What an enhancement system is, wherever it is installed.

    Attributes:
        system: 'package.module:Class'.
        code: hash of all code that it reaches; None of HearLab's own.
        distribution: name and version of what it is installed as; None where it is not installed.
        files: parameter -> SHA-256 of the file that it names.
    """

    system: str
    code: str | None
    distribution: str | None
    files: dict[str, str]

    def values(self) -> dict[str, Any]:
        """As the stage writes it: what there is."""
        return {name: value for name, value in vars(self).items() if value not in (None, {})}

    def text(self) -> str:
        """The stage's output."""
        return json.dumps(self.values(), indent=1) + "\n"


def run() -> None:
    """Write the state of the system of params.yaml, if it is not what is written.

    Raises:
        InputError: params.yaml cannot be read, or the system is not there.
    """
    state = state_of(*system_of(read_yaml(PARAMS_FILE, error=ParameterError)))
    if is_written(state):
        return
    write_text(OUTPUT, state.text())
    from hearlab.compute.outputs import set_aside_wrong_objects

    set_aside_wrong_objects(Path.cwd(), NAME)


def system_of(params: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """`enhance.system` and `enhance.params` of a params.yaml that need not be right as a whole."""
    enhance = params.get("enhance")
    system = enhance.get("system") if isinstance(enhance, Mapping) else None
    own = enhance.get("params") if isinstance(enhance, Mapping) else None
    if not isinstance(system, str) or ":" not in system:
        raise ParameterError("enhance.system", "malformed name", found=repr(system), wanted="package.module:Class")
    learn = params.get("learn")
    weights = learn.get("weights") if isinstance(learn, Mapping) else None
    return system, named_weights(system, weights, own if isinstance(own, dict) else {})


def is_written(state: SystemState) -> bool:
    """Whether the stage's output says so."""
    try:
        return bool(read_json(OUTPUT) == state.values())
    except InputError:
        return False


def state_of(system: str, params: Mapping[str, Any]) -> SystemState:
    """The state of a system with its parameters, now; the current folder is the root of the workspace.

    Raises:
        InputError: there is no such package, or it holds what no package of one's own may hold.
    """
    files = {name: os.path.abspath(path) for name, path in named_files(params).items()}
    asked = {"system": system, "files": files, "path": sys.path, "python": sys.version, "by": _own_stamps()}
    kept = _kept(asked)
    if kept is not None:
        return kept
    marks = {path: stamp(path) for path in files.values()}
    hashes = {name: digests.of(path)[1] for name, path in files.items()}
    code = distribution = None
    if system.partition(".")[0] != "hearlab":
        code, distribution, looked = _own_code(system)
        marks |= looked
    state = SystemState(system, code, distribution, hashes)
    if os.path.isdir(FOLDER) and all(map(settled, marks.values())):
        write_json(KEPT, {"asked": asked, "marks": marks, "state": state.values()})
    return state


def _own_code(system: str) -> tuple[str, str | None, dict[str, Stamp]]:
    """Hash and distribution of a system of one's own, and the stamps of all that was looked at."""
    from hearlab.compute.code.definitions import places
    from hearlab.compute.code_identity import code_of

    top = system.partition(":")[0].partition(".")[0]
    where = places(top)
    if not where:
        advice = "install its package into the environment of HearLab, or name its folder in PYTHONPATH"
        raise ParameterError("enhance.system", "no such module", found=top, advice=advice)
    # A module that is new in one of these folders may take the place of another.
    before = _stamps([*sys.path, *map(os.path.dirname, where)])
    code = code_of(None, (system,))
    files = {path: mark for path, (mark, _) in code.files.items()}
    return code.identity, _distribution(top), {**before, **code.looked, **code.folders, **code.own, **files}


def _distribution(top: str) -> str | None:
    """Name and version of the distribution that a top-level package is installed from."""
    import importlib.metadata as metadata

    try:
        found = metadata.distribution(top)
    except (metadata.PackageNotFoundError, ValueError):
        names = metadata.packages_distributions().get(top)
        if not names:
            return None
        found = metadata.distribution(names[0])
    return f"{found.metadata['Name']} {found.version}"


def _own_stamps() -> list[Stamp]:
    """Of the code that hashes: with other code the answer may be another."""
    from hearlab.compute import code

    folder = Path(next(iter(code.__path__)))
    sources = (folder.parent / "code_identity.py", *sorted(folder.glob("*.py")))
    return [stamp(str(path)) for path in (__file__, *sources)]


def _stamps(paths: Iterable[str]) -> dict[str, Stamp]:
    return {path: stamp(path) for path in (path or os.curdir for path in paths)}


def _kept(asked: dict[str, Any]) -> SystemState | None:
    """What was found before, if it was asked the same and all that was looked at is as it was."""
    try:
        record = read_json(KEPT)
        if record["asked"] != json.loads(json.dumps(asked)):
            return None
        if any(stamp(path) != tuple(mark) for path, mark in record["marks"].items()):
            return None
        state = record["state"]
        return SystemState(state["system"], state.get("code"), state.get("distribution"), state.get("files", {}))
    except (InputError, KeyError, TypeError, AttributeError):
        return None
