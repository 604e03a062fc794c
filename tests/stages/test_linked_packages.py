"""Stage prepare with packages in their home: links, nothing copied, and nothing read that a receipt knows."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from hearlab.compute import notes
from hearlab.compute.memo import Memo
from hearlab.datasets.packages.receipt import FileLine, Receipt, read_receipt, write_receipt
from hearlab.errors import InputError
from hearlab.files import md5_of
from hearlab.stages import run_stage

FILES = {
    "metadata/listeners.json": "{}",
    "metadata/hrir_data.json": "[]",
    "hrir/HRIRs_MAT/A.mat": "a head",
    "dev/rooms/rpf/R1.rpf": "a room",
    "dev/scenes/S1_mix_CH1.wav": "a scene",
}
Unpacked = Callable[[Path], Path]


@pytest.fixture
def unpacked(repository: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Unpacked:
    """`unpacked(home)` makes a workspace for `clarity`, and a home with the core package; gives the data root there."""

    def make(home: Path) -> Path:
        repository({"dataset": "clarity"})
        monkeypatch.setenv("HEARLAB_PACKAGES", str(home))
        root = home / "clarity" / "clarity_data"
        lines = {}
        for name, text in FILES.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
            lines[name] = FileLine(name, len(text), md5_of(root / name))
        write_receipt(home / "clarity/packages/receipts/cec2-core.jsonl", Receipt("cec2-core", "x.tgz", 1, None, lines))
        return root

    return make


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that are read for their md5."""
    names: list[str] = []
    monkeypatch.setattr(notes, "md5_of", lambda path: names.append(os.fspath(path)) or md5_of(path))
    return names


INPUTS = Path("data/clarity/inputs/clarity_data")


def test_links_without_reading(unpacked: Unpacked, read: list[str], tmp_path: Path) -> None:
    root = unpacked(tmp_path / "home")
    for _ in range(2):
        run_stage("prepare")
        assert read == []
        assert {path.relative_to(INPUTS).as_posix() for path in INPUTS.rglob("*") if path.is_file()} == set(FILES)
        for name, text in FILES.items():
            assert (root / name).read_text() == text
            assert os.path.samefile(INPUTS / name, root / name)
            assert not (INPUTS / name).is_symlink()
            assert (root / name).stat().st_nlink == 3  # here, there, and in the store
    identities = Memo(Path(), journal=False).identities()
    assert {identities.of(f"{INPUTS}/{name}") for name in FILES} == {md5_of(root / name) for name in FILES}
    assert read == []


def test_a_home_on_another_disk(unpacked: Unpacked, read: list[str], other_disk: Path) -> None:
    root = unpacked(other_disk)
    for _ in range(2):
        run_stage("prepare")
        assert read == []
        for name in FILES:
            assert (INPUTS / name).is_symlink()
            assert os.path.samefile(INPUTS / name, root / name)
    store = Memo(Path(), journal=False).store
    for name in FILES:
        assert os.path.islink(store.path(md5_of(root / name)))
        assert not store.is_wrong(md5_of(root / name), again=True)
    # An altered file is found, and only the link to it goes.
    name = "dev/rooms/rpf/R1.rpf"
    md5 = md5_of(root / name)
    os.chmod(root / name, 0o644)
    (root / name).write_text("another")
    assert store.is_wrong(md5)
    store.set_aside(md5)
    assert (root / name).read_text() == "another"


def test_files_that_no_receipt_knows_are_read_once(
    unpacked: Unpacked, read: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = unpacked(tmp_path / "home")
    receipt = root.parent / "packages/receipts/cec2-core.jsonl"
    mine, newer, gone = root / "dev/targets/mine.wav", root / "metadata/listeners.json", root / "hrir/HRIRs_MAT/A.mat"
    mine.parent.mkdir(parents=True)
    mine.write_text("put there by hand")
    newer.write_text('{"a":1}')
    os.utime(newer, ns=(0, receipt.stat().st_mtime_ns + 1))
    gone.rename(root / "hrir/B.mat")
    with caplog.at_level(logging.WARNING, "hearlab"):
        run_stage("prepare")
    assert sorted(read) == sorted(map(str, (mine, newer, root / "hrir/B.mat")))
    (told,) = (record.getMessage() for record in caplog.records if "cec2-core" in record.getMessage())
    assert told.startswith("cec2-core: 2 files are missing, or newer than its receipt; hearlab data check --deep")
    assert json.loads((INPUTS / "metadata/listeners.json").read_text()) == {"a": 1}
    read.clear()
    run_stage("prepare")
    assert read == []


def test_a_package_that_is_being_unpacked_is_left_out(
    unpacked: Unpacked, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = unpacked(tmp_path / "home")
    (root / "train/targets").mkdir(parents=True)
    (root / "train/targets/T1.wav").write_text("perhaps more follow")
    journal = root.parent / "packages/receipts/cec2-train.journal"
    journal.write_text("")
    with caplog.at_level(logging.WARNING, "hearlab"):
        run_stage("prepare")
    assert "cec2-train is not unpacked to its end: it is left out (hearlab data unpack cec2-train)" in caplog.text
    assert list((INPUTS / "train/targets").iterdir()) == []
    journal.unlink()
    (root / "train/rooms/rpf").mkdir(parents=True)
    (root / "train/rooms/rpf/R.rpf").write_text("")
    with pytest.raises(InputError, match=r"was unpacked after prepare ran: dvc repro --force --single-item prepare"):
        run_stage("build_scenes", ["train"])


def test_a_file_that_was_altered_in_place(unpacked: Unpacked, tmp_path: Path) -> None:
    """The object of the old bytes is the same file: it is not taken for these any more."""
    root = unpacked(tmp_path / "home")
    run_stage("prepare")
    name = "dev/rooms/rpf/R1.rpf"
    receipt = read_receipt(root.parent / "packages/receipts/cec2-core.jsonl")
    assert receipt is not None
    old = receipt.files[name].md5
    os.chmod(root / name, 0o644)
    (root / name).write_text("another")
    os.utime(root / name, ns=(0, 2**62))
    run_stage("prepare")
    store = Memo(Path(), journal=False).store
    assert store.content(md5_of(root / name)) == md5_of(root / name)
    assert store.content(old) != old
    assert (INPUTS / name).read_text() == "another"


def test_inputs_behind_a_link_are_not_emptied(unpacked: Unpacked, tmp_path: Path) -> None:
    root = unpacked(tmp_path / "home")
    INPUTS.parent.mkdir(parents=True)
    INPUTS.symlink_to(root)
    with pytest.raises(InputError, match="is reached through a symbolic link"):
        run_stage("prepare")
    assert all((root / name).read_text() == text for name, text in FILES.items())
