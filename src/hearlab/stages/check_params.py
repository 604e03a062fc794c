"""Stage check_params: params.yaml is right as a whole. Every other stage waits for it."""

from __future__ import annotations

import logging
from pathlib import Path

from hearlab.datasets.layout import DATA
from hearlab.datasets.required_packages import check_split
from hearlab.errors import InputError, ParameterError
from hearlab.files import write_text
from hearlab.listeners import load_listeners
from hearlab.params import PARAMS_FILE, Params, flat
from hearlab.scoring.tracks import TRACKS
from hearlab.systems.base import hearing_aid_params, is_fitted, shared_system, system_arguments

# What the baseline's constructor gets and no other system's, as it is in params.yaml at first. `soft_clip` is not among
# them: the remix of any system is clipped by it.
OF_BASELINE = {
    "gain": 0,
    "nalr": {"taps": 220},
    "compressor": {
        "threshold": 0.35,
        "attenuation": 0.1,
        "attack": 50,
        "release": 1000,
        "rms_buffer_size": 0.064,
        "makeup_gain": 1.0,
    },
    "music_compressor": False,
}

_log = logging.getLogger(__name__)


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
    warn_of_untaken(params)
    # The content never changes, so that a changed parameter runs only the stages that use it.
    write_text(Path(DATA) / "params.ok", "params.yaml was checked\n")


def untaken_params(params: Params) -> str:
    """A line that names what was set for the baseline, but that the system does not take; empty if there is none."""
    enhance = params.enhance
    if hearing_aid_params(enhance):
        return ""
    first, now = flat(OF_BASELINE), flat(enhance.model_dump(include=set(OF_BASELINE)))
    untaken = [name for name in now if now[name] != first[name]]
    if not untaken:
        return ""
    names = ", ".join(f"enhance.{name}" for name in untaken)
    how = f"-S ++enhance.params.{untaken[0].rpartition('.')[2]}={now[untaken[0]]}"
    return f"{names}: not used by {enhance.system}, whose constructor gets enhance.params alone, such as {how}"


def warn_of_untaken(params: Params, before: Params | None = None) -> None:
    """Warn of `untaken_params`, unless the parameters `before` a change gave the same reason."""
    untaken = untaken_params(params)
    if untaken and (before is None or untaken_params(before) != untaken):
        _log.warning("warning: %s", untaken)
