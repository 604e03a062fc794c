"""Where the packages are: which setting counts, in copies for experiments too, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from hearlab.cli import main
from hearlab.datasets.packages import packages_home
from hearlab.errors import InputError


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("HEARLAB_PACKAGES", raising=False)
    root = tmp_path / "lab" / "clone"
    (root / ".git").mkdir(parents=True)
    return root


def put(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")


def test_the_first_of_four(clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    beside = tmp_path / "lab" / "hearlab-packages" / "clarity"
    found = packages_home(clone, "clarity")
    assert (found.folder, found.why, found.warning) == (beside, "beside the clone", None)

    (clone / "data" / "clarity" / "clarity_data" / "metadata").mkdir(parents=True)
    put(clone / "data" / "clarity" / "inputs" / "clarity_data" / "a")  # made by prepare
    assert packages_home(clone, "clarity") == found  # empty folders are left by an earlier HearLab
    put(clone / "data" / "clarity" / "clarity_data" / "metadata" / "a.json")
    found = packages_home(clone, "clarity")
    assert found.folder == clone / "data" / "clarity"
    assert found.warning is not None
    assert f"mv {found.folder}/clarity_data {beside}` moves them out" in found.warning
    assert packages_home(clone, "other").folder == beside.parent / "other"

    (clone / "hearlab.toml").write_text('packages = "../disk"\n')
    found = packages_home(clone, "clarity")
    assert (found.folder, found.why) == (tmp_path / "lab" / "disk" / "clarity", "packages in hearlab.toml")
    (clone / "hearlab.toml").write_text('packages = "~/disk"\n')
    monkeypatch.setenv("HOME", str(tmp_path))
    assert packages_home(clone, "clarity").folder == tmp_path / "disk" / "clarity"

    monkeypatch.setenv("HEARLAB_PACKAGES", str(tmp_path / "mine"))
    found = packages_home(clone, "clarity")
    assert (found.folder, found.why) == (tmp_path / "mine" / "clarity", "HEARLAB_PACKAGES")


def test_the_home_of_an_experiment_is_its_owner_s(clone: Path) -> None:
    """Where DVC runs `--temp` and queued experiments, and those of a workspace in a larger repository."""
    for place in (".dvc/tmp/exps/standalone/tmpab", ".dvc/tmp/exps/tmpab", ".dvc/tmp/exps/tmpab/sub"):
        (clone / place / ".git").mkdir(parents=True)
        assert packages_home(clone / place, "clarity").folder == clone.parent / "hearlab-packages" / "clarity"
    put(clone / "data" / "clarity" / "packages" / "archive.tgz")
    assert packages_home(clone / place, "clarity").folder == clone / "data" / "clarity"
    (clone / "hearlab.toml").write_text('packages = "../disk"\n')
    assert packages_home(clone / place, "clarity").folder == clone.parent / "disk" / "clarity"


def test_a_workspace_in_a_larger_repository(clone: Path) -> None:
    """A folder beside the workspace would still be in the repository, where `git clean` finds it."""
    assert packages_home(clone / "sub", "clarity").folder == clone.parent / "hearlab-packages" / "clarity"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("packages = 1\n", "hearlab.toml: packages: is no path of a folder (found 1)"),
        ("packages = ''\n", "hearlab.toml: packages: is no path of a folder"),
        ('packages = "a\\u0000b"\n', "hearlab.toml: packages: is no path of a folder"),
        ('packages = "~nobody-of-that-name/x"\n', "hearlab.toml: packages: is no path of a folder"),
        ("package = 'x'\n", "hearlab.toml: package: unknown setting (wanted packages)"),
        ("packages = \n", "hearlab.toml: is not valid TOML"),
        ("<<<<<<< HEAD\n", "hearlab.toml: line 1: holds a conflict of a merge"),
        ("a = " + "[" * 5000, "hearlab.toml: holds values nested more than"),
        ("x" * 100_000, "hearlab.toml: is too large"),
        ("packages = 'data/clarity/inputs'\n", "names a folder in which files are replaced and deleted"),
        ("packages = '.dvc/packages'\n", "names a folder in which files are replaced and deleted"),
    ],
)
def test_wrong_settings(clone: Path, text: str, told: str) -> None:
    (clone / "hearlab.toml").write_text(text)
    with pytest.raises(InputError) as raised:
        packages_home(clone, "clarity")
    assert told in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_home_that_cannot_be_made(
    clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HEARLAB_PACKAGES", str(tmp_path / "file"))
    monkeypatch.chdir(clone)
    assert main(["data", "unpack", "cec2-core"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"hearlab: {tmp_path / 'file' / 'clarity'}: packages cannot be stored here (found Not a dir")
    assert "set HEARLAB_PACKAGES, or packages in hearlab.toml" in line
