"""What the table of experiments tells of each line, and how it is made to fit a terminal."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from hearlab.report.experiments.differences import MOST, differences, folded
from hearlab.report.experiments.listing import Experiment, differing_only
from hearlab.report.experiments.text import experiments_text, experiments_values, newest_first
from hearlab.text import width

START = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)
SETS = {f"datasets.clinic.{key}": 0 for key in ("rooms", "first_room", "scenes", "heads", "level", "channels")}
TRAINING = {f"separate.train.x{number}": 1 for number in range(10)}


DEFAULTS = {
    **{"dataset": "demo", "seed": 0, "evaluate.level": 100, "separate.model": "openunmix", "datasets.demo.heads": 2},
    **dict.fromkeys(TRAINING, 0),
    **{"enhance.system": "hearlab.b:Baseline", "enhance.gain": 0, "enhance.compressor.release": 1000},
}


def entry(number: int, name: str, score: float = 0.5, kind: str = "experiment", **own: Any) -> Experiment:
    """An experiment; `own` has its parameters, with __ for dots."""
    parameters = {**DEFAULTS}
    parameters |= {key.replace("__", "."): value for key, value in own.items()}
    date = None if kind == "workspace" else START + datetime.timedelta(hours=number)
    scores = {"HASPI enhanced": score, "HAAQI": score / 2}
    return Experiment(name, kind, "", date, scores, parameters, dataset=parameters["dataset"])


def told(*lines: Experiment) -> list[list[str]]:
    return differences(*differing_only(list(lines)))


WORKSPACE = entry(0, "workspace", kind="workspace")
OWN = {"enhance__system": "my_lab.beam:Beamformer", "enhance__params__loading": 0.001}


def test_what_a_line_has_instead_is_told_and_of_the_first_what_others_change() -> None:
    louder = entry(1, "louder", enhance__gain=6, seed=1)
    assert told(WORKSPACE, louder) == [["gain=0", "seed=0"], ["gain=6", "seed=1"]]
    own = entry(2, "own", **OWN)
    assert told(WORKSPACE, own) == [["system=Baseline"], ["system=Beamformer", "loading=0.001"]]
    # Another system has other parameters: that it lacks one is no news, but of the same system it is.
    assert told(own, WORKSPACE) == [["system=Beamformer"], ["system=Baseline"]]
    plain = entry(3, "plain", enhance__system=OWN["enhance__system"])
    assert told(own, plain) == [["loading=0.001"], ["no loading"]]


def test_what_differs_in_many_lines_is_told_of_all() -> None:
    lines = [entry(k, f"gain{gain}", enhance__gain=gain) for k, gain in enumerate((0, 3, 6))]
    lines += [entry(9, "again", seed=1)]
    assert told(*lines) == [["gain=0", "seed=0"], ["gain=3"], ["gain=6"], ["gain=0", "seed=1"]]


def test_parameters_that_older_commits_lack_are_no_difference() -> None:
    assert told(entry(0, "workspace", enhance__new=1), entry(1, "old", kind="commit")) == [[], []]


def test_what_describes_another_data_set_is_not_told() -> None:
    clinic = entry(1, "clinic", dataset="clinic", **SETS)
    assert told(WORKSPACE, clinic) == [["dataset=demo"], ["dataset=clinic"]]
    assert told(WORKSPACE, entry(2, "imported", **SETS)) == [[], []]
    assert told(WORKSPACE, entry(3, "heads", datasets__demo__heads=3)) == [
        ["datasets.demo.heads=2"],
        ["datasets.demo.heads=3"],
    ]


def test_systems_with_classes_of_one_name_are_told_apart() -> None:
    one, other = (entry(k, f"v{k}", enhance__system=f"lab.v{k}:Net") for k in (1, 2))
    assert told(one, other) == [["system=lab.v1:Net"], ["system=lab.v2:Net"]]


def test_a_line_tells_few_parameters_and_counts_the_others() -> None:
    first, second = told(WORKSPACE, entry(1, "wide", enhance__gain=1, **TRAINING))
    assert len(first) == len(second) == MOST + 1
    assert (second[0], second[-1]) == ("gain=1", "+3 more")
    # Of which data a score is, is told whatever else is.
    some = entry(2, "some", enhance__gain=1, evaluate__scenes__draw=5, dataset="clinic", **TRAINING)
    _, words = told(WORKSPACE, some)
    assert {"gain=1", "evaluate.scenes.draw=5", "dataset=clinic", "+5 more"} < set(words)
    assert len(words) == MOST + 1


def test_equal_experiments_are_one_line_and_their_names_are_known() -> None:
    same = [entry(k, f"noop{k}", enhance__gain=2) for k in (1, 2, 3)]
    other = [entry(4, "other", 0.6, enhance__gain=2), entry(5, "commit", kind="commit", enhance__gain=2)]
    other.append(entry(6, "noop1", 0.7))  # upon another commit
    found = differing_only([WORKSPACE, *same, *other])
    lines, equal = folded(newest_first(found[0]))
    assert [one.name for one in lines] == ["workspace", "noop1", "commit", "other", "noop3"]
    assert equal == [[], [], [], [], ["noop2", "noop1"], ["noop3", "noop1"], ["noop3", "noop2"]]
    text = experiments_text(*found)
    assert [line.split("  ")[-1] for line in text.splitlines() if "gain=2 (" in line] == ["gain=2 (+2 equal)"]
    assert "Equal: further experiments" in text
    assert [one["equal"] for one in experiments_values(*found)] == equal
    assert "noop3 (+2 equal) " in experiments_text(*found, wide=True)


def many() -> list[Experiment]:
    """As after some weeks: sweeps, an own system, an own data set, subsets, another separator."""
    lines = [entry(k, f"gain{k}-soft-clipTrue-2746c{k}", 0.5 + k / 99, enhance__gain=k) for k in range(1, 7)]
    lines += [
        entry(10 + k, f"loading0p00{k}-836e1{k}", 0.4 + k / 99, **OWN | {"enhance__params__loading": k})
        for k in range(1, 6)
    ]
    lines += [entry(20, "clinic", dataset="clinic", **SETS), entry(21, "wide", **TRAINING)]
    lines += [entry(22, "attenuation0p001-threshold0p25-release5-abcdef", enhance__compressor__release=5)]
    lines += [entry(23, "some", evaluate__listeners=[f"L{k:04d}" for k in range(30)], separate__model="hdemucs")]
    return [WORKSPACE, *lines]


@pytest.mark.parametrize("columns", [72, 80, 100, 120, 160, 300, None])
def test_the_table_fits_the_terminal_and_names_are_whole(columns: int | None) -> None:
    found, parameters = differing_only(many())
    text = experiments_text(found, parameters, columns)
    heading, rule, *rows = text.partition("\n\n")[0].splitlines()
    widest = max(map(width, [heading, rule, *rows]))
    assert widest <= (columns or widest)
    for one in found:
        (row,) = [row for row in rows if row.split()[0] == one.name]
        scores = row.removeprefix(one.name).split()
        assert f"{one.scores['HASPI enhanced']:.4f}" in scores[: 3 if one.date else 1]  # before all parameters
    if columns in (300, None):
        assert len(rows) == len(found)
        assert heading.split()[-1] == "parameters"
    flat = " ".join(text.split())
    for word in ("loading=3", "dataset=clinic", "compressor.release=5", "+2 more", "separate.model=hdemucs"):
        assert word in flat
    assert "datasets.clinic" not in text
    assert ("dates" in text) == ("date (UTC)" not in heading)


def test_nothing_differs() -> None:
    text = experiments_text(*differing_only([WORKSPACE, entry(1, "again")]), 100)
    assert "parameters" not in text.lower()
