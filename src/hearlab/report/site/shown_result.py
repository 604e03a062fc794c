"""Which result a site shows, in words, and whether its sounds are those that were scored."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hearlab.datasets.layout import METRICS_FOLDER
from hearlab.files import parse_yaml, read_bytes
from hearlab.params import PARAMS_FILE, flat
from hearlab.params.subsets import subset_text
from hearlab.report.experiments.listing import Experiment
from hearlab.report.leaderboard.origin import split_of
from hearlab.report.site.results import Results
from hearlab.scoring.tracks import ENHANCED, Track
from hearlab.text import few, shortened
from hearlab.versions.dvc_files import cache_folder, cached_object, is_md5
from hearlab.versions.git import git_text
from hearlab.versions.lock import deps, listing, lock_stages

SHORT = 7  # digits of a commit
NAMED = 4  # files, or parameters, in a line
VALUE = 40  # columns of a parameter's value
Fact = tuple[str, str]
"""A label and a text."""


@dataclass(frozen=True)
class ShownResult:
    """What stands on every page.

    Attributes:
        title: data set and what of it, in a few words.
        facts: system, parameters of its own, commit, experiment, dates.
        changed: files that are not as in the commit; the scores need not be the commit's.
    """

    title: str
    facts: list[Fact]
    changed: list[str]

    @property
    def dirty(self) -> str:
        """In words; empty for a clean workspace."""
        return f"changed since that commit: {few(self.changed, NAMED)}" if self.changed else ""


def shown_result(results: Results, experiments: Sequence[Experiment]) -> ShownResult:
    """Where the results come from; `experiments` as `hearlab.report.experiments.listing.experiments` lists them."""
    root = results.root
    values = flat(results.params.model_dump())
    parts = []
    for one in results.tracks:
        split, subset = split_of(values, one.track), subset_text(values, one.track.cluster)
        parts.append(f"{one.track.name}: {split}{f' ({subset})' if subset else ''}")
    facts = [("System", system_name(str(values.get("enhance.system", ""))))]
    own = {name.removeprefix("enhance.params."): values[name] for name in values if name.startswith("enhance.params.")}
    before = flat(parse_yaml(git_text(root, "show", f"HEAD:./{PARAMS_FILE}").encode()))
    here = flat(parse_yaml(read_bytes(root / PARAMS_FILE)))
    own |= {
        name: value
        for name, value in here.items()
        if before and not name.startswith("enhance.params.") and name in before and before[name] != value
    }
    if own:
        listed = [shortened(f"{name} = {_value(value)}", VALUE) for name, value in own.items()]
        facts.append(("Own parameters", few(listed, NAMED)))
    commit, _, rest = git_text(root, "log", "-1", "--format=%H %ct").partition(" ")
    if commit:
        date = datetime.datetime.fromtimestamp(int(rest), datetime.UTC) if rest.isdecimal() else None
        facts.append(("Commit", commit[:SHORT] + (f" of {date:%Y-%m-%d}" if date else "")))
    name = experiment_name(experiments)
    if name:
        facts.append(("Experiment", name))
    scored = _scored(root, results)
    if scored is not None:
        facts.append(("Scores written", f"{scored:%Y-%m-%d %H:%M} UTC"))
    return ShownResult(f"{results.params.dataset}, {'; '.join(parts)}", facts, _changed(root) if commit else [])


def system_name(system: str) -> str:
    """A system of HearLab's by its class alone, another one by its whole name."""
    return system.rpartition(":")[2] if system.startswith("hearlab.") else system


def experiment_name(experiments: Sequence[Experiment]) -> str:
    """The experiment whose scores and parameters the workspace has; empty if there is none."""
    here = next((one for one in experiments if one.kind == "workspace"), None)
    if here is None:
        return ""
    same = (
        one.name
        for one in experiments
        if one.kind == "experiment" and (one.scores, one.parameters) == (here.scores, here.parameters)
    )
    return next(same, "")


def _value(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _scored(root: Path, results: Results) -> datetime.datetime | None:
    times = []
    for one in results.tracks:
        with contextlib.suppress(OSError):
            times.append((root / METRICS_FOLDER / one.track.tables[ENHANCED]).stat().st_mtime)
    return datetime.datetime.fromtimestamp(max(times), datetime.UTC) if times else None


def _changed(root: Path) -> list[str]:
    """Files that git follows and that are not as in the commit, dvc.lock and metrics included: they are the result."""
    listed = git_text(root, "diff", "--name-only", "-z", "--relative", "HEAD", "--", ".")
    return [name for name in listed.split("\0") if name]


class ScoredFiles:
    """The md5 of every file that the scores of a track were made from, as dvc.lock and DVC's cache know them."""

    def __init__(self, root: Path, track: Track) -> None:
        self._files: dict[str, str] = {}
        self._folders: list[str] = []
        cache = cache_folder(root)
        for path, identity in deps(lock_stages(root).get(track.scoring_stage, {})).items():
            if not identity.endswith(".dir"):
                self._files[path] = identity
            elif cache is not None and is_md5(identity.removesuffix(".dir")):
                with contextlib.suppress(OSError):
                    files = listing(cached_object(cache, identity).read_bytes())
                    self._files |= {f"{path}/{name}": md5 for name, md5 in files.items()}
                    self._folders.append(f"{path}/")

    def differs(self, path: str, md5: str) -> bool:
        """Whether a file of the workspace is not the one that was scored; False where that is not known."""
        known = self._files.get(path)
        if known is None:
            return any(path.startswith(folder) for folder in self._folders)  # that file was not there
        return bool(md5) and known != md5

    def __bool__(self) -> bool:
        return bool(self._files)
