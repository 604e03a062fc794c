"""A web server on loopback for the tests of downloads: ranges, and faults that can be switched on."""

from __future__ import annotations

import contextlib
import email.utils
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

BLOCK = 16 << 10
# What the kernel takes from the server before the client has it is kept small: what was served is what came.
SEND_BUFFER = 16 << 10


@dataclass
class Site:
    """What is served, and how badly.

    Attributes:
        files: contents by path.
        served: bytes of bodies that the client may have; `requests`: (path, range) of each request.
        tag: the ETag of all files; None sends none. `modified`: the Last-Modified.
        ranges: False ignores Range and sends the whole file.
        conditions: False ignores If-Range, and gives ranges of a file that has changed.
        cut_after: close a connection after so many bytes of a body; each element is used for one connection.
        corrupt: byte positions whose bytes are sent wrong.
        pause: seconds after each block.
        statuses: status codes for the next requests, in order; None answers as usual.
        on_served: called with the bytes served so far.
        length: what Content-Length says instead of the truth; "none" leaves it out: the file ends with the connection.
        chunked: send whole files in chunks, without a length.
        content_type: of every answer.
        redirect: path -> where to.
        wrong_range: answer another range than was asked for.
        retry_after: seconds, sent with every error.
        authorization: what a request must bring.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    served: int = 0
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    seen_headers: list[dict[str, str]] = field(default_factory=list)
    tag: str | None = '"version-1"'
    modified: str | None = None
    ranges: bool = True
    conditions: bool = True
    cut_after: list[int] = field(default_factory=list)
    corrupt: set[int] = field(default_factory=set)
    pause: float = 0.0
    statuses: list[int | None] = field(default_factory=list)
    on_served: Callable[[int], None] | None = None
    length: int | str | None = None
    chunked: bool = False
    content_type: str = "application/gzip"
    redirect: dict[str, str] = field(default_factory=dict)
    wrong_range: bool = False
    retry_after: str | None = None
    authorization: str | None = None
    address: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: Site

    def setup(self) -> None:
        self.request.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        super().setup()

    def log_message(self, *_: Any) -> None:
        pass

    def end_headers(self) -> None:
        # A client that keeps the connection for its next request would meet it while it is being closed.
        self.send_header("Connection", "close")
        super().end_headers()

    def do_GET(self) -> None:
        with contextlib.suppress(ConnectionError):
            self._answer()
        self.close_connection = True

    def _answer(self) -> None:
        site = self.site
        path = self.path.split("?")[0]
        wanted = self.headers.get("Range")
        with site.lock:
            site.requests.append((path, wanted))
            site.seen_headers.append(dict(self.headers))
            status = site.statuses.pop(0) if site.statuses else None
            cut = site.cut_after.pop(0) if site.cut_after else None
        if site.authorization is not None and self.headers.get("Authorization") != site.authorization:
            return self._error(401)
        if status is not None:
            return self._error(status)
        if path in site.redirect:
            self.send_response(302)
            self.send_header("Location", site.redirect[path])
            self.send_header("Content-Length", "0")
            self.end_headers()
            return None
        if path not in site.files:
            return self._error(404)
        content = site.files[path]
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", wanted or "")
        condition = self.headers.get("If-Range") if site.conditions else None
        if found and site.ranges and condition in (None, site.tag, site.modified):
            first, last = int(found[1]), min(int(found[2]), len(content) - 1)
            if first > last:
                return self._error(416)
            if site.wrong_range:
                first = max(0, first - 1)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
        else:
            first, last = 0, len(content) - 1
            self.send_response(200)
        self._send(content, first, last, cut)
        return None

    def _send(self, content: bytes, first: int, last: int, cut: int | None) -> None:
        site = self.site
        self.send_header("Content-Type", site.content_type)
        if site.tag:
            self.send_header("ETag", site.tag)
        if site.modified:
            self.send_header("Last-Modified", site.modified)
        if site.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif site.length is None:
            self.send_header("Content-Length", str(last + 1 - first))
        elif site.length != "none":
            self.send_header("Content-Length", str(site.length))
        self.end_headers()
        sent = 0
        while first <= last:
            end = min(first + BLOCK, last + 1)
            if cut is not None:
                end = min(end, first + cut - sent)
            block = bytearray(content[first:end])
            for position in site.corrupt:
                if first <= position < end:
                    block[position - first] ^= 0xFF
            with site.lock:  # before the client has them: it may look at once
                site.served += len(block)
                served = site.served
            if site.chunked:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(block), bytes(block)))
            else:
                self.wfile.write(block)
            sent += len(block)
            first = end
            if site.on_served is not None:
                site.on_served(served)
            if cut is not None and sent >= cut:
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            if site.pause:
                time.sleep(site.pause)
        if site.chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _error(self, code: int) -> None:
        self.send_response(code)
        if self.site.retry_after is not None:
            self.send_header("Retry-After", self.site.retry_after)
        self.send_header("Content-Length", "0")
        self.end_headers()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_: Any) -> None:
        pass  # clients of these tests are killed


@contextlib.contextmanager
def serving(site: Site, certificate: Path | None = None) -> Iterator[Site]:
    """Serve a site on a free port; `site.address` tells where. With a certificate (and key) by https."""
    handler = type("Handler", (_Handler,), {"site": site})
    server = _Server(("127.0.0.1", 0), handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    site.address = f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_address[1]}"
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def http_date(seconds: float) -> str:
    return email.utils.formatdate(seconds, usegmt=True)
