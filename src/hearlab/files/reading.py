"""Text, JSON and CSV read within bounds, with errors that name the place; md5."""

from __future__ import annotations

import codecs
import csv
import datetime
import hashlib
import io
import json
import math
import os
import re
import stat
from collections.abc import Iterator
from typing import Any

from hearlab.errors import InputError
from hearlab.text import size_text

# What a file may hold. The largest of the challenges is a list of scenes of some 50 MB, 2 million values; a value takes
# up to 0.2 kB of memory.
MOST_BYTES = 100_000_000
MOST_VALUES = 5_000_000
MOST_CSV = 32_000_000  # scores of a million pairs; a row takes ten times as much memory
DEEPEST = 50  # values within values; scenes have 5
NUMBER_BITS = 64
HALF = re.compile("[\ud800-\udfff]")
CONFLICT = re.compile(rb"^(<{7}|>{7}) [^\r\n]*", re.MULTILINE)
TOO_DEEP = f"holds values nested more than {DEEPEST} deep"
TOO_LONG_A_NUMBER = f"holds a whole number of more than {NUMBER_BITS} bits"


def read_bytes(
    path: str | os.PathLike[str],
    *,
    most: int = MOST_BYTES,
    where: str | os.PathLike[str] | None = None,
    wanted: str | None = None,
    advice: str | None = None,
    error: type[InputError] = InputError,
) -> bytes:
    """The content of an ordinary file.

    Args:
        path: the file.
        most: bytes that it may have.
        where: its name in errors, if another one than `path`.
        wanted, advice: for the error of a missing file.
        error: the kind of error.

    Raises:
        InputError: the file is missing, cannot be read, is too large, or is a device, pipe or folder.
    """
    where = path if where is None else where
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise error(where, "is no ordinary file")
            content = file.read(most + 1)
    except FileNotFoundError:
        raise error(where, "no such file", wanted=wanted, advice=advice) from None
    except OSError as problem:
        raise error(where, "cannot be read", found=problem.strerror) from None
    except ValueError:  # NUL or a surrogate in it
        raise error(where, "cannot be a file's name") from None
    if len(content) > most:
        raise error(where, "is too large", wanted=f"at most {size_text(most)}")
    return content


def _open_at_once(path: str, flags: int) -> int:
    """Without waiting for the writer of a pipe."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def read_text(path: str | os.PathLike[str], *, error: type[InputError] = InputError, **options: Any) -> str:
    """Read a file of UTF-8 text; arguments and errors as `read_bytes`.

    Raises:
        InputError: also: it is not UTF-8.
    """
    return decoded(read_bytes(path, error=error, **options), path, error)


def decoded(content: bytes, where: str | os.PathLike[str], error: type[InputError] = InputError) -> str:
    check_merged(content, where, error)
    try:
        return content.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError as problem:
        raise error(where, "is not UTF-8 text", found=f"byte {problem.start} is invalid") from None


def check_merged(content: bytes, where: str | os.PathLike[str], error: type[InputError] = InputError) -> None:
    """Raise InputError, with its line, for a conflict that git has marked in a text."""
    mark = CONFLICT.search(content) if b"<<<<<<< " in content or b">>>>>>> " in content else None
    if mark:
        line = f"line {content[: mark.start()].count(10) + 1}"
        advice = "settle it and take the marks out (git status names such files)"
        found = mark[0].decode("utf-8", "replace")
        raise error(where, "holds a conflict of a merge", field=line, found=found, advice=advice)


def read_json(path: str | os.PathLike[str]) -> Any:
    """Read a JSON file.

    Raises:
        InputError: the file is missing, or as `parse_json`.
    """
    return parse_json(read_bytes(path, wanted="a JSON file"), path)


def parse_json(content: bytes, where: str | os.PathLike[str]) -> Any:
    """The value of a JSON text; `where` names it in errors.

    Raises:
        InputError: it is not UTF-8 or not JSON (with line and column), gives a key twice, or holds what no file of
            data needs: see `check_values`; Infinity and NaN too.
    """
    if len(content) > MOST_BYTES:
        raise InputError(where, "is too large", wanted=f"at most {size_text(MOST_BYTES)}")
    check_count(content, where)
    try:
        value = json.loads(decoded(content, where), object_pairs_hook=_distinct)
        check_values(value, finite=True)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise InputError(where, "is not valid JSON", field=place, found=error.msg) from None
    except Unfit as error:
        raise InputError(where, *error.args) from None
    except RecursionError:
        raise InputError(where, TOO_DEEP) from None
    except ValueError:  # Python reads no number of more than 4300 digits
        raise InputError(where, TOO_LONG_A_NUMBER) from None
    return value


def check_count(content: bytes, where: str | os.PathLike[str]) -> None:
    """Raise InputError for a JSON text of more values than a file may hold, before they take memory."""
    values = sum(map(content.count, (b",", b"[", b"{"))) if len(content) > MOST_VALUES else 0
    if values > MOST_VALUES:
        raise InputError(where, "holds too many values", found=values, wanted=f"at most {MOST_VALUES}")


class Unfit(ValueError):
    """A value that no file of data needs."""


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise Unfit(f"gives a key twice: {ascii(twice)[:80]}")
    return found


def check_values(value: Any, *, finite: bool) -> None:
    """Raise Unfit if values are nested too deep, or one of them cannot be written again or used as a name or number.

    That are texts and keys with NUL or lone surrogates, whole numbers of more than 64 bits and, if `finite`, infinity
    and NaN.
    """
    level = [value]
    for _ in range(DEEPEST):
        inner: list[Any] = []
        for one in level:
            if isinstance(one, str):
                if "\0" in one or (not one.isascii() and HALF.search(one)):
                    raise Unfit(f"holds a text with NUL or half a character: {one[:40]!a}")
            elif isinstance(one, float):
                if finite and not math.isfinite(one):
                    raise Unfit(f"holds a number that is not finite: {one}")
            elif isinstance(one, int):
                if one.bit_length() > NUMBER_BITS:
                    raise Unfit(TOO_LONG_A_NUMBER)
            elif isinstance(one, dict):
                if not all(name is None or isinstance(name, str | int | float) for name in one):
                    raise Unfit("holds a key that is neither text nor number")
                inner += one.keys()
                inner += one.values()
            elif isinstance(one, list):
                inner += one
            elif one is not None and not isinstance(one, datetime.date):
                raise Unfit(f"holds a value of a kind that is not used here: {type(one).__name__}")
        level = inner
        if not level:
            return
    raise Unfit(TOO_DEEP)


def parse_csv(content: bytes, where: str | os.PathLike[str], delimiter: str = ",") -> Iterator[tuple[int, list[str]]]:
    """The rows of a CSV file that are not empty, each with the number of its (last) line.

    Raises:
        InputError: it is too large, not UTF-8 text, holds NUL, or a quoted cell has no end.
    """
    if len(content) > MOST_CSV:
        raise InputError(where, "is too large", wanted=f"at most {size_text(MOST_CSV)}")
    text = decoded(content, where)
    if "\0" in text:
        raise InputError(where, "holds a text with NUL", field=f"line {text[: text.index(chr(0))].count(chr(10)) + 1}")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True, delimiter=delimiter)
    try:
        for row in reader:
            if row:
                yield reader.line_num, row
    except csv.Error as error:
        raise InputError(where, "is not a CSV file", field=f"line {reader.line_num}", found=str(error)) from None


def csv_records(path: str | os.PathLike[str]) -> list[dict[str, str]]:
    """The rows of a CSV file by the names of its columns; cells that a row lacks are left out.

    Raises:
        InputError: as `parse_csv`.
    """
    rows = parse_csv(read_bytes(path, most=MOST_CSV), path)
    header = next(rows, (0, []))[1]
    return [dict(zip(header, row, strict=False)) for _, row in rows]


def md5_of(path: str | os.PathLike[str]) -> str:
    """md5 of a file's bytes, in hexadecimal digits (the identity that DVC uses)."""
    with open(path, "rb", buffering=0) as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def md5_of_bytes(content: bytes) -> str:
    """md5 of bytes, as `md5_of` gives it of a file."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
