"""The table of packages (packages.toml): the names, contents and sizes of each, and where its files go."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from hearlab.errors import InputError, ParameterError
from hearlab.files import TOO_DEEP, read_text

TABLE = "packages.toml"
DIGEST_LENGTHS = {"md5": 32, "sha1": 40, "sha256": 64, "sha512": 128}
# Folders that may lie above `from` in an archive: clarity_CEC2_data/clarity_data, musdb18hq/train.
WRAPPERS = 2

Bytes = Annotated[int, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]
Name = Annotated[str, Field(min_length=1)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class PlaceRule(_Table):
    """A folder of the archive (`source`) and the folder below the data root that it becomes ('' is the root)."""

    source: Annotated[Name, Field(alias="from")]
    target: Annotated[str, Field(alias="to")]

    @field_validator("source", "target")
    @classmethod
    def _is_relative(cls, value: str) -> str:
        if value.startswith("/") or ".." in PurePosixPath(value).parts:
            raise ValueError("must be a path below the root, without '..'")
        return value


class Holding(_Table):
    """What a folder holds: files of a pattern, how many, or at least how many."""

    files: Name = "*"
    count: Count | None = None
    at_least: Count | None = None


class Package(_Table):
    """One package; `packages.toml` explains the fields."""

    name: Name
    title: Name
    track: Literal["speech", "music"]
    root: Literal["clarity_data", "cadenza_data"]
    file: Name
    also: tuple[str, ...] = ()
    size: Bytes | None = None
    about: Bytes | None = None
    unpacked: Bytes | None = None
    checksum: Mapping[str, str] = Field(default_factory=dict)
    address: str | None = None
    page: str | None = None
    optional: bool = False
    needed_for: tuple[str, ...] = ()
    instead: tuple[str, ...] = ()
    source: str = ""
    # "identical" lets a name come twice in the archive if both files have the same bytes.
    duplicates: Literal["reject", "identical"] = "reject"
    place: Annotated[tuple[PlaceRule, ...], Field(min_length=1)]
    holds: Mapping[str, Holding] = Field(default_factory=dict)

    @field_validator("file")
    @classmethod
    def _is_a_name(cls, value: str) -> str:
        if value in (".", "..") or "/" in value or "\\" in value:
            raise ValueError("must be a file name, not a path")
        return value

    @field_validator("checksum")
    @classmethod
    def _is_a_checksum(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        for algorithm, digest in value.items():
            _check_digest(algorithm, digest)
        return {algorithm: digest.lower() for algorithm, digest in value.items()}

    @property
    def size_or_about(self) -> int | None:
        """Bytes of the archive, exact if known."""
        return self.size or self.about

    def destination(self, parts: tuple[str, ...]) -> tuple[str, ...] | None:
        """Where a member of the archive goes, below the data root; None if no rule folders it.

        The rule that matches nearest to the top applies; of several at one level, the first in the table.
        """
        for above in range(min(WRAPPERS, len(parts) - 1) + 1):
            for rule in self.place:
                folder = PurePosixPath(rule.source).parts
                end = above + len(folder)
                if parts[above:end] == folder and len(parts) > end:
                    return (*PurePosixPath(rule.target).parts, *parts[end:])
        return None


def load_catalogue(extra: str | os.PathLike[str] | None = None) -> dict[str, Package]:
    """The packages by name, in the order of the table.

    Args:
        extra: a table of your own of the same form. It adds packages, or changes the given fields of known ones.

    Raises:
        InputError: `extra` is missing, not TOML, or has an unknown field or a wrong value.
    """
    built_in = resources.files("hearlab.datasets").joinpath(TABLE).read_text(encoding="utf-8")
    tables = tomllib.loads(built_in)
    path: Path | str = TABLE
    if extra is not None:
        path = Path(extra)
        for name, fields in _read_table(path).items():
            if not isinstance(fields, dict):
                raise InputError(path, "is no table of a package", field=name, wanted=f"[{name}] and its fields below")
            tables[name] = {**tables.get(name, {}), **fields}
    catalogue = {}
    for name, fields in tables.items():
        try:
            catalogue[name] = Package.model_validate({**fields, "name": name})
        except ValidationError as error:
            raise _as_line(path, name, error) from None
    return catalogue


def find_package(catalogue: Mapping[str, Package], name: str) -> Package:
    """A package by its name or by the name of its file.

    Raises:
        ParameterError: there is no such package.
    """
    for package in catalogue.values():
        if name in (package.name, package.file, *package.also):
            return package
    raise ParameterError(name, "no such package", wanted=f"one of {', '.join(catalogue)}")


def parse_checksum(text: str) -> dict[str, str]:
    """`md5:...`, `sha256:...` or the digits alone (whose number gives the algorithm) as {algorithm: digits}.

    Raises:
        ParameterError: it is neither.
    """
    algorithm, colon, digits = text.strip().rpartition(":")
    if not colon:
        algorithm = next((name for name, length in DIGEST_LENGTHS.items() if length == len(digits)), "")
    try:
        _check_digest(algorithm.lower(), digits)
    except ValueError as error:
        raise ParameterError("checksum", str(error), found=text) from None
    return {algorithm.lower(): digits.lower()}


def _check_digest(algorithm: str, digits: str) -> None:
    length = DIGEST_LENGTHS.get(algorithm)
    if length is None:
        raise ValueError(f"is no known checksum: wanted one of {', '.join(DIGEST_LENGTHS)}")
    if not re.fullmatch(rf"[0-9a-fA-F]{{{length}}}", digits):
        raise ValueError(f"is no {algorithm}: wanted {length} hexadecimal digits")


def _read_table(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(read_text(path, wanted="a table of packages (TOML)"))
    except RecursionError:
        raise InputError(path, TOO_DEEP) from None
    except ValueError as error:  # also a number of too many digits
        raise InputError(path, "is not valid TOML", found=str(error)) from None


def _as_line(path: Path | str, name: str, error: ValidationError) -> InputError:
    detail = error.errors()[0]
    field = ".".join(str(part) for part in (name, *detail["loc"]))
    found = json.dumps(detail["input"], default=str)
    if detail["type"] == "extra_forbidden":
        return InputError(path, "unknown field", field=field, wanted=f"one of {', '.join(Package.model_fields)}")
    if detail["type"] == "missing":
        return InputError(path, "is missing", field=field)
    message = detail["msg"].removeprefix("Value error, ")
    return InputError(path, message, field=field, found=found if len(found) <= 60 else found[:57] + "...")
