"""DVC takes the md5 of files that the engine hands to it, and does not read these files again."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from forked import DVC, Forks, forks
from forked import dvc as run_dvc
from hearlab.compute.engine import run
from hearlab.compute.units import Unit
from hearlab.versions import dvc_state

Dvc = Callable[..., str]


def write(root: Path, out: Path, *, text: str) -> None:
    (out / f"{text}.txt").write_text(text)


@pytest.fixture(scope="module")
def processes() -> Iterator[Forks]:
    with forks(DVC) as started:
        yield started


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if shutil.which("dvc", path=str(Path(sys.executable).parent)) is None:
        pytest.skip("dvc is not installed beside this Python: make test installs it")
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    root = tmp_path / "work"
    root.mkdir()
    (root / ".dvc").mkdir()
    (root / ".dvc/config").write_text("[core]\n    no_scm = True\n[cache]\n    type = hardlink,copy\n")
    return root


@pytest.fixture
def dvc(root: Path, processes: Forks) -> Dvc:
    return functools.partial(run_dvc, processes, root, DVC_SITE_CACHE_DIR=os.environ["DVC_SITE_CACHE_DIR"])


def stage(root: Path) -> None:
    units = [Unit(text, write, {"text": text}, outputs=(f"{text}.txt",)) for text in ("one", "two")]
    run("write", units, Path("out"), Path("units.json"), root=root)


def listed(root: Path, dvc: Dvc) -> dict[str, str]:
    """What DVC commits of the folder: md5 of each file."""
    dvc("add", "--quiet", "out")
    [listing] = (root / ".dvc/cache/files/md5").glob("??/*.dir")
    return {entry["relpath"]: entry["md5"] for entry in json.loads(listing.read_text())}


def test_dvc_takes_the_md5_from_the_engine(root: Path, dvc: Dvc, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dvc_state, "LEAST_BYTES", 1)
    stage(root)
    right = {f"{text}.txt": hashlib.md5(text.encode()).hexdigest() for text in ("one", "two")}
    # Other bytes of the same size in the same place and time: had DVC read the file, it would list another md5.
    for path in (root / "out").iterdir():
        status = path.stat()
        path.chmod(0o644)
        with path.open("r+b") as file:
            file.write(b"xxx")
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert listed(root, dvc) == right


def test_little_is_left_to_dvc(root: Path, dvc: Dvc) -> None:
    stage(root)
    for path in (root / "out").iterdir():
        path.unlink()
        path.write_text("xxx")
    assert set(listed(root, dvc).values()) == {hashlib.md5(b"xxx").hexdigest()}


def test_a_file_that_changed_afterwards_is_read(root: Path, dvc: Dvc, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dvc_state, "LEAST_BYTES", 1)
    stage(root)
    (root / "out/one.txt").unlink()
    (root / "out/one.txt").write_text("xxx")
    assert listed(root, dvc)["one.txt"] == hashlib.md5(b"xxx").hexdigest()


def test_no_dvc_repository(tmp_path: Path) -> None:
    assert not dvc_state.note_md5(tmp_path, {"a": "0" * 32})
    assert dvc_state.keep_linked(tmp_path, "data") == 0


@pytest.mark.slow
@pytest.mark.parametrize("keep", [False, True])
def test_dvc_does_not_remove_what_it_has_forgotten_to_have_linked(root: Path, dvc: Dvc, keep: bool) -> None:
    """Else the line in `hearlab data import` is of no use."""
    for name in ("data/one", "other/two"):
        (root / name).mkdir(parents=True)
        (root / name / "x").write_text(name)
        dvc("add", "--quiet", name)
        shutil.rmtree(root / name)
    dvc("checkout", "--quiet")
    if keep:
        assert dvc_state.keep_linked(root, "data") == 1
    for name in ("data/one.dvc", "other/two.dvc"):
        (root / name).unlink()  # no output any more, as with another data set
    dvc("checkout", "--quiet")
    assert (root / "data/one").exists() is keep
    assert not (root / "other/two").exists()
