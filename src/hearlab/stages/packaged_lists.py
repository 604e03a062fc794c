"""Whether the rooms and scenes that were built are those that the package lists."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hearlab.stages.common import read_list

log = logging.getLogger(__name__)


def compare_with_package(split: str, packaged: Path, built: Sequence[dict[str, Any]], key: str) -> str | None:
    """Warn in one line if a list differs from the package's; a package without such a list says nothing.

    Entries of the package that were not built (fewer scenes are asked for) are no difference.

    Args:
        split: of the scenes.
        packaged: rooms.*.json or scenes.*.json in the package's metadata.
        built: what was built, as it stands in the file.
        key: 'name' of rooms, 'scene' of scenes.

    Returns:
        the warning, or None.

    Raises:
        InputError: the package's list cannot be read.
    """
    if not packaged.exists():
        return None
    listed = {entry[key]: entry for entry in read_list(packaged, key)}
    first = None
    different = 0
    for entry in built:
        found = difference(listed.get(entry[key]), entry)
        if found is not None:
            different += 1
            first = first or f"{entry[key]}{found}"
    if first is None:
        return None
    warning = f"build_scenes {split}: {different} of {len(built)} differ from the package's {packaged.name}; {first}"
    log.warning("%s", warning)
    return warning


def difference(packaged: Any, built: Any, where: str = "") -> str | None:
    """The first place at which two values differ, and how: `.SNR: built 1.0, packaged 2.0`."""
    if isinstance(packaged, dict) and isinstance(built, dict):
        for name in built:
            if name not in packaged:
                return f"{where}.{name}: not in the package"
            found = difference(packaged[name], built[name], f"{where}.{name}")
            if found:
                return found
        return None
    if isinstance(packaged, list) and isinstance(built, list) and len(packaged) == len(built):
        for index, (theirs, ours) in enumerate(zip(packaged, built, strict=True)):
            found = difference(theirs, ours, f"{where}[{index}]")
            if found:
                return found
        return None
    if packaged == built:
        return None
    if packaged is None:
        return f"{where}: not in the package"
    return f"{where}: built {built}, packaged {packaged}"
