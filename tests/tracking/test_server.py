"""A tracking server is asked as MLflow's client asks it: certificates, logins, proxies."""

from __future__ import annotations

import base64
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from door import Door, certificate
from tracking_support import TrackingServer, environment, make_result

from file_server import Site, serving
from hearlab.report.doctor.doctor import _tracking_problem
from hearlab.tracking.server import DEFAULTS, FORCED, load_mlflow, server_problem
from needs import need
from ports import refusing_port
from waits import LONGEST

need("mlflow")
pytestmark = pytest.mark.slow  # MLflow takes seconds to import
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
UNTRUSTED = "certificate verify failed"


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("MLFLOW_") or name in BUNDLES or name.lower() in PROXIES:
            monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates of the server and of a client, and one that has nothing to do with them."""
    folder = tmp_path_factory.mktemp("certificates")
    for name in ("server", "client", "other"):
        certificate(folder / f"{name}.pem")
    return folder


def context(files: Path, *, clients: bool = False) -> ssl.SSLContext:
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    found.load_cert_chain(files / "server.pem")
    if clients:
        found.load_verify_locations(files / "client.pem")
        found.verify_mode = ssl.CERT_REQUIRED
    return found


@pytest.fixture(scope="module")
def door(files: Path) -> Iterator[Door]:
    with Door(None, context=context(files)) as door:
        yield door
        door.shutdown()


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({}, UNTRUSTED),
        ({"MLFLOW_TRACKING_INSECURE_TLS": "true"}, None),
        ({"MLFLOW_TRACKING_SERVER_CERT_PATH": "{0}/server.pem"}, None),
        ({"MLFLOW_TRACKING_SERVER_CERT_PATH": "{0}/other.pem"}, UNTRUSTED),
        ({"REQUESTS_CA_BUNDLE": "{0}/server.pem"}, None),
        ({"REQUESTS_CA_BUNDLE": "{0}/none.pem"}, "none.pem"),
        ({"CURL_CA_BUNDLE": "{0}/server.pem"}, None),
        # MLflow takes one of them.
        (
            {"MLFLOW_TRACKING_INSECURE_TLS": "true", "MLFLOW_TRACKING_SERVER_CERT_PATH": "{0}/server.pem"},
            "'server_cert_path' must not be set",
        ),
    ],
)
def test_certificates(
    door: Door, files: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], problem: str | None
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(files))
    for found in (server_problem(door.address, LONGEST), _tracking_problem(door.address)):
        assert (found is None) == (problem is None), found
        if problem and found:
            assert problem in found
            assert "\n" not in found


def test_a_certificate_of_the_client(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", str(files / "server.pem"))
    with Door(None, context=context(files, clients=True)) as door:
        assert server_problem(door.address, LONGEST) is not None
        monkeypatch.setenv("MLFLOW_TRACKING_CLIENT_CERT_PATH", str(files / "client.pem"))
        assert server_problem(door.address, LONGEST) is None
        door.shutdown()


@pytest.mark.parametrize(
    ("excepted", "reached"), [("127.0.0.0/8", True), ("127.0.0.1", True), ("10.0.0.0/8", False), ("*", True)]
)
def test_proxies(monkeypatch: pytest.MonkeyPatch, excepted: str, reached: bool) -> None:
    with Door(None) as door, refusing_port() as port:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("no_proxy", excepted)
        problem = server_problem(door.address, LONGEST)
        door.shutdown()
    assert (problem is None) == reached, problem
    assert reached or (problem or "").startswith("the proxy: ")


@pytest.mark.parametrize("way", ["token", "user", "file"])
def test_logins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    basic = f"Basic {base64.b64encode(b'me:of-the-lab').decode()}"
    with Door(None, {"Bearer of-the-lab"} if way == "token" else {basic}) as door:
        assert _tracking_problem(door.address) == "answers 401"
        assert server_problem(door.address, LONGEST) is None
        if way == "token":
            monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "of-the-lab")
        elif way == "user":
            monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "me")
            monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "of-the-lab")
        else:
            (tmp_path / ".mlflow").mkdir()
            login = "mlflow_tracking_username = me\nmlflow_tracking_password = of-the-lab\n"
            (tmp_path / ".mlflow/credentials").write_text(f"[mlflow]\n{login}")
        assert _tracking_problem(door.address) is None
        door.shutdown()


def test_a_server_is_found_whose_address_has_a_login() -> None:
    with serving(Site()) as site:
        assert server_problem(site.address.replace("://", "://user:secret@"), LONGEST) is None
    problem = server_problem("http://user:secret@127.0.0.1", LONGEST)  # no port
    assert problem is not None
    assert "secret" not in problem


def test_a_result_over_tls(files: Path, tmp_path: Path) -> None:
    """A real server, behind a door that wants a certificate and a token; nothing is printed beside HearLab's lines."""
    server = TrackingServer(tmp_path, f"sqlite:///{tmp_path}/runs.db")
    server.start()
    try:
        with Door(server.port, {"Bearer of-the-lab"}, context(files, clients=True)) as door:
            root = make_result(tmp_path / "workspace")
            variables = {
                "MLFLOW_TRACKING_INSECURE_TLS": "true",
                "MLFLOW_TRACKING_CLIENT_CERT_PATH": str(files / "client.pem"),
                "MLFLOW_TRACKING_TOKEN": "of-the-lab",
                "MLFLOW_EXPERIMENT_ID": "0",
            }
            done = subprocess.run(
                (sys.executable, "-m", "hearlab.cli", "track"),
                cwd=root,
                env={**environment(door.address), **variables},
                capture_output=True,
                text=True,
                check=False,
            )
            door.shutdown()
        assert done.returncode == 0, done.stderr
        assert f"is logged in {door.address} (run " in done.stdout
        assert "Insecure" not in done.stderr
        client = load_mlflow("mlflow.tracking").MlflowClient(tracking_uri=server.uri)
        (run,) = client.search_runs(["0"])
        assert "no git repository" in run.data.tags["git.no_commit"]
    finally:
        server.stop()


def test_a_server_that_says_nothing_is_a_problem() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert server_problem(f"http://127.0.0.1:{server.getsockname()[1]}", 0.5) == "timed out"


def test_a_server_of_another_kind_is_a_problem_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet() -> None:
            with server.accept()[0] as connection:
                connection.sendall(b"SSH-2.0-server\r\n")
                connection.recv(1 << 16)

        thread = threading.Thread(target=greet)
        thread.start()
        assert server_problem(f"http://127.0.0.1:{server.getsockname()[1]}", LONGEST) == "SSH-2.0-server"
        thread.join()


def test_a_server_that_refuses_answers_but_is_not_healthy() -> None:
    with serving(Site(statuses=[503, 503])) as site:
        assert server_problem(site.address, LONGEST) is None
        assert server_problem(site.address, LONGEST, healthy=True) == "answers 503"


def test_telemetry_is_off_whatever_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {**dict.fromkeys(FORCED, "false"), "MLFLOW_HTTP_REQUEST_TIMEOUT": "90"})
    load_mlflow("json")
    assert {name: os.environ[name] for name in FORCED} == FORCED
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "90"  # patience is the user's
    assert {name for name in DEFAULTS if name in os.environ} == DEFAULTS.keys()
