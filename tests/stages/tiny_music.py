"""A few seconds of songs with a training that takes no longer, and what a stage left in a workspace."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from test_music_stages import LISTENERS, TINY, write_song

from hearlab.datasets.layout import CadenzaData

TRAINING = {f"separate.train.{name}": value for name, value in (TINY | {"steps": 4}).items()}


def write_songs(root: Path) -> None:
    """A song to train with and two that are separated for one listener."""
    data = CadenzaData(root / "data" / "demo" / "inputs" / "cadenza_data")
    data.metadata.mkdir(parents=True)
    data.listeners("valid").write_text(json.dumps({"L2": LISTENERS["L2"]}))
    for split, names in {"train": ["a"], "valid": ["b", "c"]}.items():
        data.songs(split).write_text(json.dumps([{"Track Name": name, "Split": split} for name in names]))
        for name in names:
            write_song(data, split, name, ord(name))


def hashes(root: Path, *places: Path) -> dict[str, str]:
    """Of the files below some places of a workspace."""
    files = [
        path for place in places for path in ([root / place] if (root / place).is_file() else (root / place).rglob("*"))
    ]
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(files)
        if path.is_file()
    }
