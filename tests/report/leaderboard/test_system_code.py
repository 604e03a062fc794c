"""Entering a system: others must be able to have its code, and the entry says which code it was."""

from __future__ import annotations

import importlib
import itertools
import json
import re
import subprocess
from pathlib import Path

import pytest

from few_packages import packages_of
from hearlab.errors import InputError
from hearlab.learners import LEARNED
from hearlab.params import Enhance, load_params
from hearlab.report.leaderboard.entries import LeaderboardEntry, Origin, SystemOrigin, load_entry, write_entry
from hearlab.report.leaderboard.system_code import check_system_is_committed, system_origin
from hearlab.stages import system

PARAMS = (Path(__file__).resolve().parents[3] / "params.yaml").read_text(encoding="utf-8")
MD5 = "0123456789abcdef0123456789abcdef"
AID = """
class Aid:
    def __init__(self, *, weights=None): ...
    def speech(self, microphones, rate, listener): ...
    def music(self, stems, rate, listener): ...
"""
counter = itertools.count()


def git(folder: Path, *command: str) -> str:
    own = ("-c", "user.name=T", "-c", "user.email=t@example.org")
    done = subprocess.run(("git", "-C", str(folder), *own, *command), check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(folder: Path) -> str:
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "One")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The workspace."""
    folder = tmp_path / "workspace"
    (folder / "data").mkdir(parents=True)
    (folder / ".gitignore").write_text("data\n.hearlab\n")
    (folder / "params.yaml").write_text(PARAMS)
    commit(folder)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def lab(tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package elsewhere, with a name that no other test has imported."""
    package = tmp_path / "elsewhere" / f"distant_lab_{next(counter)}"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(AID)
    monkeypatch.syspath_prepend(package.parent)
    return package


def enhance(dotted: str, params: str = "{}") -> Enhance:
    text = re.sub(r"system: .*", f"system: {dotted}", PARAMS)
    Path("params.yaml").write_text(text.replace("\n  params: {}", f"\n  params: {params}"))
    return load_params().enhance


def test_every_file_of_the_system_is_in_git_or_dvc(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or in DVC, or nobody else has it: modules that others import, and data files."""
    monkeypatch.syspath_prepend(repository / "src")
    lab = repository / "src" / "some_lab"
    lab.mkdir(parents=True)
    (lab / "__init__.py").write_text("from some_lab.net import Aid\n")
    commit(repository)
    (lab / "net.py").write_text("class Aid: ...\n")
    (lab / "w.bin").write_bytes(b"x")
    told = r"src/some_lab/net.py: belongs to the system and is in neither git nor DVC .*net.py, src/some_lab/w.bin"
    with pytest.raises(InputError, match=told):
        check_system_is_committed(repository, "some_lab:Aid")
    (repository / ".gitignore").write_text("w.bin\n")
    commit(repository)
    with pytest.raises(InputError, match=r"src/some_lab/w.bin: belongs"):
        check_system_is_committed(repository, "some_lab:Aid")
    (lab / "w.bin.dvc").write_text("outs:\n- path: w.bin\n")  # as `dvc add` leaves it
    commit(repository)
    check_system_is_committed(repository, "some_lab:Aid")
    check_system_is_committed(repository, "hearlab.systems.baseline:Baseline")


def test_a_package_elsewhere_that_is_in_no_repository(repository: Path, lab: Path) -> None:
    with pytest.raises(InputError, match=r"__init__\.py: belongs to the system and is in no git repository"):
        check_system_is_committed(repository, f"{lab.name}:Aid")


def test_a_repository_elsewhere_must_hold_the_code_as_it_is(repository: Path, lab: Path) -> None:
    name, home = f"{lab.name}:Aid", lab.parent
    git(home, "init", "--quiet")
    with pytest.raises(InputError, match=r"__init__\.py: belongs to the system, and is not committed in "):
        check_system_is_committed(repository, name)
    first = commit(home)
    assert check_system_is_committed(repository, name) == {"elsewhere": first}
    (home / "notes.txt").write_text("of no concern")  # no part of the package
    assert check_system_is_committed(repository, name) == {"elsewhere": first}
    (lab / "__init__.py").write_text(AID + "GAIN = 2\n")
    with pytest.raises(InputError, match=r"__init__\.py: belongs to the system, and is not committed"):
        check_system_is_committed(repository, name)
    second = commit(home)
    assert second != first
    assert check_system_is_committed(repository, name) == {"elsewhere": second}
    (lab / "table.bin").write_bytes(b"x")
    with pytest.raises(InputError, match=r"table\.bin: belongs to the system, and is not committed"):
        check_system_is_committed(repository, name)


def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, direct_url: dict[str, object] | None) -> str:
    """A package as pip leaves it."""
    site = tmp_path / f"env{next(counter)}" / "site-packages"
    top = f"installed_lab_{next(counter)}"
    (site / top).mkdir(parents=True)
    (site / top / "__init__.py").write_text(AID)
    about = site / f"{top}-2.1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {top}\nVersion: 2.1\n")
    (about / "top_level.txt").write_text(f"{top}\n")
    (about / "RECORD").write_text(f"{top}/__init__.py,,\n")
    if direct_url is not None:
        (about / "direct_url.json").write_text(json.dumps(direct_url))
    packages_of(site, monkeypatch)
    importlib.invalidate_caches()
    return top


def test_an_installed_package(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From an index its version says what it is; from git its commit; a copy of somebody's folder nobody else has."""
    url = "https://example.org/lab"
    released = install(tmp_path, monkeypatch, None)
    assert check_system_is_committed(repository, f"{released}:Aid") == {}
    cloned = install(tmp_path, monkeypatch, {"url": url, "vcs_info": {"vcs": "git", "commit_id": "a" * 40}})
    assert check_system_is_committed(repository, f"{cloned}:Aid") == {cloned: "a" * 40}
    copied = install(tmp_path, monkeypatch, {"url": "file:///home/me/lab", "dir_info": {}})
    with pytest.raises(InputError, match=rf"{copied}: was installed as a copy of a folder that only this machine has"):
        check_system_is_committed(repository, f"{copied}:Aid")


@pytest.mark.slow
def test_what_the_entry_says(repository: Path, lab: Path, tmp_path: Path) -> None:
    head = commit(lab.parent)
    (repository / "net.pt").write_bytes(b"weights")
    own = enhance(f"{lab.name}:Aid", "{weights: net.pt}")
    with pytest.raises(InputError, match=rf"{lab.name}:Aid: is not what data/system\.json says: it has changed since"):
        system_origin(repository, own)
    system.run()
    found = system_origin(repository, own)
    assert (found.system, found.distribution, found.commits) == (f"{lab.name}:Aid", None, {"elsewhere": head})
    assert found.code is not None
    assert list(found.files) == ["weights"]
    origin = Origin(commit="f" * 40, lock=MD5, params=MD5, data={}, weights={}, scores=MD5, system=found)
    about = {"team": "T", "system": "S", "track": "music", "dataset": "demo", "split": "valid"}
    entry = LeaderboardEntry.model_validate(
        {**about, "name": "x", "score": 0.5, "units": 1, "scored": "2026-11-29", "origin": origin}
    )
    write_entry(tmp_path / "x.yaml", entry)
    assert load_entry(tmp_path / "x.yaml") == entry
    (repository / "net.pt").write_bytes(b"other weights")
    with pytest.raises(InputError, match="it has changed since"):
        system_origin(repository, own)


def test_weights_that_learn_weights_names(repository: Path) -> None:
    (repository / "net.pth").write_bytes(b"weights")
    text = (
        (repository / "params.yaml")
        .read_text()
        .replace("weights: trained # by train_e", "weights: net.pth # by train_e")
    )
    (repository / "params.yaml").write_text(text.replace("hearlab.systems.baseline:Baseline", LEARNED))
    params = load_params()
    system.run()
    assert list(system_origin(repository, params.enhance, params.system_params).files) == ["weights"]


def test_the_baseline_is_its_name_and_older_entries_say_nothing(repository: Path, tmp_path: Path) -> None:
    system.run()
    found = system_origin(repository, load_params().enhance)
    assert found == SystemOrigin(system="hearlab.systems.baseline:Baseline")
    origin = Origin(commit="f" * 40, lock=MD5, params=MD5, data={}, weights={}, scores=MD5)
    about = {"team": "T", "system": "S", "track": "music", "dataset": "demo", "split": "valid"}
    entry = LeaderboardEntry.model_validate(
        {**about, "name": "x", "score": 0.5, "units": 1, "scored": "2026-11-29", "origin": origin}
    )
    write_entry(tmp_path / "x.yaml", entry)
    assert (tmp_path / "x.yaml").read_text().count("system:") == 1  # its name
    assert load_entry(tmp_path / "x.yaml") == entry
