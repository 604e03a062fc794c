"""SIGKILL at random points of rendering, enhancing and scoring: the next run does only what was not finished."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from hearlab.scoring.machines import FILE as MACHINES
from pipeline_support import REPOSITORY, run

pytestmark = pytest.mark.slow
KILLS = int(os.environ.get("HEARLAB_KILLS", "3"))  # 20 for the figures of a release
COMMANDS = ("hearlab stage render_scenes dev", "hearlab stage enhance_speech", "hearlab stage score_speech")
MADE = ("data/demo/rendered", "data/demo/enhanced", "data/demo/units", "metrics", ".hearlab")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scenes with three listeners each, ready to be rendered; no DVC."""
    folder = tmp_path_factory.mktemp("kill")
    yaml = YAML()
    params = yaml.load((REPOSITORY / "params.yaml").read_text())
    params["datasets"]["demo"]["splits"]["dev"].update(scenes=2, rooms=2)
    params["datasets"]["demo"]["splits"]["train"].update(scenes=0, rooms=0)
    with (folder / "params.yaml").open("w") as file:
        yaml.dump(params, file)
    run(folder, "hearlab", "stage", "prepare")
    (folder / "data/demo/inputs/clarity_data/train/rooms/rpf").mkdir(parents=True, exist_ok=True)
    run(folder, "hearlab", "stage", "build_scenes")
    return folder


def results(folder: Path) -> dict[str, str]:
    paths = [path for name in MADE[:4] for path in (folder / name).rglob("*") if path.is_file()]
    paths.remove(folder / MACHINES)  # of stages that are not run again, too
    return {str(path.relative_to(folder)): hashlib.md5(path.read_bytes()).hexdigest() for path in paths}


def noted(folder: Path) -> int:
    """Units that the journal knows; a torn last line does not count."""
    journal = folder / ".hearlab/journal.jsonl"
    count = 0
    for line in journal.read_text().splitlines() if journal.exists() else []:
        try:
            count += "key" in json.loads(line)
        except ValueError:
            continue
    return count


def test_killed_at_random_points(workspace: Path) -> None:
    script = " && ".join(COMMANDS)
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    run(workspace, "sh", "-c", script)
    wanted = results(workspace)
    assert len(wanted) == 2 * 14 + 6 + 3 + 4
    rng = random.Random(0)
    points = []
    for _ in range(KILLS):
        for name in MADE:
            shutil.rmtree(workspace / name, ignore_errors=True)
        process = subprocess.Popen(
            ["sh", "-c", script],
            cwd=workspace,
            env=environment,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        reached = rng.randrange(13)
        while noted(workspace) < reached and process.poll() is None:
            time.sleep(0.02)
        time.sleep(rng.uniform(0, 0.3))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        before = noted(workspace)
        output = run(workspace, "sh", "-c", script)
        remembered = sum(int(number) for number in re.findall(r"(\d+) done before", output))
        assert remembered == before
        assert results(workspace) == wanted
        assert not [path for path in workspace.rglob("*.part-*")]
        assert not [path for path in (workspace / ".hearlab/staging").iterdir()]
        points.append(before)
    # The points lay in the middle of the work, not all before or behind it.
    assert 0 < sum(points) < KILLS * 14
