"""Each unit alone in a process, all in one process, in the reversed order, on Ray: the same outputs and indexes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from stage_in_all_ways import STAGES, out
from stage_params import write_params
from tiny_music import TRAINING, hashes, write_songs

from hearlab import stages
from hearlab.params import load_params
from hearlab.scoring.machines import FILE as MACHINES

pytest.importorskip("torch", reason="the music track needs torch: pip install 'hearlab[music]'")

PROGRAM = Path(__file__).with_name("stage_in_all_ways.py")
SMALL = {
    **TRAINING,
    **{f"datasets.demo.splits.{split}.{what}": 2 for split in ("train", "dev") for what in ("rooms", "scenes")},
    "evaluate.speech_metrics": ["haspi", "hasqi"],
    "enhance.system": "hearlab.systems.fitted:Fitted",  # else fit_music has nothing to do
    "enhance.params": {"steps": 2, "crop": 1.0, "excerpt": 2.0},
    "learn.model": {"bands": 8, "hidden_size": 8, "layers": 1},
    "learn.processes": 1,
    "learn.rooms": 2,
    "learn.validation": 1,
    "learn.excerpt": 1.0,
    "learn.steps": 4,
    "learn.batch_size": 2,
    "learn.fine": {"steps": 1, "batch_size": 1, "learning_rate": 0.001},
    "learn.validate_every": 2,
}
METRICS = Path("metrics")

pytestmark = pytest.mark.slow


def in_fresh_processes(*arguments: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HEARLAB_", "RAY_"))}
    environment |= {"HEARLAB_WORKERS": "1"}
    command = [sys.executable, str(PROGRAM), *arguments]
    done = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True, timeout=1200, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which each stage was run in one process."""
    folder = tmp_path_factory.mktemp("together")
    write_params(folder, SMALL)
    write_songs(folder)
    in_fresh_processes(str(folder))
    return folder


def test_no_stage_is_missing() -> None:
    assert [name for name, *_ in STAGES] == [name for name in stages.STAGES if stages.has_units(name)]


@pytest.mark.parametrize("stage", STAGES, ids=" ".join)
def test_a_unit_s_bytes_do_not_depend_on_what_runs_beside_it(
    stage: tuple[str, ...], together: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(together)
    folder, index = out(*stage), stages.index_file(stage[0], load_params(), *stage[1:])
    made = [index] if folder is None else [index, folder]
    wanted = hashes(together, *made)
    assert len(wanted) > 1 or folder is None
    ways = [tmp_path / way for way in ("alone", "reversed", "workers", "ray")]
    for way in ways:
        shutil.copytree(together, way, ignore=shutil.ignore_patterns(".hearlab"))
        for place in (*made, METRICS):
            shutil.rmtree(way / place) if (way / place).is_dir() else (way / place).unlink()
    in_fresh_processes(str(tmp_path), *stage)
    assert [hashes(way, *made) for way in ways] == [wanted] * len(ways)
    for way in (ways[0], *ways[2:]):
        name, recorded = "@".join(stage), json.loads((together / MACHINES).read_text())
        assert json.loads((way / MACHINES).read_text()) == {name: recorded[name]}
        (way / MACHINES).unlink()
    tables = {path.name for path in (ways[0] / METRICS).rglob("*") if path.is_file()}
    for way in (ways[0], *ways[2:]):  # made of all results in their order
        assert all((way / name).read_bytes() == (together / name).read_bytes() for name in hashes(way, METRICS))
    assert bool(tables) == (folder is None)
