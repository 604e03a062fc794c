"""Where trainings keep their checkpoints, and how one is written."""

from __future__ import annotations

import os
from pathlib import Path

from hearlab.compute.notes import done_without

CHECKPOINTS = Path(".hearlab") / "checkpoints"


def save(path: Path, temporary: Path, content: bytes) -> None:
    """Write a checkpoint and rename it; what a killed run leaves of `temporary` is removed with its staging folder."""
    with done_without(path.parent):  # a training that is not interrupted needs none
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            path.parent.mkdir(parents=True, exist_ok=True)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
