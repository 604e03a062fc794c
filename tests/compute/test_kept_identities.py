"""Identities of HearLab's code that are kept on disk are those that are read anew, whatever happens to the files."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from damaged_files import HOWS, damage
from hearlab.compute import code_identity
from hearlab.compute.code import module_table
from hearlab.fitting.fir import convolve
from reference_material import REPOSITORY

FUNCTION = "hearlab.fitting.nalr:NalR"
PROGRAM = f"""
from hearlab.compute.code_identity import code_of
from hearlab.compute.code import module_table
code = code_of(None, ({FUNCTION!r},))
print(code.identity, len(module_table.modules._known))
"""


def identity(folder: Path, source: Path) -> tuple[str, int]:
    """In a process of its own: the identity, and how many modules were parsed."""
    environment = {**os.environ, "PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    value, parsed = done.stdout.split()
    return value, int(parsed)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    shutil.copytree(REPOSITORY / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    for parent, folders, files in os.walk(tmp_path / "src"):
        for name in (*folders, *files):
            os.utime(os.path.join(parent, name))
    return tmp_path / "src"


@pytest.mark.slow
def test_what_was_followed_once_is_not_parsed_again_until_it_changes(source: Path, tmp_path: Path) -> None:
    (tmp_path / "kept" / ".hearlab").mkdir(parents=True)
    (tmp_path / "bare").mkdir()

    def look() -> tuple[str, int]:
        kept, parsed = identity(tmp_path / "kept", source)
        assert identity(tmp_path / "bare", source)[0] == kept
        return kept, parsed

    first, parsed = look()
    assert parsed > 3
    assert look() == (first, 0)
    fitting = source / "hearlab" / "fitting"
    # Layout changes no identity, and a definition that is not reached none either.
    (fitting / "nalr.py").write_text((fitting / "nalr.py").read_text() + "\n# a comment\n\ndef unused():\n    pass\n")
    assert look() == (first, parsed)
    assert look() == (first, 0)
    text = (fitting / "nalr.py").read_text()
    assert "FREQUENCIES" in text
    (fitting / "nalr.py").write_text(text + "\nFREQUENCIES = FREQUENCIES[::-1]\n")
    second, _ = look()
    assert second != first
    # A file that is new may be found before another one.
    (fitting / "nalr").mkdir()
    (fitting / "nalr" / "__init__.py").write_text("class NalR:\n    pass\n")
    third, _ = look()
    assert third not in (first, second)
    assert look() == (third, 0)
    assert not (tmp_path / "bare" / ".hearlab").exists()


@pytest.mark.parametrize("how", HOWS)
def test_a_damaged_file_is_made_again(how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(code_identity, "_known", {})
    wanted = code_identity.code_identity(convolve)
    (tmp_path / ".hearlab").mkdir()
    for turn in range(5):
        code_identity._known.clear()
        assert code_identity.code_identity(convolve) == wanted
        (file,) = (path for path in (tmp_path / ".hearlab").glob("code-*.json") if path.is_file())
        whole = file.read_bytes()
        damage(file, how, random.Random(turn))
        code_identity._known.clear()
        assert code_identity.code_identity(convolve) == wanted
        if file.is_file() and file.read_bytes() != whole:
            file.unlink()


def test_a_kept_identity_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(code_identity, "_known", {})
    (tmp_path / ".hearlab").mkdir()
    wanted = code_identity.code_identity(convolve)
    code_identity._known.clear()
    monkeypatch.setattr(module_table.modules, "of", lambda path: pytest.fail(f"{path} is parsed again"))
    assert code_identity.code_identity(convolve) == wanted
    (file,) = (tmp_path / ".hearlab").glob("code-*.json")
    assert json.loads(file.read_text())["identity"] == wanted
