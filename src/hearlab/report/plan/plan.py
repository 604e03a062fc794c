"""What `dvc repro` would do: stages, units, core-hours, time, disk, missing packages."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hearlab.compute.memo import FOLDER
from hearlab.compute.process import worker_count
from hearlab.compute.timings import WorkersStart
from hearlab.datasets.links import commit_copies, working_link
from hearlab.datasets.packages import disks, load_catalogue, packages_home
from hearlab.datasets.packages.file_checks import holds_files
from hearlab.datasets.packages.space import Need
from hearlab.datasets.required_packages import lacking
from hearlab.errors import InputError
from hearlab.params import PREPARING, Params
from hearlab.report.plan.names import check_names
from hearlab.report.plan.stages import PlannedStage, planned_stages, with_overrides
from hearlab.report.plan.work import Work, Workload
from hearlab.stages.check_params import untaken_params
from hearlab.stages.common import workspace
from hearlab.text import size_text, table
from hearlab.versions.dvc_files import cache_folder, link_types

LINKING = "hardlink,symlink"


@dataclass(frozen=True)
class Row:
    """One stage of the plan. `seconds` are of one core, `wall` those on this machine's cores."""

    stage: PlannedStage
    work: Work
    wall: float


@dataclass(frozen=True)
class Plan:
    """What would happen.

    Attributes:
        dataset: the data set.
        rows: the stages in their order, those that have nothing to do included.
        cores: local workers.
        missing: one line for each package or file that a stage of the plan lacks.
        disk: what is written, and where; one line for each file system.
        warnings: a disk that is too small, parameters that the system does not take.
        link: how a file gets from DVC's cache into the workspace.
        packages: where those of the data set are, and what could delete them; None for the demo.
    """

    dataset: str
    rows: tuple[Row, ...]
    cores: int
    missing: tuple[str, ...]
    disk: tuple[str, ...]
    warnings: tuple[str, ...]
    link: str
    packages: str | None = None

    @property
    def core_seconds(self) -> float:
        return sum(row.work.seconds for row in self.rows)

    @property
    def wall(self) -> float:
        return sum(row.wall for row in self.rows)

    @property
    def bytes(self) -> float:
        return sum(row.work.bytes for row in self.rows)


def make_plan(root: Path, targets: Sequence[str] = (), overrides: Sequence[str] = ()) -> Plan:
    """Plan `dvc repro TARGETS`, or `dvc exp run -S KEY=VALUE TARGETS`; nothing is run or changed.

    Args:
        root: the workspace; it must be the current folder.
        targets: stages of dvc.yaml, or none for all.
        overrides: changes of params.yaml, such as 'dataset=clarity'.

    Raises:
        InputError: params.yaml, an override or a target is wrong, or what params.yaml names is not there.
    """
    cores, start = worker_count(), WorkersStart(root / FOLDER).seconds
    with with_overrides(root, overrides) as params:
        stages = planned_stages(root, targets, params, overridden=bool(overrides))
        check_names(params, stages)
        load = Workload(params)
        rows = []
        for stage in stages:
            work = load.of(stage.name, stage.runs)
            rows.append(Row(stage, work, _wall(work.seconds, work.units or 1, cores, start)))
    to_run = [row for row in rows if row.stage.runs != "no"]
    lines, warnings, link = _disk(root, params, to_run)
    warnings += filter(None, [untaken_params(params)])
    missing = _missing(params, [row.stage for row in to_run])
    home = None if params.source != "packages" else packages_home(root, params.dataset)
    packages = "; ".join(filter(None, (str(home), home.warning))) if home else None
    return Plan(params.dataset, tuple(rows), cores, tuple(missing), tuple(lines), tuple(warnings), link, packages)


def _wall(seconds: float, units: int, cores: int, start: float) -> float:
    """Time by the clock: on one core, or on all of them where that ends sooner although workers have to start."""
    return min(seconds, start + seconds / min(cores, max(units, 1)))


def _missing(params: Params, stages: Sequence[PlannedStage]) -> list[str]:
    """One line for each package or file that stages of the plan lack."""
    lacked_by: dict[str, list[str]] = {}
    for stage in stages:
        packages = lacking(params, stage.name).items()
        missing = [f"package {package.name}" if package else folder for folder, package in packages]
        missing += [path for path in stage.missing if not path.startswith(str(workspace(params).root))]
        for what in dict.fromkeys(missing):
            lacked_by.setdefault(what, []).append(stage.name)
    return [f"missing: {what}, for {', '.join(names)}" for what, names in lacked_by.items()]


def _disk(root: Path, params: Params, rows: Sequence[Row]) -> tuple[list[str], list[str], str]:
    """Lines on what is written where, warnings, and the link type."""
    cache = cache_folder(root)
    size = round(sum(row.work.bytes for row in rows))
    advice: list[str] = []
    if cache is None:
        needs, link = [Need("results", root, size, about=True)], "none: no DVC repository"
    else:
        types = link_types(root)
        link = working_link(root, cache, types) or "copy"
        needs = [Need("results in DVC's cache", cache, size, about=True)]
        if link == "copy":
            needs.append(Need("their copies in the workspace", root, size, about=True))
        unpacked = _unpacked(params) if any(row.stage.name in PREPARING for row in rows) else 0
        copied = commit_copies(root, cache, types)
        if unpacked and copied:
            needs.append(Need("the unpacked packages in DVC's cache", cache, unpacked, about=True))
        if unpacked and copied and link != "copy":
            advice.append(
                f"advice: dvc config --local cache.type {LINKING} saves {size_text(unpacked)} (docs/full-data.md)"
            )
    found = disks(needs)
    lines = [f"disk {disk}" for disk in found]
    warnings = [
        f"WARNING: {disk.folder}: {size_text(disk.free)} free, but {size_text(disk.needed + disk.reserve)} are needed "
        f"({size_text(disk.reserve)} of that stays free)"
        for disk in found
        if not disk.enough
    ]
    return lines + advice, warnings, link


def _unpacked(params: Params) -> int:
    """Bytes of the packages that are unpacked, by the table of packages."""
    if params.source != "packages":
        return 0
    root = packages_home(Path(), params.dataset).folder
    return sum(
        package.unpacked or 0
        for package in load_catalogue().values()
        if any(holds_files(root / package.root / folder) for folder in package.holds)
    )


def plan_text(plan: Plan) -> str:
    """The plan for people."""
    to_run = [row for row in plan.rows if row.stage.runs != "no"]
    up_to_date = len(plan.rows) - len(to_run)
    if not to_run:
        return f"data set {plan.dataset}: nothing to do, all {up_to_date} stages are up to date"
    headings = ("stage", "runs", "units", "done", "core time", "by the clock", "writes", "estimate")
    cells = [(row.stage.name, row.stage.runs, *_cells(row.work, row.wall)) for row in to_run]
    perhaps = any(row.stage.runs == "perhaps" for row in to_run)
    cores = f"{plan.cores} core{'s' * (plan.cores > 1)}"
    text = [
        table([headings, *cells], left=(0, 1, 7)),
        "",
        f"data set {plan.dataset}: {len(to_run)} of {len(plan.rows)} stages, {'at most ' * perhaps}"
        f"{plan.core_seconds / 3600:.2f} core-hours, about {duration(plan.wall)} on {cores}, "
        f"{size_text(round(plan.bytes))} written ({plan.link} from DVC's cache to the workspace)",
        *plan.disk,
        *([f"packages: {plan.packages}"] if plan.packages else []),
        *plan.missing,
        *plan.warnings,
    ]
    if perhaps:
        text.append("perhaps: only if what an earlier stage makes has changed; units that are done are not run again")
    if any(row.work.source and not row.work.measured for row in to_run):
        text.append(
            "reference [n]: see hearlab/report/plan/unit_costs.toml; after a first run the times measured here are used"
        )
    return "\n".join(text)


def _cells(work: Work, wall: float) -> tuple[str, ...]:
    """What the work of a stage says in the table of the plan; nothing where there is nothing to say."""
    return (
        "" if work.units is None else str(work.units),
        "" if not work.units else "?" if work.done is None else str(work.done),
        duration(work.seconds) if work.seconds else "",
        duration(wall) if work.seconds else "",
        size_text(round(work.bytes)) if work.bytes else "",
        "" if not work.seconds else "measured" if work.measured else f"reference {work.source}",
    )


def plan_values(plan: Plan) -> dict[str, Any]:
    """The plan for programs."""
    return {**asdict(plan), "core_seconds": plan.core_seconds, "wall": plan.wall, "bytes": plan.bytes}


def duration(seconds: float) -> str:
    """A time for people: '3 s', '12 min', '5 h 20 min'."""
    if seconds < 1:
        return "< 1 s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def check_root(root: Path) -> None:
    """Raises InputError if the folder is not the root of a repository with a pipeline."""
    if not os.path.exists(root / "dvc.yaml"):
        raise InputError(root / "dvc.yaml", "no such file", advice="run from the root of the repository")
