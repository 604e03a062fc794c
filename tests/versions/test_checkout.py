"""A revision's checkout: what it takes from where, what it never reads or writes, and what it refuses to compute."""

from __future__ import annotations

import contextlib
import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from hearlab.errors import InputError
from hearlab.versions import checkout, git
from hearlab.versions.checkout import Checkout
from hearlab.versions.difference import difference
from hearlab.versions.git import git_text, run_git
from hearlab.versions.revisions import find_revision


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


FILES = {"a.json": b"audiograms", "deep/b.json": b"scenes"}
LISTING = json.dumps([{"md5": md5(content), "relpath": name} for name, content in FILES.items()]).encode()
SIZE = sum(map(len, FILES.values()))
LOCK = f"""schema: '2.0'
stages:
  prepare:
    cmd: hearlab stage prepare
    outs:
    - path: data/demo/metadata
      hash: md5
      md5: {md5(LISTING)}.dir
      size: {SIZE}
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository whose remote, a folder, is known with a password to config.local only."""
    pytest.importorskip("dvc", reason="dvc is not installed: make test installs it")
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    root = tmp_path / "work"
    (root / ".dvc").mkdir(parents=True)
    (root / ".dvc/.gitignore").write_text("/config.local\n/cache\n/tmp\n")
    (root / ".gitignore").write_text("/.hearlab/\n")
    (root / ".dvc/config").write_text("")
    (root / ".dvc/config.local").write_text(
        f"[core]\n    remote = lab\n['remote \"lab\"']\n    url = {tmp_path / 'remote'}\n"
        "['remote \"other\"']\n    url = webdav://lab.example/store\n    password = secret\n"
    )
    for content in (LISTING, *FILES.values()):
        put(tmp_path, content)
    run_git(tmp_path, "init", "--quiet", str(root))
    (root / "dvc.lock").write_text(LOCK)
    (root / "params.yaml").write_text("dataset: demo\n")
    commit(root)
    return root


def put(folder: Path, content: bytes, name: str | None = None) -> Path:
    """Store content on the remote."""
    name = name or md5(content) + (".dir" if content == LISTING else "")
    path = folder / "remote/files/md5" / name[:2] / name[2:]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def commit(root: Path, **files: str) -> str:
    """Commit files; gives the hash."""
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_yaml", ".yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    run_git(root, "add", "--all", "--force", *(["dvc.lock", "params.yaml", ".dvc/config"] if not files else ["."]))
    run_git(root, "rm", "--quiet", "--cached", "--ignore-unmatch", ".dvc/config.local")
    own = ("-c", "user.name=T", "-c", "user.email=t@example.org")
    subprocess.run(("git", *own, "commit", "--quiet", "--message", "One"), cwd=root, check=True)
    return git_text(root, "rev-parse", "HEAD")


def test_files_come_from_git_and_the_workspace_s_remote(root: Path) -> None:
    with Checkout(root, commit(root, **{"notes": "x"})) as copy:
        assert copy.pull(["params.yaml", "data/demo/metadata"]) == []
        assert (copy.path / "params.yaml").read_text() == "dataset: demo\n"
        for name, content in FILES.items():
            assert (copy.path / "data/demo/metadata" / name).read_bytes() == content
        # The password is in the user's own configuration and nowhere else; no code of the revision is there.
        scratch = copy.path.parent.parent
        found = {path.relative_to(copy.path).as_posix() for path in copy.path.rglob("*") if path.is_file()}
        assert found == {"params.yaml", *(f"data/demo/metadata/{name}" for name in FILES)}
        assert all(b"secret" not in path.read_bytes() for path in scratch.rglob("*") if path.is_file())
        assert copy.pull(["data/demo/metadata/deep/b.json"]) == []
    assert list((root / ".hearlab").iterdir()) == []


def test_only_what_is_right_reaches_the_cache(root: Path, tmp_path: Path) -> None:
    put(tmp_path, b"other audiograms", md5(FILES["a.json"]))
    with Checkout(root, git_text(root, "rev-parse", "HEAD")) as copy:
        assert copy.pull(["data/demo/metadata"]) == ["data/demo/metadata/a.json"]
        assert not (copy.path / "data/demo/metadata/a.json").exists()
    kept = [path.read_bytes() for path in (root / ".dvc/cache").rglob("*") if path.is_file()]
    assert kept == [FILES["deep/b.json"]]


def test_a_listing_altered_on_the_remote(root: Path, tmp_path: Path) -> None:
    evil = json.dumps([{"md5": md5(FILES["a.json"]), "relpath": "../../../.git/hooks/post-checkout"}]).encode()
    put(tmp_path, evil, f"{md5(LISTING)}.dir")
    with Checkout(root, git_text(root, "rev-parse", "HEAD")) as copy:
        assert copy.pull(["data/demo/metadata", "data/demo/metadata/a.json"]) == [
            "data/demo/metadata",
            "data/demo/metadata/a.json",
        ]
    assert not list((root / ".dvc").rglob("cache/files/md5/*/*"))


def test_names_that_lead_out_of_a_folder_are_no_files_of_it(root: Path, tmp_path: Path) -> None:
    """A listing with the md5 that dvc.lock says, which was made to do harm."""
    names = ("../out", "/tmp/out", "a/../../out", "good")
    listed = json.dumps([{"md5": md5(FILES["a.json"]), "relpath": name} for name in names]).encode()
    put(tmp_path, listed, f"{md5(listed)}.dir")
    lock = LOCK.replace(md5(LISTING), md5(listed))
    with Checkout(root, commit(root, **{"dvc.lock": lock})) as copy:
        with contextlib.suppress(InputError):  # the reader may refuse the listing as a whole
            copy.pull(["data/demo/metadata"])
        assert not (copy.path / "data/demo/out").exists()
        assert not Path("/tmp/out").exists()


def test_absent(root: Path, tmp_path: Path) -> None:
    put(tmp_path, FILES["a.json"]).unlink()
    with Checkout(root, git_text(root, "rev-parse", "HEAD")) as copy:
        with pytest.raises(InputError, match=r"metadata/a.json: is neither in DVC's cache nor .*--recompute makes it"):
            copy.pull(["data/demo/metadata"])
        with pytest.raises(InputError, match=r"data/none: is not in dvc.lock"):
            copy.pull(["data/none"])


THEIRS = "[core]\n    remote = lab\n    site_cache_dir = {0}/theirs\n['remote \"lab\"']\n    url = {0}/theirs\n"


@pytest.mark.parametrize("config", [THEIRS, "[core\n", "cache = 3\n", "[core]\n    colour = red\n"])
def test_their_dvc_configuration_is_not_read(root: Path, tmp_path: Path, config: str) -> None:
    """It could name remotes that run commands, and put keys beside those of the user's remotes."""
    mine = git_text(root, "rev-parse", "HEAD")
    theirs = commit(root, **{".dvc__config": config.format(tmp_path), "dvc_yaml": "stages: [\n"})
    run_git(root, "checkout", "--quiet", mine)
    with Checkout(root, theirs) as copy:
        assert copy.pull(["data/demo/metadata/a.json"]) == []
    assert find_revision(theirs, root).read("data/demo/metadata/deep/b.json") == FILES["deep/b.json"]
    assert not (tmp_path / "theirs").exists()


def test_their_attributes_run_nothing(root: Path, tmp_path: Path) -> None:
    """`git show` converts what .gitattributes names by the programs of the user's configuration."""
    mine = git_text(root, "rev-parse", "HEAD")
    for key in ("diff.theirs.textconv", "diff.theirs.command", "filter.theirs.smudge", "filter.theirs.process"):
        run_git(root, "config", key, f"touch {tmp_path / 'ran'}; cat")
    theirs = commit(root, **{".gitattributes": "* diff=theirs filter=theirs\n", "dvc_yaml": "stages: {}\n"})
    run_git(root, "checkout", "--quiet", "--force", theirs)
    (tmp_path / "ran").unlink(missing_ok=True)
    assert find_revision(theirs, root).read("params.yaml") == b"dataset: demo\n"
    assert "+stages: {}" in difference(root, mine) or "-stages: {}" in difference(root, mine)
    with Checkout(root, theirs) as copy:
        copy.pull(["params.yaml"])
    assert not (tmp_path / "ran").exists()


def test_the_difference_hides_nothing(root: Path) -> None:
    mine = git_text(root, "rev-parse", "HEAD")
    theirs = commit(
        root,
        **{
            ".gitattributes": "dvc.yaml -diff\n",
            "dvc_yaml": "stages:\n  a:\n    cmd: curl evil\x1b[2K\x1b[1A\n",
            "src__evil.py": "x = 1\n",
            "lab__pyproject.toml": "[project]\n",
        },
    )
    run_git(root, "checkout", "--quiet", mine)
    text = difference(root, theirs)
    assert "+    cmd: curl evil" in text
    assert "+[project]" in text
    assert "\x1b" not in text
    assert "src/evil.py" in text.partition("new files")[2]


def test_a_stage_that_never_ran_is_not_computed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without targets, `dvc repro --force` would run every stage."""
    ran: list[tuple[object, ...]] = []
    with Checkout(root, git_text(root, "rev-parse", "HEAD")) as copy:
        monkeypatch.setattr(checkout, "run_foreign", lambda *arguments, **options: ran.append(arguments))
        with pytest.raises(InputError, match=r"dvc.lock knows no stage score_music"):
            copy.recompute({"score_speech": {}}, "score_music", "demo")
    assert ran == []


def test_a_configuration_of_theirs_in_the_way(root: Path) -> None:
    blob = git_text(root, "hash-object", "-w", str(root / "params.yaml"))
    run_git(root, "update-index", "--add", "--cacheinfo", f"100644,{blob},.dvc/config.local")
    tree = git_text(root, "write-tree")
    own = ("-c", "user.name=T", "-c", "user.email=t@example.org")
    theirs = git_text(root, *own, "commit-tree", tree, "-m", "One")
    with Checkout(root, theirs) as copy, pytest.raises(InputError, match=r"config.local: cannot be written"):
        copy.recompute({"prepare": {"outs": [{"path": "data/demo/metadata"}]}}, "prepare", "demo")


def test_git_that_is_not_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError) as caught:
        git.run_git(tmp_path, "status")
    assert str(caught.value) == "git: is not installed; install git"


def test_a_name_with_nul(root: Path) -> None:
    head = find_revision("HEAD", root)
    assert head.read("a\0b") is None
    assert not head.holds("a\0b")


def test_a_commit_of_very_many_dvc_files(root: Path) -> None:
    """Each takes seconds to read."""
    sha = commit(root, **{f"d{n}.dvc": "outs:\n" + "- {path: x, md5: y}\n" * 5_000 for n in range(6)})
    with Checkout(root, sha) as checkout, pytest.raises(InputError, match=r"holds too many \.dvc files"):
        checkout.pull(["data"])
