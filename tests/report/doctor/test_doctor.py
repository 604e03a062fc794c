"""hearlab doctor: what it finds right and wrong."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from hearlab.report.doctor.doctor import Finding, examine
from hearlab.versions.dvc_files import link_types
from pipeline_support import make_repository

REPOSITORY = Path(__file__).resolve().parents[3]


def by_subject(root: Path) -> dict[str, Finding]:
    return {finding.subject: finding for finding in examine(root)}


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git and DVC repository with params.yaml and nothing else."""
    folder = tmp_path_factory.mktemp("fresh")
    make_repository(folder)
    shutil.copy(REPOSITORY / "params.yaml", folder)
    return folder


@pytest.fixture
def root(fresh: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it."""
    for name in ("RAY_ADDRESS", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    return Path(shutil.copytree(fresh, tmp_path, dirs_exist_ok=True, symlinks=True))


def test_a_fresh_repository(root: Path) -> None:
    found = by_subject(root)
    for subject in ("params.yaml", "Python", "source", "packages", "git", "Ray", "machine", "disk of the workspace"):
        assert found[subject].state in ("ok", "warning"), found[subject]
        assert not str(found[subject]).startswith("error")
    assert found["remote"].state == "warning"
    assert found["speech data"].advice == "make demo makes it"
    assert "copy" in found["DVC"].text
    # It leaves nothing behind.
    assert sorted(path.name for path in root.iterdir()) == [".dvc", ".dvcignore", ".git", "params.yaml"]
    assert not list((root / ".dvc" / "cache").rglob(".doctor-*"))


@pytest.mark.slow
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
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        address = f"https://secret:p@ss@127.0.0.1:{port}/store"
        subprocess.run((*dvc, "add", "--quiet", "--force", "far", address), check=True)
        line = str(by_subject(root)["remote far"])
    assert f"https://127.0.0.1:{port}/store: " in line
    assert "secret" not in line


def test_links_as_dvc_writes_them(root: Path) -> None:
    subprocess.run((sys.executable, "-m", "dvc", "--cd", str(root), "config", "cache.type", "symlink,copy"), check=True)
    assert link_types(root) == ("symlink", "copy")
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


def test_numba_that_is_told_not_to_compile(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    assert by_subject(root)["NUMBA_DISABLE_JIT"].state == "error"


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


def lines_of(root: Path, subject: str) -> list[Finding]:
    return [finding for finding in examine(root) if finding.subject == subject]


def test_the_data_of_the_challenge(root: Path) -> None:
    text = (root / "params.yaml").read_text()
    (root / "params.yaml").write_text(text.replace("dataset: demo", "dataset: clarity"))
    found = lines_of(root, "speech data")
    assert [finding.state for finding in found] == ["warning"] * 3
    assert str(found[0]).startswith("warning speech data: cec2-core: absent; needed for prepare")
    assert "hearlab data fetch cec2-core ADDRESS, see docs/full-data.md" in str(found[0])
    songs, metadata = lines_of(root, "music data")
    assert (songs.state, metadata.state) == ("warning", "warning")
    assert "musdb18hq: absent" in songs.text

    folder = root / "data/clarity/cadenza_data/task1/metadata/musdb18hq"
    folder.mkdir(parents=True)
    for name in ("a", "b", "c", "d"):
        (folder / f"{name}.json").write_text("[]")
    wrong = lines_of(root, "music data")[1]
    assert wrong.state == "error"
    assert "found 4 files *.json, expected at least 5; hearlab data check cad1-metadata" in str(wrong)
    (folder / "e.json").write_text("[]")
    assert str(lines_of(root, "music data")[1]) == "ok      music data: cad1-metadata: unpacked by hand (5 files)"


def test_room_for_the_data_of_the_challenge(root: Path) -> None:
    text = (root / "params.yaml").read_text()
    (root / "params.yaml").write_text(text.replace("dataset: demo", "dataset: clarity"))
    # Where DVC can only copy, its cache needs as much again as the unpacked files (179 GB of these).
    assert "cec2-hoairs 502.0 GB" in by_subject(root)["disk of the workspace"].text
    (root / ".dvc" / "config").write_text("[cache]\n    type = hardlink,symlink\n")
    disk = by_subject(root)["disk of the workspace"]
    for part in ("cec2-hoairs 323.0 GB", "rendered dev scenes 38.0 GB", "enhanced speech 7.6 GB"):
        assert part in disk.text
    enough = shutil.disk_usage(root).free > 800e9  # 789 GB and some to spare
    assert disk.state == ("ok" if enough else "warning")
    assert enough or "short: free some" in str(disk)
    # What is rendered already is not counted again.
    (root / "data/clarity/rendered/dev").mkdir(parents=True)
    (root / "data/clarity/rendered/dev/S06001_mix_CH1.wav").write_bytes(b"x")
    assert "rendered dev scenes" not in by_subject(root)["disk of the workspace"].text


def test_tracking_servers(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow", reason="mlflow is not installed: make test installs it")
    assert "MLFLOW_TRACKING_URI is not set" in by_subject(root)["MLflow"].text
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        for scheme in ("http", "postgresql"):
            for login in ("user:secret", "secret", "secret:", "user:sec@secret"):
                monkeypatch.setenv("MLFLOW_TRACKING_URI", f"{scheme}://{login}@127.0.0.1:{port}/x")
                found = by_subject(root)["MLflow"]
                assert found.state == "warning"
                assert f"{scheme}://127.0.0.1:{port}/x: " in found.text
                assert "secret" not in str(found)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:secret@127.0.0.1/x")  # no port
    assert not [finding for finding in examine(root) if "secret" in str(finding)]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{root}/runs.db")
    assert by_subject(root)["MLflow"].state == "ok"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{root}/nowhere/runs.db")
    assert f"no folder {root}/nowhere" in by_subject(root)["MLflow"].text
