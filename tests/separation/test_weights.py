"""Weights files: known by hash, loaded without being trusted."""

from __future__ import annotations

import hashlib
import os
import pickle

import pytest

from hearlab.errors import InputError, ParameterError
from hearlab.separation import hdemucs, openunmix
from hearlab.separation.weights import (
    check_parameters,
    known_hash,
    load_weights,
    published_files,
)
from hearlab.separators import SEPARATORS

torch = pytest.importorskip("torch", reason="needs hearlab[music]")

STATE = {"fc1.weight": torch.arange(12.0).reshape(3, 4), "fc1.bias": torch.zeros(3)}


class Malicious:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def save(path, value, legacy=False):
    torch.save(value, path, _use_new_zipfile_serialization=not legacy)
    return path


def refusal(path, *arguments):
    with pytest.raises(InputError) as caught:
        load_weights(path, *arguments, published=published_files([]))
    line = str(caught.value)
    assert line.startswith(str(path))
    assert "\n" not in line
    return line.removeprefix(f"{path}: ")


@pytest.mark.parametrize("legacy", [False, True])
def test_a_good_file_is_loaded_on_the_cpu(tmp_path, legacy):
    state = load_weights(save(tmp_path / "vocals.pth", STATE, legacy))
    assert list(state) == list(STATE)
    assert all(torch.equal(state[name], value) for name, value in STATE.items())


def test_the_published_files_are_known_by_their_names():
    umxhq = list(openunmix.WEIGHTS)
    assert [file.name.split("-")[0] for file in umxhq] == ["vocals", "drums", "bass", "other"]
    for file in umxhq:
        digits = file.name.split("-")[1].removesuffix(".pth")
        assert file.sha256.startswith(digits)
        assert len(file.sha256) == 64
        assert file.url.endswith(file.name)
        assert file.size == 35_637_796
    assert {file.name for file in published_files(["hdemucs"])} == {"hdemucs_high_musdbhq_only.pt"}
    assert published_files([]) == [*openunmix.WEIGHTS, *hdemucs.WEIGHTS]
    assert {file.model for file in published_files([])} == set(SEPARATORS)
    assert published_files(["drums-9619578f.pth", "openunmix"]) == [umxhq[1], umxhq[0], umxhq[2], umxhq[3]]


def test_an_unknown_published_name_lists_the_known_ones():
    with pytest.raises(ParameterError, match=r"no such published file \(found umxl, wanted openunmix, hdemucs, vocals"):
        published_files(["umxl"])


def test_where_a_hash_is_known_from(tmp_path):
    assert known_hash(tmp_path / "vocals-b62c91ce.pth", openunmix.WEIGHTS).startswith("b62c91cedbc7a066")
    assert known_hash(tmp_path / "vocals-b62c91ce.pth") == "b62c91ce"
    assert known_hash(tmp_path / "vocals-0123abcd.pth") == "0123abcd"
    assert known_hash(tmp_path / "vocals.pth") is None
    assert known_hash(tmp_path / "vocals-final.pth") is None
    (tmp_path / "vocals.pth.sha256").write_text("ab" * 32 + "  vocals.pth\n")
    assert known_hash(tmp_path / "vocals.pth") == "ab" * 32
    (tmp_path / "vocals.pth.sha256").write_text("<html>")
    with pytest.raises(InputError, match=r"vocals.pth.sha256: holds no sha256 \(found <html>"):
        known_hash(tmp_path / "vocals.pth")


def test_the_hash_in_a_name_is_checked_before_the_file_is_opened(tmp_path):
    mark = tmp_path / "mark"
    (tmp_path / "vocals-b62c91ce.pth").write_bytes(pickle.dumps(Malicious(mark)))
    line = refusal(tmp_path / "vocals-b62c91ce.pth")
    assert line.startswith("sha256: is not the file it should be (found ")
    assert line.endswith("; fetch or train it again")
    assert not mark.exists()


def test_a_wrong_and_a_right_expected_hash(tmp_path):
    path = save(tmp_path / "other.pth", STATE)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert set(load_weights(path, digest)) == set(STATE)
    assert set(load_weights(path, digest[:8].upper())) == set(STATE)
    assert f"(found {digest[:8]}, wanted 00000000)" in refusal(path, "00000000")


@pytest.mark.parametrize("legacy", [False, True])
def test_code_in_a_weights_file_does_not_run(tmp_path, legacy):
    mark = tmp_path / "mark"
    path = save(tmp_path / "bass.pth", {**STATE, "extra": Malicious(mark)}, legacy)
    assert refusal(path) == (
        f"holds more than weights and was not opened (found {os.name}.mkdir, wanted tensors by name (a state_dict)); "
        "such a file can run code"
    )
    assert not mark.exists()
    # The file is what it claims to be: torch's unrestricted loader does run it.
    torch.load(path, weights_only=False)
    assert mark.exists()


def test_a_bare_malicious_pickle_does_not_run(tmp_path):
    mark = tmp_path / "mark"
    path = tmp_path / "bass.pth"
    for protocol in range(2, 6):
        path.write_bytes(pickle.dumps(Malicious(mark), protocol))
        assert "bass.pth" in str(path)
        refusal(path)
        assert not mark.exists()
    pickle.loads(path.read_bytes())  # noqa: S301 - shows that it would have run
    assert mark.exists()


def test_damaged_files(tmp_path):
    for legacy in (False, True):
        whole = save(tmp_path / "whole.pth", STATE, legacy).read_bytes()
        for length in (0, 1, 100, len(whole) // 2, len(whole) - 1):
            path = tmp_path / "part.pth"
            path.write_bytes(whole[:length])
            assert refusal(path).startswith("cannot be read as weights (found a damaged or foreign file)")
    for content in (b"<!DOCTYPE html><p>404", os.urandom(1000), b"PK\x03\x04 no archive"):
        path.write_bytes(content)
        assert refusal(path).startswith("cannot be read as weights")


def test_one_wrong_bit_is_found_without_a_hash(tmp_path):
    path = save(tmp_path / "vocals.pth", STATE)
    content = bytearray(path.read_bytes())
    content[content.find(STATE["fc1.weight"].numpy().tobytes())] ^= 1
    path.write_bytes(content)
    assert refusal(path).startswith("cannot be read as weights")


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ([1, 2], "holds no weights (found list, wanted tensors by name (a state_dict))"),
        ({"state_dict": STATE}, "state_dict: holds no weights (found dict"),
        ({1: torch.ones(1)}, "1: holds no weights (found Tensor"),
        ({"a": torch.tensor([1.0, float("nan")])}, "a: holds values that are not finite"),
        ({"a": torch.tensor([float("inf")])}, "a: holds values that are not finite"),
        ({"a": torch.ones(2, 2).to_sparse()}, "a: holds no plain numbers"),
        ({"a": torch.ones(2, device="meta")}, "a: holds no plain numbers (found torch.float32 on meta)"),
        ({"a": torch.ones(2, dtype=torch.complex64)}, "a: holds no plain numbers (found torch.complex64 on cpu)"),
    ],
)
def test_what_is_no_state_of_a_network(tmp_path, value, line):
    assert refusal(save(tmp_path / "drums.pth", value)).startswith(line)


def test_a_missing_file_says_where_it_belongs_and_how_to_get_it(tmp_path):
    assert refusal(tmp_path / "drums-9619578f.pth") == (
        "no such weights file; put it there; on a connected machine `hearlab weights fetch openunmix` fetches it from "
        "https://zenodo.org/records/3370489/files/drums-9619578f.pth"
    )
    assert "`hearlab weights fetch hdemucs`" in refusal(tmp_path / "hdemucs_high_musdbhq_only.pt")
    assert refusal(tmp_path / "mine.pth") == "no such weights file (wanted a file of trained weights)"
    assert refusal(tmp_path) == "no such weights file (wanted a file of trained weights)"


def test_parameters_of_another_network(tmp_path):
    def line(state, **options):
        with pytest.raises(InputError) as caught:
            check_parameters(state, STATE, tmp_path / "vocals.pth", **options)
        return str(caught.value).removeprefix(f"{tmp_path}/vocals.pth: ")

    # The first that does not fit is named, with both shapes.
    wrong = {"fc1.weight": torch.zeros(3, 8), "fc1.bias": torch.zeros(8)}
    assert line(wrong) == "fc1.weight: is of another network (found shape (3, 8), wanted shape (3, 4))"
    assert line({"fc1.weight": STATE["fc1.weight"]}) == (
        "fc1.bias: is of another network (found nothing, wanted shape (3,))"
    )
    extra = {**STATE, "fc2.weight": torch.zeros(1)}
    assert line(extra) == "fc2.weight: is of another network (found shape (1,), wanted no such parameter)"
    check_parameters(extra, STATE, tmp_path, obsolete=["fc2.weight"])
    check_parameters(STATE, STATE, tmp_path)
