"""Changes of parameters by the command line, `-S enhance.gain=3`, as DVC applies them; no file is changed."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hearlab.errors import InputError, ParameterError
from hearlab.files import read_yaml
from hearlab.params import PARAMS_FILE, load_params


def check_overrides(overrides: Sequence[str]) -> None:
    """No change hides another one: of two values for a parameter DVC takes the last and says nothing.

    A parameter can be emptied, or taken away, before it gets a value, and mappings are joined.

    Raises:
        ParameterError: two changes give a parameter a value.
    """
    given: dict[str, str] = {}
    for override in overrides:
        name, equals, value = override.partition("=")
        name, value = name.strip().lstrip("+"), value.strip()
        if not equals or name.startswith("~") or value in ("", "null") or value.startswith("{"):
            continue
        if name in given:
            found = f"{given[name]} and {override}"
            raise ParameterError("-S", f"gives {name} two values", found=found, wanted="one of them")
        given[name] = override


def overridden(root: Path, overrides: Sequence[str], *, command: str = "-S") -> Any:
    """The content of params.yaml with changes such as 'enhance.gain=3'; `hearlab.params.check_params` checks it.

    Args:
        root: the workspace.
        overrides: in the grammar of `dvc exp run -S`.
        command: who asks, for the error of a missing DVC.

    Raises:
        ParameterError: params.yaml is wrong (as `load_params`), an override cannot be applied, or two of them give one
            parameter values.
        InputError: there is no DVC.
    """
    path = root / PARAMS_FILE
    load_params(path)
    return changed_content(read_yaml(path), overrides, command=command)


def changed_content(content: Any, overrides: Sequence[str], *, command: str = "-S") -> Any:
    """The content of a params.yaml, which may be changed already, with further changes; see `overridden`."""
    check_overrides(overrides)
    if not overrides:
        return content
    try:
        from dvc.exceptions import InvalidArgumentError
        from dvc.utils.hydra import apply_overrides
        from dvc.utils.serialize import dump_yaml, load_yaml
    except ImportError as error:
        raise InputError(command, "needs DVC", found=str(error), advice="pip install 'hearlab[pipeline]'") from None
    with tempfile.TemporaryDirectory(prefix="hearlab-params-") as folder:
        changed = Path(folder, PARAMS_FILE)
        dump_yaml(changed, content)
        try:
            apply_overrides(changed, list(overrides))
        except InvalidArgumentError as error:
            raise ParameterError("-S", "cannot be applied", found=str(error.__cause__ or error)) from None
        return load_yaml(changed)
