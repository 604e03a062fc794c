"""The files of a trained hearing aid: the weights, and a description that says of which network they are."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hearlab.enhancement.network import EnhancerShape
from hearlab.errors import InputError
from hearlab.files import read_json
from hearlab.networks.library import require_torch
from hearlab.networks.weights import check_parameters, read_weights

if TYPE_CHECKING:
    import torch

WEIGHTS = "enhancer.pth"
ADVICE = "train it again: dvc repro train_enhancer"
KIND = "hearing aid"
MOST = {"bands": 200, "hidden_size": 4096, "layers": 16, "version": 1}


def description_file(weights: Path) -> Path:
    """Beside the weights, with their hash and the shape of the network."""
    return weights.with_suffix(".json")


def weights_bytes(state: Mapping[str, torch.Tensor]) -> bytes:
    """The content of a weights file; fresh tensors, so that how they were made does not show in the bytes."""
    buffer = io.BytesIO()  # torch.save writes the name of a file into the file
    require_torch().save({name: value.detach().cpu().clone() for name, value in state.items()}, buffer)
    return buffer.getvalue()


def described(weights: bytes, shape: EnhancerShape, **more: Any) -> dict[str, Any]:
    """The content of the description."""
    return {"kind": KIND, "sha256": hashlib.sha256(weights).hexdigest(), "shape": shape.as_entry(), **more}


def load_enhancer(weights: Path) -> torch.nn.Module:
    """The network of a weights file and its description, on the CPU.

    Raises:
        InputError: a file is missing, damaged, malicious, of another network or version, or was changed.
    """
    if not weights.is_file():
        raise InputError(weights, "no such weights file", wanted="a trained hearing aid", advice=ADVICE)
    path = description_file(weights)
    if not path.is_file():
        raise InputError(path, "no such description of the weights", wanted="the file that was trained with them")
    shape, digest = _read_description(path)
    state = read_weights(weights, digest)
    with require_torch().device("meta"):  # without memory: a false description may tell of a huge network
        check_parameters(state, shape.network().state_dict(), weights)
    network = shape.network()
    network.load_state_dict(state)
    return network.eval()


def _read_description(path: Path) -> tuple[EnhancerShape, str]:
    content = read_json(path)
    if not isinstance(content, dict) or content.get("kind") != KIND:
        kind = content.get("kind", "no kind") if isinstance(content, dict) else type(content).__name__
        raise InputError(path, "describes another network", field="kind", found=str(kind)[:40], wanted=KIND)
    found = content.get("shape")
    wanted = EnhancerShape().as_entry()
    if not isinstance(found, dict) or set(found) != set(wanted):
        raise InputError(path, "describes another network", field="shape", wanted=", ".join(wanted), advice=ADVICE)
    for name, value in found.items():
        if type(value) is not int or not 1 <= value <= MOST[name]:
            problem = "is of another version" if name == "version" else "describes no such network"
            limits = f"{MOST[name]}" if name == "version" else f"1 to {MOST[name]}"
            found_text = repr(value)[:40]
            raise InputError(path, problem, field=f"shape.{name}", found=found_text, wanted=limits, advice=ADVICE)
    digest = content.get("sha256")
    if not isinstance(digest, str) or len(digest) != 64:
        raise InputError(path, "holds no sha256 of the weights", field="sha256", advice=ADVICE)
    return EnhancerShape(**found), digest
