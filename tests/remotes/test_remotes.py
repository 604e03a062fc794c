"""Sharing results through real remotes: a folder, SSH, WebDAV and S3, each from a server of its own on the loopback."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from shared_project import Shared

from hearlab.report.doctor import doctor
from pipeline_support import ran, run, started

pytestmark = pytest.mark.slow
STAGE = "render_scenes@dev"
RENDERED = Path("data/demo/rendered/dev")


def locked(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Outputs of each stage that dvc.lock tells."""
    stages = YAML(typ="safe").load((folder / "dvc.lock").read_text())["stages"]
    return {name: stage.get("outs", []) for name, stage in stages.items()}


def rendered(folder: Path) -> dict[str, str]:
    """md5 of each rendered file, as DVC's cache lists them."""
    [identity] = [out["md5"] for out in locked(folder)[STAGE] if out["path"] == str(RENDERED)]
    listing = json.loads((folder / ".dvc/cache/files/md5" / identity[:2] / identity[2:]).read_text())
    return {entry["relpath"]: entry["md5"] for entry in listing}


def assert_sound(folder: Path, wanted: dict[str, str], *, complete: bool) -> None:
    """No object and no file has other bytes than its name or the listing tells."""
    for path in (folder / ".dvc/cache/files/md5").glob("??/*"):
        # A killed pull leaves parts under temporary names, which DVC never uses. It reads an object that can be written
        # again before it uses it; others it takes as they are.
        if path.suffix != ".tmp" and (complete or stat.S_IMODE(path.stat().st_mode) == 0o444):
            assert md5(path) == (path.parent.name + path.name).removesuffix(".dir"), f"{path} has other bytes"
    there = {str(path.relative_to(folder / RENDERED)): md5(path) for path in (folder / RENDERED).glob("**/*.wav")}
    assert there.items() <= wanted.items()
    if complete:
        assert {name for name in wanted if name.endswith(".wav")} == set(there)


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def test_the_doctor_reaches_what_dvc_reaches(shared: Shared) -> None:
    """With ports, keys and logins that are in DVC's configuration, not in the address."""
    (finding,) = doctor._remotes(shared.project, None)
    assert (finding.state, finding.text) == ("ok", "reachable")


def test_another_clone_computes_nothing(shared: Shared, tmp_path: Path) -> None:
    clone = shared.clone(tmp_path)
    for secret in shared.remote.secrets.values():
        assert secret not in run(clone, "git", "log", "--all", "--patch", "--", ".dvc")
    run(clone, "dvc", "pull")
    output = run(clone, "dvc", "repro")
    assert ran(output) == {}
    assert started(output) == ["system"]
    for stage in locked(clone).keys() - {"system"}:
        assert f"Stage '{stage}' didn't change, skipping" in output
    assert run(clone, "git", "status", "--porcelain") == ""


def test_one_stage_alone(shared: Shared, tmp_path: Path) -> None:
    clone = shared.clone(tmp_path)
    run(clone, "dvc", "pull", "score_speech")
    outs = locked(clone)
    assert {out["path"] for out in outs["score_speech"]} >= {"metrics/speech.csv"}
    for stage, made in outs.items():
        for out in made:
            committed = out["path"] in run(clone, "git", "ls-files", out["path"])
            assert (clone / out["path"]).exists() == (stage == "score_speech" or committed), out["path"]
    objects = [path for path in (clone / ".dvc/cache/files/md5").glob("??/*")]
    assert len(objects) <= len(outs["score_speech"])


def test_a_pull_that_is_cut(shared: Shared, tmp_path: Path) -> None:
    wanted = rendered(shared.project)
    objects = shared.project / ".dvc/cache/files/md5"
    size = sum((objects / name[:2] / name[2:]).stat().st_size for name in set(wanted.values()))
    clone = shared.clone(tmp_path)
    cable, rng = shared.remote.cable, random.Random(shared.kind)
    if cable is None:
        kill_pull(clone, objects=rng.randrange(5, len(wanted) - 5))
    else:
        cable.cut_after(int(size * rng.uniform(0.1, 0.9)))
        try:
            failed = pull(clone)
            assert cable.was_cut, failed.stderr
        finally:
            cable.mend()
        assert failed.returncode != 0
        assert "ERROR: " in failed.stderr
        assert "Traceback" not in failed.stderr
    assert_sound(clone, wanted, complete=False)
    before = {path.name for path in (clone / ".dvc/cache/files/md5").glob("??/*") if path.suffix != ".tmp"}
    output = run(clone, "dvc", "pull", STAGE)
    assert_sound(clone, wanted, complete=True)
    # What had come before the cut does not come again.
    [fetched] = re.findall(r"(\d+) files? fetched", output)
    everything = {path.name for path in (clone / ".dvc/cache/files/md5").glob("??/*") if path.suffix != ".tmp"}
    assert len(everything - before) <= int(fetched) <= len(everything)
    assert int(fetched) < len(everything) or not before


def test_a_connection_that_is_lost_once(shared: Shared, tmp_path: Path) -> None:
    """DVC may try again by itself, or end with an error; it never takes a part of a file for the whole."""
    cable, wanted = shared.remote.cable, rendered(shared.project)
    if cable is None:
        pytest.skip("a folder has no connection")
    clone = shared.clone(tmp_path)
    cable.cut_after(10_000_000, once=True)
    first = pull(clone)
    assert cable.was_cut
    assert_sound(clone, wanted, complete=first.returncode == 0)
    if first.returncode:
        assert "ERROR: " in first.stderr
        run(clone, "dvc", "pull", STAGE)
    assert_sound(clone, wanted, complete=True)


def pull(clone: Path) -> subprocess.CompletedProcess[str]:
    command = ("dvc", "pull", STAGE)
    return subprocess.run(command, cwd=clone, env=with_dvc(), capture_output=True, text=True, check=False)


def with_dvc() -> dict[str, str]:
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


# DVC, killed when an object of the cache is about to get its name: the one with a number.
KILLED = """
import os, signal, sys, threading

turn = threading.Semaphore(int(sys.argv[1]) - 1)


def hook(event, arguments):
    if event == "os.rename" and "/cache/files/md5/" in os.fspath(arguments[1]) and not turn.acquire(blocking=False):
        os.kill(os.getpid(), signal.SIGKILL)


sys.addaudithook(hook)
from dvc.cli import main

sys.exit(main(["pull", sys.argv[2]]))
"""


def kill_pull(clone: Path, objects: int) -> None:
    """SIGKILL for `dvc pull` when so many objects have come."""
    command = [sys.executable, "-c", KILLED, str(objects + 1), STAGE]
    done = subprocess.run(command, cwd=clone, env=with_dvc(), capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    there = [path for path in (clone / ".dvc/cache/files/md5").glob("??/*") if path.suffix != ".tmp"]
    assert 0 < len(there) <= objects  # the turn of some may have come, and not their name


def test_an_altered_object_is_noticed(shared: Shared, tmp_path: Path) -> None:
    wanted = rendered(shared.project)
    victim = sorted(name for name in wanted if name.endswith(".wav"))[0]
    clone = shared.clone(tmp_path)
    shared.remote.flip(wanted[victim])
    try:
        output = run(clone, "dvc", "pull", STAGE, code=1)
        assert str(RENDERED) in output
        assert_sound(clone, wanted, complete=False)
        assert not (clone / RENDERED / victim).exists()
    finally:
        shared.remote.flip(wanted[victim])
    run(clone, "dvc", "pull", STAGE)
    assert_sound(clone, wanted, complete=True)


def test_an_altered_object_that_came_unnoticed(shared: Shared, tmp_path: Path) -> None:
    """Without `verify` DVC takes any bytes: hearlab memo verify finds them, dvc pull brings the right ones."""
    wanted = rendered(shared.project)
    victim = sorted(name for name in wanted if name.endswith(".wav"))[0]
    clone = shared.clone(tmp_path)
    run(clone, "dvc", "remote", "modify", "--local", "lab", "verify", "false")
    shared.remote.flip(wanted[victim])
    try:
        run(clone, "dvc", "pull", STAGE)
        assert md5(clone / RENDERED / victim) != wanted[victim]
    finally:
        shared.remote.flip(wanted[victim])
    assert "1 wrong" in run(clone, "hearlab", "memo", "verify", code=1)
    assert not (clone / RENDERED / victim).exists()
    run(clone, "dvc", "pull", "--force", STAGE)  # the index of units was rewritten
    assert_sound(clone, wanted, complete=True)
    assert "0 wrong" in run(clone, "hearlab", "memo", "verify")
