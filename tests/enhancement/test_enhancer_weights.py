"""Weights of the hearing aid: those that were trained are loaded, all others refused in one line."""

from __future__ import annotations

import hashlib
import json
import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs hearlab[music]")

from enhancer_files import TINY, tiny_network, write_weights  # noqa: E402

from hearlab.enhancement.network import EnhancerShape  # noqa: E402
from hearlab.enhancement.weights import description_file, load_enhancer  # noqa: E402
from hearlab.errors import InputError  # noqa: E402


class Malicious:
    """Leaves a folder behind when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        load_enhancer(path)
    line = str(caught.value)
    assert "\n" not in line
    assert path.stem in line
    return line


def rewritten(path: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    """The description, changed."""
    content = json.loads(description_file(path).read_text())
    change(content)
    description_file(path).write_text(json.dumps(content))
    return path


def with_content(path: Path, content: bytes) -> Path:
    """Other weights, whose hash the description has."""
    path.write_bytes(content)
    return rewritten(path, lambda found: found.update(sha256=hashlib.sha256(content).hexdigest()))


def test_what_was_written_is_loaded(tmp_path: Path) -> None:
    loaded, made = load_enhancer(write_weights(tmp_path)), tiny_network()
    assert not loaded.training
    assert all(torch.equal(loaded.state_dict()[name], value) for name, value in made.state_dict().items())


def test_no_files(tmp_path: Path) -> None:
    assert "no such weights file" in refusal(tmp_path / "enhancer.pth")
    path = write_weights(tmp_path)
    description_file(path).unlink()
    assert "no such description" in refusal(path)


@pytest.mark.parametrize("place", [0.01, 0.5, 0.99])
def test_weights_altered_by_a_bit(tmp_path: Path, place: float) -> None:
    path = write_weights(tmp_path)
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 1
    path.write_bytes(content)
    assert "sha256: is not the file it should be" in refusal(path)


def test_weights_of_another_network(tmp_path: Path) -> None:
    path = write_weights(tmp_path)
    rewritten(path, lambda found: found["shape"].update(hidden_size=5))
    assert "is of another network" in refusal(path)
    write_weights(tmp_path)
    rewritten(path, lambda found: found.update(kind="separator"))
    assert "kind: describes another network (found separator, wanted hearing aid)" in refusal(path)
    write_weights(tmp_path)
    rewritten(path, lambda found: found["shape"].pop("bands"))
    assert "shape: describes another network" in refusal(path)
    write_weights(tmp_path)
    rewritten(path, lambda found: found["shape"].update(layers=10**9))
    assert "shape.layers: describes no such network" in refusal(path)


def test_a_description_of_a_huge_network_takes_no_memory(tmp_path: Path) -> None:
    path = write_weights(tmp_path)
    rewritten(path, lambda found: found["shape"].update(hidden_size=4096, layers=16))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "is of another network" in refusal(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 20  # KiB; the network would take 6


def test_weights_of_another_version(tmp_path: Path) -> None:
    path = write_weights(tmp_path)
    rewritten(path, lambda found: found["shape"].update(version=2))
    assert "shape.version: is of another version (found 2, wanted 1)" in refusal(path)


def test_a_malicious_file_does_not_run(tmp_path: Path) -> None:
    path, mark = write_weights(tmp_path), tmp_path / "mark"
    torch.save({"inner.weight": Malicious(mark)}, path)
    with_content(path, path.read_bytes())
    assert "holds more than weights and was not opened" in refusal(path)
    assert not mark.exists()


def test_a_damaged_file_and_values_that_are_not_finite(tmp_path: Path) -> None:
    path = write_weights(tmp_path)
    with_content(path, b"PK" + bytes(100))
    assert "cannot be read as weights" in refusal(path)
    state = tiny_network().state_dict()
    state["inner.bias"][0] = float("nan")
    torch.save(state, path)
    with_content(path, path.read_bytes())
    assert "inner.bias: holds values that are not finite" in refusal(path)


def test_the_default_network_is_well_below_a_million_parameters() -> None:
    network = EnhancerShape().network()
    assert sum(one.numel() for one in network.parameters()) < 500_000
    assert TINY.network().shape == TINY
