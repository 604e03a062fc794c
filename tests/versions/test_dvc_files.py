"""DVC's configuration as it is written, and as every command that asks for it takes it."""

from __future__ import annotations

import argparse
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

from hearlab.commands import data
from hearlab.params import load_params
from hearlab.report.plan import plan
from hearlab.versions.dvc_files import cache_folder, dvc_config, link_types, remotes

REPOSITORY = Path(__file__).resolve().parents[2]


def configured(root: Path, text: str, name: str = "config") -> Path:
    (root / ".dvc").mkdir(exist_ok=True)
    (root / ".dvc" / name).write_text(text)
    return root


def test_values_of_both_files(tmp_path: Path) -> None:
    configured(tmp_path, '[core]\n    remote = lab\n[cache]\n    type = "hardlink,symlink"\n')
    configured(tmp_path, "[cache]\n    dir = ../elsewhere\n", "config.local")
    assert dvc_config(tmp_path, "core.remote") == "lab"
    assert dvc_config(tmp_path, "core.autostage") is None
    assert link_types(tmp_path) == ("hardlink", "symlink")
    assert cache_folder(tmp_path) == tmp_path / ".dvc/../elsewhere/files/md5"
    configured(tmp_path, "[cache]\n    type = copy\n", "config.local")
    assert link_types(tmp_path) == ("copy",)


def test_a_file_that_is_no_configuration_says_nothing(tmp_path: Path) -> None:
    configured(tmp_path, "type = copy\n")
    assert link_types(tmp_path) == ("reflink", "copy")
    (tmp_path / ".dvc/config").write_bytes(b"\xff\xfe")
    assert dvc_config(tmp_path, "cache.type") is None


def test_remotes(tmp_path: Path) -> None:
    assert remotes(tmp_path) == {}
    configured(tmp_path, "['remote \"lab\"']\n    url = ssh://host/a%20b\n    verify = true\n")
    assert remotes(tmp_path) == {"lab": {"url": "ssh://host/a%20b", "verify": "true"}}


def test_link_types_without_configuration_are_those_of_dvc(tmp_path: Path) -> None:
    local = pytest.importorskip("dvc_data.hashfile.db.local", reason="dvc is not installed: make test installs it")
    assert link_types(tmp_path) == tuple(local.LocalHashFileDB.DEFAULT_CACHE_TYPES)


@pytest.mark.parametrize(("kinds", "taken"), [("symlink,copy", "symlink"), ("hardlink", "hardlink"), ("copy", "copy")])
def test_data_and_plan_take_the_configured_link_types(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kinds: str, taken: str
) -> None:
    configured(tmp_path, f"[cache]\n    type = {kinds}\n")
    monkeypatch.chdir(tmp_path)
    _, folders = data._catalogue(argparse.Namespace(catalogue=None, archives=None))
    assert folders.link_types == tuple(kinds.split(","))
    _, _, link = plan._disk(tmp_path, load_params(REPOSITORY / "params.yaml"), [])
    assert link == taken


def test_the_version_of_dvc_is_bounded() -> None:
    """`hearlab plan` replaces a part of DVC that another major version need not have."""
    serialize = pytest.importorskip("dvc.utils.serialize", reason="dvc is not installed: make test installs it")
    extras = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert "dvc>=3.60,<4" in extras["pipeline"]
    major, minor = (int(part) for part in version("dvc").split(".")[:2])
    assert (3, 60) <= (major, minor) < (4, 0)
    assert serialize.LOADERS[".yaml"] is serialize.load_yaml
