"""A folder with scores of both tracks and the dvc.lock that tells how they were made."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

PARAMS: dict[str, Any] = {"dataset": "demo", "enhance": {"gain": 0, "params": {}}}
MEANS = {"speech": 0.375, "music": 0.25}


def make_scores(root: Path, params: dict[str, Any] | None, *, system: str = "01", speech_on: str = "") -> Path:
    """Scores of the music made with PARAMS; params.yaml has changes (None: there is none).

    Args:
        root: where.
        params: changes, by section.
        system: md5 of the system's description when speech was scored; that of music is 01.
        speech_on: the data set that speech was scored on; '' stands for a pipeline in which it does not matter.
    """
    metrics = root / "metrics"
    metrics.mkdir(parents=True)
    (metrics / "speech.csv").write_text("scene,listener,haspi\nS1,L1,0.25\nS2,L1,0.5\n")
    (metrics / "music.csv").write_text("song,listener,score\nSong,L1,0.25\n")
    (metrics / "speech.json").write_text(json.dumps({"haspi": {"pairs": 2, "enhanced": MEANS["speech"]}}))
    music = {"pairs": 1, "score": MEANS["music"], "songs": {"Song": MEANS["music"]}}
    (metrics / "music.json").write_text(json.dumps({"haaqi": music}))
    yaml = YAML()
    if params is not None:
        with (root / "params.yaml").open("w") as file:
            yaml.dump({**copy.deepcopy(PARAMS), **params}, file)
    enhance = {"params.yaml": {"enhance": copy.deepcopy(PARAMS["enhance"])}}
    speech = {"params.yaml": {**enhance["params.yaml"], **({"dataset": speech_on} if speech_on else {})}}
    stages = {
        "system": {"outs": [{"path": "data/system.json", "md5": system}]},
        "prepare_music": {
            "params": {"params.yaml": {"dataset": "demo"}},
            "outs": [{"path": "data/demo/inputs", "md5": "11.dir"}],
        },
        "score_speech": {
            "deps": [{"path": "data/system.json", "md5": system}],
            "params": speech,
            "outs": [{"path": "metrics/speech.json", "md5": "21"}],
        },
        "score_music": {
            "deps": [{"path": "data/system.json", "md5": "01"}, {"path": "data/demo/inputs", "md5": "11.dir"}],
            "params": copy.deepcopy(enhance),
            "outs": [{"path": f"metrics/music.{kind}", "md5": "22"} for kind in ("csv", "json")],
        },
    }
    with (root / "dvc.lock").open("w") as file:
        yaml.dump({"schema": "2.0", "stages": stages}, file)
    return root
