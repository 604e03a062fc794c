"""The measurement of DVC at size, with few files: every command runs, and what it shows about links holds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hearlab.files import read_json

pytestmark = pytest.mark.slow


def test_a_small_tree(benchmarks: Path, tmp_path: Path) -> None:
    output = tmp_path / "results.json"
    command = [sys.executable, str(benchmarks / "dvc_at_size.py"), "--files", "140", "--stage-scenes", "3"]
    command += ["--big", "65536", "--folder", str(tmp_path), "--output", str(output)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    results = read_json(output)
    assert [part for part in dict.fromkeys(row["part"] for row in results["rows"])] == [
        "tree",
        "splits",
        "packed",
        "links",
        "stage",
    ]
    rows = {row["name"]: row for row in results["rows"]}
    assert all(rows[name]["clock"] > 0 for name in ("dvc add", "dvc push, all", "clone: dvc pull, all"))
    # What hard links save, and why they come first in .dvc/config: here DVC takes the data as they lie.
    assert rows["cache.type hardlink,reflink,symlink,copy: further bytes on the disk"]["remark"].startswith("+0.0")
    assert rows["cache.type copy: further bytes on the disk"]["remark"] == "+1.00 times the data"
    # Nothing stays.
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]
