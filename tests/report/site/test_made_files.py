"""What a site keeps from build to build: files as they were, whatever lies in its folders."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hearlab.report.site.made_files import RECORD, MadeFiles


def site(root: Path) -> Path:
    for name in ("pictures/a.png", "pictures/sounds.json", "against/0123456789ab/b.wav", "audiograms/c.svg"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    (root / "index.html").touch()  # is compared with what it should be
    MadeFiles(root).note()
    return root


def left(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if not path.is_dir())


def test_files_as_they_were_are_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = left(site(tmp_path))
    noted = (tmp_path / RECORD).stat()
    made = MadeFiles(tmp_path)
    made.drop_altered()
    made.note()
    assert left(tmp_path) == before
    assert not caplog.messages
    assert (tmp_path / RECORD).stat() == noted  # not written again


def test_whatever_is_not_as_it_was_goes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    site(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/mine.wav").touch()
    (tmp_path / "pictures/a.png").write_text("longer than it was")
    os.utime(tmp_path / "against/0123456789ab/b.wav", ns=(1, 1))
    (tmp_path / "pictures/d.png").mkdir()  # a folder with the name of a file, and something in it
    (tmp_path / "pictures/d.png/e.png").touch()
    (tmp_path / "sounds").mkdir()
    (tmp_path / "sounds/f.flac").symlink_to(tmp_path / "elsewhere/mine.wav")
    (tmp_path / "sounds/g").symlink_to(tmp_path / "elsewhere")
    MadeFiles(tmp_path).drop_altered()
    assert left(tmp_path / "pictures") == ["sounds.json"]
    assert left(tmp_path / "audiograms") == ["c.svg"]
    assert not (tmp_path / "against/0123456789ab/b.wav").exists()
    assert not (tmp_path / "sounds/f.flac").is_symlink()
    assert (tmp_path / "elsewhere/mine.wav").exists()
    assert len(caplog.messages) == 1
    assert caplog.messages[0].endswith("made again: 4")


def test_what_is_new_is_noted(tmp_path: Path) -> None:
    site(tmp_path)
    made = MadeFiles(tmp_path)
    made.drop_altered()
    (tmp_path / "pictures/new.png").touch()
    made.note()
    MadeFiles(tmp_path).drop_altered()
    assert (tmp_path / "pictures/new.png").exists()
