"""Which pairs are evaluated: all of a split, or subsets of scenes, songs and listeners."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hearlab.errors import InputError
from hearlab.params import load_params
from hearlab.stages.common import scene_listener_pairs, song_listener_pairs

SPEECH, MUSIC = (
    Path("data/demo/inputs/clarity_data/metadata"),
    Path("data/demo/inputs/cadenza_data/task1/metadata/musdb18hq"),
)


def entries(*names: str) -> dict[str, Any]:
    levels = {f"audiogram_levels_{ear}": [10, 20] for ear in "lr"}
    return {name: {"name": name, "audiogram_cfs": [250, 8000], **levels} for name in names}


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


Pairs = Callable[..., tuple[list[str], list[str]]]


@pytest.fixture
def pairs(repository: Callable[..., Path]) -> Pairs:
    """`pairs({...})` gives those of both tracks with changed parameters, of a split whose scenes have two listeners."""

    def of(changes: dict[str, Any]) -> tuple[list[str], list[str]]:
        repository(changes)
        for split in ("dev", "train"):
            scenes = [f"{split}{number}" for number in range(4)]
            write(Path(f"data/demo/scene_lists/scenes.{split}.json"), [{"scene": scene} for scene in scenes])
            write(SPEECH / f"scenes_listeners.{split}.json", {scene: ["L1", "L2"] for scene in scenes})
        write(SPEECH / "listeners.json", entries("L1", "L2", "L3"))
        write(MUSIC / "listeners.valid.json", entries("M1", "M2"))
        write(MUSIC / "musdb18.valid.json", [{"Track Name": name, "Split": "valid"} for name in "xyz"])
        write(Path("listeners/own.json"), entries("Zoë"))
        params = load_params()
        speech = [f"{scene} {listener.id}" for scene, listener in scene_listener_pairs(params)]
        return speech, [f"{song.name} {listener.id}" for song, listener in song_listener_pairs(params)]

    return of


ALL_SPEECH = [f"dev{number} {name}" for number in range(4) for name in ("L1", "L2")]
ALL_MUSIC = [f"{song} {name}" for song in "xyz" for name in ("M1", "M2")]


def test_all(pairs: Pairs) -> None:
    assert pairs({}) == (ALL_SPEECH, ALL_MUSIC)


def test_another_split(pairs: Pairs) -> None:
    assert pairs({"evaluate.split": "train"})[0][0] == "train0 L1"


def test_scenes_and_songs_by_name(pairs: Pairs) -> None:
    speech, music = pairs({"evaluate.scenes": ["dev2", "dev0"], "evaluate.songs": ["y"]})
    assert speech == ["dev0 L1", "dev0 L2", "dev2 L1", "dev2 L2"]
    assert music == ["y M1", "y M2"]


def test_drawn_scenes_and_songs(pairs: Pairs) -> None:
    speech, music = pairs({"evaluate.scenes": {"draw": 3, "seed": 1}, "evaluate.songs": {"draw": 2}})
    assert len(speech) == 6
    assert len(music) == 4
    assert set(speech) < set(ALL_SPEECH)
    assert set(music) < set(ALL_MUSIC)


def test_listeners_by_name_leave_the_other_track_nothing(pairs: Pairs) -> None:
    assert pairs({"evaluate.listeners": ["L2"]}) == ([f"dev{number} L2" for number in range(4)], [])
    assert pairs({"evaluate.listeners": ["M2", "L1"]})[1] == ["x M2", "y M2", "z M2"]


def test_listeners_of_a_file_hear_everything(pairs: Pairs) -> None:
    speech, music = pairs({"evaluate.listeners": "listeners/own.json"})
    assert speech == [f"dev{number} Zoë" for number in range(4)]
    assert music == ["x Zoë", "y Zoë", "z Zoë"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"evaluate.listeners": ["L9"]}, "evaluate.listeners: unknown listener"),
        ({"evaluate.listeners": "listeners/none.json"}, "listeners/none.json"),
        ({"evaluate.scenes": ["dev9"]}, "evaluate.scenes: names what is not there"),
        ({"evaluate.songs": {"draw": 4}}, "evaluate.songs.draw: draws more than there are"),
    ],
)
def test_what_is_not_there(pairs: Pairs, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        pairs(changes)
