"""The content of a scenes.*.json, checked and by the scenes' names."""

from __future__ import annotations

import os
from typing import Any

from hearlab.errors import InputError
from hearlab.names import safe_name
from hearlab.ranges import SNRS


def scenes_by_name(content: Any, where: str | os.PathLike[str] = "scenes") -> dict[str, dict[str, Any]]:
    """The entries of a scene list; `where` names it in errors.

    Raises:
        InputError: a name is none, a scene is listed twice, or an SNR is not one.
    """
    scenes: dict[str, dict[str, Any]] = {}
    for entry in content if isinstance(content, list) else []:
        if not isinstance(entry, dict) or "scene" not in entry:
            continue
        name, snr = safe_name(entry["scene"], where, "scene"), entry.get("SNR")
        if name in scenes:
            raise InputError(where, "is listed twice", field=name)
        number = isinstance(snr, int | float) and not isinstance(snr, bool)
        if snr is not None and not (number and SNRS[0] <= snr <= SNRS[1]):
            wanted = f"from {SNRS[0]:g} to {SNRS[1]:g} dB"
            raise InputError(where, "is no SNR", field=f"{name}.SNR", found=snr, wanted=wanted)
        scenes[name] = entry
    return scenes
