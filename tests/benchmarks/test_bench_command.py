"""The commands as a user runs them, without the published implementation."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hearlab.files import read_json


def run(script: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # The demo scene, whatever lies beside the repository.
    environment = {**os.environ, "HEARLAB_REFERENCE": "/nowhere"}
    return subprocess.run([sys.executable, str(script), *arguments], env=environment, capture_output=True, text=True)


def run_bench(benchmarks: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run(benchmarks / "bench.py", "--no-peer", "--quick", *arguments)


@pytest.mark.slow
def test_rows_of_the_demo_scene(benchmarks: Path, tmp_path: Path) -> None:
    names = ("haspi_scene", "haaqi", "fitting", "render_memory")
    done = run_bench(benchmarks, "--rows", *names, "--output", str(tmp_path / "results.json"))
    assert done.returncode == 0, done.stderr
    assert "the scene is one of the demo data set" in done.stdout
    assert "`score_speech` of the demo scene" in done.stdout
    results = read_json(tmp_path / "results.json")
    assert [row["name"] for row in results["rows"]] == list(names)
    assert all(row["hearlab"]["median"] > 0 for row in results["rows"])
    assert all(row["published"] is None and row["ratio"] is None for row in results["rows"])
    assert results["complete"] is False
    assert results["versions"]["hearlab"]["numpy"]
    assert results["machine"]["cores"] >= 1


@pytest.mark.slow
def test_scaling_writes_points_and_figure(benchmarks: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the figure needs matplotlib (extra `bench`)")
    done = run_bench(benchmarks, "--scaling", "--rows", "fitting", "--output", str(tmp_path))
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "scaling.csv").read_text().splitlines()
    assert lines[0] == "row,implementation,length,seconds,megabytes"
    assert [line.split(",")[2] for line in lines[1:]] == ["0.6", "2.0", "6.0"]
    assert "NAL-R" in (tmp_path / "scaling.svg").read_text()


@pytest.mark.slow
def test_scaling_refuses_rows_that_have_no_length(benchmarks: Path) -> None:
    done = run_bench(benchmarks, "--scaling", "--rows", "haspi_scene")
    assert done.returncode == 2
    assert "--scaling has no row haspi_scene" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("script", ["bench.py", "peer.py"])
def test_an_environment_without_the_published_code_is_no_agreement(benchmarks: Path, script: str) -> None:
    done = run(benchmarks / script, "--peer-python", sys.executable)
    assert done.returncode == 2
    assert "pyclarity" in done.stderr
    assert "Traceback" not in done.stderr
