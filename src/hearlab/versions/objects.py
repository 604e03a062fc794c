"""What DVC keeps by md5, from the workspace's own cache or remote; bytes of another md5 are neither used nor kept.

A revision names the objects in its dvc.lock, and nothing else of it is asked: its .dvc/config could name remotes that
run commands, its .gitattributes filters, its dvc.yaml stages.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import os
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from hearlab.files import md5_of, md5_of_bytes
from hearlab.versions.dvc_command import repository
from hearlab.versions.dvc_files import cache_folder, cached_object

IDENTITY = re.compile(r"[0-9a-f]{32}(\.dir)?")
CACHE, REMOTE = "DVC's cache", "the remote"
NO_IDENTITY = "has no md5 in dvc.lock"
MOST = 1 << 28  # bytes of an object that is read at once, such as the listing of a folder
MOST_STORED = 1 << 40  # of one whose size dvc.lock does not tell
AT_ONCE, PIECE = 8, 1 << 20


class Absent(Exception):
    """Neither the cache nor the remote has an object; the text says why not."""


class Altered(Exception):
    """The cache or the remote has other bytes under an md5; the text says which of them."""


@dataclass(frozen=True)
class Objects:
    """The objects of a workspace.

    Attributes:
        root: the workspace.
        quarantine: a folder on the disk of the cache; where what comes from the remote is before it is checked.
    """

    root: Path
    quarantine: Path | None = None

    def content(self, identity: str, most: int = MOST) -> bytes:
        """The bytes of an object.

        Raises:
            Absent: it cannot be had.
            Altered: what can be had has another md5.
        """
        content, place = self.stored(identity, most)
        if place != REMOTE and md5_of_bytes(content) != identity.removesuffix(".dir"):
            with contextlib.suppress(Absent):
                content, place = self._remote_content(identity, most), REMOTE
        if md5_of_bytes(content) != identity.removesuffix(".dir"):
            raise Altered(place)
        return content

    def stored(self, identity: str, most: int = MOST) -> tuple[bytes, str]:
        """The bytes that the cache or else the remote keeps under an md5, right or wrong, and which of them does.

        Raises:
            Absent: neither.
        """
        path = self._cached(identity)
        with contextlib.suppress(OSError):
            if path is not None:
                with path.open("rb") as file:
                    return file.read(most + 1), CACHE
        return self._remote_content(identity, most), REMOTE

    def fetch(self, wanted: Mapping[str, int | None]) -> dict[str, Path | Absent | Altered]:
        """Files with the bytes of objects: in the cache, which gets what the remote gives; sizes limit what is read."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            held = dict(zip(wanted, pool.map(self._right_in_cache, wanted), strict=True))
            missing = {identity: wanted[identity] for identity, path in held.items() if path is None}
            if missing:
                _ = self._remote  # opened once, not by each thread
            got = dict(zip(missing, pool.map(self._pulled, missing, missing.values()), strict=True))
        return {identity: path if path is not None else got[identity] for identity, path in held.items()}

    @property
    def places(self) -> list[Path]:
        """The folders of the files that `fetch` gives."""
        return [path for path in (self.cache, self.quarantine) if path is not None]

    @functools.cached_property
    def cache(self) -> Path | None:
        return cache_folder(self.root)

    def _cached(self, identity: str) -> Path | None:
        return cached_object(self.cache, identity) if self.cache and IDENTITY.fullmatch(identity) else None

    def _right_in_cache(self, identity: str) -> Path | None:
        path = self._cached(identity)
        with contextlib.suppress(OSError):
            if path is not None and path.is_file() and md5_of(path) == identity.removesuffix(".dir"):
                return path
        return None

    def _pulled(self, identity: str, size: int | None) -> Path | Absent | Altered:
        """An object of the remote, checked before the cache gets it."""
        assert self.quarantine is not None
        cached = self._cached(identity)
        if cached is None:
            return Absent(NO_IDENTITY)
        path = self.quarantine / identity
        if path.is_file():  # right, and the cache could not take it
            return path
        try:
            with path.open("xb") as file:
                md5 = self._copy(identity, file, MOST_STORED if size is None else size)
            if md5 != identity.removesuffix(".dir"):
                path.unlink()
                return Altered(REMOTE)
            path.chmod(0o444)  # as DVC keeps them
        except Absent as absent:
            path.unlink(missing_ok=True)
            return absent
        with contextlib.suppress(OSError):  # another disk, or not ours to write to
            cached.parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, cached)
            return cached
        return path

    def _remote_content(self, identity: str, most: int) -> bytes:
        content = io.BytesIO()
        self._copy(identity, content, most)
        return content.getvalue()

    def _copy(self, identity: str, target: BinaryIO, most: int) -> str:
        """Copy an object's bytes from the remote, at most a piece more than `most`; gives their md5."""
        remote = self._remote
        if isinstance(remote, Absent):
            raise remote
        if not IDENTITY.fullmatch(identity):
            raise Absent(NO_IDENTITY)
        found, count = hashlib.md5(usedforsecurity=False), 0
        try:
            with remote.fs.open(remote.oid_to_path(identity), "rb") as source:
                while count <= most and (piece := source.read(PIECE)):
                    target.write(piece)
                    found.update(piece)
                    count += len(piece)
        except FileNotFoundError:
            raise Absent("is neither in DVC's cache nor in its remote") from None
        except Exception as error:  # DVC's remotes raise errors of their own kinds
            raise _unreadable(error) from None
        return found.hexdigest()

    @functools.cached_property
    def _remote(self) -> Any:
        """DVC's object for the workspace's default remote, or why there is none."""
        try:
            with repository(self.root) as repo:
                return repo.cloud.get_remote_odb()
        except ImportError:
            return Absent("is not in DVC's cache, and DVC is not installed (pip install 'hearlab[pipeline]')")
        except Exception as error:  # of DVC's own kinds
            if type(error).__name__ == "NoRemoteError":
                return Absent("is not in DVC's cache, and no remote is set")
            return _unreadable(error)


def _unreadable(error: Exception) -> Absent:
    reason = " ".join((str(error).splitlines() or [type(error).__name__])[0].split())
    return Absent(f"is not in DVC's cache, and the remote cannot be read: {reason[:160]}")
