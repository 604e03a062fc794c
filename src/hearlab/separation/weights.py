"""Trained weights: fetching published files, and loading any file without trusting it.

A wrong weights file causes errors that nobody sees, and a pickled one can run code. So a file's hash is checked
before it is opened, wherever a hash is known: from the model's published files, from its name (`vocals-b62c91ce.pth`
has the first digits of its sha256), or from the `<name>.sha256` that `fetch_weights` leaves beside it. Then it is read
with torch's restricted unpickler, which builds tensors and nothing else, and its parameters are compared with those of
the network.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hearlab.datasets.download.file import Connection, download
from hearlab.errors import InputError, ParameterError
from hearlab.files import write_text
from hearlab.networks.library import require_torch
from hearlab.networks.weights import State, check_parameters, fault, read_weights, sha256
from hearlab.progress import ByteProgress
from hearlab.separators import SEPARATORS

__all__ = [
    "State",
    "WeightsFile",
    "check_parameters",
    "fetch_weights",
    "known_hash",
    "load_weights",
    "missing_file",
    "published_files",
]


@dataclass(frozen=True)
class WeightsFile:
    """A published weights file of a model: its size in bytes and its whole sha256, where they are known."""

    model: str
    name: str
    url: str
    size: int | None = None
    sha256: str | None = None


def published_files(names: Sequence[str]) -> list[WeightsFile]:
    """The published files of these names, each the name of a file or of a model with all its files; none means all.

    Raises:
        ParameterError: a name that is neither.
    """
    named = {name: list(importlib.import_module(f"hearlab.separation.{name}").WEIGHTS) for name in SEPARATORS}
    named |= {file.name: [file] for files in list(named.values()) for file in files}
    for name in names:
        if name not in named:
            raise ParameterError("weights", "no such published file", found=name, wanted=", ".join(named))
    return list(dict.fromkeys(file for name in names or SEPARATORS for file in named[name]))


def fetch_weights(
    names: Sequence[str],
    folder: Path,
    *,
    base_url: str | None = None,
    connection: Connection | None = None,
    progress: ByteProgress | None = None,
) -> list[Path]:
    """Fetch published weights into `folder`; files that are there and right are not fetched again.

    The sha256 of each file is left beside it, in `<name>.sha256`, in the format of sha256sum. If no
    hash is published for a file, only the size that the server announces and the file's own checksums can be verified
    the first time; from then on the recorded hash is checked.

    Args:
        names: names of files or models (see `published_files`); none means all.
        folder: where they are put.
        base_url: take them from `<base_url>/<name>` instead, for instance a mirror.
        connection: how to talk to the server.

    Raises:
        ParameterError: an unknown name.
        InputError: see `hearlab.datasets.download.file.download`.
    """
    paths = []
    for file in published_files(names):
        path = folder / file.name
        hash_ = file.sha256 or _recorded_hash(path)
        if not (path.is_file() and (hash_ is None or sha256(path) == hash_)):
            done = download(
                file.url if base_url is None else f"{base_url.rstrip('/')}/{file.name}",
                path,
                size=file.size,
                checksum={"sha256": file.sha256} if file.sha256 else None,
                algorithms=["sha256"],
                check=fault,
                connection=connection,
                progress=progress,
            )
            write_text(_record(path), f"{done.digests['sha256']}  {path.name}\n")
        paths.append(path)
    return paths


def known_hash(path: Path, published: Iterable[WeightsFile] = ()) -> str | None:
    """The sha256 that a weights file must have (or its first digits); None if it is not known."""
    for file in published:
        if file.name == path.name and file.sha256:
            return file.sha256
    in_name = re.search(r"-([0-9a-f]{8,64})\.\w+$", path.name)
    return in_name[1] if in_name else _recorded_hash(path)


def missing_file(path: Path, published: Iterable[WeightsFile] = ()) -> InputError:
    """The error for a weights file that does not exist."""
    for file in published:
        if file.name == path.name:
            fetch = f"on a connected machine `hearlab weights fetch {file.model}` fetches it from {file.url}"
            return InputError(path, "no such weights file", advice=f"put it there; {fetch}")
    return InputError(path, "no such weights file", wanted="a file of trained weights")


def load_weights(
    path: Path, expected_sha256_prefix: str | None = None, *, published: Iterable[WeightsFile] = ()
) -> State:
    """Load a network's parameters on the CPU.

    Args:
        path: a file that torch.save wrote from a state_dict.
        expected_sha256_prefix: sha256 of the file, or its first digits; by default `known_hash`.
        published: files of the model whose hashes are known by their names.

    Raises:
        InputError: missing file, another hash, a file that is damaged, that holds more than tensors by name (code in
            it does not run), or values that are not finite.
    """
    require_torch()
    if not path.is_file():
        raise missing_file(path, published)
    return read_weights(path, expected_sha256_prefix or known_hash(path, published))


def _record(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _recorded_hash(path: Path) -> str | None:
    record = _record(path)
    if not record.is_file():
        return None
    text = record.read_text(encoding="utf-8", errors="replace")
    match = re.match(r"[0-9a-f]{64}\b", text)
    if match is None:
        raise InputError(record, "holds no sha256", found=text[:40], wanted="64 hexadecimal digits", advice="delete it")
    return match[0]
