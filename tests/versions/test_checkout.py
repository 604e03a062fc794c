"""A revision's checkout: its DVC configuration, what it leaves behind, and what it refuses to compute."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest

from hearlab.errors import InputError
from hearlab.versions import checkout, git
from hearlab.versions.checkout import Checkout
from hearlab.versions.dvc_command import full_config
from hearlab.versions.git import git_text, run_git

REMOTE = "[core]\n    remote = lab\n['remote \"lab\"']\n    url = webdav://lab.example/store\n"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository whose remote has a password, which git does not know."""
    pytest.importorskip("dvc", reason="dvc is not installed: make test installs it")
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    root = tmp_path / "work"
    (root / ".dvc").mkdir(parents=True)
    (root / ".dvc/.gitignore").write_text("/config.local\n")
    (root / ".dvc/config.local").write_text("['remote \"lab\"']\n    password = secret\n")
    run_git(tmp_path, "init", "--quiet", str(root))
    commit(root, REMOTE)
    return root


def commit(root: Path, config: str) -> str:
    """Commit a DVC configuration; gives the hash."""
    (root / ".dvc/config").write_text(config)
    run_git(root, "add", "--all")
    own = ("-c", "user.name=T", "-c", "user.email=t@example.org")
    subprocess.run(("git", *own, "commit", "--quiet", "--message", "One"), cwd=root, check=True)
    return git_text(root, "rev-parse", "HEAD")


def test_remotes_come_from_the_workspace_and_their_passwords_stay_private(root: Path) -> None:
    old = commit(root, "")
    commit(root, REMOTE)
    with Checkout(root, old) as copy:
        local = copy.path / ".dvc/config.local"
        assert stat.S_IMODE(local.stat().st_mode) == 0o600
        config = full_config(copy.path)
    assert config["core"]["remote"] == "lab"
    assert config["remote"]["lab"].items() >= {"url": "webdav://lab.example/store", "password": "secret"}.items()
    assert Path(config["cache"]["dir"]) == root / ".dvc/cache"
    assert list((root / ".hearlab").iterdir()) == []


def test_nothing_is_left_in_the_site_cache(root: Path, tmp_path: Path) -> None:
    full_config(root)  # the workspace's own folder
    before = sorted((tmp_path / "site").glob("*/*"))
    assert before
    with Checkout(root, git_text(root, "rev-parse", "HEAD")):
        pass
    assert sorted((tmp_path / "site").glob("*/*")) == before


def test_a_key_that_this_dvc_does_not_know(root: Path) -> None:
    old = commit(root, "[core]\n    colour = red\n")
    commit(root, REMOTE)
    with Checkout(root, old) as copy:
        assert "colour" in (copy.pull(["data"]) or "")


@pytest.mark.parametrize("config", ["[core\n", "cache = 3\n"])
def test_a_configuration_that_cannot_be_read(root: Path, config: str) -> None:
    old = commit(root, config)
    commit(root, REMOTE)
    with pytest.raises(InputError, match=rf"{old[:12]}: .*DVC configuration cannot be read"), Checkout(root, old):
        pass
    assert list((root / ".hearlab").iterdir()) == []


def test_a_stage_that_never_ran_is_not_computed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without targets, `dvc repro --force` would run every stage."""
    ran: list[tuple[object, ...]] = []
    with Checkout(root, git_text(root, "rev-parse", "HEAD")) as copy:
        monkeypatch.setattr(checkout, "run_dvc", lambda *arguments, **options: ran.append(arguments))
        with pytest.raises(InputError, match=r"dvc.lock knows no stage score_music"):
            copy.recompute({"score_speech": {}}, "score_music", "demo")
    assert ran == []


def test_git_that_is_not_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError) as caught:
        git.run_git(tmp_path, "status")
    assert str(caught.value) == "git: is not installed; install git"
