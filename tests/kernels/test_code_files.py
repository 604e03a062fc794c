"""Files of compiled code that are damaged, foreign or in the way, and folders that cannot be written to."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numba
import numpy as np
import pytest
import soundfile

from damaged_files import AS_ANYBODY, HOWS, damage, fill, need_anybody, small_disk
from hearlab.kernels.code_files import DAY
from hearlab.kernels.compiled import PACKAGE, compiled

SEED = 20261129


def weighted(x: np.ndarray, weight: float) -> float:
    total = 0.0
    for value in x:
        total += weight * value
    return total


def other(x: np.ndarray, weight: float) -> float:
    return x[0] - weight


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("HEARLAB_CODE_FILES_TOLD", raising=False)
    yield tmp_path
    os.environ.pop("HEARLAB_CODE_FILES_TOLD", None)


def code_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def call() -> tuple[float, int, int]:
    """What a new process would find: the result, and what came from the disk and what was compiled."""
    function = compiled(weighted)
    result = function(np.arange(4.0), 0.5)
    return result, sum(function.stats.cache_hits.values()), sum(function.stats.cache_misses.values())


@pytest.mark.parametrize("how", HOWS)
def test_a_damaged_file_is_made_again_with_one_warning(folder, caplog, how):
    rng = random.Random(f"{SEED} {how}")
    assert call() == (3.0, 0, 1)
    for path in code_files(folder):
        damage(path, how, rng)
        caplog.clear()
        assert call() == (3.0, 0, 1), f"{SEED}, {how}, {path.name}"
        assert len(caplog.messages) == 1
        assert str(folder) in caplog.messages[0]
        os.environ.pop("HEARLAB_CODE_FILES_TOLD")
        caplog.clear()
        assert call() == (3.0, 1, 0)
        assert not caplog.messages


def test_no_damaged_byte_is_ever_run(folder):
    call()
    rng = random.Random(SEED)
    for path in code_files(folder):
        content = path.read_bytes()
        for _ in range(8):
            place = rng.randrange(len(content))
            path.write_bytes(content[:place] + bytes([content[place] ^ 1 << rng.randrange(8)]) + content[place + 1 :])
            assert call() == (3.0, 0, 1), f"{SEED}: byte {place} of {path.name}"


def test_the_code_of_another_function_is_not_run(folder, caplog):
    call()
    [mine] = code_files(folder)
    function = compiled(other)
    assert function(np.arange(4.0), 0.5) == -0.5
    [foreign] = set(code_files(folder)) - {mine}
    shutil.copyfile(foreign, mine)
    assert call() == (3.0, 0, 1)


def test_code_of_an_older_source_is_left_until_it_was_not_used_for_months(folder, caplog, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("hearlab.kernels.compiled._stamp", lambda sources: "older")
        call()
    [older] = code_files(folder)
    assert call() == (3.0, 0, 1)
    assert call() == (3.0, 1, 0)
    [mine] = set(code_files(folder)) - {older}
    for path in (older, mine):
        os.utime(path, (time.time() - 91 * DAY,) * 2)
    assert call() == (3.0, 1, 0)  # which makes it younger
    assert compiled(other)(np.arange(4.0), 0.5) == -0.5
    assert older not in code_files(folder)
    assert mine in code_files(folder)
    assert not caplog.messages


@pytest.mark.slow
def test_another_clone_compiles_nothing(tmp_path):
    """Nor does a stage in a folder of an experiment's own; one whose source differs compiles."""
    said = []
    for name in ("first", "second", "changed"):
        shutil.copytree(PACKAGE, tmp_path / name / "hearlab", ignore=shutil.ignore_patterns("__pycache__"))
        if name == "changed":
            with (tmp_path / name / "hearlab/kernels/frames.py").open("a") as file:
                file.write("\n# A comment.\n")
        said.append(run(tmp_path / "code", PYTHONPATH=str(tmp_path / name)))
    assert said == [("[4.0, 4.0] 0", ""), ("[4.0, 4.0] 1", ""), ("[4.0, 4.0] 0", "")]


@pytest.mark.slow
def test_without_a_cache_folder_code_is_beside_the_source(tmp_path):
    need_anybody()
    shutil.copytree(PACKAGE, tmp_path / "hearlab", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "home").mkdir(mode=0o500)
    places = {"PYTHONPATH": str(tmp_path), "HOME": str(tmp_path / "home"), "XDG_CACHE_HOME": ""}
    assert [run(None, **places) for _ in range(2)] == [("[4.0, 4.0] 0", ""), ("[4.0, 4.0] 1", "")]
    assert list((tmp_path / "hearlab/kernels/__pycache__").glob("*.nbc"))


def test_two_processes_at_once(folder):
    with ThreadPoolExecutor(4) as pool:
        assert {result for result, *_ in pool.map(lambda _: call(), range(12))} == {3.0}
    assert call() == (3.0, 1, 0)
    assert len(code_files(folder)) == 1


def test_a_full_disk(tmp_path, folder, caplog, monkeypatch):
    with small_disk(tmp_path / "disk") as disk:
        monkeypatch.setattr(numba.config, "CACHE_DIR", str(disk / "code"))
        fill(disk)
        assert call() == call() == (3.0, 0, 1)
        assert [path.name for path in code_files(disk)] == ["ballast"]
        assert len(caplog.messages) == 1
        assert str(disk / "code") in caplog.messages[0]
        assert "No space left" in caplog.messages[0]
        (disk / "ballast").unlink()
        assert call() == (3.0, 0, 1)
        assert call() == (3.0, 1, 0)


def test_nowhere_to_write(folder, caplog, monkeypatch):
    (folder / "file").touch()
    for name, value in (("CACHE_DIR", str(folder / "file" / "code")), ("CACHE_LOCATOR_CLASSES", "")):
        monkeypatch.setattr(numba.config, name, value, raising=False)
    # Numba would go on to the folder of the source, and to that of the user.
    monkeypatch.setattr(numba.core.caching.CacheImpl, "_locator_classes", [numba.core.caching.UserProvidedCacheLocator])
    assert call() == call() == (3.0, 0, 1)
    assert len(caplog.messages) == 1
    assert str(folder / "file" / "code") in caplog.messages[0]


PROGRAM = """
import logging, os, sys
logging.basicConfig(format="%(message)s")
from hearlab.kernels.frames import windowed_sums
import numpy as np
print(windowed_sums(np.ones(8), np.ones(4), 4, 2).tolist(), sum(windowed_sums.stats.cache_hits.values()))
"""


def run(cache: Path | None, **variables: str) -> tuple[str, str]:
    environment = os.environ | {"NUMBA_CACHE_DIR": str(cache or "")} | variables
    command = [*AS_ANYBODY, sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip(), done.stderr


@pytest.mark.slow
def test_files_and_folders_without_permission(tmp_path):
    need_anybody()
    assert run(tmp_path) == ("[4.0, 4.0] 0", "")
    [file] = code_files(tmp_path)
    file.chmod(0o000)
    result, said = run(tmp_path)
    assert result == "[4.0, 4.0] 0"
    assert len(said.splitlines()) == 1
    assert "Permission denied" in said
    assert run(tmp_path) == ("[4.0, 4.0] 1", "")


@pytest.mark.slow
def test_scores_do_not_depend_on_damaged_code(tmp_path):
    sound, rng = np.random.default_rng(1).normal(size=8000) * 0.05, random.Random(SEED)
    for name, factor in (("reference", 1.0), ("processed", 0.9)):
        soundfile.write(tmp_path / f"{name}.wav", factor * sound, 16000)
    levels = {"audiogram_cfs": [250, 500, 1000, 2000, 4000, 6000]}
    levels |= {f"audiogram_levels_{ear}": [20, 20, 30, 40, 50, 60] for ear in ("l", "r")}
    (tmp_path / "listeners.json").write_text(json.dumps({"L1": {"name": "L1", **levels}}))
    cache = tmp_path / "cache"
    command = [sys.executable, "-m", "hearlab.cli", "score", "haspi", "--listener", "L1", "--seed-name", "a", "--json"]
    command += ["--reference", "reference.wav", "--processed", "processed.wav", "--listeners", "listeners.json"]

    def score() -> tuple[str, str]:
        environment = os.environ | {"NUMBA_CACHE_DIR": str(cache)}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
        return done.stdout, done.stderr

    wanted, said = score()
    assert not said
    files = code_files(cache)
    assert len(files) > 15
    warnings = []
    for turn in range(2):
        for path, how in zip(rng.sample(files, len(HOWS)), HOWS, strict=True):
            damage(path, how, rng)
        found, said = score()
        assert found == wanted, f"{SEED}, {turn}"
        warnings += said.splitlines()
        assert len(warnings) <= turn + 1, said
    assert warnings
    assert score() == (wanted, "")
