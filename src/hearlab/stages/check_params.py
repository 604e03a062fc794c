"""Stage check_params: params.yaml is right as a whole. Every other stage waits for it."""

from __future__ import annotations

from pathlib import Path

from hearlab.datasets.layout import DATA
from hearlab.datasets.required_packages import check_split
from hearlab.errors import InputError, ParameterError
from hearlab.files import write_text
from hearlab.listeners import load_listeners
from hearlab.params import PARAMS_FILE, Params
from hearlab.scoring.tracks import TRACKS
from hearlab.systems.base import is_fitted, shared_system, system_arguments


def run(params: Params) -> None:
    """Load the system and look metrics up, too: a misspelt name should not show after an hour of rendering."""
    TRACKS["speech"].chosen(params.evaluate.speech_metrics, "evaluate.speech_metrics")
    check_split(params)
    description = Path("datasets", params.dataset)
    if params.source == "own" and not description.is_dir():
        advice = f"git add {description} params.yaml: an experiment in a folder of its own has what git knows"
        raise InputError(description, "no such data set here", advice=advice)
    if params.trains_enhancer and params.learn.listeners:
        load_listeners(params.learn.listeners)
    if is_fitted(params.enhance.system) and "filters" in params.enhance.params:
        field = "enhance.params.filters"
        raise ParameterError(PARAMS_FILE, "is given by the stage", field=field, advice="take it away")
    shared_system(**system_arguments(params.enhance, params.system_params))
    # The content never changes, so that a changed parameter runs only the stages that use it.
    write_text(Path(DATA) / "params.ok", "params.yaml was checked\n")
