"""Fetching one file, and the published weights, from a real server that breaks and lies.

What fetching shares with packages (ranges, cuts, redirects, changes, kills) is tested with them.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from file_server import Site, serving
from hearlab.datasets.download.file import Connection, Downloaded, download, fetched_intervals, part_path
from hearlab.datasets.download.retry import Retry
from hearlab.datasets.download.sources import Remote
from hearlab.errors import InputError
from hearlab.progress import ByteProgress
from hearlab.separation import openunmix
from hearlab.separation.weights import fetch_weights
from ports import refusing_port
from waits import LONGEST

CONTENT = hashlib.shake_256(b"weights").digest(700_000)
SIZE = len(CONTENT)
HASH = hashlib.sha256(CONTENT).hexdigest()
QUICK = Connection(retry=Retry(tries=4, pause=0.01, longest=0.05), range_size=100_000, timeout=LONGEST, parallel=1)
Fetch = Callable[..., Downloaded]


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving(Site({"/file.pth": CONTENT}, tag=None, content_type="application/octet-stream")) as site:
        yield site


@pytest.fixture
def fetch(site: Site, tmp_path: Path) -> Fetch:
    def run(*, size: int | None = SIZE, sha256: str | None = HASH, **options: Any) -> Downloaded:
        address, checksum = f"{site.address}/file.pth", {"sha256": sha256} if sha256 else None
        settings = {"size": size, "checksum": checksum, "algorithms": ["sha256"], "connection": QUICK, **options}
        return download(address, tmp_path / "file.pth", **settings)

    return run


def interrupt(site: Site, fetch: Fetch) -> None:
    """Fetch until the server breaks down, which it does after some ranges."""
    site.statuses = [None, None, None, *[404] * 10]
    with pytest.raises(InputError, match="no such file on the server"):
        fetch()
    site.statuses.clear()


def only(tmp_path: Path, *names: str) -> bool:
    return sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


def test_a_whole_file(site: Site, fetch: Fetch, tmp_path: Path) -> None:
    stream = io.StringIO()
    done = fetch(progress=ByteProgress(stream))
    assert done == Downloaded(f"{site.address}/file.pth", SIZE, {"sha256": HASH}, SIZE)
    assert (tmp_path / "file.pth").read_bytes() == CONTENT
    assert only(tmp_path, "file.pth")
    assert stream.getvalue().startswith("fetching file.pth: 700.0 kB of 700.0 kB (100%), ")


def test_a_later_call_goes_on_where_the_first_stopped(site: Site, fetch: Fetch, tmp_path: Path) -> None:
    interrupt(site, fetch)
    assert fetched_intervals(tmp_path / "file.pth").total() == 200_000
    assert fetch().fetched == 500_000
    assert (tmp_path / "file.pth").read_bytes() == CONTENT


def test_a_file_of_unknown_size_and_hash(site: Site, fetch: Fetch) -> None:
    assert fetch(size=None, sha256=None).digests["sha256"] == HASH
    site.ranges, site.length = False, "none"
    assert fetch(size=None, sha256=None).digests["sha256"] == HASH


def test_a_file_without_announced_length(site: Site, fetch: Fetch, tmp_path: Path) -> None:
    site.ranges, site.length = False, "none"
    assert fetch().fetched == SIZE
    assert (tmp_path / "file.pth").read_bytes() == CONTENT
    site.length, site.chunked = None, True
    assert fetch(size=None, sha256=None).digests["sha256"] == HASH
    assert only(tmp_path, "file.pth")


def test_a_whole_part_of_a_file_of_unknown_size(site: Site, fetch: Fetch, tmp_path: Path) -> None:
    def stop(path: Path) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(size=None, sha256=None, check=stop)
    assert part_path(tmp_path / "file.pth").read_bytes() == CONTENT
    site.requests.clear()
    done = fetch(size=None, sha256=None)
    assert (done.fetched, done.digests["sha256"]) == (0, HASH)
    assert [wanted for _, wanted in site.requests] == ["bytes=0-511"]
    assert only(tmp_path, "file.pth")


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("size", [None, SIZE])
def test_an_empty_file_is_refused(site: Site, fetch: Fetch, tmp_path: Path, ranges: bool, size: int | None) -> None:
    site.files["/file.pth"], site.ranges = b"", ranges
    with pytest.raises(InputError, match=r"/file\.pth: is empty \(wanted file\.pth\)"):
        fetch(size=size, sha256=None)
    assert only(tmp_path)
    (tmp_path / "empty").touch()
    with pytest.raises(InputError, match=r"empty: is empty \(wanted copy\)"):
        download(str(tmp_path / "empty"), tmp_path / "copy")
    assert only(tmp_path, "empty")


def test_a_server_that_cuts_before_the_first_byte_is_tried_again(site: Site, fetch: Fetch) -> None:
    site.cut_after = [0, 0]
    assert fetch().fetched == SIZE


def test_no_server_at_all(tmp_path: Path) -> None:
    with (
        refusing_port() as port,
        pytest.raises(InputError, match=r"cannot be fetched \(found .*refused, 3 times in a row\).* is kept"),
    ):
        download(f"http://127.0.0.1:{port}/file.pth", tmp_path / "file.pth", connection=QUICK)
    assert only(tmp_path)


def test_an_old_part_takes_no_space_from_another_version(site: Site, fetch: Fetch, tmp_path: Path) -> None:
    """It is gone before the space is looked at, also where the file changes meanwhile; not before it is accepted."""
    part, seen = part_path(tmp_path / "file.pth"), []

    def space(size: int | None, there: int) -> None:
        seen.append((size, there, part.exists(), fetched_intervals(tmp_path / "file.pth").total()))

    def change(served: int) -> None:
        if served > 300_000:
            site.tag = '"version-3"'

    def refuse(shown: str, remote: Remote) -> None:
        raise InputError(shown, "is another file")

    site.tag = '"version-1"'
    interrupt(site, fetch)
    site.tag, site.served = '"version-2"', 0
    with pytest.raises(InputError, match="is another file"):
        fetch(accept=refuse)
    assert part.exists()
    site.on_served = change
    fetch(require_space=space)
    assert seen == [(SIZE, 0, False, 0), (SIZE, 0, False, 0)]


@pytest.mark.parametrize("resumed", [False, True])
def test_wrong_bytes_are_not_kept(site: Site, fetch: Fetch, tmp_path: Path, resumed: bool) -> None:
    if resumed:
        interrupt(site, fetch)
    site.files["/file.pth"] = CONTENT[:-1] + b"!"
    before = site.served
    with pytest.raises(InputError, match=rf"has other bytes than file\.pth should have \(found sha256 .*{HASH}\)"):
        fetch()
    assert only(tmp_path)
    # What was resumed may have been of another file: all of it was fetched once more.
    assert site.served - before == (500_000 + SIZE + 2 * 512 if resumed else SIZE + 512)


def test_parts_of_another_file_are_fetched_anew(site: Site, fetch: Fetch, tmp_path: Path) -> None:
    site.files["/file.pth"] = bytes(SIZE)
    interrupt(site, fetch)
    site.files["/file.pth"] = CONTENT  # of the same size, and this server tells no versions
    fetch()
    assert (tmp_path / "file.pth").read_bytes() == CONTENT
    part_path(tmp_path / "file.pth").write_bytes(b"x" * 1000)  # without a journal
    fetch()
    assert (tmp_path / "file.pth").read_bytes() == CONTENT
    assert only(tmp_path, "file.pth")


def test_another_size_is_refused_before_it_is_fetched(site: Site, fetch: Fetch, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has another size .*\(found 700000 bytes, wanted 700001 bytes\)"):
        fetch(size=SIZE + 1)
    assert site.served == 512
    assert only(tmp_path)


def test_too_much_is_not_read_to_its_end(site: Site, fetch: Fetch, tmp_path: Path) -> None:
    site.ranges, site.length, site.files["/file.pth"] = False, "none", CONTENT + bytes(50_000_000)
    with pytest.raises(InputError, match=r"has other bytes than file\.pth should have"):
        fetch()
    assert site.served < 40_000_000
    assert only(tmp_path)


def test_passing_errors_are_tried_again_and_others_are_not(site: Site, fetch: Fetch) -> None:
    site.statuses = [503, 429, None, 500]
    fetch()
    site.requests.clear()
    site.statuses = [404]
    with pytest.raises(InputError, match=r"no such file on the server \(found 404 Not Found\)"):
        fetch()
    assert len(site.requests) == 1


def archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr(zipfile.ZipInfo("archive/data"), "weights" * 1000)
    return buffer.getvalue()


HDEMUCS = "hdemucs_high_musdbhq_only.pt"


def test_weights_of_unknown_hash_are_known_from_then_on(site: Site, tmp_path: Path) -> None:
    site.files[f"/{HDEMUCS}"] = archive()
    [path] = fetch_weights(["hdemucs"], tmp_path, base_url=site.address + "/", connection=QUICK)
    assert path == tmp_path / HDEMUCS
    digest = hashlib.sha256(archive()).hexdigest()
    assert (tmp_path / f"{HDEMUCS}.sha256").read_text() == f"{digest}  {HDEMUCS}\n"
    # It is there and right: nothing more is fetched.
    site.requests.clear()
    fetch_weights(["hdemucs"], tmp_path, base_url=site.address, connection=QUICK)
    assert site.requests == []
    # It is there and damaged: fetched again.
    path.write_bytes(b"damaged")
    fetch_weights(["hdemucs"], tmp_path, base_url=site.address, connection=QUICK)
    assert path.read_bytes() == archive()


def test_a_web_page_or_a_damaged_archive_is_no_weights_file(site: Site, tmp_path: Path) -> None:
    damaged = bytearray(archive())
    damaged[100] ^= 1
    for content, found in ((b"<html>Sign in</html>", "something else, perhaps a web page"), (bytes(damaged), "damage")):
        site.files[f"/{HDEMUCS}"] = content
        with pytest.raises(InputError, match=rf"has other bytes than {HDEMUCS} should have \(found {found}"):
            fetch_weights(["hdemucs"], tmp_path, base_url=site.address, connection=QUICK)
        assert only(tmp_path)


def test_published_weights_are_checked_by_size_and_hash(site: Site, tmp_path: Path) -> None:
    vocals, *_, bass = openunmix.WEIGHTS[:3]
    site.files = {f"/{bass.name}": CONTENT, f"/{vocals.name}": bytes(vocals.size or 0)}
    with pytest.raises(InputError, match=r"found 700000 bytes, wanted 35637796 bytes"):
        fetch_weights([bass.name], tmp_path, base_url=site.address, connection=QUICK)
    with pytest.raises(InputError, match=r"wanted sha256 b62c91ce"):
        fetch_weights([vocals.name], tmp_path, base_url=site.address, connection=Connection())
    assert not list(tmp_path.glob("*.pth"))
