"""DVC's configuration and cache, read from its own files: importing DVC takes longer than a small stage."""

from __future__ import annotations

import configparser
import contextlib
import os
import re
from pathlib import Path

from hearlab.secrets import remember

# The links that DVC knows, best first, and those that it tries where its configuration names none.
LINK_TYPES = ("reflink", "hardlink", "symlink", "copy")
DEFAULT_LINK_TYPES = ("reflink", "copy")


def dvc_config(root: Path, name: str) -> str | None:
    """A value of DVC's configuration in the repository, such as 'cache.type'."""
    section, key = name.split(".")
    value = _configuration(root).get(section, key, fallback=None)
    return value.strip("\"'") if value else value  # DVC quotes what holds a comma


def link_types(root: Path) -> tuple[str, ...]:
    """The kinds of link from its cache to the workspace that DVC tries here, in its order."""
    configured = dvc_config(root, "cache.type")
    return tuple(configured.replace(" ", "").split(",")) if configured else DEFAULT_LINK_TYPES


def remotes(root: Path) -> dict[str, dict[str, str]]:
    """The settings of each of DVC's remotes, by its name."""
    config = _configuration(root)
    sections = {section: re.fullmatch(r"'?remote \"(.+)\"'?", section) for section in config.sections()}
    return {match[1]: dict(config.items(section)) for section, match in sections.items() if match}


def _configuration(root: Path) -> configparser.ConfigParser:
    """The repository's own settings; those of config.local override those of config."""
    config = configparser.ConfigParser(interpolation=None)
    for name in ("config", "config.local"):
        with contextlib.suppress(OSError, UnicodeDecodeError, configparser.Error):
            lines = (root / ".dvc" / name).read_text(encoding="utf-8").splitlines()
            # DVC indents the keys of a section, which configparser would take for continued lines.
            config.read_string("\n".join(line.strip() for line in lines))
    for section in config.sections():
        remember(config[section])
    return config


def cache_folder(root: Path) -> Path | None:
    """DVC's cache of md5 objects, where the configuration puts it; None where `root` is no DVC repository."""
    control = root / ".dvc"
    if not control.is_dir():
        return None
    return control / os.path.expanduser(dvc_config(root, "cache.dir") or "cache") / "files" / "md5"


def cached_object(cache: Path, md5: str) -> Path:
    """Where DVC's cache keeps the bytes of an md5; that of a folder ends in '.dir'."""
    return cache / md5[:2] / md5[2:]


def is_md5(text: str) -> bool:
    """Whether a text is the md5 of a file as DVC writes it. What others wrote can be anything, a path for instance."""
    return re.fullmatch(r"[0-9a-f]{32}", text) is not None
