"""params.yaml of a test's own workspace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

REPOSITORY = Path(__file__).resolve().parents[2]


def write_params(folder: Path, changes: dict[str, Any]) -> None:
    """Write params.yaml with changes into a folder."""
    yaml = YAML()
    params = yaml.load((REPOSITORY / "params.yaml").read_text())
    for name, value in changes.items():
        *parents, last = name.split(".")
        section = params
        for parent in parents:
            section = section[parent]
        section[last] = value
    with (folder / "params.yaml").open("w") as file:
        yaml.dump(params, file)
