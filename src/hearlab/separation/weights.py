"""Trained weights: fetching published files, and loading any file without trusting it.

A wrong weights file causes errors that nobody sees, and a pickled one can run code. So a file's hash is checked
before it is opened, wherever a hash is known: from the model's published files, from its name (`vocals-b62c91ce.pth`
has the first digits of its sha256), or from the `<name>.sha256` that `fetch_weights` leaves beside it. Then it is read
with torch's restricted unpickler, which builds tensors and nothing else, and its parameters are compared with those of
the network.
"""

from __future__ import annotations

import importlib
import pickle
import re
import warnings
import zipfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hearlab.datasets.download.checksums import file_digests
from hearlab.datasets.download.file import Connection, download
from hearlab.errors import InputError, ParameterError
from hearlab.files import write_text
from hearlab.progress import ByteProgress
from hearlab.separation.torch_audio import require_torch
from hearlab.separators import SEPARATORS

if TYPE_CHECKING:
    import torch

State = dict[str, "torch.Tensor"]
"""A network's parameters and buffers by name."""
_WANTED = "tensors by name (a state_dict)"


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
        if not (path.is_file() and (hash_ is None or _sha256(path) == hash_)):
            done = download(
                file.url if base_url is None else f"{base_url.rstrip('/')}/{file.name}",
                path,
                size=file.size,
                checksum={"sha256": file.sha256} if file.sha256 else None,
                algorithms=["sha256"],
                check=_fault,
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
    torch = require_torch()
    if not path.is_file():
        raise missing_file(path, published)
    expected = expected_sha256_prefix or known_hash(path, published)
    if expected is None and _fault(path):
        raise _damaged(path)
    if expected is not None:
        digest = _sha256(path)
        if not digest.startswith(expected.lower()):
            raise InputError(
                path,
                "is not the file it should be",
                field="sha256",
                found=digest[: max(len(expected), 8)],
                wanted=expected,
                advice="fetch or train it again",
            )
    try:
        with warnings.catch_warnings(action="ignore"):  # torch's advice on foreign formats: they are refused anyway
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever damaged bytes lead to
        refused = re.search(r"(?:GLOBAL|global) ([\w.]{1,80})", str(error))
        if refused is None or not isinstance(error, pickle.UnpicklingError):
            raise _damaged(path) from None
        raise InputError(
            path,
            "holds more than weights and was not opened",
            found=refused[1].rstrip("."),
            wanted=_WANTED,
            advice="such a file can run code",
        ) from None
    return _checked(state, path)


def check_parameters(
    state: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor], path: Path, *, obsolete: Collection[str] = ()
) -> None:
    """Compare parameters with those of the network they are for; `obsolete` names may be there too.

    Raises:
        InputError: names the first parameter that is missing, of another shape or unknown to the network.
    """
    for name, parameter in wanted.items():
        if name not in state:
            raise InputError(path, "is of another network", field=name, found="nothing", wanted=_shape(parameter))
        if state[name].shape != parameter.shape:
            raise InputError(
                path, "is of another network", field=name, found=_shape(state[name]), wanted=_shape(parameter)
            )
    for name, parameter in state.items():
        if name not in wanted and name not in obsolete:
            raise InputError(
                path, "is of another network", field=name, found=_shape(parameter), wanted="no such parameter"
            )


def _checked(state: object, path: Path) -> State:
    torch = require_torch()
    if not isinstance(state, dict):
        raise InputError(path, "holds no weights", found=type(state).__name__, wanted=_WANTED)
    for name, value in state.items():
        if not (isinstance(name, str) and torch.is_tensor(value)):
            raise InputError(path, "holds no weights", field=str(name), found=type(value).__name__, wanted=_WANTED)
        plain = value.layout == torch.strided and value.device.type == "cpu" and not value.is_quantized
        if not plain or value.is_complex():
            raise InputError(path, "holds no plain numbers", field=name, found=f"{value.dtype} on {value.device}")
        if not torch.isfinite(value).all():
            raise InputError(path, "holds values that are not finite", field=name, advice="fetch or train it again")
    return dict(state)


def _damaged(path: Path) -> InputError:
    return InputError(
        path, "cannot be read as weights", found="a damaged or foreign file", advice="fetch or train it again"
    )


def _shape(tensor: torch.Tensor) -> str:
    return f"shape {tuple(tensor.shape)}"


def _sha256(path: Path) -> str:
    return file_digests(path, ["sha256"])["sha256"]


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


def _fault(path: Path) -> str | None:
    """What is wrong with a file of unknown hash, according to its own checksums."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                broken = archive.testzip()
            return f"damage in {broken}" if broken else None
    except Exception:  # whatever damaged bytes lead to
        return "a damaged archive"
    with path.open("rb") as file:
        # Before 2020 torch.save wrote a pickle of protocol 2, without checksums.
        return None if file.read(2) == b"\x80\x02" else "something else, perhaps a web page"
