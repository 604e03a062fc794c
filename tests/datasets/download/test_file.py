"""Fetching weights from a real HTTP server that breaks, lies and forgets."""

from __future__ import annotations

import fcntl
import hashlib
import http.server
import io
import re
import threading
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest

from hearlab.datasets.download.file import Download, download
from hearlab.errors import InputError
from hearlab.separation.weights import fetch_weights
from hearlab.separators import SEPARATORS

CONTENT = np.random.default_rng(0).bytes(700_000)
SIZE = len(CONTENT)
HASH = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server():
    """A server of one file; `ranges`: it goes on from the middle; `cuts`: bytes after which each answer breaks off."""
    state = SimpleNamespace(content=CONTENT, ranges=True, cuts=[], errors=[], length=True, lie=None, requests=[])

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked = self.headers.get("Range")
            state.requests.append((self.path, asked))
            if state.errors:
                return self.send_error(state.errors.pop(0))
            first = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked and state.ranges else 0
            if asked and state.ranges and first >= len(state.content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(state.content)}")
                self.send_header("Content-Length", "0")
                return self.end_headers()
            body = state.content[first:]
            self.send_response(206 if first else 200)
            if first:
                told = first if state.lie is None else state.lie
                self.send_header("Content-Range", f"bytes {told}-{len(state.content) - 1}/{len(state.content)}")
            if state.length:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: state.cuts.pop(0)] if state.cuts else body)
            self.close_connection = True
            return None

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.handle_error = lambda *_: None  # a client that has read enough hangs up
        thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        state.url = f"http://127.0.0.1:{running.server_port}/file.pth"
        yield state
        running.shutdown()
        thread.join()


@pytest.fixture
def waits():
    return []


def fetch(server, tmp_path, waits, *, size=SIZE, sha256=HASH, **options):
    wanted = Download(server.url, size, sha256)
    return download(wanted, tmp_path / "file.pth", wait=waits.append, **options)


def nothing_but(tmp_path, *names):
    return sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


def test_a_whole_file(server, tmp_path, waits):
    steps = []
    digest = fetch(server, tmp_path, waits, progress=lambda *step: steps.append(step))
    assert digest == HASH
    assert (tmp_path / "file.pth").read_bytes() == CONTENT
    assert nothing_but(tmp_path, "file.pth")
    assert steps[-1] == ("file.pth", len(CONTENT), len(CONTENT))
    assert [done for _, done, _ in steps] == sorted(done for _, done, _ in steps)
    assert len(server.requests) == 1
    assert waits == []


def test_a_broken_connection_goes_on_where_it_broke(server, tmp_path, waits):
    server.cuts = [300_000, 100_000]
    fetch(server, tmp_path, waits)
    assert (tmp_path / "file.pth").read_bytes() == CONTENT
    assert [asked for _, asked in server.requests] == [None, "bytes=300000-", "bytes=400000-"]
    assert waits == [1.0, 1.0]


def test_an_earlier_part_is_gone_on_with(server, tmp_path, waits):
    (tmp_path / "file.pth.part-fetch").write_bytes(CONTENT[:650_000])
    fetch(server, tmp_path, waits)
    assert (tmp_path / "file.pth").read_bytes() == CONTENT
    assert [asked for _, asked in server.requests] == ["bytes=650000-"]


def test_a_server_without_ranges_begins_anew(server, tmp_path, waits):
    server.ranges, server.cuts = False, [300_000]
    fetch(server, tmp_path, waits)
    assert (tmp_path / "file.pth").read_bytes() == CONTENT
    assert len(server.requests) == 2


def test_a_server_without_ranges_that_always_breaks_is_given_up(server, tmp_path, waits):
    server.ranges, server.cuts = False, [300_000] * 50
    with pytest.raises(InputError, match=r"cannot be fetched .*300000 bytes.* is kept"):
        fetch(server, tmp_path, waits)
    # The first answer was new; five more brought nothing.
    assert len(server.requests) == 6
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0]


def test_an_answer_for_another_range_is_not_used(server, tmp_path, waits):
    server.cuts, server.lie = [300_000], 7
    fetch(server, tmp_path, waits)
    assert (tmp_path / "file.pth").read_bytes() == CONTENT
    assert [asked for _, asked in server.requests] == [None, "bytes=300000-", None]


@pytest.mark.parametrize("resumed", [False, True])
def test_wrong_bytes_are_not_kept(server, tmp_path, waits, resumed):
    server.content = CONTENT[:-1] + b"!"
    if resumed:
        (tmp_path / "file.pth.part-fetch").write_bytes(CONTENT[:1000])
    with pytest.raises(InputError, match=rf"gave another file than the published one \(found sha256 .*{HASH}\)"):
        fetch(server, tmp_path, waits)
    assert nothing_but(tmp_path)
    assert len(server.requests) == (2 if resumed else 1)


def test_a_part_of_another_file_is_fetched_anew(server, tmp_path, waits):
    for part in (b"x" * 1000, b"x" * len(CONTENT), b"x" * (len(CONTENT) + 5)):
        (tmp_path / "file.pth.part-fetch").write_bytes(part)
        fetch(server, tmp_path, waits)
        assert (tmp_path / "file.pth").read_bytes() == CONTENT
        assert nothing_but(tmp_path, "file.pth")


def test_a_whole_part_of_a_file_of_unknown_size(server, tmp_path, waits):
    (tmp_path / "file.pth.part-fetch").write_bytes(CONTENT)
    assert fetch(server, tmp_path, waits, size=None, sha256=None) == HASH
    assert [asked for _, asked in server.requests] == [f"bytes={len(CONTENT)}-"]


def test_another_size_is_refused_before_it_is_fetched(server, tmp_path, waits):
    with pytest.raises(InputError, match=r"another file .*\(found 700000 bytes, wanted 700001 bytes\)"):
        fetch(server, tmp_path, waits, size=len(CONTENT) + 1)
    assert not (tmp_path / "file.pth").exists()


def test_too_much_is_not_read_to_its_end(server, tmp_path, waits):
    server.length, server.content = False, CONTENT + bytes(50_000_000)
    with pytest.raises(InputError, match="gave another file than the published one"):
        fetch(server, tmp_path, waits)
    assert nothing_but(tmp_path)


def test_a_file_without_announced_length(server, tmp_path, waits):
    server.length = False
    assert fetch(server, tmp_path, waits) == HASH
    assert fetch(server, tmp_path, waits, size=None, sha256=None) == HASH


def test_passing_errors_are_tried_again_and_others_are_not(server, tmp_path, waits):
    server.errors = [503, 429]
    fetch(server, tmp_path, waits)
    assert waits == [2.0, 4.0]
    server.errors = [404]
    with pytest.raises(InputError, match=r"file.pth: cannot be fetched \(found HTTP 404 Not Found\)"):
        fetch(server, tmp_path, waits)
    assert len(server.requests) == 4


def test_no_server_at_all(server, tmp_path, waits):
    url = re.sub(r":\d+/", ":9/", server.url)
    with pytest.raises(InputError, match=r"cannot be fetched \(found .*; what has come \(0 bytes\) is kept"):
        download(Download(url), tmp_path / "file.pth", wait=waits.append)
    assert len(waits) == 4


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.org/x", "vocals.pth"])
def test_only_http_is_fetched(tmp_path, url):
    with pytest.raises(InputError, match=r"cannot be fetched from there .*wanted an http or https address"):
        download(Download(url), tmp_path / "x")
    assert nothing_but(tmp_path)


def test_two_processes_do_not_write_one_file(server, tmp_path, waits):
    with (tmp_path / "file.pth.part-fetch").open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_SH)
        with pytest.raises(InputError, match="part-fetch: is being fetched by another process"):
            fetch(server, tmp_path, waits)
    fetch(server, tmp_path, waits)


def archive(text="weights"):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("archive/data", text * 1000)
    return buffer.getvalue()


def mirror(server):
    return server.url.removesuffix("/file.pth")


def test_weights_of_unknown_hash_are_known_from_then_on(server, tmp_path):
    server.content = archive()
    [path] = fetch_weights(["hdemucs"], tmp_path, base_url=mirror(server) + "/")
    assert path == tmp_path / "hdemucs_high_musdbhq_only.pt"
    digest = hashlib.sha256(server.content).hexdigest()
    assert (tmp_path / f"{path.name}.sha256").read_text() == f"{digest}  {path.name}\n"
    # It is there and right: nothing more is fetched.
    fetch_weights(["hdemucs"], tmp_path, base_url=mirror(server))
    assert server.requests == [("/hdemucs_high_musdbhq_only.pt", None)]
    # It is there and damaged: fetched again.
    path.write_bytes(b"damaged")
    fetch_weights(["hdemucs"], tmp_path, base_url=mirror(server))
    assert path.read_bytes() == server.content


def test_a_web_page_or_a_damaged_archive_is_no_weights_file(server, tmp_path):
    damaged = bytearray(archive())
    damaged[100] ^= 1
    for content in (b"<html>Sign in</html>", bytes(damaged)):
        server.content = content
        with pytest.raises(InputError, match=r"gave another file than the published one .*wanted a weights file"):
            fetch_weights(["hdemucs"], tmp_path, base_url=mirror(server))
        assert nothing_but(tmp_path)


def test_published_weights_are_checked_by_size_and_hash(server, tmp_path):
    with pytest.raises(InputError, match=r"found 700000 bytes, wanted 35637796 bytes"):
        fetch_weights(["bass-8d85a5bd.pth"], tmp_path, base_url=mirror(server))
    server.content = bytes(SEPARATORS["openunmix"].weights[0].size)
    with pytest.raises(InputError, match=r"wanted sha256 b62c91ce"):
        fetch_weights(["vocals-b62c91ce.pth"], tmp_path, base_url=mirror(server))
    assert not list(tmp_path.glob("*.pth"))
