"""A project whose results are on a remote, and others' clones of it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from remote_servers import Remote

from pipeline_support import run


@dataclass(frozen=True)
class Shared:
    """A project whose results were pushed to a remote."""

    kind: str
    project: Path
    remote: Remote

    def clone(self, folder: Path) -> Path:
        """A clone as another person makes it, with nothing but the secrets set."""
        clone = folder / "clone"
        run(folder, "git", "clone", "--quiet", str(self.project), str(clone))
        if self.remote.secrets:
            shutil.copy(self.project / ".dvc/config.local", clone / ".dvc/config.local")
        return clone
