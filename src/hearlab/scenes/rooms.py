"""Rooms of the scenes, read from the project files (.rpf) of the room simulator RAVEN."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from hearlab.errors import InputError
from hearlab.files import read_bytes

# A room is named by five digits; the simulator's file name and the model inside of it both hold the name.
LAST_ROOM = 99999
FARTHEST = 100.0  # m: positions, and sizes of rooms
LONGEST_VIEW = 1.001  # view vectors have a length of 1
MOST_BYTES = 1_000_000  # of a project file; the challenges' have some 20 kB
_ROOM_NAME = re.compile(r"R\d{5}(?!\d)")
_DIMENSIONS = re.compile(r"\d+(\.\d+)?(x\d+(\.\d+)?){2}")


def build_rooms(rpf_dir: str | os.PathLike[str], first: int, count: int, interferers: int = 3) -> list[dict[str, Any]]:
    """Read the rooms R{first} to R{first + count - 1}.

    Each room has one project file for the target (`R00001_t.rpf`) and one for each interferer (`R00001_i1.rpf`, ...).
    The listener is taken from the target's file.

    Args:
        rpf_dir: folder of the project files.
        first: number of the first room.
        count: number of rooms.
        interferers: number of interferer positions in a room.

    Returns:
        the rooms as in the published rooms.*.json: `name`, `dimensions` ('5.9x3.4186x2.9', metres), `target` and
        `listener` (each with `position` in metres and `view_vector`), `interferers` (each with `position`).

    Raises:
        InputError: a file or field is missing, a vector is not three numbers, or a file names another room.

    Examples:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     build_rooms(folder, first=1, count=0)
        []
    """
    if first < 0 or count < 0 or first + count - 1 > LAST_ROOM:
        raise InputError(
            "rooms", "numbers must have five digits", found=f"{count} rooms from {first} on", wanted=f"0 to {LAST_ROOM}"
        )
    if interferers < 0:
        raise InputError("rooms", "the number of interferers must not be negative", found=interferers)
    folder = Path(rpf_dir)
    if not folder.is_dir():
        raise InputError(folder, "no such folder", wanted="the folder of the rooms' .rpf files")
    return [_room(folder, f"R{number:05d}", interferers) for number in range(first, first + count)]


def _room(folder: Path, name: str, interferers: int) -> dict[str, Any]:
    target = ProjectFile(folder / f"{name}_t.rpf", name)
    return {
        "name": name,
        "dimensions": target.dimensions(),
        "target": {"position": target.vector("sourcePositions"), "view_vector": target.view("sourceViewVectors")},
        "listener": {
            "position": target.vector("receiverPositions"),
            "view_vector": target.view("receiverViewVectors"),
        },
        # The interferers radiate equally in all directions and have no view vector.
        "interferers": [
            {"position": ProjectFile(folder / f"{name}_i{number}.rpf", name).vector("sourcePositions")}
            for number in range(1, interferers + 1)
        ],
    }


class ProjectFile:
    """A RAVEN project file: lines of `key = value`, comments start with '#'.

    Raises:
        InputError: the file is missing or does not belong to the room `room`.
    """

    def __init__(self, path: Path, room: str) -> None:
        self.path = path
        # The needed fields are ASCII; a degree sign in a comment may have any encoding.
        text = read_bytes(path, most=MOST_BYTES, wanted="a RAVEN project file").decode("utf-8-sig", errors="replace")
        self._fields: dict[str, str] = {}
        for line in text.splitlines():
            key, equals, value = line.partition("=")
            if equals and not key.lstrip().startswith("#"):
                self._fields.setdefault(key.strip(), value.strip())
        named = _ROOM_NAME.search(self._value("Model"))
        if named is None or named.group() != room:
            raise InputError(
                path,
                "names another room" if named else "names no room",
                field="Model",
                found=named.group() if named else self._value("Model"),
                wanted=room,
            )

    def _value(self, field: str) -> str:
        if field not in self._fields:
            raise InputError(self.path, "field is missing", field=field)
        return self._fields[field]

    def view(self, field: str) -> list[float]:
        """A vector of length 1."""
        return self.vector(field, LONGEST_VIEW)

    def vector(self, field: str, most: float = FARTHEST) -> list[float]:
        """The three numbers of a field such as `sourcePositions = 0.400,4.000,1.200`."""
        text = self._value(field)
        try:
            numbers = [float(part) for part in text.split(",")]
        except ValueError:
            numbers = []
        if len(numbers) != 3 or not all(-most <= number <= most for number in numbers):
            wanted = f"three numbers from {-most:g} to {most:g}"
            raise InputError(self.path, "is not a vector", field=field, found=repr(text)[:80], wanted=wanted)
        return numbers

    def dimensions(self) -> str:
        """The room's size in metres as in the project's name, e.g. '6.9933x3x3'."""
        text = self._value("ProjectName")
        dimensions = text.rpartition("_")[2]
        if not _DIMENSIONS.fullmatch(dimensions) or not all(
            0 < float(length) <= FARTHEST for length in dimensions.split("x")
        ):
            raise InputError(
                self.path,
                "does not end in the room's dimensions",
                field="ProjectName",
                found=repr(text),
                wanted="a name such as CuboidRoom_5.9x3.4186x2.9",
            )
        return dimensions
