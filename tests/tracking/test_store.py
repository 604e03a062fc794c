"""What MLflow is given of the environment, and why a server cannot be reached."""

from __future__ import annotations

import os
import socket
import threading
import urllib.error
import urllib.request

import pytest

from file_server import Site, serving
from hearlab.tracking import store


def test_telemetry_is_off_whatever_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {**dict.fromkeys(store.FORCED, "false"), "MLFLOW_HTTP_REQUEST_TIMEOUT": "90"})
    store._mlflow("json")
    assert {name: os.environ[name] for name in store.FORCED} == store.FORCED
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "90"  # patience is the user's
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "1"


@pytest.mark.parametrize("error", [TimeoutError(), urllib.error.URLError(TimeoutError())])
def test_a_problem_without_text_is_a_problem(monkeypatch: pytest.MonkeyPatch, error: OSError) -> None:
    def fail(*unused: object, **options: object) -> None:
        raise error

    monkeypatch.setattr(urllib.request, "urlopen", fail)
    assert store.server_problem("http://127.0.0.1:9", 1) == "TimeoutError"


def test_a_server_of_another_kind_is_a_problem_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet() -> None:
            with server.accept()[0] as connection:
                connection.sendall(b"SSH-2.0-server\r\n")
                connection.recv(1 << 16)

        thread = threading.Thread(target=greet)
        thread.start()
        assert store.server_problem(f"http://127.0.0.1:{server.getsockname()[1]}", 5) == "SSH-2.0-server"
        thread.join()


def test_a_server_that_refuses_answers_but_is_not_healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving(Site(statuses=[503, 503])) as site:
        assert store.server_problem(site.address, 5) is None
        assert store.server_problem(site.address, 5, healthy=True) == "answers 503"
