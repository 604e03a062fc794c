"""A repository of its own for each test of the stages: params.yaml and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stage_params import write_params


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """`repository({"enhance.gain": 3})` writes params.yaml with changes into an empty folder and goes there."""

    def make(changes: dict[str, Any] | None = None) -> Path:
        write_params(tmp_path, changes or {})
        monkeypatch.chdir(tmp_path)
        return tmp_path

    return make
