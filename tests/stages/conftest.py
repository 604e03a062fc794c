"""A repository of its own for each test of the stages: params.yaml and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """`repository({"enhance.gain": 3})` writes params.yaml with changes into an empty folder and goes there."""

    def make(changes: dict[str, Any] | None = None) -> Path:
        yaml = YAML()
        params = yaml.load((REPOSITORY / "params.yaml").read_text())
        for name, value in (changes or {}).items():
            *parents, last = name.split(".")
            section = params
            for parent in parents:
                section = section[parent]
            section[last] = value
        with (tmp_path / "params.yaml").open("w") as file:
            yaml.dump(params, file)
        monkeypatch.chdir(tmp_path)
        return tmp_path

    return make
