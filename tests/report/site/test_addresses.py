"""Addresses of files as pages write them: they lead to the file, whatever its name is."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urljoin

import pytest

from hearlab.report.site.sounds import relative_url

NAMES = ("a.wav", "50 % of #1?.flac", "é & 🎷;x=1.wav", "a:b.wav", '"quoted" <b>.png')


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("folder", ["", "sounds", "data of mine/é#1", "../beside"])
def test_a_browser_finds_the_file(tmp_path: Path, folder: str, name: str) -> None:
    target, page = tmp_path / "w" / folder / name, tmp_path / "w/report/scenes/S06001.html"
    address = relative_url(target, page)
    assert not set(address) & set("#?:&<>\"' ")
    found = unquote(urljoin(f"file://{page}", address)).removeprefix("file://")
    assert Path(found).resolve() == target.resolve()
    assert relative_url(str(target), page) == address


def test_names_from_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for here in ("one/deep", "two"):  # the same names from another folder
        (tmp_path / here).mkdir(parents=True)
        monkeypatch.chdir(tmp_path / here)
        assert relative_url(Path("data/a.wav"), Path("report/scenes/b.html")) == "../../data/a.wav"
        assert relative_url(Path("b.png"), Path("a.html")) == "b.png"
        up = "../" * (1 + here.count("/"))
        assert relative_url(tmp_path / "a.wav", Path("b.html")) == f"{up}a.wav"
