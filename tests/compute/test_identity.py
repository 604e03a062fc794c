"""Content identities, and what DVC's own files tell."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from hearlab.compute.identity import Identities
from hearlab.errors import InputError
from hearlab.versions.dvc_files import cache_folder
from hearlab.versions.lock import lock_records


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def put(root: Path, name: str, text: str) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def cached(cache: Path, text: str) -> Path:
    return put(cache, f"{md5(text)[:2]}/{md5(text)[2:]}", text)


def test_a_file_is_read_once(tmp_path: Path) -> None:
    put(tmp_path, "x", "text")
    identities = Identities(tmp_path, tmp_path / "notes.json")
    assert identities.of("x") == md5("text")
    assert identities.of("x") == md5("text")
    assert identities.files_read == 1
    identities.save()
    again = Identities(tmp_path, tmp_path / "notes.json")
    assert again.of("x") == md5("text")
    assert again.files_read == 0


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = put(tmp_path, "x", "text")
    identities = Identities(tmp_path, tmp_path / "notes.json")
    identities.of("x")
    path.write_text("other")
    assert identities.of("x") == md5("other")
    # The same size, but another file in its place.
    os.replace(put(tmp_path, "y", "OTHER"), path)
    assert identities.of("x") == md5("OTHER")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        Identities(tmp_path, tmp_path / "notes.json").of("x")


def test_damaged_notes_cost_time_only(tmp_path: Path) -> None:
    put(tmp_path, "x", "text")
    (tmp_path / "notes.json").write_text('{"x": [4,')
    assert Identities(tmp_path, tmp_path / "notes.json").of("x") == md5("text")


@pytest.mark.parametrize("kind", ["hardlink", "symlink"])
def test_links_into_the_cache_are_not_read(tmp_path: Path, kind: str) -> None:
    cache = tmp_path / "cache"
    source = cached(cache, "text")
    (os.link if kind == "hardlink" else os.symlink)(source, tmp_path / "x")
    identities = Identities(tmp_path, tmp_path / "notes.json", cache, {"x": md5("text")})
    assert identities.of("x") == md5("text")
    assert identities.files_read == 0


def test_a_record_alone_is_not_believed(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cached(cache, "text")
    put(tmp_path, "x", "other")
    os.link(tmp_path / "x", tmp_path / "second name")
    identities = Identities(tmp_path, tmp_path / "notes.json", cache, {"x": md5("text")})
    assert identities.of("x") == md5("other")
    assert identities.files_read == 1


def test_records_of_dvc_lock_and_its_folders(tmp_path: Path) -> None:
    (tmp_path / ".dvc").mkdir()
    cache = cache_folder(tmp_path)
    assert cache == tmp_path / ".dvc" / "cache" / "files" / "md5"
    listing = json.dumps([{"relpath": "a/b.wav", "md5": md5("b")}, {"relpath": "c.wav", "md5": md5("c")}])
    folder = md5(listing)
    put(cache, f"{folder[:2]}/{folder[2:]}.dir", listing)
    put(
        tmp_path,
        "dvc.lock",
        f"schema: '2.0'\nstages:\n  s:\n    cmd: x\n    outs:\n    - path: data/out\n      md5: {folder}.dir\n"
        f"    - path: table.csv\n      md5: {md5('t')}\n  t:\n    cmd: y\n",
    )
    assert lock_records(tmp_path, cache) == {
        "data/out/a/b.wav": md5("b"),
        "data/out/c.wav": md5("c"),
        "table.csv": md5("t"),
    }


def test_no_dvc_no_records(tmp_path: Path) -> None:
    assert cache_folder(tmp_path) is None
    assert lock_records(tmp_path, None) == {}
    put(tmp_path, "dvc.lock", "stages: [")
    assert lock_records(tmp_path, None) == {}


def test_a_configured_cache_folder(tmp_path: Path) -> None:
    put(tmp_path, ".dvc/config", "[core]\n    analytics = false\n[cache]\n    type = hardlink\n")
    put(tmp_path, ".dvc/config.local", "[cache]\n    dir = ../../shared-cache\n")
    found = cache_folder(tmp_path)
    assert found is not None
    assert found.resolve() == (tmp_path / "../shared-cache/files/md5").resolve()
