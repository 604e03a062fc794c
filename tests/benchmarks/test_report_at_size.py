"""The measurement of the site at size, with few scenes: each run says what it did."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hearlab.files import read_json

pytestmark = pytest.mark.slow
SCENES, SOUNDS = 3, 7


def test_few_scenes(benchmarks: Path, tmp_path: Path) -> None:
    pytest.importorskip("plotly", reason="plotly is not installed: make test installs it")
    output = tmp_path / "results.json"
    command = [sys.executable, str(benchmarks / "report_at_size.py"), "--scenes", str(SCENES), "--seconds", "0.5"]
    done = subprocess.run([*command, "--output", str(output)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = read_json(output)["rows"]
    assert [row["name"] for row in rows] == [
        "default pages, first run",
        "default pages, second run",
        "a page for each scene, first run",
        "a page for each scene, second run",
    ]
    for row, measured in zip(rows, [SCENES * SOUNDS, 0] * 2, strict=True):
        assert f"({SCENES} pages to listen; {measured} sounds measured now)" in row["said"]
        assert row["processor"] > 0
