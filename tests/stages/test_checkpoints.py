"""Stage train_separator: what stopped it, when, and what its checkpoint became do not show in the result."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stage_params import write_params
from tiny_music import TRAINING, hashes, write_songs

from hearlab.compute.units import Unit
from hearlab.stages import run_stage, train_separator

pytest.importorskip("torch", reason="the music track needs torch: pip install 'hearlab[music]'")

PROGRAM = Path(__file__).with_name("killed_training.py")
CHECKPOINT = Path(".hearlab/checkpoints/vocals.pt")
MADE = Path("data/demo/separator"), Path("data/demo/units")
own_key = Unit.key
Run = Callable[[], list[int]]


def other_key(unit: Unit, *arguments: Any) -> tuple[str, tuple[str, ...]]:
    """The key that the unit would have with other code."""
    key, inputs = own_key(unit, *arguments)
    return hashlib.sha256(key.encode()).hexdigest(), inputs


@pytest.fixture
def interrupted(repository: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Run:
    """A training that was stopped after its first checkpoint; runs it to its end, and gives the steps it showed."""
    folder = repository(TRAINING)
    write_songs(folder)
    monkeypatch.setenv("HEARLAB_WORKERS", "1")  # all here, not on Ray
    steps: list[int] = []

    def stop(state: Any) -> None:
        if state.step == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(train_separator, "_show", stop)
    with pytest.raises(KeyboardInterrupt):
        run_stage("train_separator")
    assert CHECKPOINT.exists()
    monkeypatch.setattr(train_separator, "_show", lambda state: steps.append(state.step))

    def run() -> list[int]:
        steps.clear()
        run_stage("train_separator")
        assert not list(CHECKPOINT.parent.glob("*.pt"))
        return steps[:-12]  # of the first target

    return run


@pytest.mark.slow
@pytest.mark.parametrize("how", ["resumed", "foreign", "damaged", "cut", "empty", "other version", "folder", "ignored"])
def test_a_checkpoint_is_resumed_by_its_own_unit_only(
    interrupted: Run, how: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    content = CHECKPOINT.read_bytes()
    if how == "foreign":  # another loss, for example
        monkeypatch.setattr(Unit, "key", other_key)
    elif how == "damaged":
        CHECKPOINT.write_bytes(content[:5000] + bytes([content[5000] ^ 1]) + content[5001:])
    elif how == "cut":
        CHECKPOINT.write_bytes(content[: len(content) // 2])
    elif how == "empty":
        CHECKPOINT.write_bytes(b"")
    elif how == "other version":
        CHECKPOINT.write_bytes(b"PK\3\4" + content)
    elif how == "folder":
        CHECKPOINT.unlink()
        CHECKPOINT.mkdir()
    elif how == "ignored":
        monkeypatch.setenv("HEARLAB_MEMO", "ignore")
    assert interrupted() == ([2, 3, 4] if how == "resumed" else [1, 2, 3, 4])
    told = capfd.readouterr().err
    assert told.count("is discarded; training begins anew") == (how not in ("resumed", "folder", "ignored"))
    assert told.count("warning: ") == (how not in ("resumed", "ignored"))
    after = hashes(Path(), MADE[0])
    monkeypatch.setenv("HEARLAB_MEMO", "ignore")
    run_stage("train_separator")
    assert hashes(Path(), MADE[0]) == after


@pytest.mark.slow
def test_where_no_checkpoint_can_be_written_training_goes_on(
    interrupted: Run, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert interrupted() == [2, 3, 4]
    after = hashes(Path(), MADE[0])
    capfd.readouterr()
    CHECKPOINT.parent.rmdir()
    CHECKPOINT.parent.write_text("a file")
    write_params(Path(), {**TRAINING, "seed": 8})
    run_stage("train_separator")
    assert hashes(Path(), MADE[0]) != after
    told = capfd.readouterr().err
    assert told.count("warning: ") == 1
    assert f"{CHECKPOINT.parent}: cannot be written and is done without" in told


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_killed_at_any_point_and_run_again(tmp_path: Path, seed: int) -> None:
    workspace = tmp_path / "undisturbed"
    workspace.mkdir()
    write_params(workspace, TRAINING)
    write_songs(workspace)
    command = [sys.executable, str(PROGRAM), str(tmp_path), str(seed)]
    environment = {**os.environ, "HEARLAB_WORKERS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1200, check=False)
    assert done.returncode == 0, done.stderr
    kills, resumed = map(int, done.stdout.split())
    assert kills >= 3
    assert resumed >= 1  # runs that went on from a checkpoint
    wanted = hashes(workspace, *MADE)
    assert len(wanted) == 10
    assert hashes(tmp_path / "killed", *MADE) == wanted
    assert not list((tmp_path / "killed" / ".hearlab" / "staging").iterdir())
