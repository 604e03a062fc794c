"""`hearlab serve`: a real server, asked over HTTP and by Chromium."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from blind_answers import answer

from hearlab.report.serve.answers import LONGEST_ANSWER, read
from waits import LONGEST, until

REPOSITORY = Path(__file__).resolve().parents[3]
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.slow


class Serving:
    """A `hearlab serve` in a process of its own, on a free port; `variables` are added to its environment."""

    def __init__(self, root: Path, *arguments: str, **variables: str) -> None:
        self.root = root
        command = [sys.executable, "-P", "-m", "hearlab.cli", "serve", "--port", "0", *arguments]
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src"), **variables}
        self.process = subprocess.Popen(
            command, cwd=root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.lines: list[str] = []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        line = until(
            lambda: next((line for line in self.lines if line.endswith(" (Ctrl-C ends it)")), None), self.process
        )
        found = re.match(r"http://(127\.0\.0\.1|\[::1\]):(\d+)/report/index\.html", line)
        assert found, line
        self.host, self.port = found[1].strip("[]"), int(found[2])

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def ask(
        self, path: str, method: str = "GET", body: bytes | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=LONGEST)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, named)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, dict(answer.getheaders()), content

    def token(self) -> str:
        return self.ask("/report/index.html")[1]["Set-Cookie"].partition(";")[0].partition("=")[2]

    def post(self, body: bytes, **changes: str) -> tuple[int, bytes]:
        headers = {"Origin": f"http://127.0.0.1:{self.port}", "X_HearLab": self.token(), **changes}
        status, _, content = self.ask("/blind/answers", "POST", body, **headers)
        return status, content

    def end(self) -> None:
        """As Ctrl-C does."""
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(LONGEST) == 0
        self.reader.join(LONGEST)
        assert "hearlab: stopped serving" in self.lines


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("plotly", reason="plotly is not installed: make test installs it")
    sys.path.insert(0, str(REPOSITORY / "tests/report/site"))
    try:
        from site_support import make_workspace
    finally:
        sys.path.pop(0)
    return make_workspace(tmp_path_factory.mktemp("served") / "workspace")


@pytest.fixture(scope="module")
def serving(root: Path) -> Iterator[Serving]:
    served = Serving(root)
    yield served
    served.end()


def test_pages_and_sounds_and_nothing_else(serving: Serving, root: Path) -> None:
    (root / ".secret").write_text("x")
    (root / "data/secret.txt").write_text("x")
    assert serving.ask("/")[0] == 302
    status, headers, content = serving.ask("/report/index.html")
    assert (status, headers["X-Content-Type-Options"]) == (200, "nosniff")
    assert b"Results" in content
    sound = "/data/demo/rendered/dev/S06001_mix_CH1.wav"
    status, headers, content = serving.ask(sound)
    assert content == (root / sound[1:]).read_bytes()
    status, headers, part = serving.ask(sound, Range="bytes=100-199")
    assert (status, part) == (206, content[100:200])
    assert headers["Content-Range"] == f"bytes 100-199/{len(content)}"
    assert serving.ask(sound, Range="bytes=-10")[2] == content[-10:]
    assert serving.ask(sound, Range=f"bytes={len(content)}-")[0] == 416
    for path in (
        "/params.yaml",
        "/.secret",
        "/report/.hearlab-site",
        "/report/../params.yaml",
        "/report/%2e%2e/params.yaml",
        "/data/secret.txt",
        "/data/../params.yaml",
        "/report//index.html",
        "/report/%00",
    ):
        assert serving.ask(path)[0] == 404, path


def test_a_name_of_elsewhere_is_not_answered(serving: Serving) -> None:
    assert serving.ask("/report/index.html", Host=f"evil.example:{serving.port}")[0] == 403
    assert serving.ask("/report/index.html", Host=f"localhost:{serving.port}")[0] == 200


def test_answers_are_kept_from_its_own_pages_only(serving: Serving, root: Path) -> None:
    path = root / "blind/answers.csv"
    assert serving.post(answer("a", "b"), Origin="http://evil.example")[0] == 403
    assert serving.post(answer("a", "b"), X_HearLab="wrong")[0] == 403
    assert serving.post(b"{}")[0] == 400
    assert serving.post(b" " * (LONGEST_ANSWER + 1))[0] == 413
    assert not path.exists()
    hostile = answer("a", "b", "b", test="deadbeef", name="<script>alert(1)</script>")
    assert serving.post(hostile) == (200, b"kept")
    assert serving.post(hostile) == (200, b"kept")
    assert [row["preferred"] for row in read(path)] == ["a", "b", "b"]
    page = serving.ask("/blind/")[2].decode()
    assert "Enhanced: L0001" in page
    assert "<script" not in page
    path.unlink()


def test_a_new_result_makes_the_site_again(serving: Serving, root: Path) -> None:
    assert "0.999" not in serving.ask("/report/speech.html")[2].decode()
    table = root / "metrics/speech.csv"
    header, first, *rest = table.read_text().splitlines()
    table.write_text("\n".join([header, first.rpartition(",")[0] + ",0.999", *rest]) + "\n")
    until(lambda: "0.999" in serving.ask("/report/speech.html")[2].decode())
    until(lambda: any("metrics/speech.csv changed: the site is made again" in line for line in serving.lines))


def test_a_taken_port_is_one_line(serving: Serving, root: Path) -> None:
    command = [sys.executable, "-P", "-m", "hearlab.cli", "serve", "--port", str(serving.port)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src")}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "--port: cannot listen there" in done.stderr
    assert done.stderr.count("\n") == 1


def test_at_every_address_the_one_for_others_is_printed(root: Path) -> None:
    served = Serving(root, "--host", "0.0.0.0")
    assert any(line.startswith("everybody who reaches this machine can hear all sounds") for line in served.lines)
    (line,) = (line for line in served.lines if line.endswith(" from other machines"))
    host = re.match(r"http://([^:]+):\d+/report/index\.html ", line)
    assert host is not None
    assert host[1] not in ("0.0.0.0", "127.0.0.1")
    assert served.ask("/report/index.html")[0] == 200
    served.host = host[1]
    assert served.ask("/report/index.html")[0] == 200
    assert served.ask("/report/index.html", Host=f"evil.example:{served.port}")[0] == 403
    served.end()


def test_at_the_loopback_address_of_ipv6(root: Path) -> None:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            pass
    except OSError:
        pytest.skip("this machine has no ::1")
    served = Serving(root, "--host", "::1")
    assert not any("everybody" in line for line in served.lines)
    assert served.host == "::1"
    assert served.ask("/report/index.html")[0] == 200
    served.end()


def test_a_browser_that_waits_for_the_page_gets_it(root: Path, tmp_path: Path) -> None:
    """Those of a terminal do, and hearlab waited for them before it answered anything."""
    browser = tmp_path / "browser.py"
    browser.write_text(
        "import pathlib, sys, urllib.request\n"
        "opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))\n"
        f"page = opener.open(sys.argv[1], timeout={LONGEST}).read()\n"
        f"pathlib.Path({str(tmp_path / 'shown.html')!r}).write_bytes(page)\n"
    )
    served = Serving(root, "--open", BROWSER=f"{sys.executable} {browser} %s")
    shown = until(lambda: (tmp_path / "shown.html").exists() and (tmp_path / "shown.html").read_text())
    assert "<title>Results" in shown
    served.end()


def test_a_blind_test_in_the_browser_ends_in_the_file(
    serving: Serving, root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed: make test installs it")
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("no chromium or chromedriver: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    profile = f"--user-data-dir={tmp_path_factory.mktemp('profile')}"
    sound = "--autoplay-policy=no-user-gesture-required"
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", sound, profile):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    try:
        driver.set_window_size(1280, 900)
        driver.get(f"http://127.0.0.1:{serving.port}/report/scenes/S06001.html")

        def find(name: str) -> Any:
            return driver.find_element("css selector", name)

        find("#blind summary").click()
        find("#blind-count").send_keys("4")
        find("#blind-start").click()
        assert "Enter your name or code" in find("#blind-said").text
        find("#blind-listener").send_keys("Listener 7")
        find("#blind-start").click()
        # As a page does that was loaded before the server was started again.
        driver.add_cookie({"name": f"hearlab_serve_{serving.port}", "value": "that-of-another-start"})
        for _ in range(4):
            until(lambda: find("#blind-first").get_attribute("aria-pressed") == "true")
            find("#blind-second").click()
            find("#prefer-second").click()
        until(lambda: driver.find_elements("css selector", "#blind-sent"))
        until(lambda: find("#blind-sent").text == "Your answers are kept. Thank you.")
        (refused,) = driver.get_log("browser")
        assert "403" in refused["message"]
        if folder := os.environ.get("HEARLAB_SCREENSHOTS"):
            driver.save_screenshot(str(Path(folder) / "blind-sent.png"))
    finally:
        driver.quit()
    rows = read(root / "blind/answers.csv")
    assert len(rows) == 4
    assert {(row["listener"], row["track"], row["name"]) for row in rows} == {("Listener 7", "speech", "S06001")}
    # Each came second twice, and the second was preferred each time.
    assert sorted(row["preferred"] for row in rows) == ["a", "a", "b", "b"]
