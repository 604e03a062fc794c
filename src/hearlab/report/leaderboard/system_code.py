"""The code of the system behind a score: that others can have it, and which it was."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from hearlab.compute.code.own_code import is_local
from hearlab.compute.code_identity import code_of, is_own
from hearlab.errors import InputError
from hearlab.params import Enhance
from hearlab.report.leaderboard.entries import SystemOrigin
from hearlab.stages.system import OUTPUT, is_written, state_of
from hearlab.text import few
from hearlab.versions.git import git_text

SHOWN = 3
NOBODY = "without it nobody can make the score again"


def system_origin(root: Path, enhance: Enhance, params: Mapping[str, Any] | None = None) -> SystemOrigin:
    """What the entry says of the system; nothing is written.

    Args:
        root: the workspace, which is the current folder.
        enhance: the section of params.yaml.
        params: all that the system is given (`Params.system_params`), if that is more than `enhance.params`.

    Raises:
        InputError: files of it are in neither git nor DVC, its repository has changes that are not committed, it is a
            copy of a folder that only this machine has, or it is not what it was when the scores were made.
    """
    commits = check_system_is_committed(root, enhance.system)
    state = state_of(enhance.system, enhance.params if params is None else params)
    if not is_written(state):
        advice = "dvc repro, and commit it"
        raise InputError(enhance.system, f"is not what {OUTPUT.as_posix()} says: it has changed since", advice=advice)
    return SystemOrigin(**state.values(), commits=commits)


def check_system_is_committed(root: Path, dotted: str) -> dict[str, str]:
    """Check that others can have all code of a system of one's own; gives the commits of repositories outside.

    Files in this repository must be in git or DVC. Others must be in a git repository without changes that are not
    committed, or be installed with a version, or from a commit.

    Raises:
        InputError: there is a file that only this machine has.
    """
    if not is_own(dotted):
        return {}
    inside = os.path.join(root.resolve(), "")
    found = set(map(os.path.realpath, code_of(None, (dotted,)).own))
    local = sorted(filter(is_local, found))
    _check_inside(root, inside, [path for path in local if path.startswith(inside)])
    repositories: dict[str, list[str]] = {}
    for path in local:
        if not path.startswith(inside):
            top = git_text(Path(path).parent, "rev-parse", "--show-toplevel").strip()
            if not top:
                problem = "belongs to the system and is in no git repository"
                raise InputError(path, problem, advice=f"put it under git, or into src/ of this repository: {NOBODY}")
            repositories.setdefault(top, []).append(path)
    commits = {Path(top).name: _commit(Path(top), own) for top, own in repositories.items()}
    if len(local) < len(found):
        commits |= _installed(dotted.partition(":")[0].partition(".")[0])
    return commits


def _check_inside(root: Path, inside: str, files: list[str]) -> None:
    known = git_text(root, "ls-files", "-z", "--full-name", "--", ".").split("\0")
    top = git_text(root, "rev-parse", "--show-toplevel").strip() or inside
    committed = {os.path.realpath(os.path.join(top, name)) for name in known}

    def is_held(path: str) -> bool:
        """By git, or by DVC, whose .dvc file of it or of a folder above it is in git."""
        above = (str(one) for one in Path(path).parents if str(one).startswith(inside))
        return path in committed or any(f"{one}.dvc" in committed for one in (path, *above))

    if lost := [os.path.relpath(path, inside) for path in files if not is_held(path)]:
        problem = "belongs to the system and is in neither git nor DVC"
        raise InputError(lost[0], problem, found=few(lost, SHOWN), advice="git add or dvc add it, and commit")


def _commit(top: Path, files: Iterable[str]) -> str:
    """The commit of another repository that holds these files as they are.

    Raises:
        InputError: one is not in it, or has changed since, or there is no commit.
    """
    names = [os.path.relpath(path, os.path.realpath(top)) for path in files]
    listed = set(git_text(top, "ls-files", "-z", "--full-name").split("\0"))
    changed = {line[3:] for line in git_text(top, "status", "--porcelain", "-z").split("\0")}
    commit = git_text(top, "rev-parse", "--verify", "HEAD").strip()
    if lost := [name for name in names if name not in listed or name in changed] or ([] if commit else names):
        problem = f"belongs to the system, and is not committed in {top}"
        raise InputError(lost[0], problem, found=few(lost, SHOWN), advice=f"git commit there first: {NOBODY}")
    return commit


def _installed(top: str) -> dict[str, str]:
    """The commit that a package was installed from, if its installer says so; of one from an index the version counts.

    Raises:
        InputError: it has no version, or was copied from a folder of this machine.
    """
    names = metadata.packages_distributions().get(top)
    if not names:
        problem = "is installed without a version"
        raise InputError(top, problem, advice=f"install it as a package, or put it under git: {NOBODY}")
    origin: Any = {}
    try:
        origin = json.loads(metadata.distribution(names[0]).read_text("direct_url.json") or "{}")
        commit = (origin.get("vcs_info") or {}).get("commit_id")
    except (ValueError, AttributeError):
        commit = None
    if isinstance(commit, str):
        return {names[0]: commit}
    if isinstance(origin, dict) and "dir_info" in origin:
        problem = "was installed as a copy of a folder that only this machine has"
        raise InputError(top, problem, advice=f"pip install -e its git repository, or install it from git: {NOBODY}")
    return {}
