"""Logins and tokens are used as they were given, and are in nothing that is printed or written."""

from __future__ import annotations

import base64
import subprocess
import sys
import time
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest
from door import Door
from tracking_support import TrackingServer, environment, make_result

from needs import need
from ports import free_port, refusing_port
from waits import LONGEST

need("mlflow")
pytestmark = pytest.mark.slow

PASSWORD, TOKEN, WRONG = "p@ss:of/the-lab", "token-of-the-lab-0123", "wr@ng-of-the-lab"
PLAIN = "p@ss-of-the-lab"  # needs no quoting in an address
BASIC = {f"Basic {base64.b64encode(f'me:{password}'.encode()).decode()}" for password in (PASSWORD, PLAIN)}
ACCEPTED = {*BASIC, f"Bearer {TOKEN}"}


@pytest.fixture
def closed() -> Iterator[int]:
    """A port at which nobody answers."""
    with refusing_port() as port:
        yield port


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    folder = tmp_path_factory.mktemp("server")
    server = TrackingServer(folder, f"sqlite:///{folder}/runs.db")
    server.start()
    door = Door(server.port, ACCEPTED)
    yield door
    door.shutdown()
    server.stop()


def command(root: Path, *arguments: str, **variables: str) -> tuple[int, str]:
    """Exit code of a command in a workspace, and all that it printed."""
    done = subprocess.run(
        (sys.executable, "-m", "hearlab.cli", "--debug", *arguments),
        cwd=root,
        env={**environment(None), "no_proxy": "127.0.0.1", **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=900,
        check=False,
    )
    return done.returncode, done.stdout


def holding(root: Path, secrets: set[str], besides: Collection[str] = ()) -> list[str]:
    """Files that hold a secret, but for those that are named."""
    files = (path for path in root.rglob("*") if path.is_file() and str(path.relative_to(root)) not in besides)
    return [f"{path}: {one}" for path in files for one in secrets if one.encode() in path.read_bytes()]


@pytest.mark.parametrize("way", ["address", "quoted", "user and password", "token"])
def test_a_server_behind_a_login(door: Door, tmp_path: Path, way: str) -> None:
    variables = {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{door.server_port}"}
    if way in ("address", "quoted"):
        login = f"me:{PLAIN}" if way == "address" else "me:p%40ss%3Aof%2Fthe-lab"
        variables["MLFLOW_TRACKING_URI"] = f"http://{login}@127.0.0.1:{door.server_port}"
    elif way == "token":
        variables["MLFLOW_TRACKING_TOKEN"] = TOKEN
    else:
        variables |= {"MLFLOW_TRACKING_USERNAME": "me", "MLFLOW_TRACKING_PASSWORD": PASSWORD}
    root = make_result(tmp_path / "workspace", shift=0.01 * len(way))
    door.refused = 0
    code, output = command(root, "track", **variables)
    assert code == 0, output
    assert f"is logged in http://127.0.0.1:{door.server_port} (run " in output
    assert door.refused == 0
    secrets = {PASSWORD, "p%40ss%3Aof%2Fthe-lab", "of/the-lab", PLAIN, "ss-of-the-lab", TOKEN}
    assert [one for one in secrets if one in output] == []
    assert holding(root, secrets) == []


def test_a_wrong_login_is_refused_in_one_line(door: Door, tmp_path: Path) -> None:
    root = make_result(tmp_path / "workspace", shift=0.1)
    uri = f"http://me:{WRONG}@127.0.0.1:{door.server_port}"
    code, output = command(root, "track", MLFLOW_TRACKING_URI=uri)
    assert code == 1
    commit, refused = output.splitlines()
    assert "has no commit" in commit
    assert "401" in refused
    secrets = {WRONG, "ng-of-the-lab"}
    assert [one for one in secrets if one in output] == []
    assert holding(root, secrets) == []


def test_secrets_in_every_place_are_printed_and_written_nowhere(tmp_path: Path, closed: int) -> None:
    """With logins, tokens and passwords wherever a user can have them, and everything that fails failing aloud."""
    root = make_result(tmp_path / "workspace")
    secrets = {
        name: f"{name}-1f2e3d4c" for name in ("server", "secret", "tracked", "ray", "proxy", "dav", "local", "ssh")
    }
    secrets |= {name: f"{name}-1f2e3d4c" for name in ("origin", "query", "data")}
    variables = {
        "MLFLOW_TRACKING_URI": f"http://me:{secrets['server']}@127.0.0.1:{closed}",
        "MLFLOW_TRACKING_TOKEN": secrets["tracked"],
        "MY_SECRET": secrets["secret"],
        "RAY_ADDRESS": f"127.0.0.1:{closed}",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets["ray"],
        "HTTPS_PROXY": f"http://me:{secrets['proxy']}@127.0.0.1:{closed}",
    }

    def run(*arguments: str) -> None:
        subprocess.run(arguments, cwd=root, check=True, capture_output=True)

    dvc = (sys.executable, "-m", "dvc")
    run("git", "init", "--quiet")
    run("git", "remote", "add", "origin", f"https://{secrets['origin']}:x-oauth-basic@127.0.0.1:{closed}/a.git")
    run(*dvc, "init", "--quiet")
    for name, url in {
        "web": f"http://me:{secrets['dav']}@127.0.0.1:{closed}/store",
        "asked": f"http://127.0.0.1:{closed}/store?sig={secrets['query']}",
        "far": f"ssh://me:{secrets['ssh']}@127.0.0.1:{closed}/store",
    }.items():
        run(*dvc, "remote", "add", "--quiet", "--local", name, url)
    run(*dvc, "remote", "modify", "--local", "web", "password", secrets["local"])
    run("git", "add", "--all")
    author = ("-c", "user.name=Tester", "-c", "user.email=tester@example.org")
    run("git", *author, "commit", "--quiet", "--message", "A result")
    for arguments in (
        ("doctor",),
        ("track",),
        ("track", "--pending"),
        ("stage", "track"),
        ("stage", "prepare"),
        ("plan",),
        ("report",),
        ("data", "fetch", "cec2-core", f"http://me:{secrets['data']}@127.0.0.1:{closed}/x?token={secrets['query']}"),
        ("leaderboard", "add", "speech"),
        ("leaderboard", "verify", f"https://me:{secrets['data']}@host/entry"),
        ("score", "haspi", f"--reference=https://me:{secrets['data']}@host/a.wav"),
    ):
        code, output = command(root, *arguments, **variables)
        assert output, arguments
        assert code in (0, 1, 2), (arguments, output)
        assert [one for one in secrets.values() if one in output] == [], (arguments, output)
    own = {".git/config", ".dvc/config.local"}
    assert holding(root, set(secrets.values()), own) == []


def test_no_process_has_a_login_as_an_argument(tmp_path: Path, closed: int) -> None:
    """The interface with its database behind a password: it does not start, but everybody could have read how."""
    psutil = pytest.importorskip("psutil")
    root = make_result(tmp_path / "workspace")
    uri = f"postgresql+psycopg2://me:pw-1f2e3d4c@127.0.0.1:{closed}/db"
    started = subprocess.Popen(
        (sys.executable, "-m", "hearlab.cli", "track", "--ui", "--no-browser", "--port", str(free_port())),
        cwd=root,
        env=environment(uri),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    seen: set[str] = set()
    process = psutil.Process(started.pid)
    end = time.monotonic() + LONGEST
    while started.poll() is None and time.monotonic() < end:
        for one in process.children(recursive=True):
            try:
                seen.add(" ".join(one.cmdline()))
            except psutil.Error:
                continue
        if any("server" in command for command in seen):
            break
        time.sleep(0.05)
    started.terminate()
    output, _ = started.communicate(timeout=LONGEST)
    assert any("mlflow" in command and "server" in command for command in seen), output
    assert [command for command in seen if "1f2e3d4c" in command] == []
    assert "1f2e3d4c" not in output
