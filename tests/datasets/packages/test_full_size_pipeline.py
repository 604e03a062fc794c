"""The way to full-size results in small: packages from a server, unpacked, and `dvc exp run -S dataset=clarity`.

The packages hold the demo world, so every result has to be that of the demo.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pytest
from full_size_support import CLARITY, CORE, DEMO_SCENES, clarity_project, get
from package_miniatures import CONTENTS

from pipeline_support import PAIRS, SONG_PAIRS, ran, run, started

pytestmark = pytest.mark.slow


def metrics(folder: Path, name: str) -> dict[str, object]:
    content: dict[str, object] = json.loads((folder / "metrics" / f"{name}.json").read_text())
    return content


def test_from_packages_to_scores(demo: Path, packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    clone = clarity_project(demo, tmp_path)
    data = clone / "data" / "clarity"
    wanted = {name: metrics(demo, name) for name in ("speech", "music")}
    home = tmp_path / "hearlab-packages" / "clarity"

    plan = run(clone, "hearlab", "plan", "-S", "dataset=clarity", "score_speech")
    assert "missing: package cec2-core, for prepare, build_scenes@dev, render_scenes@dev" in plan
    assert f"packages: {home} (beside the clone)" in plan
    output = run(clone, *CLARITY, "score_speech", code=255)
    assert re.search(r"prepare needs the package cec2-core \(found no metadata, no hrir\); hearlab data fetch", output)

    # The development set needs the core package alone.
    get(clone, packages, CORE)
    assert "missing" not in run(clone, "hearlab", "plan", "-S", "dataset=clarity", "score_speech")
    output = run(clone, *CLARITY, "score_speech")
    assert "the package cec2-train is not here" in output
    assert "differ from the package's" not in output
    assert "render_scenes dev: linked from data/clarity/inputs/clarity_data/dev/scenes" in output
    assert f"score_speech: {PAIRS}/{PAIRS}" in output
    assert metrics(clone, "speech") == wanted["speech"]
    assert (data / "scene_lists" / "scenes.dev.json").read_bytes() == (
        demo / "data" / "demo" / "scene_lists" / "scenes.dev.json"
    ).read_bytes()
    names = sorted(path.name for path in (data / "rendered" / "dev").iterdir())
    assert len(names) == 3 * 14
    for name in names:
        assert os.path.samefile(
            data / "rendered" / "dev" / name, data / "inputs" / "clarity_data" / "dev" / "scenes" / name
        )
    assert not list((data / "inputs" / "clarity_data" / "train").rglob("*.*"))
    assert started(run(clone, "dvc", "repro", "score_speech")) == ["system"]

    # All of it needs all packages.
    output = run(clone, *CLARITY, code=255)
    assert re.search(
        r"hearlab: .*: build_scenes@train needs the package cec2-train \(found no train/rooms/rpf\)", output
    )
    output = run(clone, "dvc", "repro", "render_scenes@demo", code=255)
    assert "render_scenes@demo needs the package cec2-hoairs (found no dev/rooms/HOA_IRs)" in output
    output = run(clone, "dvc", "repro", "score_music", code=255)
    assert "prepare_music needs the packages cad1-metadata and musdb18hq" in output

    get(clone, packages, *(name for name in CONTENTS if name != CORE))
    output = run(clone, *CLARITY)
    assert "is not here" not in output
    assert "linked from data/clarity/inputs/clarity_data/train/scenes" in output
    counts = ran(output)
    assert counts["render_scenes train"] == 1
    assert counts["render_scenes demo"] == DEMO_SCENES
    assert "enhance_speech" not in counts  # nothing of the development set has changed
    assert f"score_music: {SONG_PAIRS}/{SONG_PAIRS}" in output
    assert {name: metrics(clone, name) for name in wanted} == wanted
    scenes = json.loads((data / "scene_lists" / "scenes.demo.json").read_text())
    assert [scene["scene"] for scene in scenes] == ["S06001", "S06002"]
    assert {scene["dataset"] for scene in scenes} == {"demo"}
    assert "nothing to do" in run(clone, "hearlab", "plan")

    # Rendered here, the same scenes are the packages' bytes.
    assert "not rendered ones" in run(clone, "hearlab", "data", "compare", code=1)
    output = run(clone, "dvc", "exp", "run", "-S", "render.source=rendered", "score_speech")
    assert ran(output)["render_scenes dev"] == 3
    assert metrics(clone, "speech") == wanted["speech"]
    shutil.copytree(data / "rendered" / "dev", tmp_path / "rendered")
    assert [
        line.split()[1:3]
        for line in run(clone, "hearlab", "data", "compare", "--rendered", str(tmp_path / "rendered")).splitlines()
        if line.startswith("mix_CH")
    ] == [["3", "3"]] * 4
