"""DVC's configuration, as DVC itself reads it, and its cache."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from hearlab.errors import InputError
from hearlab.secrets import remember

# The links that DVC knows, best first, and those that it tries where its configuration names none.
LINK_TYPES = ("reflink", "hardlink", "symlink", "copy")
DEFAULT_LINK_TYPES = ("reflink", "copy")


def dvc_config(root: Path) -> dict[str, dict[str, Any]]:
    """The settings that DVC has for a repository, of all its levels, by section; none where it is not installed.

    The first call takes 0.2 s.

    Raises:
        InputError: DVC refuses them.
    """
    try:
        from dvc.config import Config
        from dvc.exceptions import DvcException
    except ImportError:
        return {}
    try:
        config: dict[str, dict[str, Any]] = Config(os.fspath(root / ".dvc"))
    except (DvcException, OSError, UnicodeDecodeError) as error:
        found = " ".join(str(error).removeprefix("config file error: ").split())
        advice = "look at .dvc/config, .dvc/config.local and dvc config --global"
        raise InputError("DVC", "refuses its configuration", found=found[:200], advice=advice) from None
    for section in config.values():
        for settings in (section, *section.values()):
            if isinstance(settings, dict):
                remember(settings)
    return config


def link_types(root: Path) -> tuple[str, ...]:
    """The kinds of link from its cache to the workspace that DVC tries here, in its order."""
    return tuple(dvc_config(root).get("cache", {}).get("type") or DEFAULT_LINK_TYPES)


def remotes(root: Path) -> dict[str, dict[str, Any]]:
    """The settings of each of DVC's remotes, by its name."""
    return dvc_config(root).get("remote", {})


def cache_folder(root: Path) -> Path | None:
    """DVC's cache of md5 objects, where the configuration puts it; None where `root` is no DVC repository."""
    control = root / ".dvc"
    if not control.is_dir():
        return None
    return Path(dvc_config(root).get("cache", {}).get("dir") or control / "cache", "files", "md5")


def experiment_home(root: Path) -> Path:
    """The repository that the user sees: an experiment that DVC runs in a folder of its own belongs to it too."""
    outer = os.environ.get("DVC_ROOT")
    return Path(outer) if outer and Path(outer, "params.yaml").is_file() else root


def cached_object(cache: Path, md5: str) -> Path:
    """Where DVC's cache keeps the bytes of an md5; that of a folder ends in '.dir'."""
    return cache / md5[:2] / md5[2:]


def is_md5(text: str) -> bool:
    """Whether a text is the md5 of a file as DVC writes it. What others wrote can be anything, a path for instance."""
    return re.fullmatch(r"[0-9a-f]{32}", text) is not None
