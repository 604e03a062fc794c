"""Files: atomic writes; text, JSON, YAML and CSV read within bounds, with errors that name the place; md5."""

from __future__ import annotations

import codecs
import contextlib
import contextvars
import csv
import datetime
import functools
import hashlib
import io
import json
import math
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hearlab.errors import InputError
from hearlab.text import size_text

# What a file may hold. The largest of the challenges is a list of scenes of some 50 MB, 2 million values; a value takes
# up to 0.2 kB of memory.
MOST_BYTES = 100_000_000
MOST_VALUES = 5_000_000
# Parameters and dvc.lock have at most some 50 kB, 4,000 values, entries one; a megabyte takes ten seconds to read.
MOST_YAML = 500_000
MOST_SHORT_YAML = 50_000
MOST_NODES = 50_000
MOST_CSV = 32_000_000  # scores of a million pairs; a row takes ten times as much memory
DEEPEST = 50  # values within values; scenes have 5
NUMBER_BITS = 64
LONGEST_NUMBER = 400  # letters of a number in YAML, where some forms take a time that grows with the square
HALF = re.compile("[\ud800-\udfff]")
CONFLICT = re.compile(rb"^(<{7}|>{7}) [^\r\n]*", re.MULTILINE)
TOO_DEEP = f"holds values nested more than {DEEPEST} deep"
TOO_LONG_A_NUMBER = f"holds a whole number of more than {NUMBER_BITS} bits"

# Inside `synced_later` the caller brings everything to the disk at once.
_synced_later = contextvars.ContextVar("synced_later", default=False)


@contextlib.contextmanager
def synced_later() -> Iterator[None]:
    """Inside the block, files are renamed without an fsync of their own: the caller syncs all of them together.

    An fsync takes 3 ms on an ordinary disk; a scene has 13 files.
    """
    token = _synced_later.set(True)
    try:
        yield
    finally:
        _synced_later.reset(token)


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary name beside `path`; on leaving without an error it becomes `path`, else it is removed.

    The bytes are on the disk (fsync, but see `synced_later`) before the rename, so that a reader sees the old file or
    the new one and never half of one. The temporary name ends in the final suffix, because some writers choose the
    format by it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem[:40]}.part-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        if not _synced_later.get():
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
        # mkstemp makes private files; give the permissions an ordinary open() would have given.
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` as UTF-8 with an atomic rename."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: str | os.PathLike[str], value: Any, *, indent: int = 1) -> None:
    """Write `value` as JSON (two runs give the same bytes: keys keep their order) with an atomic rename."""
    write_text(path, json.dumps(value, indent=indent, ensure_ascii=False) + "\n")


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
    return _decoded(read_bytes(path, error=error, **options), path, error)


def _decoded(content: bytes, where: str | os.PathLike[str], error: type[InputError] = InputError) -> str:
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
            data needs: see `_check`; Infinity and NaN too.
    """
    if len(content) > MOST_BYTES:
        raise InputError(where, "is too large", wanted=f"at most {size_text(MOST_BYTES)}")
    check_count(content, where)
    try:
        value = json.loads(_decoded(content, where), object_pairs_hook=_distinct)
        _check(value, finite=True)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise InputError(where, "is not valid JSON", field=place, found=error.msg) from None
    except _Unfit as error:
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


class _Unfit(ValueError):
    """A value that no file of data needs."""


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise _Unfit(f"gives a key twice: {ascii(twice)[:80]}")
    return found


def _check(value: Any, *, finite: bool) -> None:
    """Raise _Unfit if values are nested too deep, or one of them cannot be written again or used as a name or number.

    That are texts and keys with NUL or lone surrogates, whole numbers of more than 64 bits and, if `finite`, infinity
    and NaN.
    """
    level = [value]
    for _ in range(DEEPEST):
        inner: list[Any] = []
        for one in level:
            if isinstance(one, str):
                if "\0" in one or (not one.isascii() and HALF.search(one)):
                    raise _Unfit(f"holds a text with NUL or half a character: {one[:40]!a}")
            elif isinstance(one, float):
                if finite and not math.isfinite(one):
                    raise _Unfit(f"holds a number that is not finite: {one}")
            elif isinstance(one, int):
                if one.bit_length() > NUMBER_BITS:
                    raise _Unfit(TOO_LONG_A_NUMBER)
            elif isinstance(one, dict):
                if not all(name is None or isinstance(name, str | int | float) for name in one):
                    raise _Unfit("holds a key that is neither text nor number")
                inner += one.keys()
                inner += one.values()
            elif isinstance(one, list):
                inner += one
            elif one is not None and not isinstance(one, datetime.date):
                raise _Unfit(f"holds a value of a kind that is not used here: {type(one).__name__}")
        level = inner
        if not level:
            return
    raise _Unfit(TOO_DEEP)


def read_yaml(
    path: str | os.PathLike[str],
    *,
    most: int = MOST_YAML,
    advice: str | None = None,
    error: type[InputError] = InputError,
) -> dict[str, Any]:
    """Read a YAML file that holds keys and values.

    Args:
        path: the file.
        most: bytes that it may have.
        advice: for the error of a missing file.
        error: the kind of error.

    Raises:
        InputError: the file is missing, is not UTF-8, is not YAML (with its line), holds something else, or what no
            file of data needs: see `_check`; aliases that repeat each other without end; keys that are no single value.
    """
    content = _load_yaml(read_bytes(path, most=most, advice=advice, error=error), path, error)
    if not isinstance(content, dict):
        raise error(path, "must hold keys and values", found=type(content).__name__)
    return content


def parse_yaml(content: bytes | None) -> Any:
    """The value of a YAML text; None where it is absent or is nothing that `read_yaml` takes."""
    try:
        return None if content is None or len(content) > MOST_YAML else _load_yaml(content, "")
    except InputError:
        return None


def _load_yaml(content: bytes, where: str | os.PathLike[str], error: type[InputError] = InputError) -> Any:
    from ruamel.yaml import YAML  # not needed by most commands
    from ruamel.yaml.error import MarkedYAMLError

    text = _decoded(content, where, error)
    yaml = YAML(typ="safe", pure=True)  # pure: the errors name the line in the same way everywhere
    yaml.Composer = _bounded_composer()
    try:
        value = yaml.load(text)
        _check(value, finite=False)
    except _Unfit as problem:
        raise error(where, *problem.args) from None
    except RecursionError:
        raise error(where, TOO_DEEP) from None
    except MarkedYAMLError as problem:
        line = f"line {problem.problem_mark.line + 1}" if problem.problem_mark else None
        what = str(problem.problem).splitlines()[0].removeprefix("found ")
        raise error(where, f"is not valid YAML: {what}", field=line) from None
    except Exception as problem:  # of many kinds, for values that do not fit their tags
        found = (str(problem).splitlines() or [type(problem).__name__])[0]
        raise error(where, "is not valid YAML", found=found[:120]) from None
    return value


@functools.cache
def _bounded_composer() -> Any:
    """A composer of YAML nodes that counts them; what an alias stands for is counted each time.

    A few lines of aliases of aliases are gigabytes when they are read, written or compared.
    """
    from ruamel.yaml.composer import Composer
    from ruamel.yaml.events import AliasEvent
    from ruamel.yaml.nodes import ScalarNode

    class Bounded(Composer):
        def __init__(self, loader: Any = None) -> None:
            super().__init__(loader)
            self.count = self.depth = 0
            self.sizes: dict[int, int] = {}

        def compose_node(self, parent: Any, index: Any) -> Any:
            alias, before = self.parser.check_event(AliasEvent), self.count
            if not alias and self.parser.peek_event().anchor in self.anchors:
                raise _Unfit("gives an anchor twice")
            self.count += 1
            self.depth += 1
            if self.depth > DEEPEST:
                raise _Unfit(TOO_DEEP)
            node = super().compose_node(parent, index)
            self.depth -= 1
            if isinstance(node, ScalarNode) and not str(node.tag).endswith(":str") and len(node.value) > LONGEST_NUMBER:
                raise _Unfit(f"holds a number of {len(node.value)} digits")
            if not alias:
                self.sizes[id(node)] = self.count - before
            elif id(node) not in self.sizes:
                raise _Unfit("holds an alias of what it is a part of")
            else:
                self.count += self.sizes[id(node)]
            if self.count > MOST_NODES:
                raise _Unfit(f"holds more than {MOST_NODES} values, aliases written out")
            return node

    return Bounded


def parse_csv(content: bytes, where: str | os.PathLike[str]) -> Iterator[tuple[int, list[str]]]:
    """The rows of a CSV file that are not empty, each with the number of its (last) line.

    Raises:
        InputError: it is too large, not UTF-8 text, holds NUL, or a quoted cell has no end.
    """
    if len(content) > MOST_CSV:
        raise InputError(where, "is too large", wanted=f"at most {size_text(MOST_CSV)}")
    text = _decoded(content, where)
    if "\0" in text:
        raise InputError(where, "holds a text with NUL", field=f"line {text[: text.index(chr(0))].count(chr(10)) + 1}")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
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
