"""Which stages `dvc repro` would run, asked of DVC before anything runs."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from hearlab.errors import InputError
from hearlab.params import PARAMS_FILE, Params, check_params
from hearlab.stages import ALWAYS
from hearlab.stages.system import is_written, state_of
from hearlab.versions.dvc_command import repository
from hearlab.versions.overrides import overridden

# It writes the same bytes whenever params.yaml is right: what follows it runs for other reasons only.
ALWAYS_THE_SAME = "check_params"


@dataclass(frozen=True)
class PlannedStage:
    """A stage of the plan.

    Attributes:
        name: as in dvc.yaml, such as 'render_scenes@dev'.
        runs: 'yes', 'no', or 'perhaps': only if what an earlier stage makes anew is not what it was.
        missing: what it reads that is not there and that no stage of the plan makes.
    """

    name: str
    runs: Literal["yes", "no", "perhaps"]
    missing: tuple[str, ...] = ()


@contextlib.contextmanager
def with_overrides(root: Path, overrides: Sequence[str]) -> Iterator[Params]:
    """The parameters with changes such as 'enhance.gain=3', which DVC sees too inside of the block; no file changes.

    Raises:
        InputError: params.yaml or an override is wrong.
    """
    path = root / PARAMS_FILE
    content = overridden(root, overrides, command="hearlab plan")
    try:
        from dvc.utils.serialize import LOADERS, load_yaml
    except ImportError as error:
        advice = "pip install 'hearlab[pipeline]'"
        raise InputError("hearlab plan", "needs DVC", found=str(error), advice=advice) from None

    def load(fs_path: str, *args: Any, **kwargs: Any) -> Any:
        if Path(fs_path).absolute() == path.absolute():
            return content
        return load_yaml(fs_path, *args, **kwargs)

    params = check_params(content, path)
    former = LOADERS.get(".yaml")
    LOADERS[".yaml"] = load
    try:
        yield params
    finally:
        LOADERS.pop(".yaml")
        if former is not None:
            LOADERS[".yaml"] = former


def planned_stages(root: Path, targets: Sequence[str], params: Params, *, overridden: bool) -> list[PlannedStage]:
    """Every stage that `dvc repro TARGETS` looks at, in its order.

    Args:
        root: the workspace.
        targets: stages or groups of stages of dvc.yaml; none of them means all.
        params: of the planned run.
        overridden: whether this is called within `with_overrides` that changes something.

    Raises:
        InputError: no DVC repository, an unknown target, a dvc.yaml that DVC refuses, or another DVC is at work.
    """
    from dvc.exceptions import DvcException
    from dvc.repo.reproduce import collect_stages, get_active_graph, plan_repro

    logging.getLogger("dvc").setLevel(logging.ERROR)
    try:
        with repository(root) as repo, repo.lock:
            wanted = collect_stages(repo, list(targets) or ["dvc.yaml"])
            graph = get_active_graph(repo.index.graph)
            return _walk(root, graph, plan_repro(graph, wanted), params, overridden)
    except DvcException as error:
        raise InputError("DVC", "cannot tell what would run", found=str(error)) from None


def _walk(root: Path, graph: Any, steps: Sequence[Any], params: Params, overridden: bool) -> list[PlannedStage]:
    found: list[PlannedStage] = []
    edited = set[Any]()  # what is known to change, and not only to be made anew
    changing: set[Any] = set()
    made: set[str] = set()
    for stage in steps:
        made |= {out.fs_path for out in stage.outs}
        missing = tuple(
            Path(dep.fs_path).relative_to(root.resolve()).as_posix()
            for dep in stage.deps
            if not dep.exists and not _made(dep.fs_path, made)
        )
        runs: Literal["yes", "no", "perhaps"]
        if stage.addressing == ALWAYS_THE_SAME and overridden:
            runs = "yes"
        elif stage.addressing == ALWAYS:
            # DVC runs it every time; what follows runs if the system is not what it was.
            runs = "no" if is_written(state_of(params.enhance.system, params.system_params)) else "yes"
            edited |= {stage} if runs == "yes" else set()
        elif any(before in edited for before in graph.successors(stage)):
            runs = "yes"
        elif any(before in changing for before in graph.successors(stage)):
            # Its inputs are still to come: asking DVC would only hash those of before.
            runs = "yes" if _never_ran(stage) or _params_changed(stage) else "perhaps"
        else:
            runs = "yes" if _never_ran(stage) or stage.changed() else "no"
        if runs != "no" and stage.addressing != ALWAYS_THE_SAME:
            changing.add(stage)
        found.append(PlannedStage(stage.addressing, runs, missing))
    return found


def _made(path: str, made: set[str]) -> bool:
    return any(path == out or path.startswith(f"{out}/") or out.startswith(f"{path}/") for out in made)


def _never_ran(stage: Any) -> bool:
    # dvc.lock has no hash of what it makes. Asking `changed` would read all that it depends on, 100 GB perhaps.
    return any(not out.hash_info for out in stage.outs if out.use_cache) or any(not out.exists for out in stage.outs)


def _params_changed(stage: Any) -> bool:
    from dvc.dependency import ParamsDependency

    return stage.changed_stage() or any(dep.status() for dep in stage.deps if isinstance(dep, ParamsDependency))
