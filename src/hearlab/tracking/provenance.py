"""Where a result comes from: commit, experiment, data, machine and versions, as the tags of its run."""

from __future__ import annotations

import contextlib
import getpass
import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

from hearlab.compute.process import worker_count
from hearlab.errors import InputError
from hearlab.files import parse_yaml
from hearlab.params import PARAMS_FILE, flat
from hearlab.params.subsets import subset_text
from hearlab.text import few
from hearlab.tracking.result import Result
from hearlab.versions.git import git_text, head_commit
from hearlab.versions.lock import LOCK_FILE

PACKAGES = ("hearlab", "numpy", "scipy", "numba", "soxr", "soundfile", "torch", "openunmix", "dvc", "ray", "mlflow")
EXPERIMENT = {"dvc.experiment": "DVC_EXP_NAME", "dvc.baseline": "DVC_EXP_BASELINE_REV"}  # as DVC names them
CHANGES_SHOWN = 20
NO_COMMIT = "git.no_commit"  # why the commit of a result is not known


def tags(result: Result) -> dict[str, str]:
    """All tags of a result's run but those of its times."""
    found = {
        "hearlab.identity": result.identity,
        "hearlab.tracks": ", ".join(track.name for track in result.tracks),
        "hearlab.dataset": result.dataset,
        **_subset_tags(result),
        **_git_tags(result),
        **{tag: os.environ[name] for tag, name in EXPERIMENT.items() if os.environ.get(name)},
        **{f"dvc.md5.{path}": identity for path, identity in result.data.items()},
        **_machine_tags(),
    }
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[f"version.{name}"] = importlib.metadata.version(name)
    found["version.python"] = platform.python_version()
    return found


def _subset_tags(result: Result) -> dict[str, str]:
    """What of its data each track's scores are of, where not of all."""
    texts = {track.name: subset_text(result.params, track.cluster) for track in result.tracks}
    return {f"hearlab.subset.{name}": text for name, text in texts.items() if text}


def run_name(result: Result) -> str:
    """The experiment's name, or the start of the identity."""
    return os.environ.get("DVC_EXP_NAME") or f"{result.dataset}-{result.identity[:8]}"


def changed_params(result: Result) -> dict[str, Any]:
    """Parameters whose values are not those of the commit."""
    before = flat(parse_yaml(git_text(result.root, "show", f"HEAD:./{PARAMS_FILE}").encode()))
    if not before:
        return {}
    return {name: value for name, value in result.params.items() if name not in before or before[name] != value}


def _git_tags(result: Result) -> dict[str, str]:
    try:
        commit = head_commit(result.root)
    except InputError as error:
        return {NO_COMMIT: error.problem}
    changed = [path for path in changed_files(result.root) if path != LOCK_FILE and path not in result.files]
    found = {"git.commit": commit, "git.dirty": str(bool(changed)).lower()}
    found["mlflow.source.git.commit"] = commit  # which MLflow shows
    if changed:
        found["git.changed"] = few(changed, CHANGES_SHOWN)
    branch = git_text(result.root, "symbolic-ref", "--quiet", "--short", "HEAD")
    if branch:
        found["git.branch"] = branch
    return found


def changed_files(root: Path) -> list[str]:
    """Files below `root` that are not as in the commit: changed, new and not ignored, or deleted."""
    listed = git_text(root, "status", "--porcelain", "-z", "--untracked-files=all", "--", ".")
    prefix = git_text(root, "rev-parse", "--show-prefix")
    entries = iter(listed.split("\0"))
    found = []
    for entry in entries:
        if entry:
            found.append(entry[3:].removeprefix(prefix))
            if entry[0] in "RC":
                next(entries, None)  # the former name
    return found


def _machine_tags() -> dict[str, str]:
    found = {
        "machine.name": platform.node(),
        "machine.system": platform.platform(terse=True),
        "machine.cpu": _processor(),
        "machine.workers": str(worker_count()),
        "mlflow.source.name": "hearlab",
        "mlflow.source.type": "LOCAL",
    }
    if os.environ.get("RAY_ADDRESS"):
        found["machine.cluster"] = "ray"
    try:
        found["mlflow.user"] = getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container's user without a name
        found["mlflow.user"] = str(os.getuid()) if hasattr(os, "getuid") else "unknown"
    return found


def _processor() -> str:
    lines: list[str] = []
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} x {names[0]}" if names else f"{os.cpu_count()} x {platform.processor() or platform.machine()}"
