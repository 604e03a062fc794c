"""Objects of DVC: only bytes of the right md5 are given or kept, and only the workspace's own remote is asked."""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path

import pytest

from hearlab.versions.objects import Absent, Altered, Objects
from hearlab.versions.revisions import RevisionFiles

CONTENT = b"audiograms"
MD5 = hashlib.md5(CONTENT).hexdigest()
SECOND = hashlib.md5(b"second").hexdigest()


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A DVC repository with a remote in a folder, and `quarantine` beside its cache."""
    pytest.importorskip("dvc", reason="dvc is not installed: make test installs it")
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    root = tmp_path / "work"
    (root / ".dvc").mkdir(parents=True)
    (root / ".dvc/config").write_text(
        f"[core]\n    no_scm = true\n    remote = lab\n['remote \"lab\"']\n    url = {tmp_path / 'remote'}\n"
    )
    (root / "quarantine").mkdir()
    return root


def put(store: Path, md5: str, content: bytes) -> Path:
    path = store / "files/md5" / md5[:2] / md5[2:]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_from_the_remote_into_the_cache(root: Path, tmp_path: Path) -> None:
    put(tmp_path / "remote", MD5, CONTENT)
    objects = Objects(root, root / "quarantine")
    assert objects.content(MD5) == CONTENT
    cached = root / ".dvc/cache/files/md5" / MD5[:2] / MD5[2:]
    assert not cached.exists()
    assert objects.fetch({MD5: len(CONTENT)}) == {MD5: cached}
    assert cached.read_bytes() == CONTENT
    assert stat.S_IMODE(cached.stat().st_mode) == 0o444
    assert list((root / "quarantine").iterdir()) == []


@pytest.mark.parametrize("content", [b"audiogramz", b"", CONTENT + b"x" * (3 << 20)])
def test_altered_on_the_remote(root: Path, tmp_path: Path, content: bytes) -> None:
    put(tmp_path / "remote", MD5, content)
    put(tmp_path / "remote", SECOND, b"second")
    objects = Objects(root, root / "quarantine")
    found = objects.fetch({MD5: len(CONTENT), SECOND: 6, "0" * 32: 1})
    assert isinstance(found[MD5], Altered)
    assert isinstance(found["0" * 32], Absent)
    assert isinstance(found[SECOND], Path)
    with pytest.raises(Altered, match="the remote"):
        objects.content(MD5)
    kept = [path.read_bytes() for path in (root / ".dvc/cache").rglob("*") if path.is_file()]
    assert kept == [b"second"]
    assert list((root / "quarantine").iterdir()) == []


def test_no_more_is_read_than_dvc_lock_says(root: Path, tmp_path: Path) -> None:
    path = put(tmp_path / "remote", MD5, b"")
    path.unlink()
    path.symlink_to("/dev/zero")
    assert isinstance(Objects(root, root / "quarantine").fetch({MD5: len(CONTENT)})[MD5], Altered)


def test_altered_in_the_cache_and_right_on_the_remote(root: Path, tmp_path: Path) -> None:
    cached = put(root / ".dvc/cache", MD5, b"wrong")
    linked = root / "linked"
    linked.hardlink_to(cached)
    put(tmp_path / "remote", MD5, CONTENT)
    objects = Objects(root, root / "quarantine")
    assert objects.stored(MD5) == (b"wrong", "DVC's cache")
    assert objects.content(MD5) == CONTENT
    assert objects.fetch({MD5: None}) == {MD5: cached}
    assert cached.read_bytes() == CONTENT
    assert linked.read_bytes() == b"wrong"


@pytest.mark.parametrize(
    "identity",
    ["", "../../../etc/passwd", "aa/dev/zero", "../made", "0" * 31, "0" * 33, "/etc/passwd", "A" * 32, f"{MD5}\n"],
)
def test_what_is_no_md5_names_no_file(root: Path, identity: str) -> None:
    objects = Objects(root, root / "quarantine")
    with pytest.raises(Absent):
        objects.content(identity)
    assert isinstance(objects.fetch({identity: 1})[identity], Absent)
    assert list((root / "quarantine").iterdir()) == []
    revision = RevisionFiles(root, "x", "0" * 40)
    revision.__dict__["_outs"] = {"file": identity}
    assert revision.cached("file") is None


def test_without_a_remote(root: Path) -> None:
    (root / ".dvc/config").write_text("[core]\n    no_scm = true\n")
    with pytest.raises(Absent, match="no remote is set"):
        Objects(root).content(MD5)
