"""Unpacking a package: streaming, guarded, resumable, with a receipt.

The archive is read once from start to end, and no second copy of it is made. Every file is written under a temporary
name, entered in a journal with its size and md5, and then given its name: whenever a run is killed, a file is there
whole or not at all, and the next run skips what is there. (A gzip stream can only be read from its start: the next run
reads the whole archive again, but writes only what is missing.) In the end the journal becomes the receipt.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

from hearlab.cores import usable_cores
from hearlab.datasets.download.checksums import file_md5
from hearlab.datasets.download.journal import Journal, only_one, read_journal
from hearlab.datasets.packages.archive_safety import HostileArchive, Limits, Vetting, is_no_data, shown
from hearlab.datasets.packages.byte_stream import ByteStream
from hearlab.datasets.packages.catalogue import Package
from hearlab.datasets.packages.file_checks import count_notes, damaged_files
from hearlab.datasets.packages.folders import PackageFolders
from hearlab.datasets.packages.receipt import FileLine, Receipt, read_archive_note, read_receipt, write_receipt
from hearlab.datasets.packages.space import require_space, unpacking_needs
from hearlab.datasets.packages.tar_reader import Member, TarReader
from hearlab.datasets.packages.tree import Tree, Written
from hearlab.datasets.packages.zip_reader import Entry, blocks, entries, open_zip
from hearlab.errors import InputError
from hearlab.progress import ByteProgress

SYNC_SECONDS = 30.0
# Published unpacked sizes are rounded, and folders grow with new issues.
SIZE_MARGIN = 1.5
ZIP_MAGIC = b"PK"
MOST_WORKERS = 4

Parts = tuple[str, ...]


@dataclass
class Unpacked:
    """The result of unpacking.

    Attributes:
        files, size: of the package, in all.
        written: files that were written this time; the others were there.
        left_out: members of the archive that have no place below the data root (manifests and the like).
        notes: counts that differ from what the table expects.
    """

    package: str
    root: Path
    files: int = 0
    size: int = 0
    written: int = 0
    left_out: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def unpack(
    package: Package,
    folders: PackageFolders,
    *,
    archive: Path | None = None,
    workers: int | None = None,
    limits: Limits | None = None,
    repair: bool = False,
    overwrite: bool = False,
    progress: ByteProgress | None = None,
) -> Unpacked:
    """Unpack a package into its data root, or go on where a killed run stopped.

    Files in the receipt or the journal of an earlier run are skipped if their size is right. Another file of the same
    name is kept if its bytes are the same.

    Args:
        archive: the archive, if it is not among the fetched ones; it is only read.
        workers: threads that unpack the files of a zip; by default as many as there are cores, at most 4.
        limits: how much the archive may hold; by default from the table's unpacked size.
        repair: compare the md5 of files that are there, and write again those that differ.
        overwrite: replace files of the same name that have other bytes and are not in this package's receipt.

    Raises:
        InputError: the archive is missing, damaged, cut short, hostile (`HostileArchive`; what it wrote is removed) or
            too large for the disk; or a file with other bytes is in the way.
    """
    archive = archive or folders.archive(package)
    progress = progress or ByteProgress(quiet=True)
    if limits is None:
        limits = Limits(size=round(package.unpacked * SIZE_MARGIN) if package.unpacked else None)
    with only_one(folders.receipts / f".{package.name}.lock", f"unpacking {package.name}"):
        work = _Unpacking(package, folders, archive, Vetting(archive, limits), overwrite, progress)
        return work.run(repair, workers or min(MOST_WORKERS, usable_cores()))


class _Unpacking:
    """One run."""

    def __init__(
        self,
        package: Package,
        folders: PackageFolders,
        archive: Path,
        vetting: Vetting,
        overwrite: bool,
        progress: ByteProgress,
    ) -> None:
        self.package, self.folders, self.archive = package, folders, archive
        self.vetting, self.overwrite, self.progress = vetting, overwrite, progress
        self.tree = Tree(folders.root(package), package.name)
        self.receipt_path = folders.receipt(package)
        self.journal_path = self.receipt_path.with_suffix(".journal")
        self.result = Unpacked(package.name, self.tree.root)
        self.known: set[str] = set()  # paths that earlier runs of this package wrote: may be replaced
        self.mine: set[str] = set()  # what this run and unfinished ones wrote: removed if the archive is hostile
        self.there: dict[str, FileLine] = {}  # files of earlier runs that are right
        self.files: dict[str, FileLine] = {}  # files of the archive so far
        self.lock = threading.Lock()
        self.stop = threading.Event()

    def run(self, repair: bool, workers: int) -> Unpacked:
        if not self.archive.is_file():
            # It may be gone once everything is unpacked.
            if self.receipt_path.exists() and self._resume({}, repair):
                return self._finish()
            wanted = f"the package {self.package.name}"
            raise InputError(self.archive, "no such file", wanted=wanted, advice="fetch it first")
        note = read_archive_note(self.archive)
        size, md5 = self.archive.stat().st_size, note.md5 if note else None
        identity = {"archive_size": size, "archive_md5": md5}
        if self._resume(identity, repair):
            return self._finish()
        require_space(unpacking_needs(self.package, self.folders, sum(line.size for line in self.there.values())))
        self.tree.clean()
        before = [{**line.as_dict(), "mine": line.path in self.mine} for line in self.there.values()]
        if before:
            os.sync()
        self.journal = Journal.create(self.journal_path, identity, before)
        self.last_sync = time.monotonic()
        try:
            if _is_zip(self.archive):
                self._unpack_zip(workers)
            else:
                self._unpack_tar()
        except HostileArchive:
            self._remove_all()
            raise
        except BaseException as error:
            self.journal.close()
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                advice = "free some space and unpack again: what was written is kept"
                raise InputError(self.tree.root, "the disk is full", advice=advice) from None
            raise
        finally:
            self.progress.finish()
        if not self.files:
            self.journal.remove()
            wanted = " or ".join(f"{rule.source}/" for rule in self.package.place)
            raise InputError(self.archive, "holds nothing of the package", field=self.package.name, wanted=wanted)
        os.sync()
        write_receipt(self.receipt_path, Receipt(self.package.name, self.archive.name, size, md5, self.files))
        self.journal.remove()
        return self._finish()

    def _resume(self, identity: Mapping[str, object], repair: bool) -> bool:
        """Find the files that are there and right; gives whether those are all."""
        record = read_journal(self.journal_path)
        entered = [*record.trusted, *record.doubtful]
        self.known = {entry["path"] for entry in entered}
        receipt = read_receipt(self.receipt_path)
        if receipt is not None:
            self.known |= set(receipt.files)
            if identity and not _same_archive(receipt, identity):
                return False
            self.there = self._right(receipt.files, repair)
            if len(self.there) < len(receipt.files):
                return False
            self.files = dict(receipt.files)
            return True
        self.mine = {entry["path"] for entry in entered if entry["mine"]}
        if record.header == identity:
            self.there = self._right({entry["path"]: FileLine.of(entry) for entry in record.trusted}, repair)
        return False

    def _right(self, lines: Mapping[str, FileLine], repair: bool) -> dict[str, FileLine]:
        bad = damaged_files(lines.values(), self.tree.root, deep=repair, progress=self.progress)
        wrong = {problem.path for problem in bad}
        return {path: line for path, line in lines.items() if path not in wrong}

    def _unpack_tar(self) -> None:
        self.progress.start(f"unpacking {self.package.name}", self.archive.stat().st_size)
        stream = ByteStream(self.archive, self.progress.advance)
        try:
            reader = TarReader(stream, self.archive)
            for member in reader:
                name = member.name.decode("utf-8", "surrogateescape")
                parts = self.vetting.parts(member.name)
                if member.kind == "folder":
                    continue

                def vetted(name: str = name) -> Iterable[bytes]:
                    for block in reader.blocks():
                        self.vetting.check_ratio(stream.packed, stream.unpacked, name)
                        yield block

                if "link" in member.kind:
                    self._take_link(member, name, parts)
                else:
                    self.vetting.count(member.size, name)
                    self._take(name, parts, member.size, vetted())
                for _ in vetted():  # what was skipped
                    pass
            self.vetting.check_ratio(stream.packed, stream.unpacked, self.archive.name)
        finally:
            stream.close()

    def _unpack_zip(self, workers: int) -> None:
        with open_zip(self.archive) as archive:
            found = entries(archive, self.archive, self.vetting)
            self.progress.start(f"unpacking {self.package.name}", sum(entry.info.compress_size for entry in found))
            todo: list[tuple[Entry, Parts]] = []
            for entry in found:
                target = self._target(entry.name, entry.parts)
                if target is None or self._is_there(target, entry.size):
                    self.progress.advance(entry.info.compress_size)
                else:
                    todo.append((entry, target))
        require_space(unpacking_needs(self.package, self.folders, 0, sum(entry.size for entry, _ in todo)))
        shares = [todo[k::workers] for k in range(workers)]
        with ThreadPoolExecutor(workers, "unzip") as pool:
            futures = [pool.submit(self._unpack_share, share) for share in shares if share]
            try:
                done, _ = wait(futures, return_when=FIRST_EXCEPTION)
            finally:
                self.stop.set()
        for future in done:
            future.result()

    def _unpack_share(self, share: list[tuple[Entry, Parts]]) -> None:
        # An archive object of its own: those of the standard library are not made for several threads.
        with open_zip(self.archive) as archive:
            for entry, target in share:
                if self.stop.is_set():
                    return
                self._settle(target, self.tree.write(blocks(archive, entry, self.archive)))
                self.progress.advance(entry.info.compress_size)

    def _take(self, name: str, parts: Parts, size: int, data: Iterable[bytes]) -> None:
        """Store a file of a tar archive, unless it is there or has no place below the data root."""
        target = self._target(name, parts, may_come_twice=self.package.duplicates == "identical")
        if target is None:
            return
        before = self.files.get("/".join(target))
        if before is not None:
            again = self.tree.write(data)
            again.temporary.unlink()
            if again.md5 != before.md5:
                raise self.vetting.refuse(name, "the same name twice, with other bytes")
        elif not self._is_there(target, size):
            self._settle(target, self.tree.write(data))

    def _take_link(self, member: Member, name: str, parts: Parts) -> None:
        """A link to a file that came before is stored as that file's second name."""
        folder = parts[:-1] if member.kind == "symbolic link" else ()
        source = self.package.destination(self.vetting.link_target(name, member.link, folder))
        line = None if source is None else self.files.get("/".join(source))
        target = self._target(name, parts)
        if target is None:
            return
        if line is None or source is None:
            raise self.vetting.refuse(
                name, f"a {member.kind} to what is no file before it", found=shown(member.link), wanted="a plain file"
            )
        self.vetting.count(line.size, name)
        if not self._is_there(target, line.size):
            self._settle(target, self.tree.same_bytes(source, line.size, line.md5))

    def _target(self, name: str, parts: Parts, *, may_come_twice: bool = False) -> Parts | None:
        """Where a member goes; None if it is left out."""
        if not parts:
            raise self.vetting.refuse(name, "a file without a name")
        target = None if is_no_data(parts) else self.package.destination(parts)
        if target is None:
            self.result.left_out.append("/".join(parts))
        elif not self.vetting.claim(target, name) and not may_come_twice:
            raise self.vetting.refuse(
                name,
                "the same name twice",
                advice='if both are the same file, set duplicates = "identical" in a table of packages of your own',
            )
        return target

    def _is_there(self, target: Parts, size: int) -> bool:
        line = self.there.get("/".join(target))
        if line is None or line.size != size:
            return False
        self.files[line.path] = line
        return True

    def _settle(self, target: Parts, written: Written) -> None:
        line = FileLine("/".join(target), written.size, written.md5)
        try:
            self.tree.make_folder(target[:-1])
            mine = self._may_write(target, line)
            # Entered before it gets its name: a file of ours is always in the journal.
            self.journal.append({**line.as_dict(), "mine": mine})
            if mine:
                os.replace(written.temporary, self.tree.path(target))
        finally:
            written.temporary.unlink(missing_ok=True)
        with self.lock:
            self.files[line.path] = line
            if mine:
                self.mine.add(line.path)
                self.result.written += 1
            if time.monotonic() - self.last_sync > SYNC_SECONDS:
                count = self.journal.count
                os.sync()
                self.journal.synced(count)
                self.last_sync = time.monotonic()

    def _may_write(self, target: Parts, line: FileLine) -> bool:
        """Whether the file is to be written: not if the same bytes are there."""
        path = self.tree.path(target)
        if line.path in self.known or not os.path.lexists(path):
            return True
        if path.is_dir():
            raise InputError(path, "is in the way", found="a folder", wanted="a file", advice="move it away")
        if path.is_file() and path.stat().st_size == line.size and file_md5(path) == line.md5:
            return False
        if self.overwrite:
            return True
        raise InputError(
            path,
            f"is there with other bytes than in {self.package.file}",
            advice="move it away, or unpack with --overwrite",
        )

    def _remove_all(self) -> None:
        """A hostile archive leaves nothing behind."""
        for path in self.mine:
            self.tree.remove(tuple(path.split("/")))
        self.tree.clean()
        self.journal.remove()

    def _finish(self) -> Unpacked:
        self.result.files = len(self.files)
        self.result.size = sum(line.size for line in self.files.values())
        self.result.notes = count_notes(self.package, self.files)
        return self.result


def _same_archive(receipt: Receipt, identity: Mapping[str, object]) -> bool:
    if receipt.archive_size != identity["archive_size"]:
        return False
    return None in (receipt.archive_md5, identity["archive_md5"]) or receipt.archive_md5 == identity["archive_md5"]


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == ZIP_MAGIC
