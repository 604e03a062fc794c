"""Importing torch, torchaudio and openunmix: late, without warnings, and also with a CPU-only torch.

The rest of HearLab imports without torch; the separation asks for it here, when a network is built.

torchaudio 2.11 loads its compiled extension while it is imported, and the published one is linked against CUDA: with
a CPU-only torch the import ends in an OSError. Open-Unmix and `torchaudio.models.hdemucs_high` need the Python parts
alone, so a stand-in for `torchaudio._extension` that says "not available" is put into `sys.modules`, and only when the
real one cannot be loaded. Nothing else of the extension (forced alignment, compiled filters) works then.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from hearlab.networks.library import require, require_torch

_EXTENSION = "torchaudio._extension"


def require_torchaudio() -> Any:
    """The torchaudio module, with its Python parts at least.

    Raises:
        InputError: torch or torchaudio is not installed, or they do not fit together.
    """
    require_torch()
    try:
        return require("torchaudio")
    except (OSError, RuntimeError):
        # OSError: a library the extension is linked against is missing; RuntimeError: built for another CUDA.
        sys.modules[_EXTENSION] = _absent_extension()
    try:
        return require("torchaudio")
    except BaseException:
        del sys.modules[_EXTENSION]
        raise


def require_openunmix() -> Any:
    """The module `openunmix.model`.

    Raises:
        InputError: torch, torchaudio or openunmix is not installed.
    """
    require_torchaudio()  # openunmix imports it
    return require("openunmix.model")


def _absent_extension() -> ModuleType:
    """What `torchaudio._extension` looks like in a torchaudio that was built without extensions."""
    module = ModuleType(_EXTENSION, "Stands in for torchaudio's compiled extension, which cannot be loaded here.")

    def unavailable(function: Any) -> Any:
        def fail(*_: Any, **__: Any) -> None:
            raise RuntimeError(f"{function.__name__} needs torchaudio's compiled extension, which cannot be loaded")

        return fail

    vars(module).update(_IS_TORCHAUDIO_EXT_AVAILABLE=False, _IS_ALIGN_AVAILABLE=False, fail_if_no_align=unavailable)
    return module
