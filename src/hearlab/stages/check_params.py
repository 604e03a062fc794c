"""Stage check_params: params.yaml is right as a whole. Every other stage waits for it."""

from __future__ import annotations

from pathlib import Path

from hearlab.files import write_text
from hearlab.params import Params
from hearlab.stages.common import DATA
from hearlab.systems.base import load_system


def run(params: Params) -> None:
    """Load the enhancement system, too: a misspelt name should not show after an hour of rendering."""
    from hearlab.stages.common import system_params

    load_system(params.enhance.system, system_params(params.enhance))
    # The content never changes, so that a changed parameter runs only the stages that use it.
    write_text(Path(DATA) / "params.ok", "params.yaml was checked\n")
