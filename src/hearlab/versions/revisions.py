"""Files as they were at a git revision or in a DVC experiment, whether git or DVC keeps their bytes."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from hearlab.errors import InputError
from hearlab.files import md5_of, md5_of_bytes, read_bytes
from hearlab.versions.dvc_files import cached_object
from hearlab.versions.git import NO_REPOSITORY, git, git_bounded, git_text, is_shallow, repository_problem
from hearlab.versions.lock import LOCK_FILE, all_outs, listing, lock_stages, parse_lock
from hearlab.versions.objects import IDENTITY, Absent, Altered, Objects

# DVC keeps the commit of an experiment as refs/exps/<its baseline's hash in two pieces>/<name>; its queue and stash
# have other names.
EXPERIMENT = re.compile(r"refs/exps/([0-9a-f]{2})/([0-9a-f]{38})/(.+)")
SWEPT = re.compile(r"-[0-9a-f]{6}$")  # ends the names that `hearlab sweep` gives, such as gain2p5-2746c7
NUMBER = r"\d+(?:[.p]\d+)?(?:e[-+]?\d+)?"
WANTED = "a revision, an experiment, workspace, published, a CSV file or a folder of metrics"


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
        # Not by its error: a link to nothing is a missing file too.
        return read_bytes(self.root / path) if os.path.exists(self.root / path) else None

    def holds(self, path: str) -> bool:
        return (self.root / path).is_file()

    @cached_property
    def lock(self) -> dict[str, Any]:
        return lock_stages(self.root)


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
    _listings: dict[str, dict[str, str]] = field(default_factory=dict, compare=False)

    def read(self, path: str) -> bytes | None:
        if path not in self._read:
            content = self._from_git(path)  # metrics that DVC leaves to git are in dvc.lock too
            identity = self._identity(path) if content is None else None
            self._read[path] = content if identity is None else self._from_dvc(path, identity)
        return self._read[path]

    def holds(self, path: str) -> bool:
        in_git = ("cat-file", "-e", f"{self.commit}:./{path}")
        return self._identity(path) is not None or git(self.root, *in_git) is not None

    def cached(self, path: str) -> bytes | None:
        """Bytes of a file that DVC's cache on this machine has; None for others, wherever they are."""
        return self._cached(self._identity(path))

    def cached_file(self, path: str) -> Path | None:
        """The object of a file in DVC's cache on this machine, undamaged; None where the cache has none."""
        identity, cache = self._identity(path), self._objects.cache
        if cache is None or not identity or not IDENTITY.fullmatch(identity):
            return None
        found = cached_object(cache, identity)
        try:
            return found if md5_of(found) == identity else None
        except (OSError, InputError):
            return None

    def here(self, path: str) -> bytes | None:
        """Bytes of a file that git or DVC's cache on this machine has; no remote is asked."""
        content = self._from_git(path)
        return self.cached(path) if content is None else content

    @cached_property
    def lock(self) -> dict[str, Any]:
        return parse_lock(self._from_git(LOCK_FILE))

    @cached_property
    def _outs(self) -> dict[str, str]:
        return all_outs(self.lock)

    def _identity(self, path: str) -> str | None:
        """The md5 that DVC knows the file by, '' if only a remote knows it (in a folder), None if it is not DVC's."""
        if path in self._outs:
            return self._outs[path]
        for folder, identity in self._outs.items():
            if path.startswith(f"{folder}/"):
                if identity not in self._listings and (content := self._cached(identity)) is not None:
                    self._listings[identity] = listing(content)  # a page asks for many files of a folder
                known = self._listings.get(identity)
                return "" if known is None else known.get(path.removeprefix(f"{folder}/"))
        return None

    def _cached(self, identity: str | None) -> bytes | None:
        """An object of DVC's cache, if it is there and undamaged."""
        cache = self._objects.cache
        if cache is None or not identity or not IDENTITY.fullmatch(identity):
            return None
        try:
            content = cached_object(cache, identity).read_bytes()
        except OSError:
            return None
        return content if md5_of_bytes(content) == identity.removesuffix(".dir") else None

    def _from_git(self, path: str) -> bytes | None:
        return git_bounded(self.root, "cat-file", "blob", f"{self.commit}:./{path}")

    @cached_property
    def _objects(self) -> Objects:
        return Objects(self.root)

    def _from_dvc(self, path: str, identity: str) -> bytes:
        where = f"{self.name}: {path}"
        again = f"dvc exp apply {self.name}" if self.experiment else f"git checkout {self.name}"
        try:
            identity = identity or self._remote_identity(path)
            return self._objects.content(identity)
        except Absent as absent:
            advice = f"dvc push it from where it was made, or {again} and dvc pull or dvc repro"
            raise InputError(where, str(absent), advice=advice) from None
        except Altered as place:
            advice = "delete it there, then dvc pull or dvc repro"
            raise InputError(where, f"is damaged in {place}", field=identity, advice=advice) from None

    def _remote_identity(self, path: str) -> str:
        """The md5 of a file in a folder whose listing only the remote has."""
        folder = next(folder for folder in self._outs if path.startswith(f"{folder}/"))
        listed = listing(self._objects.content(self._outs[folder]))
        if path.removeprefix(f"{folder}/") not in listed:
            raise Absent(f"{folder} has no such file")
        return listed[path.removeprefix(f"{folder}/")]


def find_revision(name: str, root: Path) -> RevisionFiles:
    """The git revision (branch, tag, hash, HEAD~1, ...) or DVC experiment of that name.

    Raises:
        InputError: there is none, or several commits have an experiment of that name.
    """
    if missing := repository_problem(root):
        raise InputError(name, f"is no file, and {missing}", wanted=WANTED if missing == NO_REPOSITORY else None)
    commit = git_text(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    if commit:
        return RevisionFiles(root, name, commit)
    found = {each.baseline: each.commit for each in experiment_commits(root) if each.name == name}
    head = git_text(root, "rev-parse", "--verify", "--quiet", "HEAD")
    if head in found or len(found) == 1:
        return RevisionFiles(root, name, found[head] if head in found else next(iter(found.values())), True)
    if found:
        known = ", ".join(commit[:7] for commit in found.values())
        raise InputError(name, "is the name of several experiments", found=known, wanted="a hash")
    problem = "is no file, no git revision and no DVC experiment"
    advice = "see dvc exp list"
    if not head:
        problem += "; the repository has no commit yet"
    elif is_shallow(root):
        advice = "this clone is shallow: git fetch --unshallow gets the commits before, git fetch --all other branches"
    raise InputError(name, problem, wanted=WANTED, advice=advice)


class ExperimentCommit(NamedTuple):
    """A DVC experiment: its name, the commit it started from, its own commit and when that was made (Unix time)."""

    name: str
    baseline: str
    commit: str
    time: int


def experiment_commits(root: Path) -> Iterator[ExperimentCommit]:
    """All DVC experiments; none where git knows none or is not installed."""
    form = "--format=%(objectname) %(committerdate:unix) %(refname)"
    for line in git_text(root, "for-each-ref", form, "refs/exps").splitlines():
        commit, time, reference = line.split(" ", 2)
        match = EXPERIMENT.fullmatch(reference)
        if match:
            yield ExperimentCommit(match[3], match[1] + match[2], commit, int(time))


def named_by(pattern: str, root: Path) -> list[str]:
    """The names of the experiments that a pattern with * or ? stands for, in `natural_order`.

    Those upon the commit that is checked out are meant, if there are any, as in DVC.

    Raises:
        InputError: there is none.
    """
    found = [each for each in experiment_commits(root) if fnmatch.fnmatchcase(each.name, pattern)]
    head = git_text(root, "rev-parse", "--verify", "--quiet", "HEAD")
    here = [each for each in found if each.baseline == head]
    if not found:
        raise InputError(pattern, "is the name of no DVC experiment", advice="see hearlab experiments")
    return sorted({each.name for each in here or found}, key=natural_order)


def natural_order(name: str) -> tuple[list[str | float], str]:
    """What to sort names by, so that numbers in them count by their value: x2, x2p5, x10, and 1e-5 before 0p001.

    In the name of a sweep's experiment a dash behind a letter is a sign (gain-3-2746c7), and the digest does not count.
    """
    swept = SWEPT.search(name) is not None
    number = f"(?<=[A-Za-z])-{NUMBER}|{NUMBER}" if swept else NUMBER
    parts = re.split(f"({number})", SWEPT.sub("", name))
    return [float(part.replace("p", ".")) if place % 2 else part for place, part in enumerate(parts)], name
