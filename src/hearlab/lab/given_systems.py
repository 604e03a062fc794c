"""Changes of parameters in a lab whose system was given as an object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hearlab.errors import ParameterError
from hearlab.params import flat

SYSTEM = "enhance.system"
# What constructors are made with. `enhance.soft_clip` counts for the remix, whoever makes the stems.
OF_CONSTRUCTORS = ("params", "gain", "nalr", "compressor", "music_compressor")


def is_named(overrides: Sequence[str], before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether changes name a system, which then takes the place of the object.

    Args:
        overrides: the changes.
        before, after: the content of params.yaml without and with them.

    Raises:
        ParameterError: they name none, and change what the constructor of a named system gets: the object does not.
    """
    old, new = flat(before), flat(after)
    names = {override.partition("=")[0].lstrip("+~").strip() for override in overrides}
    if SYSTEM in names or old.get(SYSTEM) != new.get(SYSTEM):
        return True
    for name in sorted({*old, *new}):
        section, _, key = name.partition(".")
        if section == "enhance" and key.partition(".")[0] in OF_CONSTRUCTORS and old.get(name) != new.get(name):
            advice = f"make the object with it, or name a system: with_parameters('{SYSTEM}=...', ...)"
            raise ParameterError(
                "with_parameters", "does not reach the object of with_system", field=name, advice=advice
            )
    return False
