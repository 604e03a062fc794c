"""The bytes of an archive as one stream: plain, or unpacked from gzip by a thread of its own.

Unpacking gzip is the slowest step of reading a .tgz (225 MB/s of room responses on one core), so it runs beside hashing
and writing. Tried and left out: ISA-L (the package `isal`) made the whole 1.25 times as fast; rapidgzip takes as much
work as zlib, and on two cores its threads made the whole no faster than that.
"""

from __future__ import annotations

import os
import queue
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Protocol

from hearlab.errors import InputError

PACKED_BLOCK = 1 << 20
UNPACKED_BLOCK = 4 << 20  # what one step of unpacking may make, however well it was packed
WAITING_BLOCKS = 4
GZIP_MAGIC = b"\x1f\x8b"
GZIP_FORMAT = 31  # zlib's window bits for a gzip stream

# Called with the bytes of the archive that were read since the last call.
Advance = Callable[[int], None]


class Stream(Protocol):
    """Bytes in order. `packed` and `unpacked` count what went in and came out so far."""

    packed: int
    unpacked: int

    def read(self, count: int) -> bytes:
        """Up to `count` bytes; fewer only at the end."""

    def some(self, most: int) -> bytes:
        """At least one byte and at most `most`, whatever is at hand; none at the end."""

    def close(self) -> None: ...


def open_stream(path: Path, advance: Advance) -> Stream:
    """Open a .tar, .tar.gz or .tgz, told apart by its first bytes.

    Raises:
        InputError: the file is missing or cannot be read.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise InputError(path, "no such file", wanted="a package to unpack") from None
    except OSError as error:
        raise InputError(path, "cannot be read", found=error.strerror) from None
    if file.peek(2)[:2] == GZIP_MAGIC:
        return GzipStream(file, path, advance)
    return PlainStream(file, advance)


class _Collecting:
    """`read` in terms of `some`."""

    def read(self, count: int) -> bytes:
        first = self.some(count)
        if len(first) == count or not first:
            return first
        blocks, missing = [first], count - len(first)
        while missing and (block := self.some(missing)):
            blocks.append(block)
            missing -= len(block)
        return b"".join(blocks)

    def some(self, most: int) -> bytes:
        raise NotImplementedError


class PlainStream(_Collecting):
    """A file as it is."""

    def __init__(self, file: BinaryIO, advance: Advance) -> None:
        self._file = file
        self._advance = advance
        self.packed = self.unpacked = 0

    def some(self, most: int) -> bytes:
        block = self._file.read(min(most, PACKED_BLOCK))
        self.packed += len(block)
        self.unpacked += len(block)
        self._advance(len(block))
        return block

    def close(self) -> None:
        self._file.close()


class GzipStream(_Collecting):
    """A gzip file of one or more members; its check sums are verified, and nothing but zeros may follow."""

    def __init__(self, file: BinaryIO, path: Path, advance: Advance) -> None:
        self._file = file
        self._path = path
        self._advance = advance
        self.packed = self.unpacked = 0
        self._block = memoryview(b"")
        self._blocks: queue.Queue[tuple[bytes, int] | BaseException | None] = queue.Queue(WAITING_BLOCKS)
        self._stop = threading.Event()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="gunzip", daemon=True)
        self._thread.start()

    def some(self, most: int) -> bytes:
        if not self._block and not self._ended:
            self._next()
        block, self._block = self._block[:most], self._block[most:]
        self.unpacked += len(block)
        return bytes(block)

    def close(self) -> None:
        self._stop.set()
        while self._thread.is_alive():
            try:  # makes room for a thread that waits to put a block
                self._blocks.get(timeout=0.05)
            except queue.Empty:
                continue
        self._file.close()

    def _next(self) -> None:
        item = self._blocks.get()
        if item is None:
            self._ended = True
        elif isinstance(item, BaseException):
            self._ended = True
            raise item
        else:
            block, packed = item
            self._block = memoryview(block)
            self._advance(packed - self.packed)
            self.packed = packed

    def _run(self) -> None:
        try:
            self._unpack()
        except zlib.error as error:
            self._put(InputError(self._path, "is damaged", found=str(error), advice="fetch the package again"))
        except BaseException as error:
            self._put(error)
        else:
            self._put(None)

    def _unpack(self) -> None:
        unpacker = zlib.decompressobj(GZIP_FORMAT)
        packed = 0
        between = False  # between two members, or after the last
        while not self._stop.is_set():
            data = self._file.read(PACKED_BLOCK)
            if not data:
                break
            packed += len(data)
            while data and not self._stop.is_set():
                if between:
                    if not data.strip(b"\0"):
                        break
                    if packed == len(data) or not data.startswith(GZIP_MAGIC[:1]):
                        raise InputError(self._path, "is damaged", found="other bytes after the end of the gzip stream")
                    unpacker, between = zlib.decompressobj(GZIP_FORMAT), False
                block = unpacker.decompress(data, UNPACKED_BLOCK)
                if block and not self._put((block, packed)):
                    return
                if unpacker.eof:
                    data, between = unpacker.unused_data, True
                else:
                    data = unpacker.unconsumed_tail
        if not between and not self._stop.is_set():
            raise InputError(
                self._path,
                "is cut short",
                found=f"the gzip stream has no end after {os.fstat(self._file.fileno()).st_size} bytes",
                advice="fetch the package again",
            )

    def _put(self, item: tuple[bytes, int] | BaseException | None) -> bool:
        while not self._stop.is_set():
            try:
                self._blocks.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False
