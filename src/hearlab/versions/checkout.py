"""A revision checked out in a folder of its own, with the workspace's DVC cache and remotes."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hearlab.errors import InputError
from hearlab.files import md5_of
from hearlab.params import PREPARING, PUBLISHED_WEIGHTS
from hearlab.versions.dvc_command import full_config, repository, run_dvc, set_local_config
from hearlab.versions.dvc_files import cache_folder, cached_object
from hearlab.versions.git import git, git_text, run_git
from hearlab.versions.lock import LOCK_FILE, lock_records, stages_behind
from hearlab.versions.revisions import Files, WorkspaceFiles

PARENT = ".hearlab"  # ignored by git, and on the file system of the workspace: links to the cache work


class Checkout:
    """A context manager: the files of a commit in `path`, which is removed at the end.

    Of the workspace only DVC's cache is changed: it gets what is pulled.

    Args:
        root: the workspace.
        commit: full hash.

    Raises:
        InputError: the commit is not in this clone.
    """

    def __init__(self, root: Path, commit: str) -> None:
        self.root = root.resolve()
        self.commit = commit

    def __enter__(self) -> Checkout:
        if git(self.root, "cat-file", "-e", f"{self.commit}^{{commit}}") is None:
            advice = "git fetch --all; was it pushed where you cloned?"
            raise InputError(self.commit[:12], "is no commit of this clone", advice=advice)
        parent = self.root / PARENT
        parent.mkdir(exist_ok=True)
        self._folder = Path(tempfile.mkdtemp(prefix="verify-", dir=parent))
        try:
            place = self._folder / "checkout"
            # A clone and not a worktree: it leaves nothing in the workspace's own .git, even if it is killed.
            top = git_text(self.root, "rev-parse", "--show-toplevel")
            run_git(self._folder, "clone", "--quiet", "--shared", "--no-checkout", top, str(place))
            run_git(place, "checkout", "--quiet", "--detach", self.commit)
            self.path = place / git_text(self.root, "rev-parse", "--show-prefix")
            self._configure()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *unused: object) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def files(self) -> Files:
        """The files that are there now."""
        return WorkspaceFiles(self.path)

    def pull(self, targets: Sequence[str]) -> str | None:
        """Get files or folders of the revision from the cache or the remote; gives DVC's complaint if it cannot."""
        done = self._dvc("pull", *targets)
        # Without a remote, or without network, the cache may still have everything.
        if done.returncode == 0 or self._dvc("checkout", *targets).returncode == 0:
            return None
        complaint = done.stderr.partition("ERROR: ")[2].partition("Is your cache")[0]
        return " ".join(complaint.split())[:160] or "no reason given"

    def stored(self, md5: str) -> tuple[bytes, str] | None:
        """The bytes that the cache or else the remote keeps under an md5, right or wrong, and which of them does.

        Not through DVC: it deletes objects that it finds damaged, and then what was altered is lost.
        """
        if self._cache is not None:
            with contextlib.suppress(OSError):
                return cached_object(self._cache, md5).read_bytes(), "DVC's cache"
        try:
            with repository(self.root) as now:
                remote = now.cloud.get_remote_odb()
                content: bytes = remote.fs.cat_file(remote.oid_to_path(md5))
        except Exception:  # DVC's remotes raise errors of their own kinds; then the file is pulled or computed
            return None
        return content, "the remote"

    def damaged(self, paths: Sequence[str]) -> list[str]:
        """Those of the pulled files that are not what dvc.lock says; DVC's cache loses their objects.

        DVC believes a remote's file names, so a file that was altered there reaches the cache under its old name.
        """
        wrong = []
        records = lock_records(self.path, self._cache)
        for name in paths:
            path, wanted = self.path / name, records.get(name)
            if path.is_file() and wanted is not None and md5_of(path) != wanted:
                wrong.append(name)
                stored = cached_object(self._cache, wanted) if self._cache else None
                if stored is not None and stored.is_file() and md5_of(stored) != wanted:
                    os.replace(path, self._folder / "altered")  # keep its bytes, whatever link it is
                    stored.chmod(0o644)
                    stored.unlink()
                    shutil.copyfile(self._folder / "altered", path)
        return wrong

    def recompute(self, lock: Mapping[str, Any], stage: str, dataset: str) -> None:
        """Run a stage and all before it with the revision's own code, whatever is known of their results.

        The stages that check a data set from outside are not run: its files are pulled.

        Raises:
            InputError: the revision never ran the stage, the data cannot be pulled, or a stage fails.
        """
        stages = stages_behind(lock, stage)
        if not stages:  # `dvc repro` without targets would run everything
            problem = f"cannot be recomputed: {LOCK_FILE} knows no stage {stage}"
            raise InputError(self.commit[:12], problem, advice=f"dvc repro {stage}, and commit it")
        given = [name for name in stages if name in PREPARING and dataset != "demo"]
        complaint = self.pull(given) if given else None
        if complaint:
            advice = "dvc add or push the data set where it is, see docs/full-data.md"
            raise InputError(self.commit[:12], f"needs the data set {dataset}: {complaint}", advice=advice)
        self._link_weights()
        made = [name for name in stages if name not in given]
        done = self._dvc("repro", "--force", "--single-item", "--no-run-cache", *made, own_code=True)
        if done.returncode != 0:
            raise InputError(self.commit[:12], "cannot be recomputed: dvc repro failed", advice="see above")

    def _link_weights(self) -> None:
        """Published weights are fetched, not versioned: those of the workspace serve."""
        own = self.root / PUBLISHED_WEIGHTS
        for path in own.iterdir() if own.is_dir() else ():
            target = self.path / PUBLISHED_WEIGHTS / path.name
            if path.is_file() and not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.symlink_to(path.resolve())

    def _configure(self) -> None:
        """The workspace's cache and remotes, which the revision may not know."""
        config = full_config(self.root)
        cache = {name: config["cache"][name] for name in ("type", "shared") if name in config["cache"]}
        core = {name: config["core"][name] for name in ("remote",) if name in config["core"]}
        self._cache = cache_folder(self.root)
        if self._cache is not None:
            cache["dir"] = str(self._cache.parent.parent.resolve())
        try:
            set_local_config(self.path, {"cache": cache, "core": core, "remote": config["remote"]})
        except ValueError as error:
            raise InputError(self.commit[:12], "its DVC configuration cannot be read", found=str(error)) from None

    def _dvc(self, *arguments: str, own_code: bool = False) -> subprocess.CompletedProcess[str]:
        environment = {"DVC_SITE_CACHE_DIR": str(self._folder / "site")}
        environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        if own_code:
            environment["PYTHONPATH"] = os.pathsep.join([str(self.path / "src"), str(self.path)])
            environment["HEARLAB_MEMO"] = "ignore"
        return run_dvc(self.path, *arguments, environment=environment, shown=own_code)
