"""hearlab doctor: what it finds right and wrong."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from hearlab.report.doctor import Finding, dvc_config, examine

REPOSITORY = Path(__file__).resolve().parents[2]


def by_subject(root: Path) -> dict[str, Finding]:
    return {finding.subject: finding for finding in examine(root)}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git and DVC repository with params.yaml and nothing else."""
    for name in ("RAY_ADDRESS", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    pytest.importorskip("dvc", reason="dvc is not installed: make test installs it")
    subprocess.run(("git", "init", "--quiet", str(tmp_path)), check=True)
    subprocess.run((sys.executable, "-m", "dvc", "--cd", str(tmp_path), "init", "--quiet"), check=True)
    shutil.copy(REPOSITORY / "params.yaml", tmp_path)
    return tmp_path


def test_a_fresh_repository(root: Path) -> None:
    found = by_subject(root)
    for subject in ("params.yaml", "Python", "packages", "git", "Ray", "machine", "disk of the workspace"):
        assert found[subject].state in ("ok", "warning"), found[subject]
        assert not str(found[subject]).startswith("error")
    assert found["remote"].state == "warning"
    assert found["speech data"].advice == "make demo makes it"
    assert "copy" in found["DVC"].text
    # It leaves nothing behind.
    assert sorted(path.name for path in root.iterdir()) == [".dvc", ".dvcignore", ".git", "params.yaml"]
    assert not list((root / ".dvc" / "cache").rglob(".doctor-*"))


def test_remotes_that_answer_and_do_not(root: Path, tmp_path: Path) -> None:
    dvc = (sys.executable, "-m", "dvc", "--cd", str(root), "remote")
    subprocess.run((*dvc, "add", "--quiet", "near", str(tmp_path / "store")), check=True)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        subprocess.run((*dvc, "add", "--quiet", "far", f"http://127.0.0.1:{port}/store"), check=True)
        found = by_subject(root)
    assert found["remote near"].state == "warning"
    assert found["remote near"].advice == "dvc remote modify near verify true, see docs/remotes.md"
    subprocess.run((*dvc, "modify", "--quiet", "near", "verify", "true"), check=True)
    assert by_subject(root)["remote near"].state == "ok"
    assert found["remote far"].state == "error"
    assert "\n" not in str(found["remote far"])


def test_links_as_dvc_writes_them(root: Path) -> None:
    subprocess.run((sys.executable, "-m", "dvc", "--cd", str(root), "config", "cache.type", "symlink,copy"), check=True)
    assert dvc_config(root, "cache.type") == "symlink,copy"
    assert by_subject(root)["DVC"].text.endswith("taken: symlink")


def test_a_cluster_that_does_not_answer(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setenv("RAY_ADDRESS", address)
        monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
        assert by_subject(root)["Ray"].state == "error"
        server.listen()
        assert by_subject(root)["Ray"].state == "warning"  # without a token
    monkeypatch.setenv("RAY_ADDRESS", "nonsense")
    assert by_subject(root)["Ray"].state == "error"


def test_wrong_parameters_and_weights(root: Path) -> None:
    text = (root / "params.yaml").read_text()
    (root / "params.yaml").write_text(text.replace("model: openunmix", "model: hdemucs"))
    weights = by_subject(root)["weights"]
    assert weights.state == "warning"
    assert "hearlab weights fetch hdemucs" in str(weights)
    (root / "params.yaml").write_text(text.replace("seed: 0", "sed: 0"))
    found = by_subject(root)
    assert found["params.yaml"].state == "error"
    assert "did you mean seed?" in str(found["params.yaml"])


def test_the_command(root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from hearlab.cli import main

    monkeypatch.chdir(root)
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.split()[0] in ("ok", "warning") for line in lines)
    (root / "params.yaml").unlink()
    assert main(["doctor"]) == 1
