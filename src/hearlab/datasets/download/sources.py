"""Where a package comes from: an http(s) server, or a file. What goes wrong is sorted into passing and final.

urllib of the standard library is enough: it follows redirects, honours proxies and verifies certificates; ranges,
retries and their checks are ours whichever client carries them.
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
from typing import Any, Protocol
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import hearlab
from hearlab.errors import InputError

BLOCK = 256 << 10
HEAD = 512  # bytes looked at before anything is fetched: enough for the magic of tar, gzip and zip
PASSING = (408, 425, 429, 500, 502, 503, 504)
BUSY = (429, 503)
URL_CHARACTERS = "/%:=&?~+!$,;'@()*[]"  # stay as they are; others (spaces, accents) are quoted
CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)$")

Blocks = Generator[bytes, None, None]


class PassingError(Exception):
    """Something that may be over in a moment.

    Attributes:
        wait: seconds that the server asks to wait.
        busy: whether it asks for less load.
    """

    def __init__(self, reason: str, wait: float = 0.0, busy: bool = False) -> None:
        super().__init__(reason)
        self.wait = wait
        self.busy = busy


class FileChangedError(Exception):
    """The file is another one than when it was first asked for."""


class NoRangesError(Exception):
    """The server does not give ranges, or gives others than it was asked for."""


@dataclass(frozen=True)
class Remote:
    """What a server tells of a file.

    Attributes:
        size: bytes; None if it does not tell.
        tag, modified: what identifies this version of the file (ETag, Last-Modified), if told.
        ranges: whether parts of it can be asked for.
        head: its first bytes.
    """

    size: int | None
    tag: str | None
    modified: str | None
    ranges: bool
    head: bytes

    def identity(self, address: str) -> dict[str, Any]:
        """What has to be the same for parts fetched earlier to count; the address only if nothing else tells."""
        told: dict[str, Any] = {"size": self.size, "tag": self.tag, "modified": self.modified}
        return told if self.tag or self.modified else {**told, "address": address}


class Source(Protocol):
    """A file that can be asked for."""

    shown: str

    @property
    def local(self) -> Path | None:
        """The file, if it is one of this machine."""

    def probe(self) -> Remote:
        """Ask what is there."""

    def blocks(self, remote: Remote, first: int, end: int) -> Blocks:
        """The bytes from `first` up to `end`; may stop early, when the connection is cut."""

    def whole(self) -> tuple[int | None, Blocks]:
        """Announced size and all bytes, from the start."""


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
        self._opener = urllib.request.OpenerDirector()
        for handler in (
            urllib.request.ProxyHandler(),
            urllib.request.HTTPHandler(),
            urllib.request.HTTPSHandler(),
            urllib.request.HTTPDefaultErrorHandler(),
            urllib.request.HTTPErrorProcessor(),
            _Redirects(),
        ):
            self._opener.add_handler(handler)

    def probe(self) -> Remote:
        try:
            opened = self._open({"Range": f"bytes=0-{HEAD - 1}"})
        except FileChangedError:
            return Remote(0, None, None, False, b"")  # no such range: of an empty file
        with opened as response:
            self._refuse_page(response.headers)
            head = _read(response, HEAD)
            tag, modified = _strong_tag(response.headers), response.headers.get("Last-Modified")
            if response.status == 206 and (found := CONTENT_RANGE.match(response.headers.get("Content-Range", ""))):
                size = None if found[3] == "*" else int(found[3])
                # Without a size, ranges are of no use.
                return Remote(size, tag, modified, int(found[1]) == 0 and size is not None, head)
            return Remote(_length(response.headers), tag, modified, False, head)

    def blocks(self, remote: Remote, first: int, end: int) -> Blocks:
        headers = {"Range": f"bytes={first}-{end - 1}"}
        if validator := remote.tag or remote.modified:
            headers["If-Range"] = validator
        with self._open(headers) as response:
            self._refuse_page(response.headers)
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
        response = self._open({})
        try:
            self._refuse_page(response.headers)
        except BaseException:
            response.close()
            raise

        size = _length(response.headers)

        def all_blocks() -> Blocks:
            with response:
                yield from _blocks(response, size)

        return size, all_blocks()

    def _open(self, headers: Mapping[str, str]) -> Any:
        request = urllib.request.Request(self._url)
        # The bytes of the file as they are, not packed again for the way.
        request.add_header("Accept-Encoding", "identity")
        request.add_header("User-Agent", f"hearlab/{hearlab.__version__}")
        for name, value in headers.items():
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
                raise InputError(
                    self.shown, "the server's certificate is not trusted", found=error.reason.verify_message
                ) from None
            raise PassingError(str(error.reason)) from None
        except (ValueError, http.client.InvalidURL) as error:
            raise InputError(self.shown, "is no address of a file on a server", found=error) from None
        except (OSError, http.client.HTTPException) as error:
            raise PassingError(str(error) or type(error).__name__) from None
        if response is None:
            raise InputError(self.shown, "the server redirects to no file on a web server")
        return response

    def _refused(self, error: urllib.error.HTTPError) -> Exception:
        code = error.code
        told = f"{code} {error.reason}" if error.reason else str(code)
        if code in PASSING:
            return PassingError(f"the server says {told}", _retry_after(error.headers), code in BUSY)
        if code == 416:
            return FileChangedError()
        if code in (401, 403, 407):
            advice = "log in where you got the address and copy a fresh one, or pass what the server asks for"
            return InputError(self.shown, "the server refuses", found=told, advice=f"{advice} as a header")
        if code in (404, 410):
            return InputError(self.shown, "no such file on the server", found=told, advice="check the address")
        if 300 <= code < 400:
            return InputError(self.shown, "the server redirects without end or to no file", found=told)
        return InputError(self.shown, "the server refuses", found=told)

    def _refuse_page(self, headers: email.message.Message) -> None:
        if headers.get_content_type() in ("text/html", "application/xhtml+xml"):
            raise InputError(
                self.shown,
                "is a web page, not a package",
                found=headers.get_content_type(),
                advice="give the address of the file itself (a share, log-in or error page has come instead)",
            )


class FileSource:
    """A file on this machine, or on a disk that it has mounted."""

    def __init__(self, path: Path) -> None:
        self.shown = str(path)
        self.local: Path | None = path

    def probe(self) -> Remote:
        try:
            status = Path(self.shown).stat()
            with open(self.shown, "rb") as file:
                head = file.read(HEAD)
        except FileNotFoundError:
            raise InputError(self.shown, "no such file", wanted="a package") from None
        except OSError as error:
            raise InputError(self.shown, "cannot be read", found=error.strerror) from None
        return Remote(status.st_size, f"{status.st_ino}-{status.st_mtime_ns}", None, True, head)

    def blocks(self, remote: Remote, first: int, end: int) -> Blocks:
        if self.probe() != remote:
            raise FileChangedError
        try:
            with open(self.shown, "rb", buffering=0) as file:
                file.seek(first)
                while first < end and (block := file.read(min(BLOCK, end - first))):
                    first += len(block)
                    yield block
        except OSError as error:
            raise PassingError(error.strerror or str(error)) from None

    def whole(self) -> tuple[int | None, Blocks]:
        remote = self.probe()
        assert remote.size is not None
        return remote.size, self.blocks(remote, 0, remote.size)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but never from an encrypted connection to an open one."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        if req.type == "https" and not newurl.lower().startswith("https:"):
            raise InputError(
                urlsplit(req.full_url).netloc,
                "the server redirects from https to an open connection",
                found=urlsplit(newurl).netloc,
                advice="if you trust that address, fetch from it",
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _blocks(response: Any, count: int | None) -> Blocks:
    """Up to `count` bytes. The end of a cut connection looks like the end of the data: the caller counts."""
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
        raise PassingError(str(error) or type(error).__name__) from None


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
