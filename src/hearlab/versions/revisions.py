"""Files as they were at a git revision or in a DVC experiment, whether git or DVC keeps their bytes."""

from __future__ import annotations

import hashlib
import importlib
import json
import re
import subprocess
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from hearlab.errors import InputError
from hearlab.versions.dvc_files import cache_folder

# DVC keeps the commit of an experiment as refs/exps/<its baseline's hash in two pieces>/<name>; its queue and stash
# have other names.
EXPERIMENT = re.compile(r"refs/exps/([0-9a-f]{2})/([0-9a-f]{38})/(.+)")


class Files(Protocol):
    """The files of a result."""

    def read(self, path: str) -> bytes | None:
        """Bytes of the file at `path`, relative to the root; None where there is no such file."""

    def holds(self, path: str) -> bool:
        """Whether there is such a file (its bytes may still be missing)."""

    @property
    def lock(self) -> dict[str, Any]:
        """dvc.lock's stages; empty if there is none."""


@dataclass(frozen=True)
class WorkspaceFiles:
    """The files that lie in the workspace."""

    root: Path

    def read(self, path: str) -> bytes | None:
        try:
            return (self.root / path).read_bytes()
        except FileNotFoundError:
            return None

    def holds(self, path: str) -> bool:
        return (self.root / path).is_file()

    @cached_property
    def lock(self) -> dict[str, Any]:
        return _stages(self.read("dvc.lock"))


@dataclass(frozen=True)
class RevisionFiles:
    """The files of a commit: from DVC's cache or remote if its dvc.lock names them, else from git.

    Attributes:
        root: the workspace.
        name: what the user called the revision, for errors.
        commit: its full hash.
        experiment: the name is a DVC experiment's.
    """

    root: Path
    name: str
    commit: str
    experiment: bool = False
    _read: dict[str, bytes | None] = field(default_factory=dict, compare=False)

    def read(self, path: str) -> bytes | None:
        if path not in self._read:
            identity = self._identity(path)
            self._read[path] = self._from_git(path) if identity is None else self._from_dvc(path, identity)
        return self._read[path]

    def holds(self, path: str) -> bool:
        return (
            self._identity(path) is not None or git(self.root, "cat-file", "-e", f"{self.commit}:./{path}") is not None
        )

    def cached(self, path: str) -> bytes | None:
        """Bytes of a file that DVC's cache on this machine has; None for others, wherever they are."""
        identity = self._identity(path)
        return self._cached(identity) if identity else None

    @cached_property
    def lock(self) -> dict[str, Any]:
        return _stages(self._from_git("dvc.lock"))

    @cached_property
    def _outs(self) -> dict[str, str]:
        outs = [out for stage in self.lock.values() for out in stage.get("outs", []) if isinstance(out, dict)]
        return {str(out.get("path")): str(out.get("md5")) for out in outs}

    def _identity(self, path: str) -> str | None:
        """The md5 that DVC knows the file by, '' if only a remote knows it (in a folder), None if it is not DVC's."""
        if path in self._outs:
            return self._outs[path]
        for folder, identity in self._outs.items():
            if path.startswith(f"{folder}/"):
                listing = self._cached(identity)
                if listing is None:
                    return ""
                entries = {f"{folder}/{entry['relpath']}": str(entry["md5"]) for entry in json.loads(listing)}
                return entries.get(path)
        return None

    def _cached(self, identity: str) -> bytes | None:
        """An object of DVC's cache, if it is there and whole."""
        cache = cache_folder(self.root)
        if cache is None or not identity:
            return None
        try:
            content = (cache / identity[:2] / identity[2:]).read_bytes()
        except OSError:
            return None
        return content if _is_whole(content, identity) else None

    def _from_git(self, path: str) -> bytes | None:
        return git(self.root, "show", f"{self.commit}:./{path}")

    def _from_dvc(self, path: str, identity: str) -> bytes:
        in_git = self._from_git(path)  # metrics that DVC leaves to git are in dvc.lock too
        if in_git is not None:
            return in_git
        cached = self._cached(identity)
        return self._from_remote(path, identity) if cached is None else cached

    def _from_remote(self, path: str, identity: str) -> bytes:
        where = f"{self.name}: {path}"
        try:
            dvc = importlib.import_module("dvc.api")  # it takes longer than most comparisons
            repository = importlib.import_module("dvc.repo").Repo
        except ImportError:
            raise InputError(
                where, "is not in DVC's cache, and DVC is not installed", advice="install it, then dvc pull"
            ) from None
        try:
            with repository(str(self.root)) as now:
                config = dict(now.config)  # the revision may not know today's remotes
            content: bytes = dvc.read(path, repo=str(self.root), rev=self.commit, mode="rb", config=config)
        except Exception as error:  # DVC's remotes raise errors of their own kinds
            absent = type(error).__name__ in ("PathMissingError", "FileMissingError")
            again = f"dvc exp apply {self.name}" if self.experiment else f"git checkout {self.name}"
            raise InputError(
                where,
                "is neither in DVC's cache nor in its remote" if absent else "cannot be had from DVC's remote",
                found=None if absent else (str(error).splitlines() or [type(error).__name__])[0][:120],
                advice=f"dvc push it from where it was made, or {again} and dvc pull or dvc repro",
            ) from None
        if identity and not _is_whole(content, identity):
            raise InputError(
                where, "is damaged in DVC's cache", field=identity, advice="delete it there, then dvc pull or dvc repro"
            )
        return content


def find_revision(name: str, root: Path) -> RevisionFiles:
    """The git revision (branch, tag, hash, HEAD~1, ...) or DVC experiment of that name.

    Raises:
        InputError: there is none, or experiments of one name stand on several commits.
    """
    if git(root, "rev-parse", "--git-dir") is None:
        raise InputError(name, "is no file, and this folder is no git repository", wanted=WANTED)
    commit = git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    if commit is not None:
        return RevisionFiles(root, name, commit.decode().strip())
    listed = git(root, "for-each-ref", "--format=%(objectname) %(refname)", "refs/exps") or b""
    found = {}
    for line in listed.decode().splitlines():
        identity, reference = line.split(" ", 1)
        match = EXPERIMENT.fullmatch(reference)
        if match and match[3] == name:
            found[match[1] + match[2]] = identity
    head = (git(root, "rev-parse", "--verify", "--quiet", "HEAD") or b"").decode().strip()
    if head in found or len(found) == 1:
        return RevisionFiles(root, name, found[head] if head in found else next(iter(found.values())), True)
    if found:
        raise InputError(
            name, "is the name of several experiments", found=", ".join(h[:7] for h in found.values()), wanted="a hash"
        )
    raise InputError(
        name, "is no file, no git revision and no DVC experiment", wanted=WANTED, advice="see dvc exp list"
    )


WANTED = "a revision, an experiment, workspace, published, a CSV file or a folder of metrics"


def git(root: Path, *arguments: str) -> bytes | None:
    """What git printed, or None if it failed.

    Raises:
        InputError: git is not installed.
    """
    try:
        done = subprocess.run(("git", "-C", str(root), *arguments), capture_output=True, check=False)
    except FileNotFoundError:
        raise InputError("git", "is not installed", advice="install it, or compare CSV files") from None
    return done.stdout if done.returncode == 0 else None


def read_yaml(content: bytes | None) -> Any:
    """The value of a YAML text; None if it is absent or no YAML."""
    if content is None:
        return None
    try:
        return YAML(typ="safe").load(content.decode("utf-8"))
    except (YAMLError, UnicodeDecodeError):
        return None


def _is_whole(content: bytes, identity: str) -> bool:
    return hashlib.md5(content, usedforsecurity=False).hexdigest() == identity.removesuffix(".dir")


def _stages(content: bytes | None) -> dict[str, Any]:
    lock = read_yaml(content)
    stages = lock.get("stages") if isinstance(lock, dict) else None
    if not isinstance(stages, dict):
        return {}
    return {str(name): stage for name, stage in stages.items() if isinstance(stage, dict)}
