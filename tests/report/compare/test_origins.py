"""What is said of the makings of two results."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from hearlab.report.compare.origins import difference
from hearlab.scoring.tracks import TRACKS

SCENES = "data/demo/scene_lists/scenes.dev.json"


@dataclass
class Result:
    """The files of a result."""

    deps: list[dict[str, Any]]
    scenes: Any = ()

    def read(self, path: str) -> bytes | None:
        return json.dumps(self.scenes).encode() if path == SCENES else b"dataset: demo\nevaluate: {split: dev}\n"

    def holds(self, path: str) -> bool:
        return True

    @property
    def lock(self) -> dict[str, Any]:
        return {"score_speech": {"deps": self.deps}}


@pytest.mark.parametrize("other", [{"etag": "x"}, {"md5": None}])
def test_nothing_is_said_of_a_dependency_without_hash(other: dict[str, Any]) -> None:
    first, second = Result([{"path": "a", "md5": "1"}]), Result([{"path": "a", **other}])
    assert difference(TRACKS["speech"], first, second) == (frozenset(), [])
    second.deps = [{"path": "a", "md5": "2"}]
    assert difference(TRACKS["speech"], first, second)[1] == ["scored with other data or code in A than in B: a"]


def test_scenes_that_differ_are_named() -> None:
    first, second = (
        Result([{"path": SCENES, "md5": md5}], [{"scene": "S1", "SNR": 1}, {"scene": "S2", "SNR": snr}, {}, "no scene"])
        for md5, snr in (("1", 2), ("2", 3))
    )
    assert difference(TRACKS["speech"], first, second) == (frozenset({"S2"}), [])
    second.scenes = {}
    assert "B's cannot be read" in difference(TRACKS["speech"], first, second)[1][0]
