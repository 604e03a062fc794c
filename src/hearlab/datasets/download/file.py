"""Fetching one large file over HTTP so that a broken connection costs little and a wrong file is never kept."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import http.client
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hearlab.errors import InputError

Progress = Callable[[str, int, int | None], None]
"""Called with the file's name, the bytes that are here, and the bytes of the whole file if they are known."""

_BLOCK = 1 << 18
_TIMEOUT = 60.0  # s without a byte
_ATTEMPTS = 5  # in a row without a single new byte
_LONGEST_WAIT = 30.0  # s
# Answers that a later attempt may change.
_PASSING = {408, 425, 429, 500, 502, 503, 504}


@dataclass(frozen=True)
class Download:
    """One file to fetch: its address, and what is known of it (size in bytes, sha256 in hexadecimal)."""

    url: str
    size: int | None = None
    sha256: str | None = None


def download(
    wanted: Download,
    path: Path,
    *,
    check: Callable[[Path], str | None] = lambda _: None,
    progress: Progress | None = None,
    wait: Callable[[float], None] = time.sleep,
) -> str:
    """Fetch a file to `path` and return its sha256.

    The bytes gather in `<name>.part-fetch` beside it, which a later call goes on with; `path` appears with a rename,
    after size, hash and `check` are right. Broken connections and passing server errors are tried again, later each
    time, until five attempts in a row brought nothing new.

    Args:
        wanted: address, size and hash.
        path: where the file shall stand.
        check: says what is wrong with the fetched file, or None.
        progress: called after each block.
        wait: sleeps that many seconds.

    Raises:
        InputError: not an http(s) address, the server does not have the file, gives up, or gives another file; two
            processes fetch it at once.
    """
    if not re.match(r"https?://", wanted.url):
        raise InputError(wanted.url, "cannot be fetched from there", wanted="an http or https address")
    part = path.with_name(f"{path.name}.part-fetch")
    with _locked(part):
        resumed = part.stat().st_size > 0
        _gather(wanted, part, path.name, progress, wait)
        problem = _problem(wanted, part, check)
        if problem and resumed:
            # The part may be of another file or an older version: once more, from the beginning.
            os.truncate(part, 0)
            _gather(wanted, part, path.name, progress, wait)
            problem = _problem(wanted, part, check)
        if problem:
            part.unlink()
            found, expected = problem
            raise InputError(wanted.url, "gave another file than the published one", found=found, wanted=expected)
        digest = sha256_of(part)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    return digest


def sha256_of(path: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _locked(part: Path) -> Iterator[None]:
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        file = part.open("ab")
    except OSError as error:
        raise InputError(part, "cannot be written", found=error.strerror) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(part, "is being fetched by another process", advice="wait for it") from None
        yield


def _gather(wanted: Download, part: Path, name: str, progress: Progress | None, wait: Callable[[float], None]) -> None:
    """Bring `part` to its full length."""
    failures, most = 0, part.stat().st_size
    while True:
        try:
            if _fetch_rest(wanted, part, name, progress):
                return
            cause = "the connection ended early"
        except urllib.error.HTTPError as error:
            if error.code not in _PASSING:
                raise InputError(wanted.url, "cannot be fetched", found=f"HTTP {error.code} {error.reason}") from None
            cause = f"HTTP {error.code} {error.reason}"
        except (OSError, http.client.HTTPException) as error:
            cause = str(getattr(error, "reason", None) or error) or type(error).__name__
        here = part.stat().st_size
        failures = 0 if here > most else failures + 1
        most = max(most, here)
        if failures >= _ATTEMPTS:
            raise InputError(
                wanted.url,
                "cannot be fetched",
                found=cause,
                advice=f"what has come ({here} bytes) is kept: the same command goes on from there",
            )
        wait(min(2.0**failures, _LONGEST_WAIT))


def _fetch_rest(wanted: Download, part: Path, name: str, progress: Progress | None) -> bool:
    """Append what is missing to `part`; whether the file is whole now."""
    here = part.stat().st_size
    if here and here == wanted.size:
        return True
    request = urllib.request.Request(wanted.url, headers={"Accept-Encoding": "identity", "User-Agent": "hearlab"})
    if here:
        request.add_header("Range", f"bytes={here}-")
    try:
        answer = urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not here:
            raise
        error.close()
        # Nothing lies beyond `here`: the part is whole (its hash will tell), or longer than the file.
        of = re.search(r"/(\d+)$", error.headers.get("Content-Range", ""))
        if of and int(of[1]) == here and wanted.size in (None, here):
            return True
        os.truncate(part, 0)
        return False
    first = _first_byte(answer)
    if first not in (0, here):
        # An answer to another question: ask for the whole file next time.
        answer.close()
        os.truncate(part, 0)
        return False
    with answer, part.open("r+b") as file:
        file.seek(first)
        file.truncate()
        length = answer.headers.get("Content-Length")
        total = wanted.size if length is None else file.tell() + int(length)
        if wanted.size is not None and total != wanted.size:
            raise InputError(
                wanted.url,
                "gave another file than the published one",
                found=f"{total} bytes",
                wanted=f"{wanted.size} bytes",
            )
        while block := answer.read(_BLOCK):
            try:
                file.write(block)
                file.flush()
            except OSError as error:
                raise InputError(part, "cannot be written", found=error.strerror) from None
            if wanted.size is not None and file.tell() > wanted.size:
                return True  # too long: the check of the size will say so
            if progress:
                progress(name, file.tell(), total)
        return total is None or file.tell() == total


def _first_byte(answer: Any) -> int:
    """Where in the file the answer begins; servers that cannot go on from the middle begin at 0."""
    if answer.status != http.HTTPStatus.PARTIAL_CONTENT:
        return 0
    match = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
    return int(match[1]) if match else -1


def _problem(wanted: Download, part: Path, check: Callable[[Path], str | None]) -> tuple[str, str] | None:
    """What the fetched file is and what it should be, if they differ."""
    size = part.stat().st_size
    if wanted.size is not None and size != wanted.size:
        return f"{size} bytes", f"{wanted.size} bytes"
    if wanted.sha256 is not None:
        digest = sha256_of(part)
        if not digest.startswith(wanted.sha256):
            return f"sha256 {digest}", f"sha256 {wanted.sha256}"
    fault = check(part)
    return (fault, "a weights file") if fault else None
