"""What is refused in an archive: names that lead elsewhere, clashing names, bombs. Nothing in an archive is trusted.

An archive comes from an address that a user pasted. Every member is vetted before a byte of it is written; the first
that is refused ends the unpacking. Special files and links are refused by the readers of archives; this module checks
names and sizes.
"""

from __future__ import annotations

import os
import unicodedata
from dataclasses import dataclass

from hearlab.errors import InputError
from hearlab.text import size_text

LONGEST_NAME = 255  # bytes of one name: the limit of the usual file systems
LONGEST_PATH = 1024  # bytes of a path inside the archive; Linux takes 4096 with the data root before it
DEEPEST = 32  # folders
DIRECTION_MARKS = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})
# Left in archives by desktop systems, or acted on by git and DVC: never data. Nor are hidden files (.git, .DS_Store).
NO_DATA = ("__macosx", "thumbs.db", "desktop.ini", "dvc.yaml", "dvc.lock")


@dataclass(frozen=True)
class Limits:
    """How much an archive may unpack to.

    Attributes:
        members: files, folders and links.
        size: bytes in all.
        ratio: unpacked bytes for each packed byte, once more than `slack` bytes are unpacked. Sound compresses to
            about half; deflate reaches 1030 on zeros.
    """

    members: int = 3_000_000
    size: int | None = None
    ratio: float = 100.0
    slack: int = 64 << 20


class HostileArchive(InputError):
    """An archive that would do harm."""


class Vetting:
    """Checks the members of one archive while it is read."""

    def __init__(self, archive: str | os.PathLike[str], limits: Limits) -> None:
        self._archive = archive
        self._limits = limits
        self._members = 0
        self._unpacked = 0
        # Folded path -> (path as written, whether it is a file). Folded, because some file systems see no difference
        # between A and a, or between two ways to write an accent.
        self._taken: dict[str, tuple[str, bool]] = {}

    def parts(self, name: str | bytes) -> tuple[str, ...]:
        """Vet a member's name; gives its folders and file name ('.' and empty ones are dropped)."""
        self._members += 1
        if self._members > self._limits.members:
            raise self.refuse(name, "too many members", wanted=f"at most {self._limits.members}")
        return self._vet(name, name)

    def link_target(self, name: str, target: str | bytes, folder: tuple[str, ...]) -> tuple[str, ...]:
        """Vet the target of a link in `folder`; gives its path inside the archive."""
        text = self._text(target, name)
        if text.startswith("/") or _has_drive(text):
            raise self.refuse(name, "a link to an absolute path", found=shown(text))
        resolved = list(folder)
        for part in text.split("/"):
            if part == "..":
                if not resolved:
                    raise self.refuse(name, "a link that leads out of the archive", found=shown(text))
                resolved.pop()
            elif part not in ("", "."):
                resolved.append(part)
        return self._vet("/".join(resolved), name)

    def claim(self, path: tuple[str, ...], name: str) -> bool:
        """Take a place for a file; False if the same name was taken before (a duplicate).

        Raises:
            HostileArchive: the name differs from another only in case (or in how an accent is written), or is both a
                file and a folder.
        """
        for end in range(1, len(path)):
            self._take("/".join(path[:end]), False, name)
        return self._take("/".join(path), True, name)

    def count(self, size: int, name: str) -> None:
        """Add the announced size of a member, before it is written."""
        if size < 0:
            raise self.refuse(name, "a negative size", found=size)
        self._unpacked += size
        most = self._limits.size
        if most is not None and self._unpacked > most:
            raise self.refuse(
                name,
                "the archive unpacks to more than it should: a compression bomb, or another archive",
                found=f"over {size_text(self._unpacked)}",
                wanted=f"at most {size_text(most)}",
            )

    def check_ratio(self, packed: int, unpacked: int, name: str) -> None:
        """Refuse a stream that unpacks to far more bytes than it has."""
        if unpacked > self._limits.slack and unpacked > self._limits.ratio * max(packed, 1):
            raise self.refuse(
                name,
                "a compression bomb",
                found=f"{size_text(unpacked)} out of {size_text(packed)}",
                wanted=f"at most {self._limits.ratio:g} times",
            )

    def refuse(
        self, name: str | bytes, problem: str, *, found: object = None, wanted: object = None, advice: str | None = None
    ) -> HostileArchive:
        return HostileArchive(
            self._archive, f"not unpacked: {problem}", field=shown(name), found=found, wanted=wanted, advice=advice
        )

    def _vet(self, path: str | bytes, name: str | bytes) -> tuple[str, ...]:
        text = self._text(path, name)
        if text.startswith("/") or _has_drive(text):
            raise self.refuse(name, "an absolute path")
        parts = tuple(part for part in text.split("/") if part not in ("", "."))
        if ".." in parts:
            raise self.refuse(name, "a path that leads out of the folder")
        if len(text.encode()) > LONGEST_PATH or len(parts) > DEEPEST:
            raise self.refuse(name, "a path that is too long", wanted=f"{LONGEST_PATH} bytes, {DEEPEST} folders")
        for part in parts:
            if len(part.encode()) > LONGEST_NAME:
                raise self.refuse(name, "a name that is too long", wanted=f"at most {LONGEST_NAME} bytes")
            if part[-1] in ". ":
                raise self.refuse(name, "a name that ends in a dot or a space")
        return parts

    def _text(self, value: str | bytes, name: str | bytes) -> str:
        try:
            text = value.decode("utf-8") if isinstance(value, bytes) else value
            text.encode("utf-8")
        except UnicodeError:
            raise self.refuse(name, "a name that is not UTF-8 text") from None
        if "\\" in text:
            raise self.refuse(name, "a name with a backslash")
        if text.isascii() and text.isprintable():
            return text
        if any(unicodedata.category(letter) in ("Cc", "Zl", "Zp") for letter in text):
            raise self.refuse(name, "a name with control characters")
        # Characters that change the writing direction make a name look like another one.
        if any(unicodedata.bidirectional(letter) in DIRECTION_MARKS for letter in text):
            raise self.refuse(name, "a name with characters that hide its true form")
        return text

    def _take(self, path: str, is_file: bool, name: str) -> bool:
        folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())
        known = folded in self._taken
        before = self._taken.setdefault(folded, (path, is_file))
        if before[0] != path:
            raise self.refuse(name, "a name that differs from another in case only", found=shown(before[0]))
        if before[1] != is_file:
            raise self.refuse(name, "a name that is both a file and a folder", found=shown(path))
        return not known


def is_no_data(parts: tuple[str, ...]) -> bool:
    """Whether a member is left out whatever the table says."""
    names = [part.casefold() for part in parts]
    return any(name.startswith(".") or name in NO_DATA or name.endswith(".dvc") for name in names)


def shown(name: str | bytes) -> str:
    """A hostile name made fit to be printed: one line, ASCII, not too long."""
    text = ascii(name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else name)
    return text if len(text) <= 120 else f"{text[:80]}...{text[-30:]}"


def _has_drive(text: str) -> bool:
    return len(text) > 1 and text[1] == ":" and text[0].isalpha()
