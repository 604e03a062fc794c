"""A revision of a stranger in a folder of its own: single files of it, or the whole of it run again, confined."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from hearlab.errors import InputError
from hearlab.files import MOST_YAML, parse_yaml
from hearlab.params import PREPARING, PUBLISHED_WEIGHTS
from hearlab.text import size_text
from hearlab.versions.confinement import run_foreign, scrubbed
from hearlab.versions.dvc_command import dvc_line
from hearlab.versions.git import git, git_bounded, git_text, is_shallow, repository_problem
from hearlab.versions.lock import LOCK_FILE, listing, outs, parse_lock, stages_behind
from hearlab.versions.objects import MOST, Absent, Altered, Objects
from hearlab.versions.scratch import clear_scratch, scratch_folder
from hearlab.versions.tree import Blob, read_plain, safe_tree, write_new, write_tree

PARENT, PREFIX = ".hearlab", "verify-"  # ignored by git, and on the file system of the workspace: renaming works
ADVICE = "dvc push it from where it was made; --recompute makes it again, with the code of that revision"
NO_PLACE = "cannot be written into a checkout"
# A cache of its own: what a stranger's stages make does not reach that of the workspace.
CONFIG = b"""[core]
    no_scm = true
    analytics = false
    check_update = false
[cache]
    dir = cache
    type = "hardlink,copy"
"""

MOST_POINTERS = 1000  # .dvc files of a commit


class Out(NamedTuple):
    """What dvc.lock or a .dvc file says of a file or folder; the size is None where it says none."""

    identity: str
    size: int | None


class Checkout:
    """A context manager: a folder for the files of a commit, `path`, which is removed at the end.

    Nothing is in it at first. Nothing of the revision is run, and nothing of its configuration read, by anything but
    `recompute`. Of the workspace only DVC's cache is changed: it gets what is pulled and has the right md5.

    Args:
        root: the workspace.
        commit: full hash.

    Raises:
        InputError: the commit is not in this clone, or holds links or names that lead out of a checkout.
    """

    def __init__(self, root: Path, commit: str) -> None:
        self.root = root.resolve()
        self.commit = commit
        self._listings: dict[str, dict[str, str]] = {}

    def __enter__(self) -> Checkout:
        if git(self.root, "cat-file", "-e", f"{self.commit}^{{commit}}") is None:
            if problem := repository_problem(self.root):
                raise InputError(self.commit[:12], problem)
            advice = f"git fetch {'--unshallow' if is_shallow(self.root) else '--all'}; was it pushed where you cloned?"
            raise InputError(self.commit[:12], "is no commit of this clone", advice=advice)
        self._blobs = safe_tree(self.root, self.commit)
        self._prefix = git_text(self.root, "rev-parse", "--show-prefix")
        with contextlib.ExitStack() as stack:
            self._folder = stack.enter_context(scratch_folder(self.root / PARENT, PREFIX))
            self._work = self._folder / "work"
            self._tree = self._work / "tree"
            self.path = self._tree / self._prefix
            self.path.mkdir(mode=0o700, parents=True)
            (self._folder / "objects").mkdir(mode=0o700)
            self._objects = Objects(self.root, self._folder / "objects")
            self._held = stack.pop_all()
        return self

    def __exit__(self, *unused: object) -> None:
        self._held.close()

    def pull(self, targets: Sequence[str]) -> list[str]:
        """Get files or folders of the revision from git, the cache or the remote.

        Returns:
            Those of which only other bytes can be had than dvc.lock says; they are not there.

        Raises:
            InputError: one cannot be had at all.
        """
        wanted: dict[str, Out] = {}
        wrong = []
        for target in dict.fromkeys(targets):
            if target in self._in_git:
                if not (self.path / target).exists():
                    self._write(target, self._from_git(self._in_git[target]))
                continue
            try:
                wanted |= self._files_of(target)
            except Altered:
                wrong.append(target)
        found = self._objects.fetch({out.identity: out.size for out in wanted.values()})
        for name, out in wanted.items():
            what = found[out.identity]
            if isinstance(what, Absent):
                raise self._missing(name, what)
            if isinstance(what, Altered):
                wrong.append(name)
            elif not (self.path / name).is_symlink():
                self._link(name, what)
        return wrong

    def stored(self, md5: str) -> tuple[bytes, str] | None:
        """The bytes that the cache or else the remote keeps under an md5, right or wrong, and which of them does."""
        with contextlib.suppress(Absent):
            return self._objects.stored(md5)
        return None

    def recompute(self, lock: Mapping[str, Any], stage: str, dataset: str, *, confined: bool = True) -> None:
        """Run a stage and all before it with the revision's own code, whatever is known of their results.

        The stages that check a data set from outside are not run: its files are pulled.

        Raises:
            InputError: the revision never ran the stage, the data cannot be pulled, or a stage fails.
        """
        where = self.commit[:12]
        stages = stages_behind(lock, stage)
        if not stages:  # `dvc repro` without targets would run everything
            problem = f"cannot be recomputed: {LOCK_FILE} knows no stage {stage}"
            raise InputError(where, problem, advice=f"dvc repro {stage}, and commit it")
        write_tree(self.root, self._blobs, self._tree)
        if not (self.path / ".dvc").is_dir():  # DVC would take the workspace, above it, for its repository
            raise InputError(where, "cannot be recomputed: it has no folder .dvc")
        self._write(".dvc/config.local", CONFIG)
        given = [name for name in stages if name in PREPARING and dataset != "demo"]
        wrong = self.pull([path for name in given for path in outs(lock[name])])
        if wrong:
            raise InputError(f"{where}: {wrong[0]}", "is not what dvc.lock says: it cannot be computed with")
        weights = self._link_weights()
        made = [name for name in stages if name not in given]
        environment = scrubbed(self._work)
        environment["PYTHONPATH"] = f"{self.path / 'src'}:{self.path}"
        environment["HEARLAB_MEMO"] = "ignore"
        status = run_foreign(
            dvc_line("repro", "--force", "--single-item", "--no-run-cache", "--", *made),
            self._work,
            self.path,
            environment=environment,
            readable=[*self._objects.places, *weights],
            confined=confined,
        )
        if status != 0:
            raise InputError(where, "cannot be recomputed: dvc repro failed", advice="see above")

    def made(self, name: str) -> bytes | None:
        """The bytes of a file after `recompute`; None if it made none."""
        return read_plain(self.path, name, MOST)

    @cached_property
    def _in_git(self) -> dict[str, Blob]:
        plain = (blob for blob in self._blobs if blob.mode.startswith("100"))
        return {blob.path.removeprefix(self._prefix): blob for blob in plain if blob.path.startswith(self._prefix)}

    @cached_property
    def _outs(self) -> dict[str, Out]:
        """All that DVC knows of the revision, by its path."""
        lock = self._in_git.get(LOCK_FILE)
        stages = parse_lock(self._from_git(lock)) if lock else {}
        found = {path: out for stage in stages.values() for path, out in _outs_of(stage, PurePosixPath())}
        pointers = {name: blob for name, blob in self._in_git.items() if name.endswith(".dvc")}
        size = 0
        for name, blob in pointers.items():
            content = self._from_git(blob)
            size += len(content)
            if size > MOST_YAML or len(pointers) > MOST_POINTERS:
                wanted = f"at most {MOST_POINTERS}, of {size_text(MOST_YAML)} together"
                raise InputError(self.commit[:7], "holds too many .dvc files", found=len(pointers), wanted=wanted)
            pointer = parse_yaml(content)
            found |= dict(_outs_of(pointer if isinstance(pointer, dict) else {}, PurePosixPath(name).parent))
        return found

    def _from_git(self, blob: Blob) -> bytes:
        content = git_bounded(self.root, "cat-file", "blob", blob.name)
        if content is None:
            raise InputError(blob.path, "is not in this clone's git", advice="git fetch --all")
        return content

    def _files_of(self, target: str) -> dict[str, Out]:
        """The files that a path stands for: itself, those of a folder, or one of a folder."""
        found = {}
        for path, out in self._outs.items():
            if not out.identity.endswith(".dir"):
                if path == target or path.startswith(f"{target}/"):
                    found[path] = out
            elif path == target or path.startswith(f"{target}/") or target.startswith(f"{path}/"):
                listed = self._listing(path, out.identity)
                if not target.startswith(f"{path}/"):  # what holds nothing is still a folder
                    (self.path / path).mkdir(mode=0o700, parents=True, exist_ok=True)
                for name, md5 in listed.items():
                    if path == target or path.startswith(f"{target}/") or f"{path}/{name}" == target:
                        found[f"{path}/{name}"] = Out(md5, out.size)
        if not found and target not in self._outs:
            raise self._missing(target, Absent(f"is not in {LOCK_FILE}"))
        return found

    def _listing(self, folder: str, identity: str) -> dict[str, str]:
        if folder not in self._listings:
            try:
                listed = listing(self._objects.content(identity))
            except Absent as absent:
                raise self._missing(folder, absent) from None
            self._listings[folder] = {name: md5 for name, md5 in listed.items() if _inside(name)}
        return self._listings[folder]

    def _missing(self, name: str, absent: Absent) -> InputError:
        return InputError(f"{self.commit[:7]}: {name}", str(absent), advice=ADVICE)

    def _write(self, name: str, content: bytes) -> None:
        path = self.path / name
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_new(path, content)
        except OSError as error:
            raise InputError(name, NO_PLACE, found=error.strerror) from None

    def _link(self, name: str, source: Path) -> None:
        path = self.path / name
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.symlink_to(source.resolve())
        except OSError as error:
            raise InputError(name, NO_PLACE, found=error.strerror) from None

    def _link_weights(self) -> list[Path]:
        """Published weights are fetched, not versioned: those of the workspace serve."""
        own, found = self.root / PUBLISHED_WEIGHTS, []
        for path in own.iterdir() if own.is_dir() else ():
            if path.is_file() and not (self.path / PUBLISHED_WEIGHTS / path.name).exists():
                self._link(f"{PUBLISHED_WEIGHTS}/{path.name}", path)
                found.append(path)
        return found


def clear_checkouts(root: Path) -> None:
    """Remove what killed processes left."""
    clear_scratch(root / PARENT, PREFIX)


def _outs_of(stage: Mapping[str, Any], folder: PurePosixPath) -> list[tuple[str, Out]]:
    found = []
    entries = stage.get("outs")
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict) and _inside(str(entry.get("path"))):
            size = entry.get("size")
            out = Out(str(entry.get("md5") or ""), size if isinstance(size, int) and size >= 0 else None)
            found.append(((folder / str(entry.get("path"))).as_posix(), out))
    return found


def _inside(name: str) -> bool:
    """Whether a relative path stays below its folder."""
    return all(part not in ("", ".", "..") for part in name.split("/"))
