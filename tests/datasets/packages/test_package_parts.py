"""The parts that fetching and unpacking are made of: intervals, journals, pauses, disk space, texts."""

from __future__ import annotations

import io
import json
import os
import random
import threading
from pathlib import Path

from archives_made import some_bytes, test_package
from hypothesis import given
from hypothesis import strategies as st

from hearlab.datasets.download.checksums import FollowingHasher
from hearlab.datasets.download.journal import Journal, read_journal
from hearlab.datasets.download.ranges import Intervals
from hearlab.datasets.links import working_link
from hearlab.datasets.packages import PackageFolders, Retry, disks, fetching_needs, unpacking_needs
from hearlab.progress import ByteProgress
from hearlab.text import clock_text, size_text

SIZE = 40
SPANS = st.lists(st.tuples(st.integers(0, SIZE), st.integers(0, SIZE)), max_size=12)


@given(SPANS, st.integers(1, 15))
def test_intervals(spans: list[tuple[int, int]], most: int) -> None:
    there = Intervals(spans)
    wanted = {position for first, end in spans for position in range(first, end)}
    assert {position for first, end in there for position in range(first, end)} == wanted
    assert there.total() == len(wanted)
    assert there.frontier() == next(k for k in range(SIZE + 1) if k not in wanted)
    missing = list(there.missing(SIZE, most))
    assert missing == sorted(missing)
    assert all(0 < end - first <= most for first, end in missing)
    assert [position for first, end in missing for position in range(first, end)] == sorted(set(range(SIZE)) - wanted)


def test_a_journal_tells_what_it_was_told(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    assert read_journal(path).header is None
    journal = Journal.create(path, {"size": 5}, [{"n": 0}])
    journal.append({"n": 1})
    journal.synced(journal.count)
    journal.append({"n": 2})
    record = read_journal(path)
    assert record.header == {"size": 5}
    assert record.trusted == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert record.doubtful == []
    journal.remove()
    assert not path.exists()


def test_a_journal_after_another_boot(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    journal = Journal.create(path, {"size": 5}, [{"n": 0}])
    journal.append({"n": 1})
    count = journal.count
    journal.append({"n": 2})  # of another thread, while the data are brought to the disk
    journal.synced(count)
    journal.append({"n": 3})
    journal.close()
    lines = path.read_text().splitlines(keepends=True)
    lines[0] = json.dumps({"size": 5, "boot": "another"}) + "\n"
    path.write_text("".join(lines))
    record = read_journal(path)
    assert record.trusted == [{"n": 0}, {"n": 1}]
    assert record.doubtful == [{"n": 2}, {"n": 3}]


def test_a_torn_journal(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    journal = Journal.create(path, {"size": 5}, [])
    for number in range(3):
        journal.append({"n": number})
    journal.close()
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        record = read_journal(path)
        assert record.trusted == [{"n": n} for n in range(3)][: len(record.trusted)]
    path.write_bytes(whole[:-4] + b"\0\0\0\n" + whole[-10:])
    assert read_journal(path).trusted == [{"n": 0}, {"n": 1}]


def test_no_altered_line_of_a_journal_is_believed(tmp_path: Path) -> None:
    seed = 20261133
    rng = random.Random(seed)
    path = tmp_path / "a.journal"
    header, entries = {"address": "x", "size": 10**9}, [{"from": n * 10**6, "to": (n + 1) * 10**6} for n in range(5)]
    Journal.create(path, header, entries).close()
    whole = path.read_bytes()
    for _ in range(300):
        place = rng.randrange(len(whole))
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << rng.randrange(8)]) + whole[place + 1 :])
        record = read_journal(path)
        assert record.header in (None, header), f"{seed}: byte {place}"
        found = record.trusted + record.doubtful
        assert found == entries[: len(found)], f"{seed}: byte {place}"


def test_pauses_grow_and_have_an_end() -> None:
    retry = Retry(tries=9, pause=1.0, longest=60.0)
    pauses = [retry.delay(failures) for failures in range(1, 9)]
    for pause, expected in zip(pauses, (1, 2, 4, 8, 16, 32, 60, 60), strict=True):
        assert 0.75 * expected <= pause <= 1.25 * expected
    assert retry.delay(1, asked=30) == 30
    assert retry.delay(1, asked=1e6) == 600  # a server's wish has limits


def test_check_sums_follow_what_is_written(tmp_path: Path) -> None:
    import hashlib

    content = some_bytes(1_000_000)
    descriptor = os.open(tmp_path / "x", os.O_RDWR | os.O_CREAT)
    hasher = FollowingHasher(descriptor, ["md5", "sha256"])
    for end in range(100_000, 1_000_001, 100_000):
        os.pwrite(descriptor, content[end - 100_000 : end], end - 100_000)
        hasher.reach(end)
    assert hasher.finish() == {
        "md5": hashlib.md5(content).hexdigest(),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    given_up = FollowingHasher(descriptor, ["md5"])
    given_up.abandon()
    assert not any(thread.name.startswith("checksum") for thread in threading.enumerate())
    os.close(descriptor)


def test_space_for_package_files_and_cache(tmp_path: Path, small_disk: Path) -> None:
    package = test_package(size=1000, unpacked=3000)
    roots = {"clarity_data": tmp_path / "not" / "yet"}

    def needed(cache: Path | None, *types: str) -> dict[int, int]:
        folders = PackageFolders(tmp_path / "packages", tmp_path / "receipts", roots, cache, types)
        return {
            disk.needs[0].folder.stat().st_dev if disk.needs[0].folder.exists() else 0: disk.needed
            for disk in disks(fetching_needs(package, folders, 1000, there=400))
        }

    assert list(needed(None).values()) == [600 + 3000]
    (tmp_path / "cache").mkdir()
    # Linked files are there once, on another disk too; copies are there twice.
    assert list(needed(tmp_path / "cache", "hardlink", "copy").values()) == [600 + 3000]
    assert list(needed(tmp_path / "cache", "copy").values()) == [600 + 3000 + 3000]
    assert list(needed(small_disk, "hardlink", "symlink", "copy").values()) == [600 + 3000]
    assert list(needed(small_disk, "hardlink", "copy").values()) == [600 + 3000, 3000]
    folders = PackageFolders(tmp_path / "packages", tmp_path / "receipts", roots, small_disk, ("hardlink", "copy"))
    needs = unpacking_needs(package, folders, there=500)
    assert [str(need) for need in needs] == [
        "about 2.5 kB for the unpacked files",
        "about 3.0 kB for their copies in DVC's cache",
    ]


def test_links_are_tried_not_assumed(tmp_path: Path, small_disk: Path) -> None:
    here, cache = tmp_path / "here", tmp_path / "cache"
    here.mkdir()
    cache.mkdir()
    assert working_link(here, cache, ("hardlink", "copy")) == "hardlink"
    assert working_link(here, small_disk, ("hardlink", "symlink", "copy")) == "symlink"
    assert working_link(here, small_disk, ("hardlink", "copy")) == "copy"
    assert working_link(here, small_disk, ("hardlink", "reflink")) is None
    assert working_link(here, cache, ("teleport", "symlink")) == "symlink"
    assert list(here.iterdir()) == list(cache.iterdir()) == []


def test_sizes_and_times() -> None:
    assert [size_text(size) for size in (0, 999, 1000, 28_000_000_000, 999_960, 5 * 10**15)] == [
        "0 bytes",
        "999 bytes",
        "1.0 kB",
        "28.0 GB",
        "1.0 MB",
        "5000.0 TB",
    ]
    assert [clock_text(seconds) for seconds in (0, 59.6, 3601)] == ["0:00", "1:00", "1:00:01"]


def test_progress_in_a_log_file() -> None:
    stream = io.StringIO()
    progress = ByteProgress(stream)
    progress.message("before")
    progress.start("fetching a", 2000, 500)
    progress.advance(500)
    progress.message("between")
    progress.finish()
    progress.finish()
    lines = stream.getvalue().splitlines()
    assert lines[:2] == ["before", "between"]
    assert lines[2].startswith("fetching a: 1.0 kB of 2.0 kB (50%), ")
    assert len(lines) == 3
    progress.start("fetching b", None)
    progress.finish()
    assert stream.getvalue().splitlines()[3] == "fetching b: 0 bytes, took 0:00"
