"""What is said of git where it knows no commit: why, and never advice that would harm."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from hearlab.errors import InputError
from hearlab.report.doctor import doctor
from hearlab.versions.checkout import Checkout
from hearlab.versions.difference import difference
from hearlab.versions.git import NO_REPOSITORY, git_text, head_commit, repository_problem, run_git
from hearlab.versions.revisions import find_revision
from hearlab.versions.tree import safe_tree

IDENTITY = ("-c", "user.name=Tester", "-c", "user.email=tester@example.org")


def commit(folder: Path, message: str = "One") -> str:
    run_git(folder, "add", "--all")
    run_git(folder, *IDENTITY, "commit", "--quiet", "--allow-empty", "--message", message)
    return head_commit(folder)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of two commits."""
    for name in ("GIT_DIR", "GIT_WORK_TREE"):
        monkeypatch.delenv(name, raising=False)
    root = tmp_path / "lab"
    root.mkdir()
    run_git(root, "init", "--quiet", "--initial-branch=main")
    (root / "params.yaml").write_text("dataset: demo\n")
    commit(root)
    (root / "dvc.yaml").write_text("stages: {}\n")
    commit(root, "Two")
    return root


@pytest.fixture
def of_another_user(root: Path) -> Path:
    if os.getuid() != 0:
        pytest.skip("only root can give files to another user")
    for place, folders, files in os.walk(root):
        for name in (place, *(os.path.join(place, one) for one in (*folders, *files))):
            os.chown(name, 1234, 1234)
    return root


def doctor_line(root: Path) -> str:
    (finding,) = doctor._git(root, None)
    return str(finding)


def test_a_repository_of_another_user(of_another_user: Path) -> None:
    below = of_another_user / "deep"
    below.mkdir()
    for folder in (of_another_user, below):
        line = doctor_line(folder)
        assert "belongs to another user" in line
        assert f"git config --global --add safe.directory {of_another_user}" in line
        assert "git init" not in line
        with pytest.raises(InputError, match=r"^HEAD: .*belongs to another user.*safe\.directory [^\n]*$") as caught:
            find_revision("HEAD", folder)
        assert "no git repository" not in str(caught.value)
        with pytest.raises(InputError, match="belongs to another user"), Checkout(folder, "f" * 40):
            pass
        with pytest.raises(InputError, match="belongs to another user"):
            head_commit(folder)


def test_no_repository(tmp_path: Path) -> None:
    assert repository_problem(tmp_path) == NO_REPOSITORY
    assert doctor_line(tmp_path).endswith("git init, or clone HearLab")
    with pytest.raises(InputError, match=r"^HEAD: is no file, and this folder is no git repository"):
        find_revision("HEAD", tmp_path)


def test_no_commit_yet(tmp_path: Path) -> None:
    run_git(tmp_path, "init", "--quiet")
    assert repository_problem(tmp_path) is None
    with pytest.raises(InputError, match="has no commit yet"):
        head_commit(tmp_path)
    with pytest.raises(InputError, match=r"HEAD: .*has no commit yet"):
        find_revision("HEAD", tmp_path)


def test_without_git(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(root))
    assert repository_problem(root) == "git is not installed"
    assert "not installed" in doctor_line(root)
    with pytest.raises(InputError, match="git is not installed"):
        find_revision("HEAD", root)


def test_a_damaged_repository_is_not_called_none(root: Path) -> None:
    (root / ".git/config").write_text("[core\n")
    for line in (repository_problem(root) or "", doctor_line(root)):
        assert "git cannot use this folder's repository" in line
        assert "bad config line 1" in line
        assert "git init" not in line


@pytest.mark.parametrize("kind", ["bare", "inside .git", "moved worktree"])
def test_a_folder_of_a_repository_without_its_files(root: Path, tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "other"
    if kind == "bare":
        run_git(root, "clone", "--quiet", "--bare", ".", str(folder))
    elif kind == "inside .git":
        folder = root / ".git"
    else:
        folder.mkdir()
        (folder / ".git").write_text(f"gitdir: {root}/.git/worktrees/gone\n")
    problem = repository_problem(folder)
    assert problem not in (None, NO_REPOSITORY)
    assert "git init" not in doctor_line(folder)
    with pytest.raises(InputError):
        head_commit(folder)


@pytest.mark.parametrize("kind", ["worktree", "detached", "submodule", "subfolder"])
def test_all_ways_of_having_a_commit(root: Path, tmp_path: Path, kind: str) -> None:
    wanted, folder = head_commit(root), root
    if kind == "worktree":
        folder = tmp_path / "second"
        run_git(root, "worktree", "add", "--quiet", "--detach", str(folder))
    elif kind == "detached":
        run_git(root, "checkout", "--quiet", "--detach")
    elif kind == "submodule":
        outer = tmp_path / "outer"
        run_git(root, "init", "--quiet", str(outer))
        run_git(outer, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(root), "hearlab")
        folder = outer / "hearlab"
    else:
        folder = root / "deep"
        folder.mkdir()
    assert repository_problem(folder) is None
    assert head_commit(folder) == wanted
    assert find_revision("HEAD", folder).commit == wanted


def test_variables_of_a_hook_are_of_another_place(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """git gives them to a hook, and what that starts elsewhere would ask the wrong repository."""
    wanted = head_commit(root)
    other = tmp_path / "other"
    run_git(root, "init", "--quiet", str(other))
    commit(other)
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git/index"))
    assert head_commit(root) == wanted
    assert git_text(root, "status", "--porcelain") == ""
    monkeypatch.setenv("GIT_DIR", ".git")  # in a folder below the top there is none
    (root / "deep").mkdir()
    assert head_commit(root / "deep") == wanted


def test_a_shallow_clone_is_named(root: Path, tmp_path: Path) -> None:
    clone = tmp_path / "shallow"
    first = git_text(root, "rev-parse", "HEAD~1")
    subprocess.run(("git", "clone", "--quiet", "--depth", "1", f"file://{root}", str(clone)), check=True)
    assert find_revision("HEAD", clone).commit == head_commit(root)
    for name in ("HEAD~1", first):
        with pytest.raises(InputError, match=r"clone is shallow: git fetch --unshallow"):
            find_revision(name, clone)
    with (
        pytest.raises(InputError, match="is no commit of this clone; git fetch --unshallow"),
        Checkout(clone, first),
    ):
        pass
    assert "git fetch --unshallow" in doctor_line(clone)
    with pytest.raises(InputError) as caught:
        find_revision("none-such", root)
    assert "shallow" not in str(caught.value)


def test_of_a_larger_repository_only_the_own_folder_counts(root: Path, tmp_path: Path) -> None:
    large = tmp_path / "large"
    (large / "hearlab").mkdir(parents=True)
    run_git(root, "init", "--quiet", str(large))
    (large / "hearlab/params.yaml").write_text("dataset: demo\n")
    (large / "notes").symlink_to("/etc/hostname")  # of no concern to HearLab
    (large / "dvc.yaml").write_text("stages: {}\n")
    run_git(large, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(root), "other")
    before = commit(large)
    (large / "dvc.yaml").write_text("stages: []\n")
    (large / "hearlab/dvc.yaml").write_text("stages: {a: 1}\n")
    after = commit(large)
    own = large / "hearlab"
    assert [blob.path for blob in safe_tree(own, after)] == ["hearlab/dvc.yaml", "hearlab/params.yaml"]
    with Checkout(own, before) as copy:
        assert copy.pull(["params.yaml"]) == []
        assert (copy.path / "params.yaml").read_text() == "dataset: demo\n"
    shown = difference(own, before)
    assert "{a: 1}" in shown
    assert "stages: []" not in shown
    assert find_revision("HEAD", own).read("dvc.yaml") == b"stages: {a: 1}\n"
    (own / "out").symlink_to("../other")  # out of what is checked out
    with pytest.raises(InputError, match="has a link that leaves it"):
        safe_tree(own, commit(large))
