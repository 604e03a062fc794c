"""What a site keeps from build to build: files as they were, whatever lies in its folders."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hearlab.compute.entries import CHECK, checksum
from hearlab.files import read_json, write_json
from hearlab.report.site.made_files import RECORD, MadeFiles

A, B, C, D = (24 * letter for letter in "abcd")  # names, as digests are
PAGE = '<!doctype html>\n<a class="brand" href="../index.html">HearLab</a>\n'


def site(root: Path) -> Path:
    for name in (
        f"pictures/{A}.png",
        "pictures/sounds.json",
        "against/0123456789ab/b.wav",
        f"audiograms/{C}.svg",
    ):
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
    (tmp_path / f"pictures/{A}.png").write_text("longer than it was")
    os.utime(tmp_path / "against/0123456789ab/b.wav", ns=(1, 1))
    (tmp_path / f"pictures/{D}.png").mkdir()  # a folder with the name of a file, and something in it
    (tmp_path / f"pictures/{D}.png/e.png").touch()
    (tmp_path / "sounds").mkdir()
    (tmp_path / f"sounds/{B}.flac").symlink_to(tmp_path / "elsewhere/mine.wav")
    (tmp_path / "sounds/g").symlink_to(tmp_path / "elsewhere")
    MadeFiles(tmp_path).drop_altered()
    assert left(tmp_path / "pictures") == ["sounds.json"]
    assert left(tmp_path / "audiograms") == [f"{C}.svg"]
    assert not (tmp_path / "against/0123456789ab/b.wav").exists()
    assert not (tmp_path / f"sounds/{B}.flac").is_symlink()
    assert (tmp_path / "elsewhere/mine.wav").exists()
    assert len(caplog.messages) == 1
    assert caplog.messages[0].endswith("made again: 4")


def test_what_is_new_is_noted(tmp_path: Path) -> None:
    site(tmp_path)
    made = MadeFiles(tmp_path)
    made.drop_altered()
    (tmp_path / f"pictures/{D}.png").touch()
    made.note()
    MadeFiles(tmp_path).drop_altered()
    assert (tmp_path / f"pictures/{D}.png").exists()


def test_files_with_other_names_are_not_the_site_s(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    site(tmp_path)
    own = ["pictures/logo.png", "sounds/a.flac", "audiograms/own.svg", "against/notes.txt", "against/mine/a.wav"]
    for name in own:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    before = left(tmp_path)
    made = MadeFiles(tmp_path)
    made.drop_altered()
    made.note()
    assert left(tmp_path) == before
    assert not caplog.messages


def build(root: Path, *pages: str, until_the_end: bool = True) -> None:
    """As far as pages go, what a build does."""
    made = MadeFiles(root)
    made.drop_altered()
    made.expect(pages)
    made.note()
    for name in pages:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(PAGE)
    if until_the_end:
        made.drop_pages(pages)
        made.note()


def test_pages_that_a_build_does_not_make_go_and_those_of_others_stay(tmp_path: Path) -> None:
    build(tmp_path, "index.html", "speech.html", "scenes/S1.html", "music.html", "songs/Tide.html")
    (tmp_path / "scenes/mine.html").write_text(PAGE)  # a copy, to keep it
    (tmp_path / "mine.html").touch()
    build(tmp_path, "index.html", "speech.html", "scenes/S2.html")
    kept = ["index.html", RECORD, "mine.html", "scenes/S2.html", "scenes/mine.html", "speech.html"]
    assert left(tmp_path) == kept
    assert not (tmp_path / "songs").exists()


def test_pages_of_a_build_that_was_interrupted_go_too(tmp_path: Path) -> None:
    build(tmp_path, "index.html", "scenes/S1.html")
    build(tmp_path, "index.html", "scenes/S2.html", until_the_end=False)
    assert left(tmp_path) == ["index.html", RECORD, "scenes/S1.html", "scenes/S2.html"]
    build(tmp_path, "index.html", "scenes/S3.html")
    assert left(tmp_path) == ["index.html", RECORD, "scenes/S3.html"]


@pytest.mark.parametrize("record", ["of an older site", "damaged", "hostile"])
def test_without_a_list_of_pages_their_mark_counts(tmp_path: Path, record: str) -> None:
    root = tmp_path / "site"
    build(root, "index.html", "scenes/S1.html", "music.html")
    (root / "scenes/mine.html").write_text("<!doctype html>")
    (tmp_path / "outside.html").write_text(PAGE)
    if record == "damaged":
        (root / RECORD).write_text("{")
    else:
        content = {"files": read_json(root / RECORD)["files"]}
        content |= {"pages": ["../outside.html", "assets/style.css"]} if record == "hostile" else {}
        write_json(root / RECORD, {**content, CHECK: checksum(content)})
    build(root, "index.html", "scenes/S2.html")
    pages = ["scenes/S1.html", "music.html"] if record == "hostile" else []  # which are on no list
    assert left(root) == sorted([RECORD, "index.html", *pages, "scenes/S2.html", "scenes/mine.html"])
    assert (tmp_path / "outside.html").exists()
