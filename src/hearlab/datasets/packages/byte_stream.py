"""The bytes of an archive as one stream: plain, or unpacked from gzip, read ahead by a thread.

Unpacking gzip is the slowest step of reading a .tgz (225 MB/s of room responses on one core), so it runs beside hashing
and writing. Tried and left out: ISA-L (the package `isal`) made the whole 1.25 times as fast; rapidgzip takes as much
work as zlib, and on two cores its threads made the whole no faster than that; the standard library's gzip module takes
a fifth more time than zlib.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

from hearlab.errors import InputError

PACKED_BLOCK = 1 << 20
UNPACKED_BLOCK = 4 << 20  # what one step of unpacking may make, however well it was packed
BLOCKS_AHEAD = 4
GZIP_MAGIC = b"\x1f\x8b"
GZIP_FORMAT = 31  # zlib's window bits for a gzip stream

# Bytes, and how many bytes of the file were read for all of them so far.
Block = tuple[bytes, int]


class ByteStream:
    """The bytes of a .tar, .tar.gz or .tgz in order; `packed` and `unpacked` count what went in and came out so far.

    Args:
        advance: called with the bytes of the archive that were read since the last call.

    Raises:
        InputError: the file is missing or cannot be read; while reading: it is damaged or cut short.
    """

    def __init__(self, path: Path, advance: Callable[[int], None]) -> None:
        try:
            self._file = path.open("rb")
        except FileNotFoundError:
            raise InputError(path, "no such file", wanted="a package to unpack") from None
        except OSError as error:
            raise InputError(path, "cannot be read", found=error.strerror) from None
        packed = self._file.peek(2)[:2] == GZIP_MAGIC
        self._blocks = _gunzip(self._file, path) if packed else _plain(self._file)
        self._advance = advance
        self.packed = self.unpacked = 0
        self._block = memoryview(b"")
        self._thread = ThreadPoolExecutor(1, "gunzip")
        self._ahead = deque(self._next() for _ in range(BLOCKS_AHEAD))

    def _next(self) -> Future[Block | None]:
        return self._thread.submit(next, self._blocks, None)

    def some(self, most: int) -> bytes:
        """At least one byte and at most `most`, whatever is at hand; none at the end."""
        if not self._block and self._ahead:
            found = self._ahead.popleft().result()
            if found is None:
                self._ahead.clear()
            else:
                self._ahead.append(self._next())
                block, packed = found
                self._block = memoryview(block)
                self._advance(packed - self.packed)
                self.packed = packed
        part, self._block = self._block[:most], self._block[most:]
        self.unpacked += len(part)
        return bytes(part)

    def read(self, count: int) -> bytes:
        """`count` bytes; fewer only at the end."""
        parts = []
        while count and (part := self.some(count)):
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def close(self) -> None:
        self._thread.shutdown(cancel_futures=True)
        self._file.close()


def _plain(file: BinaryIO) -> Iterator[Block]:
    packed = 0
    while block := file.read(PACKED_BLOCK):
        packed += len(block)
        yield block, packed


def _gunzip(file: BinaryIO, path: Path) -> Iterator[Block]:
    """A gzip file of one or more members; its checksums are verified, and nothing but zeros may follow."""
    unpacker = zlib.decompressobj(GZIP_FORMAT)
    packed = 0
    between = False  # between two members, or after the last
    while data := file.read(PACKED_BLOCK):
        packed += len(data)
        while data:
            if between:
                if not data.strip(b"\0"):
                    break
                if not data.startswith(GZIP_MAGIC[:1]):
                    raise InputError(path, "is damaged", found="other bytes after the end of the gzip stream")
                unpacker, between = zlib.decompressobj(GZIP_FORMAT), False
            try:
                block = unpacker.decompress(data, UNPACKED_BLOCK)
            except zlib.error as error:
                advice = "fetch the package again"
                raise InputError(path, "is damaged", found=error, advice=advice) from None
            if block:
                yield block, packed
            data = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
            between = unpacker.eof
    if not between:
        found = f"the gzip stream has no end after {packed} bytes"
        raise InputError(path, "is cut short", found=found, advice="fetch the package again")
