"""`hearlab try` and `hearlab.open` in a project that DVC has run: its numbers, and nothing of it changes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from tiny_workspace import table

from pipeline_support import make_project, run

pytestmark = pytest.mark.slow


def test_the_numbers_of_the_project(tmp_path: Path) -> None:
    pytest.importorskip("dvc")
    project = make_project(tmp_path / "project")
    head = run(project, "git", "rev-parse", "--short=7", "HEAD").strip()
    speech, music = (table(project / "metrics" / name) for name in ("speech.csv", "music.csv"))
    for (name, listener), row in [*list(speech.items())[:2], *music.items()]:
        text = run(project, "hearlab", "try", name, listener, "--json")
        found = json.loads(text)
        assert found["compared_with"] == {"committed": f"HEAD ({head})", "missing": None}
        (pair,) = found["pairs"]
        metric = "haspi" if "haspi" in row else "haaqi"
        wanted = row["haspi"] if metric == "haspi" else row["score"]
        assert pair["scores"][metric] == pair["baseline"][metric] == pair["committed"][metric] == wanted
        assert all(pair["scores"][column] == score for column, score in row.items() if column in pair["scores"])
        scored = run(project, "hearlab", "score", metric, "--scene", name, "--listener", listener, "--json")
        assert json.loads(scored)["score"] == wanted
    (name, listener) = next(iter(speech))
    code = f"import numpy, hearlab; print(hearlab.open('.').score({name!r}, {listener!r})['haspi'])"
    assert float(run(project, "python", "-c", code)) == speech[name, listener]["haspi"]
    assert run(project, "git", "status", "--porcelain") == ""
    # Nothing is to do but the look at the system's code, which DVC takes every time.
    assert re.findall(r"> hearlab stage (.+)", run(project, "dvc", "repro")) == ["system"]
