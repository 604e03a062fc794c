"""The made workspace and the sites of it, which the tests only read."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from site_support import REPOSITORY, make_workspace


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = make_workspace(tmp_path_factory.mktemp("workspace"))
    shutil.copytree(REPOSITORY / "leaderboard", root / "leaderboard")
    return root


@pytest.fixture(scope="session")
def site(workspace: Path) -> Path:
    """The site beside its data."""
    pytest.importorskip("plotly", reason="plotly is not installed: make test installs it")
    from hearlab.report.site.build import build_site

    return build_site(workspace, workspace / "report").index.parent
