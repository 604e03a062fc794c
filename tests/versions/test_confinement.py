"""What a stranger's code can do when it is run: nothing outside its own folder."""

from __future__ import annotations

import os
import select
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hearlab.errors import InputError
from hearlab.versions import confinement
from waits import LONGEST

SOURCE = Path(confinement.__file__).resolve().parents[2]


@pytest.fixture(params=["bwrap", "unshare"])
def program(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Each of the programs that confine, where this machine has it."""
    other = {"bwrap": "unshare", "unshare": "bwrap"}[request.param]
    found = shutil.which
    monkeypatch.setattr(confinement.shutil, "which", lambda name: None if name == other else found(name))
    confinement.confiner.cache_clear()
    if confinement.confiner() != request.param:
        pytest.skip(f"{request.param} does not work on this machine")
    yield str(request.param)
    confinement.confiner.cache_clear()


def folder_of(tmp_path: Path) -> Path:
    (tmp_path / "scratch/work").mkdir(parents=True)
    return tmp_path / "scratch/work"


ATTACK = """
touch own && echo wrote own
for path in {secret} {home}/.ssh/id {root}/file; do cat $path && echo READ $path; done
for path in {secret} {root}/new {home}/new; do echo x > $path; done
for path in /usr/new /new /etc/new; do (echo x > $path) && echo WROTE $path; done
cat {readable} && echo x >> {readable} && echo WROTE readable
mount -o remount,rw,bind /usr && echo REMOUNTED
unshare --user --map-root-user --mount umount -l /usr && echo UNMOUNTED
old=$(cat /proc/sys/kernel/core_pattern); (echo "$old" > /proc/sys/kernel/core_pattern) && echo WROTE kernel
kill -9 {outside} && echo KILLED
env
{python} -c 'import socket; socket.create_connection(("127.0.0.1", {port}), 3); print("CONNECTED")'
{python} -c '
import socket
with socket.create_server(("127.0.0.1", 0)) as own:
    socket.create_connection(own.getsockname())
    print("talks to itself")'
printf 'red\\033[31m\\n'
exit 7
"""


def test_outside_its_folder_it_reads_and_writes_nothing(
    program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    folder, home = folder_of(tmp_path), tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    secrets = [tmp_path / "secret", home / ".ssh/id", tmp_path / "file"]
    for path in secrets:
        path.write_text("TOKEN-OF-MINE")
    (tmp_path / "given").write_text("data")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PATH", f".{os.pathsep}{os.environ['PATH']}")
    for name in ("bwrap", "setpriv", "unshare"):  # their own, where a relative part of the PATH would find it
        (folder / name).write_text(f"#!/bin/sh\necho x > {tmp_path}/new\n")
        (folder / name).chmod(0o755)
    for name in (
        "SSH_AUTH_SOCK",
        "AWS_SECRET_ACCESS_KEY",
        "MLFLOW_TRACKING_URI",
        "RAY_ADDRESS",
        "HEARLAB_HTTP_HEADERS",
    ):
        monkeypatch.setenv(name, "TOKEN-OF-MINE")
    with socket.create_server(("127.0.0.1", 0)) as server, subprocess.Popen(("sleep", "6000")) as outside:
        text = ATTACK.format(
            secret=secrets[0],
            home=home,
            root=tmp_path,
            readable=tmp_path / "given",
            outside=outside.pid,
            port=server.getsockname()[1],
            python=sys.executable,
        )
        environment = confinement.scrubbed(folder)
        status = confinement.run_foreign(
            ["sh", "-c", text], folder, folder, environment=environment, readable=[tmp_path / "given"]
        )
        assert outside.poll() is None
        outside.kill()
    said = capfd.readouterr().err
    assert status == 7
    assert "wrote own" in said
    assert "talks to itself" in said
    assert "data" in said
    for word in ("READ", "WROTE", "REMOUNTED", "UNMOUNTED", "CONNECTED", "KILLED", "TOKEN-OF-MINE", "\x1b"):
        assert word not in said, f"{program}: {said}"
    assert (tmp_path / "given").read_text() == "data"
    assert [path.read_text() for path in secrets] == ["TOKEN-OF-MINE"] * 3  # it has a /tmp of its own
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "given", "home", "scratch", "secret"]
    assert f"HOME={folder / 'home'}" in said
    assert (folder / "own").exists()


def heard(pipe: int) -> bytes:
    """What is said next in a pipe; nothing once all who could say something have ended."""
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    assert poll.poll(1000 * LONGEST), "neither a word nor an end"
    return os.read(pipe, 100)


def test_it_dies_with_hearlab(program: str, tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    text = (
        "import sys; from pathlib import Path; from hearlab.versions import confinement as c\n"
        "c.shutil.which = lambda name, found=c.shutil.which: found(name) if name == sys.argv[2] else None\n"
        "f = Path(sys.argv[1])\n"
        "loop = 'exec 3> pipe; echo begun >&3; while true; do sleep 0.1; done'\n"
        "c.run_foreign(['sh', '-c', loop], f, f, environment=c.scrubbed(f))"
    )
    command = (sys.executable, "-c", text, str(folder), program)
    os.mkfifo(folder / "pipe")
    pipe = os.open(folder / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(SOURCE)}) as process:
            assert heard(pipe) == b"begun\n"
            process.send_signal(signal.SIGKILL)
        assert heard(pipe) == b""  # nobody has the pipe open any more
    finally:
        os.close(pipe)


def test_where_nothing_can_confine_it_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = folder_of(tmp_path)
    monkeypatch.setattr(confinement, "confiner", lambda: None)
    environment = confinement.scrubbed(folder)
    with pytest.raises(InputError, match=r"--recompute: .*cannot be confined here.*--unconfined"):
        confinement.run_foreign(["touch", "ran"], folder, folder, environment=environment)
    assert not (folder / "ran").exists()
    assert confinement.run_foreign(["touch", "ran"], folder, folder, environment=environment, confined=False) == 0
    assert (folder / "ran").exists()
