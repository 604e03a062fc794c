"""Files: atomic writes, text, JSON and YAML with errors that name the place, md5."""

from __future__ import annotations

import contextlib
import contextvars
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hearlab.errors import InputError

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


def read_text(
    path: str | os.PathLike[str],
    *,
    wanted: str | None = None,
    advice: str | None = None,
    error: type[InputError] = InputError,
) -> str:
    """Read a file of UTF-8 text.

    Args:
        path: the file.
        wanted, advice: for the error of a missing file.
        error: the kind of error.

    Raises:
        InputError: the file is missing, cannot be read or is not UTF-8.
    """
    try:
        return Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise error(path, "no such file", wanted=wanted, advice=advice) from None
    except UnicodeDecodeError as problem:
        raise error(path, "is not UTF-8 text", found=f"byte {problem.start} is invalid") from None
    except OSError as problem:
        raise error(path, "cannot be read", found=problem.strerror) from None


def read_json(path: str | os.PathLike[str]) -> Any:
    """Read a JSON file.

    Raises:
        InputError: the file is missing, is not UTF-8 or is not JSON (with line and column).
    """
    text = read_text(path, wanted="a JSON file")
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise InputError(path, "is not valid JSON", field=place, found=error.msg) from None


def read_yaml(
    path: str | os.PathLike[str], *, advice: str | None = None, error: type[InputError] = InputError
) -> dict[str, Any]:
    """Read a YAML file that holds keys and values.

    Args:
        path: the file.
        advice: for the error of a missing file.
        error: the kind of error.

    Raises:
        InputError: the file is missing, is not UTF-8, is not YAML (with its line) or holds something else.
    """
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    text = read_text(path, advice=advice, error=error)
    try:
        content = _load_yaml(text)
    except MarkedYAMLError as problem:
        line = f"line {problem.problem_mark.line + 1}" if problem.problem_mark else None
        what = str(problem.problem).splitlines()[0].removeprefix("found ")
        raise error(path, f"is not valid YAML: {what}", field=line) from None
    except (YAMLError, ValueError) as problem:
        raise error(path, "is not valid YAML", found=str(problem).splitlines()[0][:120]) from None
    if not isinstance(content, dict):
        raise error(path, "must hold keys and values", found=type(content).__name__)
    return content


def parse_yaml(content: bytes | None) -> Any:
    """The value of a YAML text; None where it is absent or is not YAML."""
    from ruamel.yaml.error import YAMLError

    try:
        return None if content is None else _load_yaml(content.decode("utf-8"))
    except (YAMLError, ValueError):
        return None


def _load_yaml(text: str) -> Any:
    from ruamel.yaml import YAML  # not needed by most commands

    return YAML(typ="safe", pure=True).load(text)  # pure: the errors name the line in the same way everywhere


def md5_of(path: str | os.PathLike[str]) -> str:
    """md5 of a file's bytes, in hexadecimal digits (the identity that DVC uses)."""
    with open(path, "rb", buffering=0) as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def md5_of_bytes(content: bytes) -> str:
    """md5 of bytes, as `md5_of` gives it of a file."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
