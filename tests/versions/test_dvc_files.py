"""DVC's configuration as it is written, and as every command that asks for it takes it."""

from __future__ import annotations

import argparse
import sys
import tomllib
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest

from hearlab.commands.setup import data
from hearlab.errors import InputError
from hearlab.params import load_params
from hearlab.report.plan import plan
from hearlab.secrets import hide
from hearlab.versions.dvc_files import cache_folder, dvc_config, link_types, remotes

REPOSITORY = Path(__file__).resolve().parents[2]


def configured(root: Path, text: str, name: str = "config") -> Path:
    (root / ".dvc").mkdir(exist_ok=True)
    (root / ".dvc" / name).write_text(text)
    return root


@pytest.fixture
def levels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Folders of the configurations of the machine and of the user, by DVC's own variables for them."""
    folders = {level: tmp_path / "etc" / level for level in ("system", "global")}
    for level, folder in folders.items():
        folder.mkdir(parents=True)
        monkeypatch.setenv(f"DVC_{level.upper()}_CONFIG_DIR", str(folder))
    return folders


def test_values_of_both_files(tmp_path: Path) -> None:
    configured(tmp_path, '[core]\n    remote = lab\n[cache]\n    type = "hardlink,symlink"\n')
    configured(tmp_path, "[cache]\n    dir = ../elsewhere\n", "config.local")
    assert dvc_config(tmp_path)["core"]["remote"] == "lab"
    assert dvc_config(tmp_path)["core"]["autostage"] is False
    assert link_types(tmp_path) == ("hardlink", "symlink")
    assert cache_folder(tmp_path) == tmp_path / "elsewhere/files/md5"
    configured(tmp_path, "[cache]\n    type = copy\n", "config.local")
    assert link_types(tmp_path) == ("copy",)


CONFIGURATIONS: dict[str, dict[str, str]] = {
    "system": {"system": "[cache]\ndir = {0}/a\n"},
    "global before system": {"system": "[cache]\ndir = {0}/a\n", "global": "[cache]\ndir = {0}/b\n"},
    "repository before both": {"global": "[cache]\ndir = {0}/b\n", "config": "[cache]\n    dir = {0}/c\n"},
    "local before all": {"config": "[cache]\ndir = {0}/c\n", "config.local": "[cache]\ndir = {0}/d\n"},
    "quoted, with comments": {"config": "# ours\n[cache]\n    dir = '{0}/a, b'  # big disk\n    # no\n"},
    "quotes of the other kind": {"global": '[cache]\ndir = "{0}/it\'s # no comment"  # one\n'},
    "relative to its own file": {"global": "[cache]\ndir = ../store\n"},
    "relative to its own file, local": {"config.local": "[cache]\ndir = store\n"},
    "home": {"global": "[cache]\ndir = ~/store\n"},
    "capital letters": {"config": "[Cache]\nDIR = {0}/c\n"},
    "another section": {"config": "['remote \"cache\"']\n    url = {0}/c\n"},
}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_the_cache_is_where_dvc_has_it(tmp_path: Path, levels: dict[str, Path], name: str) -> None:
    try:
        repo = import_module("dvc.repo").Repo
    except ImportError:
        pytest.skip("dvc is not installed: make test installs it")
    root = tmp_path / "project"
    root.mkdir()
    configured(
        root, "[core]\n    no_scm = true\n", "config" if "config" not in CONFIGURATIONS[name] else "config.local"
    )
    for level, text in CONFIGURATIONS[name].items():
        file = levels[level] / "config" if level in levels else root / ".dvc" / level
        with file.open("a") as handle:
            handle.write(text.format(tmp_path))
    with repo(str(root)) as known:
        wanted = Path(known.cache.local.path)
    assert cache_folder(root) == wanted
    assert (name == "another section") == (wanted == root / ".dvc/cache/files/md5")


def test_the_places_of_the_users_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configured(tmp_path, "")
    monkeypatch.delenv("DVC_GLOBAL_CONFIG_DIR")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "mine"))
    (tmp_path / "mine/dvc").mkdir(parents=True)
    (tmp_path / "mine/dvc/config").write_text("[cache]\n    dir = ../../store\n    type = symlink\n")
    assert cache_folder(tmp_path) == tmp_path / "store/files/md5"
    assert link_types(tmp_path) == ("symlink",)


@pytest.mark.parametrize(
    "content", [b"type = copy\n[cache\n", b"\xff\xfe", b"[cache]\ntype = telepathy\n", b"[core]\ncolour = red\n"]
)
def test_a_configuration_that_dvc_refuses_is_one_line(tmp_path: Path, content: bytes) -> None:
    """Another cache than DVC's would fill the disk, and nothing in it would be found."""
    configured(tmp_path, "")
    (tmp_path / ".dvc/config").write_bytes(content)
    with pytest.raises(InputError, match=r"^DVC: refuses its configuration[^\n]*$"):
        cache_folder(tmp_path)


def test_without_dvc_there_is_no_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configured(tmp_path, "[cache]\n    type = copy\n")
    monkeypatch.setitem(sys.modules, "dvc.config", None)
    assert link_types(tmp_path) == ("reflink", "copy")
    assert cache_folder(tmp_path) == tmp_path / ".dvc/cache/files/md5"


def test_remotes(tmp_path: Path) -> None:
    assert remotes(tmp_path) == {}
    configured(tmp_path, "['remote \"lab\"']\n    url = ssh://host/a%20b\n    verify = true\n")
    assert remotes(tmp_path) == {"lab": {"url": "ssh://host/a%20b", "verify": True}}


def test_a_password_of_the_users_configuration_is_a_secret(tmp_path: Path, levels: dict[str, Path]) -> None:
    configured(tmp_path, "['remote \"lab\"']\n    url = webdavs://host/a\n")
    (levels["global"] / "config").write_text('[\'remote "lab"\']\n    user = me\n    password = "of, the lab"\n')
    assert remotes(tmp_path)["lab"]["user"] == "me"
    assert "of, the lab" not in hide("it was of, the lab.")


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
