from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from full_size_support import pack

import damaged_files
from pipeline_support import make_project

SMALL_DISK = 2 << 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """An empty disk of 2 MB."""
    with damaged_files.small_disk(tmp_path / "disk", SMALL_DISK) as folder:
        yield folder


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with the results of the smaller demo."""
    return make_project(tmp_path_factory.mktemp("demo") / "hearlab")


@pytest.fixture(scope="module")
def packages(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's data as small packages."""
    return pack(demo, tmp_path_factory.mktemp("packages"))
