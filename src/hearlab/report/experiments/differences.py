"""In which parameters the lines of the table of experiments differ, and which lines are equal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hearlab.report.experiments.listing import Experiment
from hearlab.text import middle_cut, printable

SYSTEM, DATASET = "enhance.system", "dataset"
OWN = (SYSTEM, "enhance.params")  # of the user's system: they come first, then the others of `enhance`
SUBSETS = ("evaluate.scenes", "evaluate.songs", "evaluate.listeners")  # an average of some pairs is none of all
VALUE = 24  # columns of a parameter's value
MOST = 8  # parameters told of a line
SHARE = 1 / 2  # of the lines: a parameter that is another one in so many is told of all


def in_order(names: Sequence[str]) -> list[str]:
    """Parameters as the table shows them: those of the user's own system first."""
    return sorted(names, key=_rank)


def _rank(name: str) -> int:
    return 0 if _is_of(name, OWN) else 1 if name.startswith("enhance.") else 2


def _is_of(name: str, sections: Sequence[str]) -> bool:
    return any(name == one or name.startswith(f"{one}.") for one in sections)


def varied(name: str, lines: Sequence[Experiment]) -> bool:
    """Whether a parameter is told: older commits lack those that came later, and that is no difference of interest; a
    system that gets a parameter or not, or a subset of the data, is one.
    """
    values = [one.parameters.get(name) for one in lines]
    return (
        name.startswith((*OWN, *SUBSETS))
        or len({json.dumps(value, default=str) for value in values if value is not None}) > 1
    )


def heading(name: str) -> str:
    """What the table calls a parameter."""
    return printable(name.removeprefix("enhance.params.").removeprefix("enhance."))


def value_text(value: Any) -> str:
    """A value in a cell; empty where there is none."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), default=str)
    return middle_cut(printable(text), VALUE)


def folded(lines: Sequence[Experiment]) -> tuple[list[Experiment], list[list[str]]]:
    """The lines, but experiments of the same parameters and scores once, by the first of them.

    An experiment that found nothing to compute is such: DVC gives it a name, and it has the result of before.

    Returns:
        those lines, and for each of all lines the names of its equals.
    """
    groups: dict[str, list[int]] = {}
    for place, one in enumerate(lines):
        made = json.dumps([one.scores, one.parameters, one.outdated], sort_keys=True, default=str)
        groups.setdefault(made if one.kind == "experiment" else str(place), []).append(place)
    equal: list[list[str]] = [[] for _ in lines]
    for group in groups.values():
        for place in group:
            equal[place] = [lines[other].name for other in group if other != place]
    return [lines[group[0]] for group in groups.values()], equal


def differences(lines: Sequence[Experiment], names: Sequence[str]) -> list[list[str]]:
    """What is told of each line, such as ['gain=6', 'no depth'].

    Of the first line it is all in which others differ from it; of the others what they have instead, and what many
    lines have another value of. Parameters of the user's system come first, then those in which most lines differ. What
    describes a data set is told where both lines are of it.

    Args:
        lines: as the table shows them.
        names: of the parameters that are told.
    """
    if not lines:
        return []
    first, *others = lines
    differing = [{name for name in names if _differs(name, one, first)} for one in others]
    counts = {name: sum(name in own for own in differing) for name in names}
    often = {name for name, count in counts.items() if count > 1 and count >= SHARE * len(others)}
    order = sorted((name for name in names if counts[name]), key=lambda name: (_rank(name), -counts[name]))
    systems = _systems(lines)
    told = [_told(first, [name for name in order if first.parameters.get(name) is not None], systems)]
    for one, own in zip(others, differing, strict=True):
        beside = {name for name in often if one.parameters.get(name) is not None and _comparable(name, one, first)}
        told.append(_told(one, [name for name in order if name in own | beside], systems))
    return told


def _systems(lines: Sequence[Experiment]) -> dict[str, str]:
    """What each system is called: its class, where no two systems have classes of one name."""
    names = {str(one.parameters.get(SYSTEM)) for one in lines}
    classes = {name: name.rpartition(":")[2] for name in names}
    return classes if len(set(classes.values())) == len(names) else {}


def _differs(name: str, one: Experiment, first: Experiment) -> bool:
    value, before = one.parameters.get(name), first.parameters.get(name)
    if value == before or not _comparable(name, one, first):
        return False
    if value is None and name.startswith("enhance.params."):
        return bool(one.parameters.get(SYSTEM) == first.parameters.get(SYSTEM))  # another one has parameters of its own
    return value is not None or _is_of(name, (*OWN, *SUBSETS))


def _comparable(name: str, one: Experiment, first: Experiment) -> bool:
    """Whether a parameter is none of a data set that only one of two lines is of, or neither."""
    return not name.startswith("datasets.") or (
        one.dataset == first.dataset and name.startswith(f"datasets.{first.dataset}.")
    )


def _told(one: Experiment, names: Sequence[str], systems: Mapping[str, str]) -> list[str]:
    words = []
    shown = names if len(names) <= MOST + 1 else _most(names)
    for name in shown:
        value = one.parameters.get(name)
        text = value_text(systems.get(str(value), value) if name == SYSTEM else value)
        words.append(f"no {heading(name)}" if value is None else f"{heading(name)}={text}")
    return [*words, *([f"+{len(names) - len(shown)} more"] if len(shown) < len(names) else [])]


def _most(names: Sequence[str]) -> list[str]:
    """MOST of the names, and among them those that say of which data a score is."""
    data = [name for name in names if _is_of(name, (DATASET, *SUBSETS))]
    others = [name for name in names if name not in data]
    kept = {*data, *others[: max(MOST - len(data), 1)]}
    return [name for name in names if name in kept]
