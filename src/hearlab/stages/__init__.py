"""The stages that dvc.yaml calls. Each has a module of its name here or in a folder; `run_stage` runs any of them.

A stage whose work is a list of units has these functions in its module, each with the arguments of `hearlab stage`:

    units(params, *arguments)               the list of units; nothing runs
    folder(params, *arguments)              where the units' files go; missing where units write no files
    check(params, *arguments)               optional: raises InputError for what would make every unit fail
    finish(params, results, *arguments)     optional: writes what is made of all results, in the order of the units

Any other stage has one function `run(params, *arguments)`. `system`, which DVC starts every time, has `run()` and is
started without all that the others need; so what they need is imported in functions.
"""

from __future__ import annotations

import difflib
import importlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hearlab.errors import ParameterError
from hearlab.kernels.retained_memory import objects_stay

if TYPE_CHECKING:
    from hearlab.compute.unchanged import StageWatch
    from hearlab.compute.units import Unit
    from hearlab.params import Params

# Stage name -> how many arguments may follow it.
STAGES = {
    "check_params": (0,),
    "system": (0,),
    "prepare": (0,),
    "build_scenes": (0, 1),
    "build_additional_scenes": (0,),
    "render_scenes": (1,),
    "learning_scenes": (0,),
    "train_enhancer": (0,),
    "enhance_speech": (0,),
    "score_speech": (0,),
    "prepare_music": (0,),
    "train_separator": (0,),
    "separate_music": (0,),
    "fit_music": (0,),
    "enhance_music": (0,),
    "score_music": (0,),
    "track": (0,),
}

# Stages whose module is in a folder of this package.
FOLDERS = {"learning_scenes": "learn", "train_enhancer": "learn", "fit_music": "learn"}
TRAINED_TOGETHER = "train_enhancer"  # torchrun may start it in several processes
ALWAYS = "system"  # DVC starts it every time
ENHANCING = ("enhance_speech", "enhance_music")
NETWORKS = ("train_separator", "separate_music")
DEMO_FOLDERS = {"prepare": "clarity", "prepare_music": "cadenza"}  # what is synthesised, in a Workspace
NVIDIA = Path("/proc/driver/nvidia/version")


def run_stage(name: str, arguments: Sequence[str] = ()) -> None:
    """Run one stage in the current folder, the root of the repository.

    Raises:
        ParameterError: unknown stage, wrong arguments, or anything wrong in params.yaml.
        InputError: what the stage reads is wrong, or has changed while it ran: parameters, data or code.
        UnitsFailed: units of the stage failed, after all others were run.
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
    if name == TRAINED_TOGETHER and "TORCHELASTIC_RUN_ID" in os.environ and os.environ.get("RANK", "0") != "0":
        from hearlab.params import load_params

        _module(name).assist(load_params())
        return
    if name == ALWAYS:
        _module(name).run()
        return
    with objects_stay():
        from hearlab.compute.memo import FOLDER
        from hearlab.compute.outputs import set_aside_wrong_objects
        from hearlab.compute.timings import timed
        from hearlab.compute.unchanged import StageWatch, covered
        from hearlab.datasets.layout import METRICS_FOLDER
        from hearlab.files import remove_left_over
        from hearlab.params import load_params
        from hearlab.stages.common import workspace

        parts = [part for part in ("units", "folder", "check", "finish", "run") if hasattr(_module(name), part)]
    functions = [f"{_module(name).__name__}:{part}" for part in parts]
    began = StageWatch(name, *arguments[:1], functions=functions)
    params = load_params()
    for left in (FOLDER, METRICS_FOLDER, workspace(params).index(name).parent):
        remove_left_over(left)
    with timed("@".join((name, *arguments)), params.dataset, Path.cwd()):
        if has_units(name):
            _run_units(name, params, began, *arguments)
        else:
            with covered([params.enhance.system]):
                _module(name).run(params, *arguments)
        folder = _optional(name, "folder", params, *arguments) if has_units(name) else None
        set_aside_wrong_objects(Path.cwd(), "@".join((name, *arguments)), folder)
        _note_machine(name, params, began, functions, *arguments)
        began.check()  # the last of all: what DVC notes of parameters and data, it reads after this


def _note_machine(name: str, params: Params, began: StageWatch, functions: Sequence[str], *arguments: str) -> None:
    """Note what kind of machine has computed here; stages that only build lists or link files compute nothing."""
    from hearlab.kernels.arithmetic import is_native, machine
    from hearlab.scoring.machines import digest_of_files, digest_of_units, digest_of_work, note_machine
    from hearlab.stages.common import workspace
    from hearlab.systems.base import is_native_system

    native = is_native() or (name in ENHANCING and is_native_system(params.enhance.system))
    if has_units(name):
        index = index_file(name, params, *arguments)
        work, result = digest_of_units(index)
    elif name in DEMO_FOLDERS and params.dataset == "demo":
        code = began.code.code(None, tuple(functions)).identity
        work = digest_of_work(code, params.data.model_dump(mode="json"), params.data_seed)
        result = digest_of_files(getattr(workspace(params), DEMO_FOLDERS[name]).root)
    else:
        return
    here = machine(native=native)
    device = params.learn.device if name == TRAINED_TOGETHER else params.separate.device
    if name in (*NETWORKS, TRAINED_TOGETHER) and device != "cpu" and NVIDIA.exists():
        here["gpu"] = "CUDA"
    note_machine("@".join((name, *arguments)), work, result, here)


def _run_units(name: str, params: Params, began: StageWatch, *arguments: str) -> None:
    from hearlab.compute import engine
    from hearlab.compute.code_identity import is_own
    from hearlab.compute.memo import FOLDER
    from hearlab.compute.unchanged import covered

    with covered([params.enhance.system]):
        _optional(name, "check", params, *arguments)
    units, folder = stage_units(name, params, *arguments), _optional(name, "folder", params, *arguments)
    began.inputs.update(path for unit in units for path in unit.inputs)
    index = index_file(name, params, *arguments)
    stage = " ".join((name, *arguments))
    ran: list[Unit] = []
    results = engine.run(stage, units, folder, index, code=began.code, unchanged=began.check, ran=ran)
    if name in ENHANCING and is_own(params.enhance.system) and folder is not None:
        from hearlab.systems.again import warn_of_state

        warn_of_state(stage, params.enhance.system, ran, folder, Path(FOLDER))
    _optional(name, "finish", params, results, *arguments)


def has_units(name: str) -> bool:
    """Whether a stage is a list of units."""
    return hasattr(_module(name), "units")


def stage_units(name: str, params: Params, *arguments: str) -> list[Unit]:
    """The units of a stage, in the order in which they run. Nothing is run or written.

    Raises:
        InputError: what the stage reads to list its units is missing or wrong.
    """
    units: list[Unit] = _module(name).units(params, *arguments)
    return units


def index_file(name: str, params: Params, *arguments: str) -> Path:
    """The stage's versioned index of finished units, relative to the root of the repository."""
    from hearlab.stages.common import workspace

    return workspace(params).index(".".join((name, *arguments)))


def _module(name: str) -> Any:
    return importlib.import_module(module_name(name))


def module_name(stage: str) -> str:
    """The module of a stage."""
    return ".".join(("hearlab.stages", *([FOLDERS[stage]] if stage in FOLDERS else []), stage))


def _optional(name: str, function: str, *arguments: Any) -> Any:
    """Call a function that a stage need not have."""
    return getattr(_module(name), function, lambda *arguments: None)(*arguments)
