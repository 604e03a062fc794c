"""Names that come from files of others: of scenes, listeners, songs, rooms, recordings, teams and systems.

They become names of files, lines on terminals and parts of pages, so every reader checks them here, once.
"""

from __future__ import annotations

import contextlib
import functools
import os
import unicodedata
from pathlib import Path
from typing import Any

from hearlab.errors import InputError
from hearlab.text import hidden

LONGEST_NAME = 200  # bytes of UTF-8: file systems take 255, and what is made of a name adds to it
TOO_LONG = f"it is longer than {LONGEST_NAME} bytes"
RULES = "one line of text that can be a file's name"


def safe_name(name: Any, where: str | os.PathLike[str], field: str | None = None, *, folders: bool = False) -> str:
    """A name as it was found in `field` of the file `where`.

    Args:
        name: what was found.
        where, field: its place, for the error.
        folders: whether it may be a path below a folder: names with / between them.

    Raises:
        InputError: it is no name.
    """
    fault = name_fault(name, folders=folders)
    if fault is not None:
        # Escaped: what cannot be seen is seen.
        found = ascii(name[: LONGEST_NAME + 1]) if isinstance(name, str) else type(name).__name__
        raise InputError(where, f"is not a name: {fault}", field=field, found=found, wanted=RULES)
    return str(name)


def seed_name(reference: str | os.PathLike[str]) -> str:
    """What seeds the noise of a metric where two files are scored and nobody names a seed: the reference's name."""
    return Path(reference).stem


def line_fault(text: Any) -> str | None:
    """Why something is no line of text that can be shown; None if it is one."""
    if not isinstance(text, str):
        return "it is no text"
    if not text:
        return "it is empty"
    if len(text) > LONGEST_NAME or len(text.encode(errors="replace")) > LONGEST_NAME:
        return TOO_LONG
    if any(hidden(letter) for letter in text):
        return "it has control characters or characters that are not seen"
    if text != text.strip(" "):
        return "it begins or ends with a space"
    if not unicodedata.is_normalized("NFC", text):
        return "it is not in Unicode's form NFC, so that two of the same look would differ"
    return None


def name_fault(name: Any, *, folders: bool = False) -> str | None:
    """Why something is no name; None if it is one."""
    if not isinstance(name, str):
        return "it is no text"
    if len(name) > (10 if folders else 1) * LONGEST_NAME:
        return TOO_LONG
    return next(filter(None, map(_fault, name.split("/") if folders else [name])), None)


def lookalike(path: Path) -> str | None:
    """Advice where a file is missing, but one of that name in another Unicode form is there.

    macOS has long written names with letters and their marks apart (NFD); lists and other systems have them as one.
    """
    lost = next((part for part in reversed([path, *path.parents]) if not part.exists()), path)
    with contextlib.suppress(OSError):
        for name in os.listdir(lost.parent):
            if name != lost.name and unicodedata.normalize("NFC", name) == unicodedata.normalize("NFC", lost.name):
                return f"{name!a} beside it is the same name in another form of Unicode: rename it to form NFC"
    return None


@functools.lru_cache(maxsize=4096)  # a table of scores names each listener a thousand times
def _fault(name: str) -> str | None:
    if fault := line_fault(name):
        return fault
    if "/" in name or "\\" in name:
        return "it has a path separator"
    if name.startswith((".", "-")) or name.endswith("."):
        return "it begins with a dot or a dash, or ends in a dot"
    return None
