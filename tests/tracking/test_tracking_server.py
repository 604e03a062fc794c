"""Tracking with a real `mlflow server`, on SQLite and on PostgreSQL: at once, down, interrupted, and in a browser."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from door import Door
from tracking_support import TrackingServer, hearlab, make_result, start, wait_for

from hearlab.tracking import records, store
from hearlab.tracking.recording import track, track_pending
from ports import free_port, hanging_up
from waits import LONGEST, until

pytestmark = pytest.mark.slow
UNPRIVILEGED = ("postgres", "nobody")


@contextlib.contextmanager
def postgresql() -> Iterator[str]:
    """A PostgreSQL server of our own on the loopback, with a password; gives the address of its database."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = programs[-1] if programs else Path(shutil.which("initdb") or "")
    if not found.is_file():
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    pytest.importorskip("psycopg2", reason="psycopg2 is not installed: make test installs it")
    folder = Path(tempfile.mkdtemp(prefix="hearlab-pg-"))  # which another user can reach, unlike pytest's folders
    user: list[str] = []
    try:
        if os.getuid() == 0:  # as which PostgreSQL refuses to run
            import pwd

            names = {entry.pw_name: entry for entry in pwd.getpwall()}
            name = next(name for name in UNPRIVILEGED if name in names)
            os.chown(folder, names[name].pw_uid, names[name].pw_gid)
            user = ["runuser", "-u", name, "--"]
        (folder / "password").write_text("secret")
        os.chmod(folder / "password", 0o644)
        data, port = folder / "data", free_port()

        def run(program: str, *arguments: str) -> None:
            done = subprocess.run(
                [*user, str(found.parent / program), *arguments], cwd=folder, capture_output=True, text=True
            )
            assert done.returncode == 0, done.stdout + done.stderr

        run("initdb", "-D", str(data), "-U", "lab", "--auth=scram-sha-256", f"--pwfile={folder / 'password'}", "-N")
        network = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder} -c fsync=off"
        run("pg_ctl", "-D", str(data), "-w", "-t", str(int(LONGEST)), "-l", str(folder / "log"), "-o", network, "start")
        try:
            yield f"postgresql+psycopg2://lab:secret@127.0.0.1:{port}/postgres"
        finally:
            run("pg_ctl", "-D", str(data), "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with postgresql() as uri:
        yield uri


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrackingServer]:
    folder = tmp_path_factory.mktemp(f"server-{request.param}")
    local = f"sqlite:///{folder / 'server.db'}"
    server = TrackingServer(folder, local if request.param == "sqlite" else request.getfixturevalue("database"))
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID", "DVC_ROOT", "DVC_EXP_NAME"):
        monkeypatch.delenv(name, raising=False)


def runs(server: TrackingServer, gain: float | None = None) -> list[Any]:
    client = store._client(store.Backend(server.uri, server.folder))
    experiment = client.get_experiment_by_name("hearlab")
    found = client.search_runs([experiment.experiment_id]) if experiment else []
    return [run for run in found if gain is None or run.data.params.get("enhance.gain") == str(gain)]


def test_two_at_once_each_result_once(server: TrackingServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three clones, two of them with the same result; then the same again."""
    roots = [make_result(tmp_path / name, gain=gain) for name, gain in (("a", 1), ("b", 2), ("same as a", 1))]
    processes = [start(root, "track", uri=server.uri) for root in roots]
    outputs = [process.communicate(timeout=LONGEST)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], outputs
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    assert all("already" in track(root).lines[-1] for root in roots)
    for gain in (1, 2):
        (run,) = runs(server, gain)
        assert run.info.status == "FINISHED"
        assert run.data.metrics["haspi/enhanced"] == pytest.approx(0.4)
    client = store._client(store.backend(tmp_path))
    listed = {file.path for file in client.list_artifacts(run.info.run_id, "scores")}
    assert {"scores/speech.csv", "scores/music.csv"} <= listed
    copied = Path(client.download_artifacts(run.info.run_id, "scores/speech.csv", str(tmp_path)))
    assert copied.read_bytes() == (roots[1] / "metrics/speech.csv").read_bytes()


def test_a_server_that_is_down_loses_nothing(
    server: TrackingServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_result(tmp_path / "lab", gain=3)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    server.stop()
    try:
        for _ in range(2):  # the same again waits once
            report = track(root)
            assert not report.logged
            assert "does not answer" in report.lines[-1]
            assert "hearlab track --pending" in report.lines[-1]
        assert not track(make_result(root, gain=4)).logged
        assert [report.logged for report in track_pending(root)] == [False]
        assert len(records.waiting(root)) == 2
    finally:
        server.start()
    said = hearlab(root, "track", "--pending", uri=server.uri)
    assert said.count("is logged in") == 2
    assert hearlab(root, "track", "--pending", uri=server.uri) == "no result waits to be logged\n"
    assert [len(runs(server, gain)) for gain in (3, 4)] == [1, 1]
    assert "already" in track(root).lines[-1]


@pytest.mark.parametrize("server", ["sqlite"], indirect=True)
@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGKILL], ids=["terminated", "killed"])
def test_an_interrupted_run_is_marked_and_logged_anew(server: TrackingServer, tmp_path: Path, stop: int) -> None:
    gain = 100 + stop
    root = make_result(tmp_path / "lab", gain=gain)
    assert "does not answer" in hearlab(root, "track", uri="http://127.0.0.1:9", code=1)
    with Door(server.port) as door:
        door.artefacts.clear()  # it stays in the middle of the run, of which files are still to be sent
        process = start(root, "track", "--pending", uri=door.address)
        until(lambda: runs(server, gain), process, "a run")
        (run,) = runs(server, gain)
        assert run.info.status == "RUNNING"
        process.send_signal(stop)
        process.communicate(timeout=LONGEST)
        door.shutdown()
    assert process.returncode == (-signal.SIGKILL if stop == signal.SIGKILL else 130)
    (run,) = runs(server, gain)
    assert run.info.status == ("RUNNING" if stop == signal.SIGKILL else "KILLED")
    assert "is logged in" in hearlab(root, "track", "--pending", uri=server.uri)
    assert sorted(run.info.status for run in runs(server, gain)) == ["FINISHED", "KILLED"]


def test_postgresql_without_a_tracking_server(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_result(tmp_path / "lab")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "direct")
    plain = database.replace("+psycopg2", "")  # as everybody writes it
    monkeypatch.setenv("MLFLOW_TRACKING_URI", plain.replace(":secret@", ":wrong@"))
    line = track(root).lines[-1]
    assert "password authentication failed" in line
    assert "wrong@" not in line
    monkeypatch.setenv("MLFLOW_TRACKING_URI", plain)
    assert [report.logged for report in track_pending(root)] == [True]
    assert "already" in track(root).lines[-1]
    assert list((root / "mlruns").glob("*/artifacts/scores/speech.csv"))
    with hanging_up() as (port, calls):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"postgresql://lab:secret@127.0.0.1:{port}/postgres")
        assert not track(root).logged
    assert len(calls) == 1  # MLflow alone tries for minutes


@pytest.mark.skipif(
    not (shutil.which("chromium") and shutil.which("chromedriver")),
    reason="chromium and chromedriver are not installed",
)
def test_the_interface_shows_a_finished_run(tmp_path: Path) -> None:
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed: make test installs it")
    root = make_result(tmp_path / "lab")
    hearlab(root, "track")
    port = free_port()
    interface = start(root, "track", "--ui", "--no-browser", "--port", str(port))
    try:
        wait_for(f"http://127.0.0.1:{port}/health", interface, root / "params.yaml")
        assert "is taken by another server" in hearlab(root, "track", "--ui", "--port", str(port), code=1)
        client = store._client(store.Backend(f"http://127.0.0.1:{port}", root))
        experiment = client.get_experiment_by_name("hearlab").experiment_id
        (run,) = client.search_runs([experiment])
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        flags = "headless=new no-sandbox disable-gpu disable-quic no-first-run disable-background-networking"
        flags += f" disable-component-update disable-sync window-size=1500,1600 user-data-dir={tmp_path / 'browser'}"
        for flag in flags.split():
            options.add_argument(f"--{flag}")
        service = webdriver.ChromeService(shutil.which("chromedriver"))
        with webdriver.Chrome(options=options, service=service) as browser:
            browser.get(f"http://127.0.0.1:{port}/#/experiments/{experiment}/runs/{run.info.run_id}")
            page = _text(browser, "haspi/enhanced", "haaqi/score", "enhance.gain", "Finished")
            assert "0.4" in page
            folder = os.environ.get("HEARLAB_SCREENSHOTS")  # for a look with one's own eyes
            if folder:
                browser.save_screenshot(str(Path(folder, "mlflow-run.png")))
            browser.get(
                f"http://127.0.0.1:{port}/#/experiments/{experiment}/runs/{run.info.run_id}/artifacts/report.md"
            )
            _text(browser, "params.yaml", "HASPI 0.4000 enhanced")
            if folder:
                browser.save_screenshot(str(Path(folder, "mlflow-artefacts.png")))
    finally:
        interface.terminate()  # SIGINT is ignored in what a script starts in the background
        interface.communicate(timeout=LONGEST)
    assert interface.returncode == 130
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=LONGEST)


def _text(browser: Any, *wanted: str) -> str:
    """The page's text, when all wanted words are on it."""

    def shown() -> str:
        text: str = browser.execute_script("return document.body.innerText")
        return text if all(word in text for word in wanted) else ""

    return str(until(shown, what=f"{wanted}"))
