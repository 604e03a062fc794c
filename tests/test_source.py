"""The source beside dvc.yaml runs, whichever HearLab the command belongs to."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import hearlab.cli
from waits import LONGEST

REPOSITORY = Path(__file__).resolve().parent.parent
OWN, OTHER = "unknown stage", "stage of another folder"


def changed(folder: Path, name: str, before: str, after: str) -> None:
    path = folder / "src/hearlab" / name
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A workspace whose source says something else than ours of an unknown stage."""
    folder = tmp_path / "a clone"
    shutil.copytree(REPOSITORY / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copyfile(REPOSITORY / name, folder / name)
    changed(folder, "stages/__init__.py", OWN, OTHER)
    return folder


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The `hearlab` of this repository's environment, in a folder."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src")}
    environment.pop("HEARLAB_SOURCE", None)
    program = (sys.executable, "-P", "-c", "import sys; from hearlab.cli import main; sys.exit(main())", *arguments)
    return subprocess.run(
        program, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=LONGEST
    )


def test_a_stage_runs_the_source_beside_dvc_yaml(clone: Path) -> None:
    done = command(clone, "stage", "no_stage")
    assert (done.returncode, done.stdout) == (2, "")
    assert OTHER in done.stderr
    assert len(done.stderr.splitlines()) == 1
    (clone / "dvc.yaml").unlink()
    assert OWN in command(clone, "stage", "no_stage").stderr


@pytest.mark.slow
def test_every_command_that_computes_runs_it(clone: Path) -> None:
    for name in ("report/plan/plan.py", "metrics/files.py", "report/leaderboard/baseline_check.py"):
        changed(clone, name, "from __future__ import annotations", "raise ValueError('mine')")
    score = ("score", "haspi", "--reference", "a", "--processed", "b", "--listener", "L1", "--listeners", "l.json")
    for arguments in (("plan",), score, ("check-baseline", "speech")):
        done = command(clone, *arguments)
        assert done.returncode == 1, arguments
        assert "mine" in done.stderr, arguments


def test_modules_beside_dvc_yaml_take_no_others_place(clone: Path) -> None:
    (clone / "json.py").write_text("raise SystemExit('the wrong json')")
    assert OTHER in command(clone, "stage", "no_stage").stderr


@pytest.mark.parametrize("fault", ["def (", "import not_installed_here", "raise RuntimeError('two\\nlines')"])
def test_a_source_that_cannot_be_imported_is_refused_in_one_line(clone: Path, fault: str) -> None:
    (clone / "src/hearlab/cli.py").write_text(fault)
    done = command(clone, "stage", "no_stage")
    assert (done.returncode, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    assert line.startswith(f"hearlab: {clone / 'src'}: cannot be run with {sys.executable} (found ")


def test_no_process_starts_itself_for_ever(clone: Path) -> None:
    (clone / "src/hearlab/__init__.py").unlink()  # then Python prefers any other package of that name
    done = command(clone, "stage", "no_stage")
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert "the source beside dvc.yaml does not run" in line


def test_a_process_of_somebody_else_is_not_replaced(
    clone: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(clone)
    assert hearlab.cli.main(["stage", "no_stage"]) == 1
    assert f"{clone / 'src'}: the source beside dvc.yaml does not run" in capsys.readouterr().err


def test_doctor_names_another_folders_source(clone: Path) -> None:
    [line] = [line for line in command(clone, "doctor").stdout.splitlines() if "source: " in line]
    assert line.startswith(f"warning source: {REPOSITORY / 'src'} runs, not {clone / 'src'}")
