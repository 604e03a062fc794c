"""A proxy before a tracking server, with a login and TLS."""

from __future__ import annotations

import http.client
import shutil
import ssl
import subprocess
import threading
from collections.abc import Collection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from waits import LONGEST


class Door(ThreadingHTTPServer):
    """A proxy that lets in who has a login.

    Args:
        behind: the server's port; without one the door itself answers.
        accepted: what requests may have for an authorization; None accepts all.
        context: TLS.

    Attributes:
        artefacts: while it is not set, artefacts wait before the door.
    """

    daemon_threads = True

    def __init__(
        self, behind: int | None, accepted: Collection[str] | None = None, context: ssl.SSLContext | None = None
    ) -> None:
        self.behind, self.accepted, self.refused = behind, accepted, 0
        self.artefacts = threading.Event()
        self.artefacts.set()
        super().__init__(("127.0.0.1", 0), _Request)
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.address = f"http{'s' if context else ''}://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *unused: Any) -> None:
        """Who does not trust the certificate hangs up."""


class _Request(BaseHTTPRequestHandler):
    server: Door

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.server.accepted is not None and self.headers.get("Authorization") not in self.server.accepted:
            self.server.refused += 1
            self.reply(401, [("WWW-Authenticate", 'Basic realm="lab"')], b"who are you?")
            return
        if self.server.behind is None:
            self.reply(200, [], b"OK")
            return
        if "/mlflow-artifacts/" in self.path:
            self.server.artefacts.wait(LONGEST)
        connection = http.client.HTTPConnection("127.0.0.1", self.server.behind, timeout=LONGEST)
        headers = {name: value for name, value in self.headers.items() if name not in ("Host", "Authorization")}
        connection.request(self.command, self.path, body, {**headers, "Connection": "close"})
        there = connection.getresponse()
        kept = [(name, value) for name, value in there.getheaders() if name.lower() == "content-type"]
        self.reply(there.status, kept, there.read())

    def reply(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response(status)
        for name, value in [*headers, ("Content-Length", str(len(body)))]:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815

    def log_message(self, *unused: Any) -> None:
        pass


def certificate(file: Path) -> Path:
    """A key and a certificate that it signs itself, for 127.0.0.1, in one file."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command to make a certificate")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=lab", "-addext", "subjectAltName=IP:127.0.0.1"]
    key = file.with_suffix(".key")
    subprocess.run([*command, "-keyout", str(key), "-out", str(file)], check=True, capture_output=True)
    file.write_bytes(key.read_bytes() + file.read_bytes())
    return file
