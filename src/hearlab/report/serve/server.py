"""A web server for the listening site alone: its pages, the sounds in data/, and the answers of blind tests."""

from __future__ import annotations

import contextlib
import errno
import hmac
import html
import ipaddress
import mimetypes
import os
import re
import secrets
import socket
import time
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit

from hearlab.errors import InputError
from hearlab.report.serve.answers import ANSWERS, LONGEST_ANSWER, keep, preferences, read, rows_of, text_of

SITE = "/report/"  # where the site is; its pages find the sounds by ../../data
SOUNDS = "/data/"
SUFFIXES = (".wav", ".flac")
POSTED = "/blind/answers"
ANALYSED = "/blind/"
COOKIE, HEADER = "hearlab_serve", "X-HearLab"
IDLE_SECONDS = 30
RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
BLOCK = 1 << 18  # bytes
DROPPED = 1 << 24  # bytes that are still taken from who sends too much, so that the answer is seen
EVERYWHERE = ("0.0.0.0", "::")
LOCAL = ("127.0.0.1", "localhost", "::1")
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


class Server(ThreadingHTTPServer):
    """The server of one workspace.

    Args:
        root: the workspace.
        site: the folder of the site.
        host, port: where it listens; port 0 takes a free one.
        say: gets lines for the user.

    Raises:
        InputError: the port is taken, or the host is no address of this machine.
    """

    daemon_threads = True
    request_queue_size = 128  # a class that answers at once: with the five of the library connections are refused

    def __init__(self, root: Path, site: Path, host: str, port: int, say: Callable[[str], None]) -> None:
        self.root, self.site, self.say = root, site, say
        self.token = secrets.token_urlsafe(16)
        self.local = host in LOCAL
        self.named = {host.lower()}  # what it may be called, besides this machine's own names
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            super().__init__((host, port), partial(_Handler))
        except (OSError, OverflowError) as error:
            cause = getattr(error, "strerror", None) or error
            elsewhere = isinstance(error, socket.gaierror) or getattr(error, "errno", 0) == errno.EADDRNOTAVAIL
            option = "--host" if elsewhere else "--port"
            raise InputError(option, f"cannot listen there: {cause}", found=f"{host}:{port}") from None
        self.named.add(str(self.server_address[0]))

    @property
    def addresses(self) -> list[str]:
        """Where browsers find the site: the first from this machine, the last from others if these can reach it."""
        host, port = str(self.server_address[0]), self.server_address[1]
        hosts = [host]
        if host in EVERYWHERE:  # no address that a browser elsewhere could ask for
            hosts = ["::1" if self.address_family == socket.AF_INET6 else "127.0.0.1", _own(self.address_family)]
        return [f"http://{f'[{host}]' if ':' in host else host}:{port}{SITE}index.html" for host in hosts]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that went away is no fault."""


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    named_port = 80  # at which the browser reaches this server: perhaps through a tunnel

    def do_GET(self) -> None:
        if not self._known_host():
            return
        try:
            path = unquote(urlsplit(self.path).path)
        except ValueError:
            path = ""
        if path in ("/", SITE):
            self._redirect(f"{SITE}index.html")
        elif path == ANALYSED:
            self._page(self._analysis())
        elif (file := self._file(path)) is None:
            self._say(HTTPStatus.NOT_FOUND, "no such page")
        else:
            self._send(file)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        # What is not read cannot be skipped: such a connection ends with the answer.
        if not re.fullmatch(r"[0-9]{1,9}", length) or int(length) > LONGEST_ANSWER:
            self.close_connection = True
            self._say(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {LONGEST_ANSWER} bytes")
            self._drop()
            return
        content = self.rfile.read(int(length))
        if not self._known_host():
            return
        if urlsplit(self.path).path != POSTED:
            self._say(HTTPStatus.NOT_FOUND, "nothing takes that")
            return
        own = self.headers.get("Origin") == f"http://{self.headers.get('Host')}"
        token = self.headers.get(HEADER, "").encode()
        if not own or not hmac.compare_digest(token, self.server.token.encode()):
            self._say(HTTPStatus.FORBIDDEN, "only pages of this server may send answers: load the page again")
            return
        try:
            rows = rows_of(content, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
            kept = keep(self.server.root / ANSWERS, rows)
        except InputError as error:
            self._say(HTTPStatus.BAD_REQUEST, str(error))
        except OSError as error:
            self._say(HTTPStatus.INSUFFICIENT_STORAGE, f"the answers could not be kept: {error.strerror}")
        else:
            if kept:
                self.server.say(f"{ANSWERS}: {len(rows)} answers of {rows[0][2]} on {rows[0][4]}")
            self._say(HTTPStatus.OK, "kept")

    def _drop(self) -> None:
        """Take what is still being sent: a connection that is closed before is reset, and the answer with it."""
        left = DROPPED
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            while left > 0 and (block := self.rfile.read1(BLOCK)):
                left -= len(block)

    def _known_host(self) -> bool:
        """A page elsewhere whose name leads to this machine is not answered."""
        try:
            host = urlsplit(f"//{self.headers.get('Host', '')}")
            name, self.named_port = host.hostname, host.port or 80
        except ValueError:
            name = None
        if name in (*LOCAL, *self.server.named) or (
            not self.server.local and name is not None and _is_address_or_own(name)
        ):
            return True
        self.close_connection = True
        self._say(HTTPStatus.FORBIDDEN, "unknown host")
        return False

    def _file(self, path: str) -> Path | None:
        """The file of an address: one of the site, or a sound below data/."""
        parts = path.split("/")[1:]
        if any(part in ("", ".", "..") or "\0" in part or "\\" in part for part in parts):
            return None
        if path.startswith(SITE):
            found = self.server.site.joinpath(*parts[1:])
            inside = not any(part.startswith(".") for part in parts)
        elif path.startswith(SOUNDS):
            found = self.server.root.joinpath(*parts)  # DVC may have linked it from its cache
            inside = path.endswith(SUFFIXES)
        else:
            return None
        try:
            linked = path.startswith(SITE) and found.is_symlink()
            return found if inside and not linked and found.is_file() else None
        except OSError:  # a name that is too long, a folder that is closed
            return None

    def _send(self, file: Path) -> None:
        try:
            source = file.open("rb")
        except OSError:  # the site is being made again
            self._say(HTTPStatus.NOT_FOUND, "no such page")
            return
        with source:
            self._send_opened(file, source)

    def _send_opened(self, file: Path, source: BinaryIO) -> None:
        size = os.fstat(source.fileno()).st_size  # of what is sent: another file may have its name by now
        first, last = 0, size - 1
        asked = RANGE.fullmatch(self.headers.get("Range", ""))
        if asked and not asked[1] and not asked[2]:
            asked = None
        if asked:
            first = int(asked[1]) if asked[1] else max(size - int(asked[2]), 0)
            last = min(int(asked[2]), last) if asked[1] and asked[2] else last
            if first > last:
                self._head(
                    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, "text/plain", 0, {"Content-Range": f"bytes */{size}"}
                )
                return
        part = {"Content-Range": f"bytes {first}-{last}/{size}"} if asked else {}
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        if kind.startswith("text/") or kind.endswith("javascript"):
            kind += "; charset=utf-8"
        status = HTTPStatus.PARTIAL_CONTENT if asked else HTTPStatus.OK
        self._head(status, kind, last - first + 1, {"Accept-Ranges": "bytes", **part})
        if self.command == "GET":
            source.seek(first)
            left = last - first + 1
            while left and (block := source.read(min(left, BLOCK))):
                self.wfile.write(block)
                left -= len(block)
            # Of a file that became shorter, the rest cannot come: the next answer must not be taken for it.
            self.close_connection |= left > 0

    def _head(self, status: HTTPStatus, kind: str, length: int, more: dict[str, str] | None = None) -> None:
        self.send_response(status)
        # The site changes below the same addresses.
        fixed = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
        # Browsers give one server's cookies to those at other ports, too: each has a name of its own.
        token = f"{COOKIE}_{self.named_port}={self.server.token}; Path=/; SameSite=Strict"
        cookie = {"Set-Cookie": token} if "html" in kind else {}
        headers = {"Content-Type": kind, "Content-Length": str(length), **fixed, **cookie, **(more or {})}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _say(self, status: HTTPStatus, text: str) -> None:
        self._body(status, "text/plain; charset=utf-8", text)

    def _page(self, text: str) -> None:
        self._body(HTTPStatus.OK, "text/html; charset=utf-8", text, {"Content-Security-Policy": POLICY})

    def _body(self, status: HTTPStatus, kind: str, text: str, more: dict[str, str] | None = None) -> None:
        content = text.encode()
        self._head(status, kind, len(content), more)
        if self.command != "HEAD":
            self.wfile.write(content)

    def _redirect(self, address: str) -> None:
        self._head(HTTPStatus.FOUND, "text/plain", 0, {"Location": address})

    def _analysis(self) -> str:
        """The page of what the blind tests say so far."""
        path = self.server.root / ANSWERS
        try:
            said = text_of(preferences(read(path))) if path.exists() else "No answers yet."
        except InputError as error:
            said = str(error)
        start = '<!doctype html><html lang="en"><meta charset="utf-8"><title>Blind tests – HearLab</title>'
        look = "<style>:root{color-scheme:light dark}body{font:1rem system-ui;margin:2rem}pre{overflow:auto}</style>"
        back = f'<p><a href="{SITE}index.html">Results</a></p>'
        return f"{start}{look}<h1>Blind tests</h1><pre>{html.escape(said)}</pre>{back}"

    def log_message(self, format: str, *arguments: Any) -> None:
        """Requests are not printed."""


def _own(family: int) -> str:
    """The address of this machine from which it would send elsewhere (nothing is sent), or else its name."""
    elsewhere = "2001:db8::1" if family == socket.AF_INET6 else "192.0.2.1"  # of the documentation's networks
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((elsewhere, 9))
            return str(probe.getsockname()[0])
    except OSError:
        return socket.gethostname().lower()


def _is_address_or_own(name: str) -> bool:
    """Whether a host's name is an address, or this machine's own name: no page elsewhere can have made it up."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name == socket.gethostname().lower()
    return True
