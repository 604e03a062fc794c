"""What tables of a comparison call each system: what the user says, or in what the experiments of a sweep differ."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hearlab.errors import InputError, ParameterError
from hearlab.report.compare.origins import parameters
from hearlab.report.compare.sources import ScoreSource
from hearlab.text import width
from hearlab.versions.revisions import SWEPT, RevisionFiles, natural_order

LONGEST = 40  # columns of a title that is made of parameters; a longer one tells less than the experiment's name


def with_titles(sources: Sequence[ScoreSource], given: Sequence[str] = ()) -> list[ScoreSource]:
    """The sources with their titles.

    Without `given` an experiment of a sweep is called by the parameters in which the experiments that are compared
    differ ('gain 6'), where each has others; all others have the name that the user typed, without the commit.

    Args:
        sources: all that are compared, in order.
        given: titles: 'NAME=TITLE' of one that is compared, others in the order of the sources.

    Raises:
        ParameterError: a title is empty, or there are more of them than systems.
    """
    made = _of_parameters(sources)
    own: dict[int, str] = {}
    free = iter([place for place, _ in enumerate(sources)])
    for text in given:
        named = [place for place, one in enumerate(sources) if text.startswith(f"{one.name}=")]
        title = text.removeprefix(f"{sources[named[0]].name}=") if named else text
        places = named or [next((place for place in free if place not in own), len(sources))]
        if not title.strip():
            raise ParameterError("--label", "is empty", found=text, wanted="LABEL or NAME=LABEL")
        if places[0] == len(sources):
            wanted = f"at most {len(sources)}, one for each system"
            raise ParameterError("--label", "is one too many", found=text, wanted=wanted)
        own |= dict.fromkeys(places, title)
    return [
        replace(one, title=own[place], label=f"{own[place]}: {one.label}")
        if place in own
        else replace(one, title=made.get(place, one.name))
        for place, one in enumerate(sources)
    ]


def in_order(sources: Sequence[ScoreSource]) -> list[ScoreSource]:
    """Experiments of a pattern by the numbers in their names; where these are equal, as a long name of a sweep does not
    tell all of its parameters, by the values in which the experiments differ.
    """
    try:
        known = {one.name: {} if one.files is None else parameters(one.files) for one in sources}
    except InputError:
        known = {one.name: {} for one in sources}
    varying = _varying(list(known.values()))

    def place(one: ScoreSource) -> tuple[Any, ...]:
        return natural_order(one.name)[0], [_by_value(known[one.name].get(name)) for name in varying], one.name

    return sorted(sources, key=place)


def _by_value(value: Any) -> tuple[int, Any]:
    if isinstance(value, int | float):
        return 0, value
    return 1, natural_order(value if isinstance(value, str) else json.dumps(value, default=str))


def _varying(beside: Sequence[dict[str, Any]]) -> list[str]:
    """The parameters that are not the same in all."""
    names = dict.fromkeys(name for values in beside for name in values)
    return [name for name in names if len({json.dumps(one.get(name), default=str) for one in beside}) > 1]


def _of_parameters(sources: Sequence[ScoreSource]) -> dict[int, str]:
    """Place -> title of a sweep's experiments; empty where these are not told apart by few parameters."""
    try:
        known = {
            place: parameters(one.files)
            for place, one in enumerate(sources)
            if isinstance(one.files, RevisionFiles) and one.files.experiment
        }
        beside = list(known.values())
        if len(known) == 1 and (files := next((one.files for one in sources if one.files is not None), None)):
            beside.append(parameters(files))  # one experiment: in what it differs from the revision beside it
    except InputError:
        return {}  # the comparison names what cannot be read
    varying = _varying(beside)
    titles = {place: _title(known[place], varying) for place in known if SWEPT.search(sources[place].name)}
    good = len(set(titles.values())) == len(titles) and all(0 < width(title) <= LONGEST for title in titles.values())
    return titles if good else {}


def _title(values: dict[str, Any], names: Sequence[str]) -> str:
    words = []
    for name in names:
        value = values.get(name)
        if value is not None:
            text = value if isinstance(value, str) else json.dumps(value, default=str)
            words.append(f"{name.rpartition('.')[2]} {text.rpartition(':')[2] if name == 'enhance.system' else text}")
    return ", ".join(words)
