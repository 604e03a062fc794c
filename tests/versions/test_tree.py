"""A stranger's commit: what is refused before a file is written, and how its files are written."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from hearlab.errors import InputError
from hearlab.versions.checkout import Checkout
from hearlab.versions.git import git_text, run_git
from hearlab.versions.tree import read_plain, safe_tree, write_new, write_tree

LINK, PLAIN, SUBMODULE = "120000", "100644", "160000"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    run_git(tmp_path, "init", "--quiet", "work")
    return tmp_path / "work"


def made(root: Path, *arguments: str, given: bytes = b"") -> str:
    own = ("-c", "user.name=T", "-c", "user.email=t@example.org")
    command = ("git", "-C", str(root), *own, *arguments)
    return subprocess.run(command, input=given, check=True, capture_output=True).stdout.decode().strip()


def commit(root: Path, *files: tuple[str, bytes, str]) -> str:
    """A commit of (mode, path, content), of which git's own commands would refuse some."""

    def tree(entries: dict[bytes, object]) -> str:
        lines = b""
        for name, value in entries.items():
            if isinstance(value, dict):
                lines += b"040000 tree " + tree(value).encode()
            else:
                lines += str(value).encode()
            lines += b"\t" + name + b"\0"
        return made(root, "mktree", "-z", "--missing", given=lines)

    top: dict[bytes, object] = {}
    for mode, path, content in files:
        *folders, last = path.encode().split(b"/")
        place: dict[bytes, object] = top
        for folder in folders:
            place = place.setdefault(folder, {})  # type: ignore[assignment]
        kind = "commit" if mode == SUBMODULE else "blob"
        name = "1" * 40 if mode == SUBMODULE else made(root, "hash-object", "-w", "--stdin", given=content)
        place[last] = f"{mode} {kind} {name}"
    return made(root, "commit-tree", tree(top), "-m", "One")


REFUSED = {
    "absolute": (LINK, "notes", b"/etc/passwd"),
    "above": (LINK, "notes", b"../secret"),
    "above a folder": (LINK, "a/b/notes", b"../../../secret"),
    "by way of a link": (LINK, "a/notes", b"up/../../secret"),
    "nothing": (LINK, "notes", b""),
    "configuration": (LINK, ".dvc/config.local", b"../notes"),
    "folder of DVC": (LINK, ".dvc", b"src"),
    "other case": (LINK, ".DVC/tmp", b"../src"),
    "state": (LINK, ".hearlab", b"src"),
    "data": (LINK, "data/demo", b"../src"),
    "metrics": (LINK, "metrics/speech.csv", b"../src/x"),
    "submodule": (SUBMODULE, "vendor", b""),
    "control": (PLAIN, "a\x1b[2Jb", b"x"),
    "line": (PLAIN, "a\nb", b"x"),
    "direction": (PLAIN, "a\u202eb", b"x"),
    "no UTF-8": (PLAIN, "a\udcff".encode("utf-8", "surrogateescape").decode("latin-1") + "\x80", b"x"),
    "git": (PLAIN, "src/.GIT/hooks/post-checkout", b"x"),
    "short": (PLAIN, "GIT~1/config", b"x"),
    "Windows": (PLAIN, ".git. /config", b"x"),
    "backslash": (PLAIN, "a\\b", b"x"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_before_a_file_is_written(root: Path, case: str) -> None:
    name = commit(root, (PLAIN, "src/x", b"x"), REFUSED[case])
    with pytest.raises(InputError, match=rf"^{name[:12]}: .*nothing is checked out") as caught, Checkout(root, name):
        pass
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert not (root / ".hearlab").exists()


def test_a_tree_of_endless_files(root: Path) -> None:
    """Ten folders of ten, eight times: git holds nine objects, and lists a hundred million files."""
    blob = made(root, "hash-object", "-w", "--stdin", given=b"x")
    entry = f"{PLAIN} blob {blob}"
    for _ in range(8):
        lines = "".join(f"{entry}\t{number}\0" for number in range(10))
        entry = f"040000 tree {made(root, 'mktree', '-z', given=lines.encode())}"
    name = made(root, "commit-tree", entry.split()[-1], "-m", "One")
    with pytest.raises(InputError, match=r"ls-tree gives more than"):
        safe_tree(root, name)


def test_files_are_written_as_they_are(root: Path, tmp_path: Path) -> None:
    """No filter, hook or line ending of .gitattributes; links inside are kept."""
    ran = tmp_path / "ran"
    for kind in ("smudge", "process", "clean"):
        run_git(root, "config", f"filter.theirs.{kind}", f"touch {ran}; cat")
    hook = root / ".git/hooks/post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {ran}\n")
    hook.chmod(0o755)
    name = commit(
        root,
        (PLAIN, ".gitattributes", b"* filter=theirs text eol=crlf ident\n"),
        (PLAIN, "src/x", b"$Id$\n"),
        ("100755", "tools/run", b"#!/bin/sh\n"),
        (LINK, "docs/x", b"../src/x"),
    )
    folder = tmp_path / "out"
    folder.mkdir()
    write_tree(root, safe_tree(root, name), folder)
    assert not ran.exists()
    assert (folder / "src/x").read_bytes() == b"$Id$\n"
    assert (folder / "docs/x").read_bytes() == b"$Id$\n"
    assert stat.S_IMODE((folder / "src/x").stat().st_mode) == 0o600
    assert stat.S_IMODE((folder / "tools/run").stat().st_mode) == 0o700
    assert git_text(root, "status", "--porcelain") == ""


def test_nothing_is_written_over_or_through_a_link(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"mine")
    (tmp_path / "link").symlink_to(target)
    for name in ("target", "link"):
        with pytest.raises(FileExistsError):
            write_new(tmp_path / name, b"theirs")
    assert target.read_bytes() == b"mine"
    write_new(tmp_path / "new", b"x")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o600


def test_what_their_code_leaves_is_read_as_plain_files_only(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    (folder / "metrics").mkdir(parents=True)
    (tmp_path / "secret").write_bytes(b"token")
    assert read_plain(folder, "metrics/a.csv", 10) is None
    (folder / "metrics/a.csv").write_bytes(b"0123456789")
    assert read_plain(folder, "metrics/a.csv", 10) == b"0123456789"
    with pytest.raises(InputError, match=r"metrics/a.csv: is too large"):
        read_plain(folder, "metrics/a.csv", 9)
    (folder / "metrics/b.csv").symlink_to(tmp_path / "secret")
    (folder / "other").symlink_to(tmp_path)
    os.mkfifo(folder / "metrics/pipe")
    for name in ("metrics/b.csv", "other/secret", "metrics/pipe", "metrics"):
        with pytest.raises(InputError, match=name):
            read_plain(folder, name, 10)
