"""The measurement of DVC at size, with few files: every command runs, and what it shows about links holds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hearlab.files import read_json
from hearlab.versions.dvc_files import link_types

pytestmark = pytest.mark.slow
NAMES = 0.05  # dvc.lock and the folder's list, beside 4 MB of data


def configured_links() -> str:
    return ",".join(link_types(Path(__file__).resolve().parents[2]))


def further_bytes(rows: dict[str, dict[str, Any]], links: str, run: str) -> float:
    return float(rows[f"cache.type {links}: prepare, {run}: further bytes"]["remark"].split()[0])


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
        "prepare",
    ]
    rows = {row["name"]: row for row in results["rows"]}
    assert all(rows[name]["clock"] > 0 for name in ("dvc add", "dvc push, all", "clone: dvc pull, all"))
    # Why .dvc/config has these links: every byte exists once, also after the stage has run again.
    chosen = configured_links()
    for run in ("first", "again"):
        assert further_bytes(rows, chosen, run) == pytest.approx(0, abs=NAMES)
    assert further_bytes(rows, "reflink,hardlink,symlink,copy", "again") == pytest.approx(1, abs=NAMES)
    # Nothing stays.
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]
