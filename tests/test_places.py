"""The pipeline in the places that users have: a cache for all projects, a folder of a larger repository."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from pipeline_support import PAIRS, REPOSITORY, make_project, ran, run, started

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_project(tmp_path_factory.mktemp("places") / "hearlab")


def test_a_cache_for_all_projects(
    project: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the user's own configuration, as `dvc cache dir --global` writes it."""
    folder = tmp_path_factory.mktemp("user")
    monkeypatch.delenv("DVC_GLOBAL_CONFIG_DIR")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
    run(project, "dvc", "cache", "dir", "--global", str(folder / "cache"))
    own, shared = project / ".dvc/cache", folder / "cache/files/md5"
    shutil.move(own / "files", folder / "cache/files")
    before = {path for path in shared.rglob("*") if path.is_file()}
    counts = ran(run(project, "dvc", "repro", "--force", "--single-item", "score_speech"))
    assert counts == {"score_speech": 0}
    # A changed run keeps what it makes there, and nowhere else.
    params = project / "params.yaml"
    params.write_text(params.read_text().replace("  gain: 0", "  gain: 1"))
    assert ran(run(project, "dvc", "repro", "enhance_speech"))["enhance_speech"] == PAIRS
    assert len({path for path in shared.rglob("*") if path.is_file()} - before) >= PAIRS
    assert not [path for path in own.rglob("*") if path.is_file()]
    run(project, "git", "checkout", "--quiet", ".")
    run(project, "dvc", "checkout", "--force")
    shutil.move(folder / "cache/files", own / "files")


def large(project: Path, folder: Path) -> Path:
    """A copy of the project in a repository of other things, which holds its files."""
    own = folder / "large" / "hearlab"
    own.parent.mkdir()
    run(folder, "git", "init", "--quiet", "--initial-branch=main", str(own.parent))
    (own.parent / "paper.tex").write_text("about hearing\n")
    run(folder, "cp", "-a", str(project), str(own))
    shutil.rmtree(own / ".git")
    run(own.parent, "git", "add", "--all")
    run(own.parent, "git", "commit", "--quiet", "--message", "Everything")
    return own


def test_inside_a_larger_repository(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    own = large(project, tmp_path_factory.mktemp("large"))
    run(own, "dvc", "config", "--local", "core.no_scm", "true")  # as an unpacked archive would have it
    assert run(own, "sh", "tools/scm.sh") == ""
    assert "no_scm" not in (own / ".dvc/config.local").read_text()
    assert ran(run(own, "dvc", "repro", "--force", "--single-item", "score_speech")) == {"score_speech": 0}
    assert started(run(own, "dvc", "repro")) == ["system"]
    (own.parent / "paper.tex").write_text("about hearing aids\n")  # of no concern
    before = set((own / "leaderboard").iterdir())
    said = run(own, "hearlab", "leaderboard", "add", "--track", "speech", "--team", "Lab")
    (entry,) = set((own / "leaderboard").iterdir()) - before
    assert run(own, "git", "rev-parse", "HEAD").strip() in entry.read_text(), said
    assert "confirmed" in run(own, "hearlab", "leaderboard", "verify", entry.stem, "--units", "1")
    # An experiment, here and in a folder of its own.
    run(own, "git", "add", "--all")
    run(own, "git", "commit", "--quiet", "--all", "--message", "Entry")
    said = run(own, "dvc", "exp", "run", "--temp", "--set-param", "enhance.gain=1.25", "enhance_speech")
    assert ran(said)["enhance_speech"] == PAIRS


def test_a_folder_that_the_larger_repository_does_not_hold(tmp_path: Path) -> None:
    own = tmp_path / "hearlab"
    run(tmp_path, "git", "init", "--quiet")
    shutil.copytree(REPOSITORY / ".dvc", own / ".dvc", ignore=shutil.ignore_patterns("cache", "tmp", "config.local"))
    shutil.copy(REPOSITORY / "dvc.yaml", own)
    shutil.copytree(REPOSITORY / "tools", own / "tools")
    said = run(own, "sh", "tools/scm.sh")
    assert f"lies in the git repository {tmp_path}, which does not hold its files" in said
    assert "git init" not in said
    assert "no_scm = true" in (own / ".dvc/config.local").read_text()
    run(own, "git", "add", "--all")
    assert run(own, "sh", "tools/scm.sh") == ""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files to another user")
def test_the_repository_of_another_user(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("theirs") / "hearlab"
    run(project.parent, "cp", "-a", str(project), str(folder))
    run(folder, "chown", "--recursive", "--no-dereference", "1234:1234", ".")
    said = run(folder, "sh", "tools/scm.sh")
    assert "belongs to another user" in said
    assert f"git config --global --add safe.directory {folder}\n" in said
    assert "git init" not in said
    assert started(run(folder, "dvc", "repro", "score_speech")) == ["system"]
    said = run(folder, "dvc", "repro", "--force", "--single-item", "track")
    assert "has no commit: this folder's git repository belongs to another user" in said
