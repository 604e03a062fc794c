"""Reading trained weights without trusting them.

A wrong weights file causes errors that nobody sees, and a pickled one can run code. So a file's hash is checked
before it is opened, wherever a hash is known. Then it is read with torch's restricted unpickler, which builds tensors
and nothing else, and its parameters are compared with those of the network.
"""

from __future__ import annotations

import hashlib
import pickle
import re
import warnings
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from hearlab.errors import InputError
from hearlab.networks.library import require_torch

if TYPE_CHECKING:
    import torch

State = dict[str, "torch.Tensor"]
"""A network's parameters and buffers by name."""
_WANTED = "tensors by name (a state_dict)"


def read_weights(path: Path, expected_sha256_prefix: str | None = None) -> State:
    """Load a network's parameters on the CPU.

    Args:
        path: a file that torch.save wrote from a state_dict.
        expected_sha256_prefix: sha256 of the file, or its first digits, if it is known.

    Raises:
        InputError: another hash, a file that is damaged, that holds more than tensors by name (code in it does not
            run), or values that are not finite.
    """
    torch = require_torch()
    expected = expected_sha256_prefix
    if expected is None and fault(path):
        raise _damaged(path)
    if expected is not None:
        digest = sha256(path)
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


def sha256(path: Path) -> str:
    """The hash of a file's bytes, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fault(path: Path) -> str | None:
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
