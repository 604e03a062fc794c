"""A search for the best parameters by Optuna: each trial is an experiment; its database lies beside mlflow.db."""

from __future__ import annotations

import functools
import hashlib
import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hearlab.errors import InputError, ParameterError
from hearlab.sweep.points import Base, grid, points

DATABASE = "optuna.db"
DRAWS, STEP = 400, 1_000_003  # draws for a trial until one is new, and between their seeds
NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
RANGE = re.compile(rf"(?P<log>log\()?(?P<low>{NUMBER})\.\.(?P<high>{NUMBER})(?(log)\))")


@dataclass(frozen=True)
class Axis:
    """A parameter that is searched.

    Attributes:
        name: as in `-S NAME=...`.
        low, high: ends of a range, both included; whole numbers if both are.
        log: whether the logarithm is what is drawn evenly.
        choices: instead of a range, the values as texts.
    """

    name: str
    low: float | int = 0
    high: float | int = 0
    log: bool = False
    choices: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        if self.choices:
            return f"{self.name}={','.join(self.choices)}"
        span = f"{self.low}..{self.high}"
        return f"{self.name}=log({span})" if self.log else f"{self.name}={span}"

    @property
    def ends(self) -> tuple[str | float | int, ...]:
        """Both ends of a range, or all values to choose from."""
        return self.choices or (self.low, self.high)

    @property
    def size(self) -> float:
        """How many values it has."""
        if self.choices:
            return len(set(self.choices))
        return self.high - self.low + 1 if isinstance(self.low, int) else math.inf


def axes(overrides: Sequence[str]) -> tuple[list[Axis], list[str]]:
    """The parameters to search, and the changes that all trials have.

    `0..12` is a range of whole numbers, `0.0..12` of any, `log(1e-4..1e-1)` is drawn evenly by the logarithm; lists and
    Hydra's range(...) and choice(...) give values to choose from.

    Raises:
        ParameterError: one of them is wrong, or none is to be searched.
    """
    searched, fixed = [], []
    for override in overrides:
        name, _, value = override.partition("=")
        match = RANGE.fullmatch(value.replace(" ", ""))
        if match:
            searched.append(_range(name, match))
            continue
        values = [point[0].partition("=")[2] for point in grid([override])]
        if len(values) > 1:
            searched.append(Axis(name, choices=tuple(values)))
        else:
            fixed.append(override)
    if not searched:
        raise ParameterError("--optimise", "has nothing to search", wanted="such as -S 'enhance.gain=0..12'")
    return searched, fixed


def corners(searched: Sequence[Axis], fixed: Sequence[str]) -> list[tuple[str, ...]]:
    """The changes of trials: each parameter at its ends, or at each value to choose from, the others at their first."""
    return [
        (*fixed, *(f"{axis.name}={end if axis is varied else axis.ends[0]}" for axis in searched))
        for varied in searched
        for end in varied.ends
    ]


def _range(name: str, match: re.Match[str]) -> Axis:
    whole = all(re.fullmatch(r"[-+]?\d+", match[end]) for end in ("low", "high"))
    low, high = ((int if whole else float)(match[end]) for end in ("low", "high"))
    if low >= high:
        raise ParameterError("-S", "is no range", field=name, found=match[0], wanted="the lower end first")
    if match["log"] and low <= 0:
        raise ParameterError("-S", "has no logarithm", field=name, found=match[0], wanted="ends above 0")
    return Axis(name, low, high, bool(match["log"]))


def _tried(known: Sequence[Any]) -> set[tuple[str, ...]]:
    """The changes of some trials."""
    return {tuple(trial.user_attrs["changes"]) for trial in known if "changes" in trial.user_attrs}


class Search:
    """A study of Optuna's in the repository's database: the same one for the same question.

    Args:
        root: the workspace.
        base: what the search began with.
        question: what is searched, for which metric, with which other changes.
        seed: of the sampler. What is tried next depends on it and on the scores before, whether a search is
            interrupted or not.

    Raises:
        ParameterError: an end of a range, or one of the values to choose from, is wrong.
        InputError: Optuna is not installed, or its database cannot be used.
    """

    def __init__(
        self, root: Path, base: Base, searched: Sequence[Axis], fixed: Sequence[str], metric: str, seed: int
    ) -> None:
        try:
            import optuna
        except ImportError:
            raise InputError("optuna", "is not installed", advice="pip install 'hearlab[pipeline]'") from None
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.optuna: Any = optuna
        self.axes, self.fixed, self.seed = list(searched), list(fixed), seed
        ends = [(*fixed, f"{axis.name}={end}") for axis in searched for end in axis.ends]
        systems = sorted({point.system for point in points(base, ends)} - {""})
        question = [[axis.text for axis in searched], list(fixed), metric, seed, base.code, *systems]
        digest = hashlib.sha256(json.dumps(question).encode()).hexdigest()[:8]
        try:
            self.study: Any = optuna.create_study(
                storage=f"sqlite:///{root.resolve() / DATABASE}",
                study_name=f"{metric} {digest}",
                load_if_exists=True,
                direction="maximize",
            )
        except Exception as error:  # of SQLAlchemy's and Optuna's own kinds
            reason = (str(error).strip().splitlines() or [""])[0][:200]
            advice = "move it away: a new one is made"
            raise InputError(root / DATABASE, "cannot be used", found=reason, advice=advice) from None
        if not self.study.user_attrs.get("question"):
            self.study.set_user_attr("question", question)

    def run(
        self, trials: int, score: Callable[[Sequence[tuple[str, ...]]], Iterator[float | None]]
    ) -> Iterator[tuple[int, tuple[str, ...], float | None]]:
        """Try parameters until the study has so many trials, and give the number, changes and score of each new one.

        A trial that was interrupted is tried first, with the parameters that it had. What was tried is not tried again,
        and a search ends where nothing else is left.

        Args:
            trials: how many the study has in the end; failed ones count.
            score: gives the score of each of some changes, None where it failed.
        """
        states = self.optuna.trial.TrialState
        while True:
            known = self.study.get_trials(deepcopy=False)
            open_trials = [trial for trial in known if trial.state == states.RUNNING]
            if len(known) - len(open_trials) >= trials or (not open_trials and self._nothing_new(known)):
                return
            if open_trials:
                number, values = open_trials[0].number, open_trials[0].user_attrs.get("changes")
            else:
                number, values = self._ask(known)
            if values is None:  # killed before its parameters were noted
                self.study.tell(number, state=states.FAIL)
                continue
            changes = (*self.fixed, *values)
            (found,) = score([changes])
            if found is None:
                self.study.tell(number, state=states.FAIL)
            else:
                self.study.tell(number, found)
            yield number, changes, found

    def changes(self) -> list[list[str]]:
        """The changes of all trials so far."""
        return [trial.user_attrs["changes"] for trial in self.study.trials if "changes" in trial.user_attrs]

    def _ask(self, known: Sequence[Any]) -> tuple[int, list[str]]:
        tried = _tried(known)
        for sampler in self._samplers(len(known)):
            draft = self.optuna.create_study(direction="maximize", sampler=sampler())
            draft.add_trials(known)
            if tuple(self._changes(draft)[1]) not in tried:
                break  # else the score is known: drawn again with another seed
        self.study.sampler = sampler()
        trial, changes = self._changes(self.study)
        trial.set_user_attr("changes", changes)
        return trial.number, changes

    def _samplers(self, number: int) -> Iterator[Callable[[], Any]]:
        """Samplers for a trial, so that its draws do not depend on what this process has drawn before.

        Where Optuna's own has drawn nothing new for a while, a random one goes on, which does not stay with the best.
        """
        for again in range(DRAWS):
            kind = self.optuna.samplers.TPESampler if again < DRAWS // 4 else self.optuna.samplers.RandomSampler
            yield functools.partial(kind, seed=(self.seed + number + again * STEP) % 2**32)

    def _changes(self, study: Any) -> tuple[Any, list[str]]:
        trial = study.ask({axis.name: self._distribution(axis) for axis in self.axes})
        return trial, [f"{axis.name}={trial.params[axis.name]}" for axis in self.axes]

    def _nothing_new(self, known: Sequence[Any]) -> bool:
        """Whether all that there is to try was tried."""
        return len(_tried(known)) >= math.prod(axis.size for axis in self.axes)

    def _distribution(self, axis: Axis) -> Any:
        kinds = self.optuna.distributions
        if axis.choices:
            return kinds.CategoricalDistribution(axis.choices)
        kind = kinds.IntDistribution if isinstance(axis.low, int) else kinds.FloatDistribution
        return kind(axis.low, axis.high, log=axis.log)
