"""What several tests share: where the reference material lies.

The reference material (a real CEC2 scene, golden values of the published implementation) is not part of the
repository. HEARLAB_REFERENCE names its folder; without it a folder `shared` beside the repository is looked for.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
REFERENCE = Path(os.environ.get("HEARLAB_REFERENCE", REPOSITORY.parent / "shared"))


def _reference(part: str) -> Path:
    folder = REFERENCE / part
    if not folder.is_dir():
        pytest.skip(f"no reference material: {folder} does not exist (set HEARLAB_REFERENCE to its folder)")
    return folder


@pytest.fixture(scope="session")
def golden() -> Path:
    """The folder of golden values."""
    return _reference("golden")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The real scene's data root: the folder that holds hrir/, dev/, train/ and metadata/."""
    return _reference("real") / "clarity_data"
