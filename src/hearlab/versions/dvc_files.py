"""What DVC knows of this workspace: where its cache is, and the identity of every file that dvc.lock names.

Read from DVC's own files, because importing DVC takes longer than a small stage.
"""

from __future__ import annotations

import configparser
import json
import os
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError


def cache_folder(root: Path) -> Path | None:
    """DVC's cache of md5 objects, or None where `root` is no DVC repository.

    A cache directory that is configured in the repository (also config.local, as `dvc cache dir --local` writes it)
    is taken; others keep the default.
    """
    control = root / ".dvc"
    if not control.is_dir():
        return None
    folder = control / "cache"
    for name in ("config", "config.local"):
        config = configparser.ConfigParser(interpolation=None)
        try:
            config.read_string(_dedented(control / name))
        except (OSError, configparser.Error):
            continue
        configured = config.get("cache", "dir", fallback=None)
        if configured:
            folder = control / os.path.expanduser(configured)
    return folder / "files" / "md5"


def _dedented(path: Path) -> str:
    # DVC indents the keys of a section, which configparser would take for continued lines.
    return "\n".join(line.strip() for line in path.read_text(encoding="utf-8").splitlines())


def lock_records(root: Path, cache: Path | None) -> dict[str, str]:
    """Identities of the files that dvc.lock names, those inside folders included: relative path -> md5."""
    try:
        lock = YAML(typ="safe", pure=True).load((root / "dvc.lock").read_text(encoding="utf-8"))
        outs = [out for stage in lock["stages"].values() for out in stage.get("outs", [])]
    except (OSError, YAMLError, KeyError, TypeError, AttributeError):
        return {}
    records: dict[str, str] = {}
    for out in outs:
        identity, path = str(out.get("md5", "")), str(out.get("path", ""))
        if not identity.endswith(".dir"):
            records[path] = identity
            continue
        for entry in _listing(identity, cache):
            records[f"{path}/{entry['relpath']}"] = entry["md5"]
    return records


def _listing(identity: str, cache: Path | None) -> list[dict[str, str]]:
    if cache is None:
        return []
    try:
        entries: list[dict[str, str]] = json.loads((cache / identity[:2] / identity[2:]).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return entries


def lock_stages(root: Path) -> dict[str, dict[str, Any]]:
    """The stages of dvc.lock; none where there is no such file, or nothing in it that can be read."""
    try:
        stages = YAML(typ="safe").load((root / "dvc.lock").read_text(encoding="utf-8"))["stages"]
        return {str(name): stage for name, stage in stages.items() if isinstance(stage, dict)}
    except (OSError, UnicodeDecodeError, YAMLError, KeyError, TypeError, AttributeError):
        return {}
