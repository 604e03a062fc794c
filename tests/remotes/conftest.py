"""One small project for all remotes, and each kind of remote with that project pushed to it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from remote_servers import REMOTES
from shared_project import Shared

from pipeline_support import make_project, run


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_project(tmp_path_factory.mktemp("remotes") / "hearlab")


@pytest.fixture(autouse=True)
def another_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DVC's own notes are kept per machine: each test is on a new one."""
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    # A connection that is lost is tried again for minutes otherwise (docs/remotes.md).
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")


@pytest.fixture(scope="module", params=list(REMOTES))
def shared(request: pytest.FixtureRequest, made: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    kind: str = request.param
    folder = tmp_path_factory.mktemp(kind)
    with REMOTES[kind](folder) as remote, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DVC_SITE_CACHE_DIR", str(folder / "site"))
        project = folder / "project"
        run(folder, "git", "clone", "--quiet", str(made), str(project))
        # The bytes of the one project, as links.
        shutil.copytree(made / ".dvc" / "cache", project / ".dvc" / "cache", copy_function=link)
        run(project, "dvc", "remote", "add", "--default", "lab", remote.address)
        for name, value in remote.options.items():
            run(project, "dvc", "remote", "modify", "lab", name, value)
        run(project, "dvc", "remote", "modify", "lab", "verify", "true")
        for name, value in remote.secrets.items():
            run(project, "dvc", "remote", "modify", "--local", "lab", name, value)
        run(project, "git", "commit", "--quiet", "--all", "--message", "Share")
        run(project, "dvc", "push")
        yield Shared(kind, project, remote)


def link(source: str, target: str) -> None:
    Path(target).hardlink_to(source)
