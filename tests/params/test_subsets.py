"""Subsets of listeners, scenes and songs: what may be chosen, and what is said of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from hearlab.errors import InputError, ParameterError
from hearlab.params import check_params, flat
from hearlab.params.subsets import Draw, selected, subset_text
from hearlab.versions.overrides import overridden

CONTENT = yaml.safe_load((Path(__file__).resolve().parents[2] / "params.yaml").read_text())
NAMES = [f"S{number:05d}" for number in range(6001, 6101)]


def chosen(**changes: Any) -> dict[str, Any]:
    """The parameters with other values in `evaluate`, checked, with dotted names."""
    params = check_params({**CONTENT, "evaluate": {**CONTENT["evaluate"], **changes}})
    return flat(params.model_dump(mode="json"))


def test_older_revisions_evaluate_all() -> None:
    evaluate = {
        name: value for name, value in CONTENT["evaluate"].items() if name not in ("listeners", "scenes", "songs")
    }
    params = check_params({**CONTENT, "evaluate": evaluate})
    assert subset_text(flat(params.model_dump(mode="json")), "scene") is None


@pytest.mark.parametrize(
    ("changes", "scene", "song"),
    [
        ({}, None, None),
        ({"scenes": ["S1", "S2"]}, "scenes S1, S2", None),
        ({"scenes": {"draw": 5, "seed": 3}}, "5 scenes drawn (seed 3)", None),
        ({"songs": {"draw": 1}}, None, "1 song drawn (seed 0)"),
        ({"listeners": "listeners/a.csv"}, "listeners of listeners/a.csv", "listeners of listeners/a.csv"),
        ({"listeners": ["A", "B", "C", "D"]}, "listeners A, B, C and 1 more", "listeners A, B, C and 1 more"),
        ({"songs": ["x"], "listeners": ["A"]}, "listeners A", "songs x, listeners A"),
    ],
)
def test_subsets_in_words(changes: dict[str, Any], scene: str | None, song: str | None) -> None:
    values = chosen(**changes)
    assert subset_text(values, "scene") == scene
    assert subset_text(values, "song") == song


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"scenes": []},
            r"evaluate.scenes: wrong value .*null, a list of names, or \{draw: how many, seed: a number\}",
        ),
        ({"scenes": 5}, "evaluate.scenes: wrong value"),
        ({"scenes": {"draw": 0}}, "evaluate.scenes: wrong value .*a draw of 1 or more"),
        ({"scenes": {"draw": True}}, "evaluate.scenes: wrong value"),
        ({"songs": {"seed": 1}}, "evaluate.songs: wrong value"),
        ({"scenes": ["../x"]}, "evaluate.scenes: wrong value"),
        ({"listeners": ["A", "A"]}, "evaluate.listeners: wrong value .*names that differ"),
        ({"listeners": "/etc/passwd"}, "evaluate.listeners: wrong value .*in the folder listeners"),
        ({"listeners": "listeners/../x.csv"}, "evaluate.listeners: wrong value .*in the folder listeners"),
        ({"listeners": "listeners"}, "evaluate.listeners: wrong value .*in the folder listeners"),
        ({"split": "eval"}, "evaluate.split: wrong value .*'train' or 'dev'"),
        ({"split": "demo"}, "evaluate.split: wrong value .*'train' or 'dev'"),  # the demo has no scenes of it
        ({"song_split": "dev"}, "evaluate.song_split: wrong value .*'train' or 'valid' or 'test'"),
        ({"song_listeners": "../x"}, "evaluate.song_listeners: wrong value .*a name: it has a path separator"),
    ],
)
def test_what_cannot_be_chosen(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        chosen(**changes)


def test_a_draw_depends_on_the_names_alone_and_holds_smaller_draws() -> None:
    ten = Draw(10, 1).of(NAMES)
    assert len(ten) == 10
    assert Draw(10, 1).of(reversed(NAMES)) == ten
    assert Draw(5, 1).of(NAMES) < ten
    assert Draw(10, 2).of(NAMES) != ten


def test_names_that_are_not_there() -> None:
    assert selected(NAMES, None, "evaluate.scenes") == set(NAMES)
    assert selected(NAMES, ("S06002",), "evaluate.scenes") == {"S06002"}
    with pytest.raises(InputError, match=r"evaluate.scenes: names what is not there \(found S1, wanted S06001"):
        selected(NAMES, ("S1",), "evaluate.scenes")
    with pytest.raises(
        InputError, match=r"evaluate.songs.draw: draws more than there are \(found 101, wanted at most 100"
    ):
        selected(NAMES, Draw(101), "evaluate.songs")


@pytest.mark.parametrize("before", [None, ["S06001"], {"draw": 2}, {"draw": 2, "seed": 3}])
@pytest.mark.parametrize(("text", "wanted"), [("[S06004]", ("S06004",)), ("{draw: 5, seed: 1}", Draw(5, 1))])
def test_one_subset_after_another(tmp_path: Path, before: Any, text: str, wanted: Any) -> None:
    """docs/own-data.md: DVC cannot merge a draw with names, so null comes first."""
    pytest.importorskip("dvc", reason="dvc is not installed: make test installs it")
    content = {**CONTENT, "evaluate": {**CONTENT["evaluate"], "scenes": before}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content))
    changed = overridden(tmp_path, ["evaluate.scenes=null", f"evaluate.scenes={text}"])
    assert check_params(changed).evaluate.scenes == wanted
