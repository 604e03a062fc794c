"""The stages that dvc.yaml calls: each reads params.yaml, lists its units and hands them to `compute`."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Sequence
from pathlib import Path

from hearlab.compute.timings import timed
from hearlab.errors import ParameterError
from hearlab.params import load_params

# Stage name -> how many arguments may follow it. The module of the same name holds `run(params, *arguments)`.
STAGES = {
    "check_params": (0,),
    "prepare": (0,),
    "build_scenes": (0, 1),
    "build_additional_scenes": (0,),
    "render_scenes": (1,),
    "enhance_speech": (0,),
    "score_speech": (0,),
    "prepare_music": (0,),
    "train_separator": (0,),
    "separate_music": (0,),
    "enhance_music": (0,),
    "score_music": (0,),
    "track": (0,),
}


def run_stage(name: str, arguments: Sequence[str] = ()) -> None:
    """Run one stage in the current folder, the root of the repository.

    Raises:
        ParameterError: unknown stage, wrong arguments, or anything wrong in params.yaml.
    """
    if name not in STAGES:
        near = difflib.get_close_matches(name, STAGES, n=1)
        raise ParameterError(
            "hearlab stage",
            "unknown stage",
            found=name,
            wanted=f"one of {', '.join(STAGES)}",
            advice=f"did you mean {near[0]}?" if near else None,
        )
    if len(arguments) not in STAGES[name]:
        raise ParameterError(
            f"hearlab stage {name}",
            "wrong number of arguments",
            found=len(arguments),
            wanted=" or ".join(map(str, STAGES[name])),
        )
    params = load_params()
    with timed("@".join((name, *arguments)), params.dataset, Path.cwd()):
        importlib.import_module(f"hearlab.stages.{name}").run(params, *arguments)
