"""Reading a tar stream strictly.

The standard library's tarfile takes an unreadable header in the middle, or an archive cut between two files, for the
end of the archive, and reads extended headers and lists of holes of any size into memory; which of this its subclasses
can prevent depends on private methods. Here an archive has to end with its end mark, headers have to be right, and
kinds of members that a data set has no use for are refused.

Formats: POSIX ustar and pax (IEEE Std 1003.1-2017, pax), GNU tar's long names, and the old format before them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hearlab.datasets.packages.archive_safety import HostileArchive, shown
from hearlab.datasets.packages.byte_stream import ByteStream
from hearlab.errors import InputError

BLOCK = 512
END_MARK = bytes(BLOCK)
LONGEST_HEADER = 1 << 20  # bytes of an extended header; a long name takes a few hundred
DATA_BLOCK = 1 << 20

Kind = Literal["file", "folder", "hard link", "symbolic link"]
_KINDS: dict[bytes, Kind] = {
    b"0": "file",
    b"\0": "file",
    b"7": "file",  # "contiguous", a plain file to all systems of today
    b"1": "hard link",
    b"2": "symbolic link",
    b"5": "folder",
}
_REFUSED = {b"3": "a device", b"4": "a device", b"6": "a named pipe", b"S": "a sparse file"}


@dataclass(frozen=True)
class Member:
    """A member as its headers describe it, before any check."""

    name: bytes
    kind: Kind
    size: int
    link: bytes = b""


class TarReader:
    """Iterates over the members; `blocks` gives the bytes of the latest one."""

    def __init__(self, stream: ByteStream, path: Path) -> None:
        self._stream = stream
        self._path = path
        self._left = 0  # bytes of the member that were not read
        self._padding = 0

    def __iter__(self) -> Iterator[Member]:
        while (member := self._next()) is not None:
            self._left = member.size
            self._padding = -member.size % BLOCK
            yield member
            for _ in self.blocks():
                pass

    def blocks(self) -> Iterator[bytes]:
        """The bytes of the member that have not been read yet."""
        while self._left:
            block = self._stream.some(min(self._left, DATA_BLOCK))
            if not block:
                raise self._cut_short()
            self._left -= len(block)
            yield block
        if self._padding:
            self._exactly(self._padding)
            self._padding = 0

    def _next(self) -> Member | None:
        name = link = None
        size: int | None = None
        while True:
            header = self._exactly(BLOCK)
            if header == END_MARK:
                self._check_end()
                return None
            self._check_sum(header)
            kind = header[156:157]
            declared = self._number(header[124:136], "size")
            if kind in b"LK" and kind:
                value = self._extended(declared).rstrip(b"\0")
                name, link = (value, link) if kind == b"L" else (name, value)
            elif kind in b"xg" and kind:
                fields = self._pax(self._extended(declared))
                if kind == b"g" and fields:
                    raise HostileArchive(self._path, f"not unpacked: one {' and '.join(fields)} for all members")
                name, link = fields.get("path", name), fields.get("linkpath", link)
                if "size" in fields:
                    size = self._decimal(fields["size"])
            else:
                return self._member(header, kind, declared if size is None else size, name, link)

    def _member(self, header: bytes, kind: bytes, size: int, name: bytes | None, link: bytes | None) -> Member:
        if name is None:
            name = _text(header[0:100])
            if header[257:263] == b"ustar\0" and (prefix := _text(header[345:500])):
                name = prefix + b"/" + name
        if link is None:
            link = _text(header[157:257])
        if kind not in _KINDS:
            what = _REFUSED.get(kind, f"a member of unknown kind {kind.decode('latin-1')!a}")
            raise HostileArchive(self._path, f"not unpacked: {what}", field=shown(name))
        known = _KINDS[kind]
        if known == "file" and name.endswith(b"/"):
            known = "folder"  # how the format before ustar wrote folders
        if known != "file" and size:
            raise HostileArchive(self._path, f"not unpacked: a {known} with contents", field=shown(name), found=size)
        return Member(name, known, size, link if "link" in known else b"")

    def _check_end(self) -> None:
        second = self._stream.read(BLOCK)
        if second.strip(b"\0"):
            raise self._damaged("one empty block among the headers")
        # The padding is read to its end, because the checksum of gzip follows it.
        while self._stream.some(DATA_BLOCK):
            pass

    def _extended(self, size: int) -> bytes:
        if not 0 < size <= LONGEST_HEADER:
            raise HostileArchive(self._path, "not unpacked: an extended header of odd size", found=f"{size} bytes")
        return self._exactly(size + -size % BLOCK)[:size]

    def _pax(self, data: bytes) -> dict[str, bytes]:
        """The records of a member's name, link and size; all others (times, owners, comments) do not matter here."""
        fields: dict[str, bytes] = {}
        while data:
            digits, space, _ = data.partition(b" ")
            length = int(digits) if space and digits.isdigit() and len(digits) < 8 else 0
            key, equals, value = data[len(digits) + 1 : max(length - 1, 0)].partition(b"=")
            if not equals or data[length - 1 : length] != b"\n":
                raise self._damaged("a pax header that cannot be read")
            text = key.decode("utf-8", "replace")
            if text.startswith("GNU.sparse."):
                raise HostileArchive(self._path, "not unpacked: a sparse file")
            if text in ("path", "linkpath", "size"):
                fields[text] = value
            data = data[length:]
        return fields

    def _check_sum(self, header: bytes) -> None:
        # The sum counts its own field as spaces; some old systems added signed bytes.
        expected = self._number(header[148:156], "checksum")
        rest = header[:148] + b" " * 8 + header[156:]
        unsigned = sum(rest)
        if expected not in (unsigned, unsigned - 256 * sum(byte > 127 for byte in rest)):
            raise self._damaged("a header with a wrong checksum")

    def _number(self, field: bytes, what: str) -> int:
        if field[0] == 0x80:  # GNU tar's binary form for large numbers
            return int.from_bytes(field[1:], "big")
        digits = field.strip(b" \0")
        if digits.strip(b"01234567"):
            raise self._damaged(f"a header whose {what} is no number")
        return int(digits or b"0", 8)

    def _decimal(self, value: bytes) -> int:
        if not value.isdigit() or len(value) > 18:
            raise self._damaged("a pax header whose size is no number")
        return int(value)

    def _exactly(self, count: int) -> bytes:
        data = self._stream.read(count)
        if len(data) < count:
            raise self._cut_short()
        return data

    def _cut_short(self) -> InputError:
        return InputError(self._path, "is cut short: no end mark of the archive", advice="fetch the package again")

    def _damaged(self, what: str) -> InputError:
        return InputError(self._path, f"is damaged or no tar archive: {what}", advice="fetch the package again")


def _text(field: bytes) -> bytes:
    return field.split(b"\0", 1)[0]
