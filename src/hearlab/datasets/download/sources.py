"""Where a file is fetched from: an http(s) server, or a disk. Failures are either transient or final.

urllib of the standard library is enough: it follows redirects, honours proxies and verifies certificates. Ranges,
retries and their checks would be ours with any other client too.
"""

from __future__ import annotations

import base64
import email.message
import email.utils
import http.client
import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import hearlab
from hearlab.errors import InputError

BLOCK = 256 << 10
HEAD = 512  # bytes that are read before the download begins: enough to tell tar, gzip and zip
TRANSIENT = (408, 425, 429, 500, 502, 503, 504)
BUSY = (429, 503)
WEB_PAGES = ("text/html", "application/xhtml+xml")
URL_CHARACTERS = "/%:=&?~+!$,;'@()*[]"  # stay as they are; others (spaces, accents) are quoted
CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)$")

Blocks = Generator[bytes, None, None]


class TransientError(Exception):
    """A failure that a later attempt may not meet.

    Attributes:
        wait: seconds that the server asks to wait.
        busy: whether it asks for less load.
    """

    def __init__(self, reason: str, wait: float = 0.0, busy: bool = False) -> None:
        super().__init__(reason)
        self.wait = wait
        self.busy = busy


class FileChangedError(Exception):
    """The file is not the one that was there at first."""


class NoRangesError(Exception):
    """The server does not give ranges, or not those that it was asked for."""


@dataclass(frozen=True)
class Remote:
    """What a server says of a file.

    Attributes:
        size: bytes, if known.
        tag, modified: what identifies this version of the file (ETag, Last-Modified), if known.
        ranges: whether parts of it can be asked for.
        head: its first bytes.
    """

    size: int | None
    tag: str | None
    modified: str | None
    ranges: bool
    head: bytes

    def identity(self, address: str) -> dict[str, Any]:
        """What must be equal for parts fetched earlier to be used; the address only if there is nothing better."""
        version: dict[str, Any] = {"size": self.size, "tag": self.tag, "modified": self.modified}
        return version if self.tag or self.modified else {**version, "address": address}


def open_source(address: str, headers: Mapping[str, str] | None = None, timeout: float = 30.0) -> Source:
    """The source for an address: http://, https://, file:// or a path.

    Args:
        headers: sent to the address itself (a token, a cookie), never on to where it redirects.

    Raises:
        InputError: it is none of these.
    """
    scheme = urlsplit(address).scheme.lower()
    if scheme in ("http", "https"):
        return HttpSource(address, headers or {}, timeout)
    if scheme == "file":
        return FileSource(Path(unquote(urlsplit(address).path)))
    if "://" not in address:
        return FileSource(Path(address).expanduser())
    raise InputError(address, "is no address to fetch from", wanted="http://, https://, file:// or a path")


class HttpSource:
    """A file on a web server."""

    local: Path | None = None

    def __init__(self, address: str, headers: Mapping[str, str], timeout: float) -> None:
        parts = urlsplit(address)
        try:
            host = parts.hostname or ""
            port = f":{parts.port}" if parts.port else ""
        except ValueError:
            host = ""
        if not host:
            raise InputError(address, "is no address of a file on a server")
        self._headers = dict(headers)
        if parts.username is not None:
            login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._headers.setdefault("Authorization", "Basic " + base64.b64encode(login.encode()).decode())
        host = f"[{host}]" if ":" in host else host
        path, query = quote(parts.path or "/", safe=URL_CHARACTERS), quote(parts.query, safe=URL_CHARACTERS)
        self._url = urlunsplit((parts.scheme, host + port, path, query, ""))
        # Queries may hold keys: they are not shown.
        self.shown = urlunsplit((parts.scheme, host + port, parts.path or "/", "", ""))
        self._timeout = timeout
        self._opener = urllib.request.build_opener(_Redirects())

    def probe(self) -> Remote:
        """Ask what is there."""
        try:
            opened = self._open({"Range": f"bytes=0-{HEAD - 1}"})
        except FileChangedError:
            return Remote(0, None, None, False, b"")  # no such range: of an empty file
        with opened as response:
            head = _read(response, HEAD)
            if not head and _length(response.headers):
                raise TransientError("the connection was cut")
            tag, modified = _strong_tag(response.headers), response.headers.get("Last-Modified")
            if response.status == 206 and (found := CONTENT_RANGE.match(response.headers.get("Content-Range", ""))):
                size = None if found[3] == "*" else int(found[3])
                # Without a size, ranges are of no use.
                return Remote(size, tag, modified, int(found[1]) == 0 and size is not None, head)
            return Remote(_length(response.headers), tag, modified, False, head)

    def blocks(self, remote: Remote, first: int, end: int) -> Blocks:
        """The bytes from `first` up to `end`; may stop early, when the connection is cut."""
        headers = {"Range": f"bytes={first}-{end - 1}"}
        if validator := remote.tag or remote.modified:
            headers["If-Range"] = validator
        with self._open(headers) as response:
            tag, modified = _strong_tag(response.headers), response.headers.get("Last-Modified")
            same = tag == remote.tag if tag and remote.tag else modified in (None, remote.modified)
            if response.status != 206:
                if not same or _length(response.headers) not in (None, remote.size):
                    raise FileChangedError
                raise NoRangesError
            found = CONTENT_RANGE.match(response.headers.get("Content-Range", ""))
            if found is None or int(found[1]) != first or int(found[2]) < first:
                raise NoRangesError
            if not same or found[3] not in ("*", str(remote.size)):
                raise FileChangedError
            yield from _blocks(response, min(end, int(found[2]) + 1) - first)

    def whole(self) -> tuple[int | None, Blocks]:
        """The announced size and all bytes from the start."""
        response = self._open({})
        size = _length(response.headers)
        return size, _blocks(response, size)

    def _open(self, headers: Mapping[str, str]) -> Any:
        request = urllib.request.Request(self._url)
        # "identity": the bytes of the file as they are, not compressed on the way.
        agent = {"Accept-Encoding": "identity", "User-Agent": f"hearlab/{hearlab.__version__}"}
        for name, value in {**agent, **headers}.items():
            request.add_header(name, value)
        for name, value in self._headers.items():
            request.add_unredirected_header(name, value)
        try:
            response = self._opener.open(request, timeout=self._timeout)
        except urllib.error.HTTPError as error:
            with error:
                raise self._refused(error) from None
        except urllib.error.URLError as error:
            if isinstance(error.reason, ssl.SSLCertVerificationError):
                found = error.reason.verify_message
                raise InputError(self.shown, "the server's certificate is not trusted", found=found) from None
            raise TransientError(str(error.reason)) from None
        except (ValueError, http.client.InvalidURL) as error:
            raise InputError(self.shown, "is no address of a file on a server", found=error) from None
        except (OSError, http.client.HTTPException) as error:
            raise TransientError(str(error) or type(error).__name__) from None
        if (kind := response.headers.get_content_type()) in WEB_PAGES:
            response.close()
            advice = "give the address of the file itself (a share, log-in or error page has come instead)"
            raise InputError(self.shown, "is a web page, not the file", found=kind, advice=advice)
        return response

    def _refused(self, error: urllib.error.HTTPError) -> Exception:
        code = error.code
        answer = f"{code} {error.reason}" if error.reason else str(code)
        if code in TRANSIENT:
            return TransientError(f"the server says {answer}", _retry_after(error.headers), code in BUSY)
        if code == 416:
            return FileChangedError()
        problem, advice = "the server refuses", None
        if code in (401, 403, 407):
            advice = "log in where you got the address and copy a fresh one, or send the header that the server wants"
        elif code in (404, 410):
            problem, advice = "no such file on the server", "check the address"
        elif 300 <= code < 400:
            problem = "the server redirects without end or to no file"
        return InputError(self.shown, problem, found=answer, advice=advice)


class FileSource:
    """A file on this machine, or on a disk that it has mounted."""

    def __init__(self, path: Path) -> None:
        self.shown = str(path)
        self.local: Path | None = path

    def probe(self) -> Remote:
        """Ask what is there."""
        try:
            status = Path(self.shown).stat()
            with open(self.shown, "rb") as file:
                head = file.read(HEAD)
        except FileNotFoundError:
            raise InputError(self.shown, "no such file", wanted="a file to fetch") from None
        except OSError as error:
            raise InputError(self.shown, "cannot be read", found=error.strerror) from None
        return Remote(status.st_size, f"{status.st_ino}-{status.st_mtime_ns}", None, True, head)

    def blocks(self, remote: Remote, first: int, end: int) -> Blocks:
        """The bytes from `first` up to `end`."""
        if self.probe() != remote:
            raise FileChangedError
        try:
            with open(self.shown, "rb", buffering=0) as file:
                file.seek(first)
                while first < end and (block := file.read(min(BLOCK, end - first))):
                    first += len(block)
                    yield block
        except OSError as error:
            raise TransientError(error.strerror or str(error)) from None

    def whole(self) -> tuple[int | None, Blocks]:
        """The size and all bytes from the start."""
        remote = self.probe()
        assert remote.size is not None
        return remote.size, self.blocks(remote, 0, remote.size)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects on the web, but never from an encrypted connection to an open one."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        scheme = urlsplit(newurl).scheme.lower()
        where, target = urlsplit(req.full_url).netloc, urlsplit(newurl).netloc
        if scheme not in ("http", "https"):
            raise InputError(where, "the server redirects to no file on a web server", found=scheme)
        if req.type == "https" and scheme != "https":
            problem = "the server redirects from https to an open connection"
            raise InputError(where, problem, found=target, advice="if you trust that address, fetch from it")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


Source = HttpSource | FileSource


def _blocks(response: Any, count: int | None) -> Blocks:
    """Up to `count` bytes. The end of a cut connection looks like the end of the data: the caller counts."""
    with response:
        left = count
        while left is None or left:
            block = _read(response, BLOCK if left is None else min(BLOCK, left), at_once=False)
            if not block:
                return
            if left is not None:
                left -= len(block)
            yield block


def _read(response: Any, count: int, *, at_once: bool = True) -> bytes:
    try:
        return bytes(response.read(count) if at_once else response.read1(count))
    except (OSError, http.client.HTTPException) as error:
        raise TransientError(str(error) or type(error).__name__) from None


def _length(headers: email.message.Message) -> int | None:
    text = headers.get("Content-Length", "")
    return int(text) if text.isdigit() else None


def _strong_tag(headers: email.message.Message) -> str | None:
    """The ETag, unless it is a weak one: those do not promise the same bytes."""
    tag = headers.get("ETag")
    return tag if tag and tag.startswith('"') else None


def _retry_after(headers: email.message.Message) -> float:
    text = headers.get("Retry-After", "")
    if text.isdigit():
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (TypeError, ValueError):
        return 0.0
