"""The files of a stranger's commit: looked at before any is written, and written without git's filters and hooks."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from hearlab.errors import InputError
from hearlab.text import hidden, size_text
from hearlab.versions.git import git_bounded, git_environment, git_text

LINK, SUBMODULE = "120000", "160000"
PLACES = {".dvc", ".hearlab", "data", "metrics"}  # HearLab and DVC write there
# Names by which some file system knows .git: of other case, NTFS's short name, with letters that are passed over.
GIT_NAME = re.compile(r"\.git[. ]*(:.*)?|git~\d+", re.IGNORECASE)
MOST_LISTED, MOST_BYTES, LONGEST_LINK = 1 << 24, 1 << 31, 4096


class Blob(NamedTuple):
    """A file or link of a commit."""

    mode: str
    name: str
    path: str


def safe_tree(root: Path, commit: str) -> list[Blob]:
    """The files of a commit at the workspace and below, with their paths from the repository's top.

    Raises:
        InputError: one could lead a writer out of the checkout, or to where HearLab and DVC write; or they are
            too many.
    """
    where = commit[:12]
    listed = git_bounded(root, "ls-tree", "-r", "-z", "--full-name", commit, most=MOST_LISTED)
    if listed is None:
        raise InputError(where, "its files cannot be listed", advice="git fsck")
    blobs = list(_parsed(listed, where))
    prefix = git_text(root, "rev-parse", "--show-prefix")
    for blob in blobs:
        if blob.mode == LINK:
            _check_link(root, blob, prefix, where)
    return blobs


def _parsed(listed: bytes, where: str) -> Iterator[Blob]:
    for line in listed.split(b"\0")[:-1]:
        about, _, raw = line.partition(b"\t")
        mode, _, name = about.decode().split()
        path = raw.decode("utf-8", errors="surrogateescape")
        if any(map(hidden, path)) or any(_unsafe(part) for part in path.split("/")):
            raise InputError(where, "has a file of an unsafe name: nothing is checked out", field=ascii(path))
        if mode == SUBMODULE:
            raise InputError(where, "has a submodule: nothing is checked out", field=path)
        yield Blob(mode, name, path)


def _unsafe(part: str) -> bool:
    return part in ("", ".", "..") or "\\" in part or GIT_NAME.fullmatch(part) is not None


def _check_link(root: Path, blob: Blob, prefix: str, where: str) -> None:
    path = blob.path.removeprefix(prefix)
    if path.partition("/")[0].casefold() in PLACES:
        raise InputError(where, "has a link where HearLab or DVC writes: nothing is checked out", field=blob.path)
    content = git_bounded(root, "cat-file", "blob", blob.name, most=LONGEST_LINK) or b""
    target = content.decode("utf-8", errors="surrogateescape")
    up = 0
    parts = target.split("/")
    while up < len(parts) and parts[up] == "..":
        up += 1
    # `..` after a name could be of a folder elsewhere, if that name is a link.
    if not target or "\0" in target or parts[0] == "" or ".." in parts[up:] or up > path.count("/"):
        raise InputError(
            where, "has a link that leaves it: nothing is checked out", field=blob.path, found=ascii(target)
        )


def write_tree(root: Path, blobs: Sequence[Blob], folder: Path) -> None:
    """Write the files of `safe_tree` below a new, private folder.

    Neither hooks nor filters of .gitattributes run; files of git-lfs stay pointers. Links are made last, so that
    nothing is written through one.

    Raises:
        InputError: two names are one on this file system, or git has not all of them.
    """
    with subprocess.Popen(
        ("git", "-C", str(root), "cat-file", "--batch"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=git_environment(),
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        left = MOST_BYTES
        for blob in sorted(blobs, key=lambda blob: blob.mode == LINK):
            process.stdin.write(f"{blob.name}\n".encode())
            process.stdin.flush()
            _, kind, *size = process.stdout.readline().split()
            left -= int(size[0]) if size else 0
            if kind != b"blob" or left < 0:
                process.kill()
                problem = f"files of more than {size_text(MOST_BYTES)}" if left < 0 else "is not in this clone's git"
                raise InputError(blob.path, problem, advice="git fsck, git fetch --all")
            content = process.stdout.read(int(size[0]) + 1)[:-1]
            path = folder / blob.path
            try:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                if blob.mode == LINK:
                    path.symlink_to(os.fsdecode(content))
                else:
                    write_new(path, content, 0o700 if blob.mode == "100755" else 0o600)
            except OSError as error:
                process.kill()
                raise InputError(blob.path, "cannot be written into a checkout", found=error.strerror) from None


def write_new(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Write a private file where none is; no link is followed.

    Raises:
        OSError: something is there already.
    """
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode), "wb") as file:
        file.write(content)


def read_plain(folder: Path, name: str, most: int) -> bytes | None:
    """The bytes of a file below a folder in which a stranger's code wrote; None if there is none.

    Raises:
        InputError: it is a link, lies behind one, or is no plain file of at most `most` bytes.
    """
    *folders, last = name.split("/")
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in folders:
            below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        # Not blocking: opening a pipe would wait for a writer.
        with open(os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=descriptor), "rb") as file:
            if not os.path.isfile(file.fileno()):
                raise InputError(name, "is no plain file")
            content = file.read(most + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(name, "cannot be read: a link, or no file", found=error.strerror) from None
    finally:
        os.close(descriptor)
    if len(content) > most:
        raise InputError(name, "is too large", wanted=f"at most {size_text(most)}")
    return content
