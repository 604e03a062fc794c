"""What no browser asks: every request has an answer, and answers are whole."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from blind_answers import answer

from hearlab.errors import InputError
from hearlab.report.serve.answers import ANSWERS, LONGEST_ANSWER, read
from hearlab.report.serve.server import Server
from waits import LONGEST


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "report").mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "report/index.html").write_text("page")
    (tmp_path / "data/a.wav").write_bytes(bytes(range(100)))
    found = Server(tmp_path, tmp_path / "report", "127.0.0.1", 0, print)
    thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield found
    found.shutdown()
    found.server_close()
    thread.join(LONGEST)


def status(server: Server, first: str, *headers: str, host: str = "localhost") -> int:
    lines = [f"{first} HTTP/1.1", f"Host: {host}", "Connection: close", *headers, "", ""]
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=LONGEST) as connection:
        connection.sendall("\r\n".join(lines).encode())
        answer = b""
        while block := connection.recv(65536):
            answer += block
    return int(answer.split(b" ", 2)[1])


def test_every_request_has_an_answer(server: Server) -> None:
    assert status(server, "GET /report/index.html") == 200
    assert status(server, f"GET /report/{'a' * 300}") == 404  # longer than a file's name may be
    assert status(server, f"GET /data/{'a' * 300}.wav") == 404
    assert status(server, "GET http://[") == 404
    assert status(server, "GET /report/index.html", host="[::1") == 403
    assert status(server, "GET /report/index.html", host="localhost:99999") == 403
    assert status(server, "POST /blind/answers", "Content-Length: " + "1" * 5000) == 413
    # What is no range is no request for a part.
    assert status(server, "GET /data/a.wav", f"Range: bytes={'1' * 5000}-") == 200
    assert status(server, "GET /data/a.wav", "Range: bytes=-") == 200


def test_who_sends_too_much_gets_an_answer(server: Server) -> None:
    """It was reset while it still sent, and never saw why."""
    for _ in range(20):
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=LONGEST)
        connection.request("POST", "/blind/answers", bytes(LONGEST_ANSWER + 5_000_000))
        answer = connection.getresponse()
        assert answer.status == 413
        assert answer.read().startswith(b"at most ")
        connection.close()


def test_servers_at_two_ports_have_two_cookies(server: Server) -> None:
    """Browsers keep cookies by host alone; and a tunnel may end at another port than the server's."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=LONGEST)
    names = set()
    for host in ("localhost:8017", "localhost:9000", "localhost"):
        connection.request("HEAD", "/report/index.html", headers={"Host": host})
        answer = connection.getresponse()
        answer.read()
        names.add(str(answer.getheader("Set-Cookie")).partition("=")[0])
    connection.close()
    assert names == {"hearlab_serve_8017", "hearlab_serve_9000", "hearlab_serve_80"}


def test_the_name_it_was_given_is_answered(tmp_path: Path) -> None:
    with Server(tmp_path, tmp_path, "127.1", 0, print) as server:
        assert server.named == {"127.1", "127.0.0.1"}
        threading.Thread(target=server.handle_request, daemon=True).start()
        assert status(server, "GET /", host="127.1") == 302


@pytest.mark.parametrize(("host", "port", "option"), [("203.0.113.9", 0, "--host"), ("127.0.0.1", 70000, "--port")])
def test_the_option_that_is_wrong_is_named(tmp_path: Path, host: str, port: int, option: str) -> None:
    with pytest.raises(InputError, match=f"{option}: cannot listen there"):
        Server(tmp_path, tmp_path, host, port, print)


def test_a_class_that_answers_at_once_is_answered(tmp_path: Path) -> None:
    """All connections wait before the first is taken: none is refused."""
    with Server(tmp_path, tmp_path, "127.0.0.1", 0, lambda text: None) as server:
        origin = f"http://127.0.0.1:{server.server_port}"
        waiting = [http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=LONGEST) for _ in range(40)]
        for number, connection in enumerate(waiting):
            body = answer("a", "b", test=f"{number:08d}")
            connection.request("POST", "/blind/answers", body, {"Origin": origin, "X-HearLab": server.token})
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        assert [connection.getresponse().read() for connection in waiting] == [b"kept"] * 40
        server.shutdown()
    assert len(read(tmp_path / ANSWERS)) == 80
