"""`leaderboard verify` of an entry whose dvc.yaml runs a command of its own: when it runs, and what it can do."""

from __future__ import annotations

import hashlib
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from hearlab.versions import checkout
from hearlab.versions.confinement import confiner
from hearlab.versions.git import git_text, run_git

SOURCE = Path(checkout.__file__).resolve().parents[2]
TABLE = b"scene,listener,haspi\nS1,L1,0.5\nS1,L2,0.25\n"
PARAMS = b"dataset: demo\nevaluate: {split: dev}\n"
SECRETS = ("SSH_AUTH_SOCK", "AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_PASSWORD")


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


LOCK = f"""schema: '2.0'
stages:
  score_speech:
    cmd: old
    outs:
    - path: metrics/speech.csv
      hash: md5
      md5: {md5(TABLE)}
      size: {len(TABLE)}
""".encode()
ATTACK = """echo ran > {0}/ran
env > environment
cp {0}/home/secret stolen || echo nothing to steal
echo x >> {0}/clone/.dvc/config || echo no write
printf 'scene,listener,haspi\\nS1,L1,0.5\\nS1,L2,0.25\\n' > metrics/speech.csv
env | grep OF-MINE || echo no secrets
"""


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A clone with the entry `evil`, whose table can be had from nowhere."""
    pytest.importorskip("dvc", reason="dvc is not installed: make test installs it")
    root = tmp_path / "clone"
    (tmp_path / "home").mkdir()
    (tmp_path / "home/secret").write_text("TOKEN-OF-MINE")
    (root / ".dvc").mkdir(parents=True)
    run_git(tmp_path, "init", "--quiet", str(root))
    theirs = {
        ".dvc/config": b"",
        ".dvc/.gitignore": b"/config.local\n/tmp\n/cache\n",
        ".gitignore": b"/.hearlab/\n",
        "params.yaml": PARAMS,
        "dvc.lock": LOCK,
        "dvc.yaml": b"stages:\n  score_speech:\n    cmd: sh attack.sh\n    outs: [metrics/speech.csv]\n",
        "attack.sh": ATTACK.format(tmp_path).encode(),
        "metrics/.gitignore": b"/speech.csv\n",
    }
    commit(root, theirs)
    origin = {"commit": git_text(root, "rev-parse", "HEAD"), "lock": md5(LOCK), "params": md5(PARAMS)}
    lines = [
        f"  {name}: {value}" for name, value in {**origin, "data": "{}", "weights": "{}", "scores": md5(TABLE)}.items()
    ]
    head = "team: T\nsystem: S\ntrack: speech\ndataset: demo\nsplit: dev\nscore: 0.375\nunits: 2\nscored: 2026-11-21\n"
    entry = "\n".join([head + "origin:", *lines, ""])
    commit(root, {"leaderboard/evil.yaml": entry.encode(), "dvc.yaml": b"stages: {}\n"})
    return root


def commit(root: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    run_git(root, "add", "--all")
    own = ("-c", "user.name=T", "-c", "user.email=t@example.org")
    subprocess.run(("git", *own, "commit", "--quiet", "--message", "One"), cwd=root, check=True)


def verify(root: Path, *options: str, answer: str | None = None) -> tuple[int, str]:
    """Exit code and all output; with an answer, standard input is a terminal."""
    home = {"HOME": str(root.parent / "home"), "DVC_SITE_CACHE_DIR": str(root.parent / "site")}
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), **home, **dict.fromkeys(SECRETS, "TOKEN-OF-MINE")}
    arguments = ["leaderboard", "verify", "evil", *options]
    command = (sys.executable, "-P", "-c", f"import sys; from hearlab.cli import main; sys.exit(main({arguments}))")
    main, terminal = pty.openpty()
    try:
        if answer is not None:
            os.write(main, answer.encode())
        done = subprocess.run(
            command,
            cwd=root,
            env=environment,
            stdin=subprocess.DEVNULL if answer is None else terminal,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=300,
        )
    finally:
        os.close(main)
        os.close(terminal)
    assert list((root / ".hearlab").glob("*")) == []
    assert git_text(root, "status", "--porcelain", "--untracked-files=all") == ""
    return done.returncode, done.stdout


@pytest.mark.slow
def test_without_recompute_nothing_of_it_runs(work: Path) -> None:
    code, out = verify(work)
    assert code == 1
    assert not (work.parent / "ran").exists()
    last = out.splitlines()[-1]
    assert "metrics/speech.csv: is neither in DVC's cache nor in its remote; " in last
    assert "--recompute" in last
    assert "confirmed" not in out
    assert "denied" not in out


@pytest.mark.slow
def test_it_is_shown_and_asked_for(work: Path) -> None:
    confined = () if confiner() else ("--unconfined",)
    code, out = verify(work, "--recompute", *confined)
    assert code == 1
    assert out.splitlines()[-1].endswith("there is no terminal to ask; say --yes")
    for answer in ("n\n", "\n", "\x04"):
        code, out = verify(work, "--recompute", *confined, answer=answer)
        assert code == 1
        assert "+    cmd: sh attack.sh" in out
        assert "-    cmd:" not in out
        assert "was not agreed to: nothing was run" in out
    assert not (work.parent / "ran").exists()
    assert verify(work, "--yes")[0] == 2
    assert verify(work, "--unconfined")[0] == 2


@pytest.mark.slow
def test_it_runs_confined(work: Path) -> None:
    if confiner() is None:
        pytest.skip("nothing confines on this machine")
    code, out = verify(work, "--recompute", answer="y\n")
    assert code == 0, out
    assert "is run: it has no network" in out
    assert "evil: confirmed: 0.3750" in out
    assert "nothing to steal" in out
    assert "no secrets" in out
    assert "OF-MINE" not in out
    assert not (work.parent / "ran").exists()
    assert (work / ".dvc/config").read_bytes() == b""
    assert not list((work / ".dvc").rglob("cache/files/md5/*/*"))


@pytest.mark.slow
def test_unconfined_it_still_gets_no_variables_and_no_cache(work: Path) -> None:
    run_git(work, "update-index", "--assume-unchanged", ".dvc/config")
    code, out = verify(work, "--recompute", "--yes", "--unconfined")
    assert code == 0, out
    assert "is run: nothing is enforced" in out
    assert "no secrets" in out
    assert (work.parent / "ran").exists()
    assert not list((work / ".dvc").rglob("cache/files/md5/*/*"))


@pytest.mark.slow
def test_a_table_that_is_a_link_is_not_read(work: Path) -> None:
    """It would show the user's files in an error message."""
    script = f"ln -sf {work.parent}/home/secret metrics/speech.csv\n"
    commit(work, {"attack.sh": script.encode(), "dvc.yaml": git_show(work, "HEAD~1:dvc.yaml")})
    path = work / "leaderboard/evil.yaml"
    old, new = git_text(work, "rev-parse", "HEAD~2"), git_text(work, "rev-parse", "HEAD")
    commit(work, {"leaderboard/evil.yaml": path.read_bytes().replace(old.encode(), new.encode())})
    code, out = verify(work, "--recompute", "--yes", "--unconfined")
    assert code == 1
    assert "OF-MINE" not in out
    assert "confirmed" not in out


def git_show(root: Path, name: str) -> bytes:
    return git_text(root, "show", name).encode() + b"\n"
