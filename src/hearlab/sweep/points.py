"""The points of a sweep: their parameters, their names, and which of them are there already."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import re
import tempfile
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hearlab.compute.code_identity import is_own
from hearlab.errors import InputError, ParameterError
from hearlab.files import md5_of_bytes, read_bytes, read_yaml
from hearlab.learners import named_weights
from hearlab.params import PARAMS_FILE, check_params, flat
from hearlab.report.experiments.listing import Experiment, experiment
from hearlab.stages.system import OUTPUT, state_of
from hearlab.versions.git import git, git_text, head_commit
from hearlab.versions.lock import all_outs
from hearlab.versions.overrides import check_overrides
from hearlab.versions.revisions import RevisionFiles, experiment_commits

# What is beside params.yaml in a commit and has no part in a result.
APART = re.compile(
    r"(docs|tests|leaderboard|metrics|examples)/.*|[^/]*\.md|dvc\.lock|LICENSE|CITATION\.cff|params\.yaml"
)
MOST_POINTS = 10_000  # of a grid: each is an experiment, of seconds at least
SLUG = 40  # letters of a name that tell its parameters


@dataclass(frozen=True)
class Point:
    """One experiment of a sweep.

    Attributes:
        name: of the DVC experiment: the same parameters upon the same commit and code have the same one.
        overrides: changes of params.yaml, as `dvc exp run -S` takes them.
        parameters: all of params.yaml after them, flat.
        system: md5 of what the stage `system` writes of a system of one's own, wherever it is; empty of HearLab's.
        content: params.yaml after the changes.
        code: `state_of_code` when the sweep began.
    """

    name: str
    overrides: tuple[str, ...]
    parameters: dict[str, Any]
    system: str = ""
    content: str = ""
    code: str = ""

    @property
    def changes(self) -> list[str]:
        """The overrides as a user writes them: DVC gives them with a backslash before some letters."""
        return [re.sub(r"\\(.)", r"\1", override) for override in self.overrides]


@dataclass(frozen=True)
class Base:
    """What all points of a sweep begin with, as it is when the sweep begins; the user may go on in the workspace.

    Attributes:
        content: of params.yaml.
        code: `state_of_code`.
    """

    content: bytes
    code: str

    @classmethod
    def of(cls, root: Path) -> Base:
        """The workspace as it is now.

        Raises:
            InputError: there is no params.yaml, or no commit.
        """
        return cls(read_bytes(root / PARAMS_FILE), state_of_code(root))


def grid(overrides: Sequence[str]) -> list[tuple[str, ...]]:
    """The changes of each point, in order, of changes with DVC's (Hydra's) range(...), choice(...) and a,b,c.

    Raises:
        InputError: one of them is none, is of another file than params.yaml, changes what another one changes, or they
            make more than MOST_POINTS points, or DVC is not installed.
    """
    check_overrides(overrides)
    for override in overrides:
        name, equals, _ = override.partition("=")
        if not equals and not name.startswith("~"):
            raise ParameterError("-S", "is no change of a parameter", found=override, wanted="KEY=VALUE")
        if ":" in name:
            raise ParameterError("-S", "is of another file", found=override, wanted=f"a parameter of {PARAMS_FILE}")
    try:
        from dvc.utils.hydra import get_hydra_sweeps, to_hydra_overrides
    except ImportError:
        raise InputError("dvc", "is not installed", advice="pip install 'hearlab[pipeline]'") from None
    if not overrides:
        return [()]
    try:
        counts = [_count(parsed) for parsed in to_hydra_overrides(list(overrides))]
        if math.prod(counts) > MOST_POINTS:
            found = " x ".join(f"{count:.0f}" for count in counts if count != 1)
            raise ParameterError("-S", "makes too many experiments", found=found, wanted=f"at most {MOST_POINTS}")
        return [tuple(point[PARAMS_FILE]) for point in get_hydra_sweeps({PARAMS_FILE: list(overrides)})]
    except ParameterError:
        raise
    except Exception as error:  # of DVC's and Hydra's own kinds
        reason = " ".join(str(error.__cause__ or error).split())[:200]
        raise ParameterError(
            "-S", "cannot be read", found=reason, wanted="such as enhance.gain=range(0,13,3)"
        ) from None


def _count(override: Any) -> float:
    """How many values a change has that Hydra has read; none of them is made."""
    value = override.value()
    if not override.is_sweep_override():
        return 1
    if override.is_range_sweep():
        if not value.step:
            raise ValueError("a range with a step of 0")
        return max(0, math.ceil((value.stop - value.start) / value.step))
    return len(value.list) if override.is_choice_sweep() else 1


def points(base: Base, sweep: Sequence[Sequence[str]], fixed: Collection[str] = ()) -> list[Point]:
    """The points with these changes; those that come to the same parameters are one. All are checked before any runs.

    Args:
        base: what they change.
        sweep: the changes of each point.
        fixed: changes that further points will have too; names tell those in which points differ.

    Raises:
        ParameterError: a change, or what it makes of params.yaml, is wrong, or there is no such system.
    """
    common = set(fixed).union(set.intersection(*map(set, sweep)) if len(sweep) > 1 else ())
    found: dict[str, Point] = {}
    for overrides in sweep:
        content, parameters = changed_parameters(base.content, overrides)
        system = system_state(parameters)
        own = [override for override in overrides if override not in common]
        name = point_name(own or overrides, parameters, f"{base.code} {system}".rstrip())
        found.setdefault(name, Point(name, tuple(overrides), parameters, system, content, base.code))
    return list(found.values())


def system_state(parameters: dict[str, Any]) -> str:
    """`Point.system` of flat parameters; the current folder is the root of the workspace.

    git knows nothing of a package that is installed from elsewhere, and perhaps nothing of weights that are named.

    Raises:
        ParameterError: there is no such package.
    """
    system = str(parameters.get("enhance.system"))
    named = named_weights(system, parameters.get("learn.weights"), {})
    if not is_own(system) and not named:
        return ""
    prefix = "enhance.params."
    own = {name.removeprefix(prefix): value for name, value in parameters.items() if name.startswith(prefix)} | named
    return md5_of_bytes(state_of(system, own).text().encode())


def changed_parameters(content: bytes, overrides: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """params.yaml after changes as DVC makes them: as a text, and flat.

    Args:
        content: of params.yaml before.
        overrides: the changes.

    Raises:
        ParameterError: a change or its result is wrong.
    """
    from dvc.exceptions import DvcException
    from dvc.utils.hydra import apply_overrides

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, PARAMS_FILE)
        path.write_bytes(content)
        try:
            if overrides:
                apply_overrides(path, list(overrides))
        except DvcException as error:
            reason = " ".join(str(error.__cause__ or error).split())[:200]
            raise ParameterError("-S", "cannot be applied", found=reason) from None
        values = read_yaml(path)
        check_params(values, Path(PARAMS_FILE))
        return path.read_text(encoding="utf-8"), flat(values)


def point_name(overrides: Sequence[str], parameters: dict[str, Any], code: str) -> str:
    """A name that tells the changes, and is another one for other parameters, another commit or other code."""
    words = []
    for override in overrides:
        name, _, value = override.partition("=")
        words.append(name.rpartition(".")[2].strip("+~") + value)
    between_digits = re.sub(r"(?<=\d)\.(?=\d)", "p", "-".join(words))
    slug = re.sub(r"[^A-Za-z0-9+-]+", "-", between_digits)[:SLUG]
    digest = hashlib.sha256(json.dumps([parameters, code], sort_keys=True, default=str).encode()).hexdigest()
    return f"{slug.strip('-') or 'as-it-is'}-{digest[:6]}"


def state_of_code(root: Path) -> str:
    """The commit, and a digest of all changes since that can have a part in results.

    Raises:
        InputError: there is no commit.
    """
    commit = head_commit(root)
    files = [name for name in _changed_since(root, commit) if not APART.fullmatch(name)]
    if not files:
        return commit
    difference = git(root, "diff", "--binary", commit, "--", *files) or b""
    return f"{commit}+{hashlib.sha256(difference).hexdigest()}"


def _changed_since(root: Path, commit: str) -> list[str]:
    """Tracked files of the workspace that are not as in a commit."""
    listed = git_text(root, "diff", "--name-only", "--relative", "-z", commit, "--", ".")
    return [name for name in listed.split("\0") if name]


def untracked_code(root: Path) -> list[str]:
    """Files of code, own data sets and listeners that git does not know: an experiment in a folder of its own does not
    see them.
    """
    listed = git_text(root, "ls-files", "--others", "--exclude-standard", "-z", "--", "src", "datasets", "listeners")
    return [name for name in listed.split("\0") if name and (name.endswith(".py") or not name.startswith("src/"))]


def present(root: Path, wanted: Sequence[Point], *, any_name: bool = True) -> dict[str, Experiment]:
    """The experiments with scores, and the commit, parameters and code of a point, by the point's name.

    An experiment with a point's own name is of its code, which the name tells; the workspace may have another by now.

    Args:
        root: the workspace.
        wanted: the points.
        any_name: whether experiments of other names count, such as those that the user ran; each has to be read.
    """
    commits = {point.code.partition("+")[0] for point in wanted}
    names = {point.name for point in wanted}
    by_parameters = {_text(point.parameters): point.name for point in wanted}
    systems = {point.name: point.system for point in wanted}
    found: dict[str, Experiment] = {}
    for each in experiment_commits(root):
        if each.baseline not in commits or not (any_name or each.name in names):
            continue
        files = RevisionFiles(root, each.name, each.commit, True)
        one = experiment(each.name, "experiment", each.commit[:7], each.time, files)
        name = by_parameters.get(_text(one.parameters))
        if (
            name is None
            or not one.scores
            or one.outdated  # some of its scores are those of before
            # The name of a point tells its code and its system; what the user ran is asked for them.
            or (each.name != name and not _is_of(root, each.commit, files, systems[name]))
        ):
            continue
        if name not in found or each.name == name:
            found[name] = one
    return found


def _is_of(root: Path, commit: str, files: RevisionFiles, system: str) -> bool:
    """Whether an experiment is of the workspace's code and of a system."""
    if any(not APART.fullmatch(path) for path in _changed_since(root, commit)):
        return False
    return system in ("", all_outs(files.lock).get(OUTPUT.as_posix()))


def why_changed(root: Path, code: str, system: str, parameters: dict[str, Any]) -> str | None:
    """Why an experiment can no longer be of a point's code; None if it can. The current folder is `root`."""
    if state_of_code(root) != code:
        what = "the commit or the code"
    elif system_state(parameters) != system:
        what = "the code of the enhancement system"
    else:
        return None
    return f"{what} has changed since the sweep began: the same command makes experiments of what is here now"


def _text(parameters: dict[str, Any]) -> str:
    return json.dumps(parameters, sort_keys=True, default=str)


@contextlib.contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """No other sweep of this workspace runs meanwhile.

    Raises:
        InputError: one does.
    """
    import fcntl

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(os.fspath(folder), "another sweep is under way in this workspace") from None
        yield
