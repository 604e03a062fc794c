"""Fetching from a real server on loopback that behaves and misbehaves."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from archives_made import folders_in, some_bytes, some_files, test_package, tree_archive

from file_server import Site, http_date, serving
from hearlab.datasets.download import file
from hearlab.datasets.packages import Connection, Fetched, PackageFolders, Retry, check, fetch
from hearlab.datasets.packages.receipt import read_archive_note, write_archive_note
from hearlab.errors import InputError
from hearlab.progress import ByteProgress
from ports import refusing_port
from waits import LONGEST

QUICK = Retry(tries=4, pause=0.01, longest=0.05)
RANGE = 256 << 10
QUICK_CONNECTION = Connection(retry=QUICK)
IN_RANGES = Connection(retry=QUICK, range_size=RANGE)
ARCHIVE = b"\x1f\x8b" + some_bytes(3_000_000, 1)  # begins like a .tgz; what follows does not matter to fetching
MD5 = hashlib.md5(ARCHIVE).hexdigest()
SHA256 = hashlib.sha256(ARCHIVE).hexdigest()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def site() -> Iterator[Site]:
    with serving(Site({"/small.tgz": ARCHIVE})) as site:
        yield site


@pytest.fixture
def get(site: Site, tmp_path: Path) -> Callable[..., Fetched]:
    """Fetch /small.tgz into tmp_path."""

    def run(name: str = "small.tgz", **options: Any) -> Fetched:
        package = test_package(**options.pop("package", {}))
        connection: dict[str, Any] = {"retry": QUICK, "range_size": RANGE, "timeout": LONGEST}
        connection |= {name: options.pop(name) for name in ("headers", "parallel", "timeout") if name in options}
        address = f"{site.address}/{name}"
        return fetch(package, folders_in(tmp_path), address, connection=Connection(**connection), **options)

    return run


def left_over(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "packages").iterdir())


def check_right(done: Fetched, tmp_path: Path) -> None:
    assert done.path == tmp_path / "packages" / "small.tgz"
    assert done.path.read_bytes() == ARCHIVE
    assert (done.size, done.md5) == (len(ARCHIVE), MD5)
    assert left_over(tmp_path) == ["small.tgz", "small.tgz.fetched.json"]


def test_ranges_side_by_side(site: Site, get: Callable[..., Fetched], tmp_path: Path) -> None:
    done = get(checksum={"sha256": SHA256})
    check_right(done, tmp_path)
    assert done.verified
    assert done.fetched == len(ARCHIVE)
    assert site.served == len(ARCHIVE) + 512  # the probe
    asked = [wanted for _, wanted in site.requests if wanted]
    assert len(asked) == len(set(asked)) == 1 + -(-len(ARCHIVE) // RANGE)


def test_what_is_there_is_not_fetched_again(site: Site, get: Callable[..., Fetched]) -> None:
    get()
    served = site.served
    again = get(checksum={"md5": MD5})
    assert (site.served, again.fetched, again.verified) == (served, 0, False)


def test_a_browser_download_is_verified_where_it_lies(site: Site, get: Callable[..., Fetched], tmp_path: Path) -> None:
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages" / "small.tgz").write_bytes(ARCHIVE)
    done = get("small.tgz?key=secret", checksum={"sha256": SHA256})
    check_right(done, tmp_path)
    assert (site.served, done.fetched, done.verified) == (0, 0, True)
    note = read_archive_note(done.path)
    assert note is not None
    assert note.address == f"{site.address}/small.tgz"  # as shown: queries may hold keys
    (tmp_path / "packages" / "small.tgz").write_bytes(ARCHIVE[:-1] + b"?")
    with pytest.raises(InputError, match=r"has other bytes than small\.tgz should have .*move it away"):
        get(checksum={"sha256": SHA256})


def test_an_address_that_ends_in_a_slash_is_a_folder(site: Site, get: Callable[..., Fetched], tmp_path: Path) -> None:
    check_right(get(""), tmp_path)


def test_a_later_issue_keeps_its_name(site: Site, get: Callable[..., Fetched], tmp_path: Path) -> None:
    site.files["/small.v2.tgz"] = ARCHIVE
    done = get("small.v2.tgz?key=secret", package={"also": ["small.v2.tgz"]})
    assert done.path.name == "small.v2.tgz"
    assert "secret" not in (tmp_path / "packages" / "small.v2.tgz.fetched.json").read_text()


def test_connections_that_are_cut(site: Site, get: Callable[..., Fetched], tmp_path: Path) -> None:
    draw = random.Random(3)
    site.cut_after = [1 << 30, *(draw.randrange(1, RANGE) for _ in range(20))]
    done = get(checksum={"md5": MD5})
    check_right(done, tmp_path)
    # A cut range goes on where it was cut; what the server had sent and the client had not read is asked for again.
    assert done.fetched == len(ARCHIVE)


def test_a_server_that_never_recovers(site: Site, get: Callable[..., Fetched], tmp_path: Path) -> None:
    site.statuses = [None, None, *[500] * 100]
    with pytest.raises(InputError, match=r"cannot be fetched \(found the server says 500 .*, 4 times in a row\)"):
        get(parallel=1)
    assert left_over(tmp_path) == ["small.tgz.part-fetch", "small.tgz.part-fetch.journal"]
    site.statuses.clear()
    done = get()
    check_right(done, tmp_path)
    assert done.fetched == len(ARCHIVE) - RANGE


def test_a_busy_server_gets_fewer_connections(site: Site, get: Callable[..., Fetched], tmp_path: Path) -> None:
    stream = io.StringIO()
    site.statuses = [None, 503, 503, 429]
    site.retry_after = "0"
    check_right(get(progress=ByteProgress(stream)), tmp_path)
    assert "the server is busy; going on with 3 connections" in stream.getvalue()
    assert "going on with 1 connections" in stream.getvalue()


@pytest.mark.slow
def test_the_server_tells_how_long_to_wait(site: Site, get: Callable[..., Fetched]) -> None:
    site.statuses = [503]
    site.retry_after = "1"
    began = time.monotonic()
    get()
    assert time.monotonic() - began > 0.99


def test_a_server_that_stops_sending(site: Site, get: Callable[..., Fetched], tmp_path: Path) -> None:
    stalled = []
    fetched = threading.Event()

    def stall(served: int) -> None:
        if served > 600_000 and not stalled:
            stalled.append(served)
            fetched.wait(LONGEST)

    site.on_served = stall
    check_right(get(timeout=1.0), tmp_path)
    fetched.set()
    assert stalled


@pytest.mark.parametrize("cuts", [0, 2])
def test_a_server_that_ignores_ranges(site: Site, get: Callable[..., Fetched], tmp_path: Path, cuts: int) -> None:
    site.ranges = False
    site.cut_after = [1 << 30, *[1_000_000] * cuts]
    done = get(checksum={"md5": MD5})
    check_right(done, tmp_path)
    assert done.fetched == len(ARCHIVE) + cuts * 1_000_000


def test_a_server_that_stops_giving_ranges(site: Site, get: Callable[..., Fetched], tmp_path: Path) -> None:
    site.on_served = lambda served: setattr(site, "ranges", served < 1_000_000)
    check_right(get(), tmp_path)


def test_a_server_that_gives_other_ranges(site: Site, get: Callable[..., Fetched], tmp_path: Path) -> None:
    site.on_served = lambda served: setattr(site, "wrong_range", True)
    check_right(get(), tmp_path)


def test_no_length_at_all(site: Site, get: Callable[..., Fetched], tmp_path: Path) -> None:
    site.ranges = False
    site.chunked = True
    check_right(get(), tmp_path)


def test_no_length_and_a_cut(site: Site, get: Callable[..., Fetched], tmp_path: Path) -> None:
    site.ranges = False
    site.chunked = True
    site.cut_after = [1 << 30, 50_000]
    check_right(get(), tmp_path)


def test_the_end_of_the_connection_is_the_end_of_the_file(site: Site, get: Callable[..., Fetched]) -> None:
    site.ranges = False
    site.length = "none"
    site.cut_after = [1 << 30, 50_000]
    # Nothing but the check sum can tell that this is not all.
    with pytest.raises(InputError, match=r"has other bytes than small\.tgz should have .*50000 bytes"):
        get(checksum={"md5": MD5})


@pytest.mark.parametrize("told", [len(ARCHIVE) + 1000, len(ARCHIVE) - 1000])
def test_a_server_that_lies_about_the_length(site: Site, get: Callable[..., Fetched], told: int) -> None:
    site.ranges = False
    site.length = told
    wanted = "cut after" if told > len(ARCHIVE) else "has other bytes than small.tgz should have"
    with pytest.raises(InputError, match=wanted):
        get(checksum={"md5": MD5})


def test_a_lie_about_the_length_of_ranges(site: Site, get: Callable[..., Fetched], tmp_path: Path) -> None:
    site.length = 2 * RANGE  # more than a range has: the connection ends early
    check_right(get(checksum={"md5": MD5}), tmp_path)


def test_wrong_bytes(site: Site, get: Callable[..., Fetched], tmp_path: Path) -> None:
    site.corrupt = {1_234_567}
    with pytest.raises(InputError) as caught:
        get(package={"checksum": {"md5": MD5}})
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(f"{site.address}/small.tgz: has other bytes than small.tgz should have (found md5 ")
    assert f"wanted md5 {MD5}" in line
    assert left_over(tmp_path) == ["small.tgz.wrong"]
    site.corrupt = set()
    check_right(get(package={"checksum": {"md5": MD5}}), tmp_path)


@pytest.mark.parametrize("conditions", [True, False])
@pytest.mark.parametrize("tag", ['"version-2"', None])
def test_a_file_that_changes_between_ranges(
    site: Site, get: Callable[..., Fetched], tmp_path: Path, tag: str | None, conditions: bool
) -> None:
    site.conditions = conditions
    site.tag, site.modified = (site.tag, None) if tag else (None, http_date(1_000_000_000))
    old = ARCHIVE[:2] + some_bytes(len(ARCHIVE) - 2, 9)
    site.files["/small.tgz"] = old

    def change(served: int) -> None:
        if served > 1_000_000 and site.files["/small.tgz"] is old:
            site.files["/small.tgz"] = ARCHIVE
            site.tag, site.modified = (tag, None) if tag else (None, http_date(1_000_000_001))

    site.on_served = change
    stream = io.StringIO()
    check_right(get(progress=ByteProgress(stream)), tmp_path)
    assert "the file has changed; fetching it anew" in stream.getvalue()


def test_a_file_that_keeps_changing(site: Site, get: Callable[..., Fetched]) -> None:
    site.on_served = lambda served: setattr(site, "tag", f'"{served}"')
    with pytest.raises(InputError, match="the file keeps changing on the server"):
        get(parallel=1)


def test_a_file_that_changed_since_the_last_run(site: Site, get: Callable[..., Fetched], tmp_path: Path) -> None:
    site.files["/small.tgz"] = ARCHIVE[:2] + some_bytes(len(ARCHIVE) - 2, 9)
    site.statuses = [None, None, None, *[404] * 10]
    with pytest.raises(InputError, match="no such file on the server"):
        get(parallel=1)
    site.statuses.clear()
    site.files["/small.tgz"], site.tag = ARCHIVE, '"version-2"'
    stream = io.StringIO()
    done = get(progress=ByteProgress(stream))
    check_right(done, tmp_path)
    assert done.fetched == len(ARCHIVE)
    assert "small.tgz: the file has changed on the server; fetching it anew" in stream.getvalue()


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (404, "no such file on the server (found 404 Not Found); check the address"),
        (403, "the server refuses (found 403 Forbidden); log in where you got the address"),
        (401, "the server refuses (found 401 Unauthorized)"),
        (400, "the server refuses (found 400 Bad Request)"),
    ],
)
def test_a_server_that_refuses(site: Site, get: Callable[..., Fetched], tmp_path: Path, status: int, line: str) -> None:
    site.statuses = [status]
    with pytest.raises(InputError) as caught:
        get()
    assert line in str(caught.value)
    assert len(site.requests) == 1  # not tried again
    assert left_over(tmp_path) == []


def test_a_web_page_instead_of_the_file(site: Site, get: Callable[..., Fetched]) -> None:
    site.content_type = "text/html; charset=utf-8"
    with pytest.raises(InputError, match=r"is a web page, not the file \(found text/html\)"):
        get()
    assert site.served <= 512


def test_something_else_instead_of_the_file(site: Site, get: Callable[..., Fetched]) -> None:
    site.files["/small.tgz"] = b"<?xml version='1.0'?><Error>NoSuchKey</Error>" * 10
    with pytest.raises(InputError, match=r"is no package \(found a file that begins with <\?xml"):
        get()
    site.files["/small.tgz"] = b""
    with pytest.raises(InputError, match="is empty"):
        get()


def test_another_size_than_published(site: Site, get: Callable[..., Fetched], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"has another size .*found {len(ARCHIVE)} bytes, wanted 5 bytes"):
        get(package={"size": 5})
    assert site.served <= 512
    check_right(get(package={"size": 5}, any_size=True), tmp_path)


def test_redirects(site: Site, get: Callable[..., Fetched], tmp_path: Path) -> None:
    site.redirect = {"/share": "/small.tgz"}
    check_right(get("share", headers={"Cookie": "session=1"}), tmp_path)
    with_cookie = [path for (path, _), sent in zip(site.requests, site.seen_headers, strict=True) if "Cookie" in sent]
    assert set(with_cookie) == {"/share"}


def test_redirects_that_lead_nowhere(site: Site, get: Callable[..., Fetched], tmp_path: Path) -> None:
    secret = tmp_path / "secret.tgz"
    secret.write_bytes(ARCHIVE)
    site.redirect = {"/loop": "/loop", "/file": secret.as_uri()}
    for name in ("loop", "file"):
        with pytest.raises(InputError, match="redirects"):
            get(name)
    assert left_over(tmp_path) == []


def test_https(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command to make a certificate")
    certificate = tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(certificate), "-out", str(tmp_path / "only"), "-days", "2"]
    command += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(command, check=True, capture_output=True)
    certificate.write_text(certificate.read_text() + (tmp_path / "only").read_text())
    with serving(Site({"/small.tgz": ARCHIVE}), certificate) as site, serving(Site()) as unsafe:
        site.redirect = {"/share": f"{unsafe.address}/small.tgz"}
        with pytest.raises(InputError, match=r"the server's certificate is not trusted \(found self"):
            fetch(test_package(), folders_in(tmp_path), f"{site.address}/small.tgz", connection=QUICK_CONNECTION)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "only"))
        with pytest.raises(InputError, match="redirects from https to an open connection"):
            fetch(test_package(), folders_in(tmp_path), f"{site.address}/share", connection=QUICK_CONNECTION)
        check_right(
            fetch(test_package(), folders_in(tmp_path), f"{site.address}/small.tgz", connection=QUICK_CONNECTION),
            tmp_path,
        )
        assert unsafe.requests == []


def test_a_password_is_sent_and_not_shown(site: Site, tmp_path: Path) -> None:
    site.authorization = "Basic bWU6aHVzaCE="
    address = site.address.replace("http://", "http://me:hush%21@") + "/small.tgz"
    done = fetch(test_package(), folders_in(tmp_path), address, connection=Connection(range_size=RANGE))
    check_right(done, tmp_path)
    assert "hush" not in (tmp_path / "packages" / "small.tgz.fetched.json").read_text()
    with pytest.raises(InputError) as caught:
        fetch(test_package(), folders_in(tmp_path / "b"), address.replace("hush", "push"))
    assert "push" not in str(caught.value)


def test_no_server(tmp_path: Path) -> None:
    with (
        refusing_port() as port,
        pytest.raises(InputError, match=r"cannot be fetched \(found .*refused, 3 times in a row\)"),
    ):
        fetch(test_package(), folders_in(tmp_path), f"http://127.0.0.1:{port}/a.tgz", connection=QUICK_CONNECTION)


def test_addresses_that_are_none(tmp_path: Path) -> None:
    for address, line in (
        ("ftp://example.org/small.tgz", "is no address to fetch from"),
        ("http:///small.tgz", "is no address of a file on a server"),
        ("http://host:port/small.tgz", "is no address of a file on a server"),
        (str(tmp_path / "nothing.tgz"), "no such file"),
    ):
        with pytest.raises(InputError, match=line):
            fetch(test_package(), folders_in(tmp_path), address)
    with pytest.raises(InputError, match="has no public address; give the one that you were sent; ask for it at https"):
        fetch(test_package(page="https://example.org"), folders_in(tmp_path))


def test_a_file_on_the_same_disk_is_not_copied(tmp_path: Path) -> None:
    mine = tmp_path / "mine.tgz"
    mine.write_bytes(ARCHIVE)
    for address in (mine.as_uri(), str(mine)):
        folders = folders_in(tmp_path / address[:4].replace("/", "_"))
        done = fetch(test_package(), folders, address, checksum={"md5": MD5})
        assert (done.path.read_bytes(), done.fetched, done.verified) == (ARCHIVE, 0, True)
    with pytest.raises(InputError, match="has other bytes"):
        fetch(test_package(), folders_in(tmp_path / "c"), str(mine), checksum={"md5": "0" * 32})
    assert mine.read_bytes() == ARCHIVE


def test_a_note_is_void_once_the_archive_changed(tmp_path: Path) -> None:
    archive = tmp_path / "a.tgz"
    archive.write_bytes(b"one")
    note = write_archive_note(archive, "here", {"md5": hashlib.md5(b"one").hexdigest()}, False)
    assert read_archive_note(archive) == note
    archive.write_bytes(b"other")
    assert read_archive_note(archive) is None


def test_two_at_once(site: Site, get: Callable[..., Fetched], tmp_path: Path) -> None:
    refused: list[str] = []

    def second(served: int) -> None:
        if served > 500_000 and not refused:
            refused.append("")
            with pytest.raises(InputError) as caught:
                fetch(test_package(), folders_in(tmp_path), f"{site.address}/small.tgz")
            refused[0] = str(caught.value)

    site.on_served = second
    check_right(get(), tmp_path)
    assert "another process is fetching small" in refused[0]


def test_a_second_process_does_not_fetch_what_the_first_has_just_named(
    site: Site, get: Callable[..., Fetched], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looks whether the archive is there only when nobody else can be about to name it."""
    opened = file.open_source

    def first(*arguments: Any) -> Any:
        monkeypatch.setattr(file, "open_source", opened)
        with pytest.raises(InputError, match="another process is fetching small"):
            get()
        return opened(*arguments)

    monkeypatch.setattr(file, "open_source", first)
    check_right(get(), tmp_path)
    assert site.served == len(ARCHIVE) + 512


def test_one_process_at_a_time_verifies_what_is_there(get: Callable[..., Fetched], tmp_path: Path) -> None:
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages" / "small.tgz").write_bytes(ARCHIVE)
    refused = []

    class Second(ByteProgress):
        def start(self, *arguments: Any) -> None:
            with pytest.raises(InputError, match="another process is fetching small"):
                get()
            refused.append(arguments)
            super().start(*arguments)

    check_right(get(progress=Second(quiet=True)), tmp_path)
    assert len(refused) == 1


def test_rate_and_time_left(site: Site, get: Callable[..., Fetched], monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    site.pause = 0.01
    get(progress=ByteProgress(stream))
    lines = [line.rstrip() for line in stream.getvalue().replace("\n", "\r").split("\r")]
    assert any(re.search(r" of 3\.0 MB \(.*/s, \d+:\d\d left$", line) for line in lines), lines
    assert lines[-2].startswith("fetching small.tgz: 3.0 MB of 3.0 MB (100%), ")
    assert re.search(r"took \d+:\d\d", lines[-2])


CHILD = """
    import sys
    from pathlib import Path
    from archives_made import folders_in, test_package
    from hearlab.datasets.packages import Connection, fetch
    connection = Connection(range_size=int(sys.argv[3]))
    done = fetch(test_package(), folders_in(Path(sys.argv[1])), sys.argv[2], connection=connection)
    print(done.fetched)
"""


def start_child(folder: Path, site: Site, range_size: int) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-c", textwrap.dedent(CHILD), str(folder), f"{site.address}/small.tgz", str(range_size)]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def kill_after(site: Site, folder: Path, count: int, range_size: int, number: signal.Signals) -> int:
    """Fetch, and send a signal once so many more bytes are served; nothing comes after it. Gives the exit status."""
    start = site.served
    child = start_child(folder, site, range_size)
    shot, ended = threading.Lock(), threading.Event()

    def shoot(served: int) -> None:
        if served - start >= count:
            if shot.acquire(blocking=False):
                os.kill(child.pid, number)
            ended.wait(LONGEST)

    site.on_served = shoot
    child.communicate(timeout=LONGEST)
    site.on_served = None
    ended.set()
    return child.returncode


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_loses_less_than_one_range(site: Site, tmp_path: Path, number: signal.Signals) -> None:
    range_size = 1 << 20
    assert kill_after(site, tmp_path, 2_000_000, range_size, number) != 0
    child = start_child(tmp_path, site, range_size)
    out, errors = child.communicate(timeout=LONGEST)
    assert child.returncode == 0, errors
    assert int(out) < len(ARCHIVE) - 2_000_000 + range_size
    assert (tmp_path / "packages" / "small.tgz").read_bytes() == ARCHIVE


@pytest.mark.slow
def test_twenty_kills_at_random_points(tmp_path: Path) -> None:
    """Each run but the last is killed; the parts add up to the file, and each kill costs less than one range."""
    archive = tree_archive(some_files(600, seed=5))
    draw = random.Random(17)
    range_size = 1 << 20
    kills = 20
    with serving(Site({"/small.tgz": archive})) as site:
        there = 0
        for k in range(kills):
            before = site.served
            status = kill_after(site, tmp_path, draw.randrange(1, len(archive) // kills), range_size, signal.SIGKILL)
            assert status == -signal.SIGKILL, f"kill {k} came too late"
            assert not (tmp_path / "packages" / "small.tgz").exists()
            now = check(test_package(), folders_in(tmp_path)).fetched
            lost = site.served - before - 512 - (now - there)
            assert 0 <= lost < range_size, f"kill {k} cost {lost} bytes"
            there = now
        child = start_child(tmp_path, site, range_size)
        out, errors = child.communicate(timeout=LONGEST)
    assert child.returncode == 0, errors
    assert int(out) == len(archive) - there
    assert (tmp_path / "packages" / "small.tgz").read_bytes() == archive


def test_a_disk_that_is_too_small(site: Site, tmp_path: Path, get: Callable[..., Fetched]) -> None:
    with pytest.raises(InputError) as caught:
        get(package={"unpacked": 10**15})
    line = str(caught.value)
    assert "not enough disk space (found " in line
    assert "3.0 MB for the package, about 1000.0 TB for the unpacked files" in line
    assert site.served <= 512


def test_space_for_what_follows(site: Site, tmp_path: Path, get: Callable[..., Fetched]) -> None:
    """Someone who only wants the package, or has unpacked it, needs no space for its files."""
    with pytest.raises(InputError, match="not enough disk space"):
        get(package={"unpacked": 10**15})
    check_right(get(package={"unpacked": 10**15}, then_unpack=False), tmp_path)


def test_an_old_part_takes_no_space_from_another_version(small_disk: Path, tmp_path: Path) -> None:
    """A disk that has space for one version of the archive, not for two."""
    archive = ARCHIVE[:1_200_000]
    folders = PackageFolders(small_disk, tmp_path / "receipts", {"clarity_data": tmp_path})
    with serving(Site({"/small.tgz": archive[:2] + some_bytes(len(archive) - 2, 9)})) as site:
        address = f"{site.address}/small.tgz"
        site.statuses = [*[None] * 5, *[404] * 20]
        with pytest.raises(InputError, match="no such file on the server"):
            fetch(test_package(), folders, address, then_unpack=False, connection=IN_RANGES)
        site.statuses, site.tag, site.files["/small.tgz"] = [], '"version-2"', archive
        done = fetch(test_package(), folders, address, then_unpack=False, connection=IN_RANGES)
    assert done.path.read_bytes() == archive


def test_a_disk_that_fills_up(small_disk: Path, tmp_path: Path) -> None:
    """A server that tells no size: that the disk is too small shows only when it is full."""
    with serving(Site({"/small.tgz": ARCHIVE}, ranges=False, chunked=True)) as site:
        folders = PackageFolders(small_disk, tmp_path / "receipts", {"clarity_data": tmp_path})
        with pytest.raises(InputError, match=r"small\.tgz\.part-fetch: the disk is full; free some space"):
            fetch(test_package(), folders, f"{site.address}/small.tgz", connection=QUICK_CONNECTION)
        site.ranges, site.chunked = True, False
        with pytest.raises(InputError, match=r"not enough disk space .*3\.0 MB for the package"):
            fetch(test_package(), folders, f"{site.address}/small.tgz", connection=QUICK_CONNECTION)


def test_a_disk_that_fills_up_midway(small_disk: Path, tmp_path: Path) -> None:
    """Someone else fills the disk while ranges arrive: what came is kept, and is gone on with."""
    archive = ARCHIVE[:1_200_000]
    ballast = small_disk / "ballast"
    filled: list[int] = []

    def fill(served: int) -> None:
        if served > 600_000 and not filled:
            filled.append(served)
            with contextlib.suppress(OSError):
                ballast.write_bytes(bytes(1_300_000))

    with serving(Site({"/small.tgz": archive}, on_served=fill, pause=0.001)) as site:
        folders = PackageFolders(small_disk, tmp_path / "receipts", {"clarity_data": tmp_path})
        with pytest.raises(
            InputError, match=r"the disk is full; free some space and fetch again; .* are there and kept"
        ):
            fetch(
                test_package(),
                folders,
                f"{site.address}/small.tgz",
                connection=IN_RANGES,
            )
        ballast.unlink()
        done = fetch(test_package(), folders, f"{site.address}/small.tgz", connection=IN_RANGES)
    assert done.path.read_bytes() == archive
    assert done.fetched < 900_000
