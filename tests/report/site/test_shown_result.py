"""Every page says which result it shows; sounds that are missing or not those that were scored are named."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import pytest
from site_support import make_workspace

from hearlab.cli import main
from hearlab.datasets.layout import Workspace, enhanced_file
from hearlab.report.experiments.listing import Experiment
from hearlab.report.site.build import build_site
from hearlab.report.site.pages import NOT_SCORED
from hearlab.report.site.shown_result import experiment_name

pytest.importorskip("plotly", reason="plotly is not installed: make test installs it")


def git(root: Path, *arguments: str) -> str:
    who = ("-c", "user.name=T", "-c", "user.email=t@example.org")
    return subprocess.run(["git", "-C", root, *who, *arguments], check=True, capture_output=True, text=True).stdout


def workspace(root: Path) -> Path:
    """A repository whose dvc.lock and cache know the sounds that were scored."""
    make_workspace(root)
    (root / ".gitignore").write_text("/data\n/report\n/.dvc/cache\n")
    folder = Workspace(Path("data/demo")).enhanced
    listed = [
        {"relpath": path.name, "md5": hashlib.md5(path.read_bytes()).hexdigest()}
        for path in sorted((root / folder).iterdir())
    ]
    content = json.dumps(listed).encode()
    identity = hashlib.md5(content).hexdigest()
    kept = root / ".dvc" / "cache" / "files" / "md5" / identity[:2] / f"{identity[2:]}.dir"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(content)
    (root / ".dvc" / "config").write_text("")
    lock = f"stages:\n  score_speech:\n    deps:\n    - path: {folder}\n      md5: {identity}.dir\n"
    (root / "dvc.lock").write_text(lock)
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "results")
    return root


@pytest.mark.slow
def test_every_page_says_which_result_it_shows(tmp_path: Path) -> None:
    root = workspace(tmp_path / "w")
    commit = git(root, "rev-parse", "--short=7", "HEAD").strip()
    site = build_site(root, root / "report", only=["S06001"]).index.parent
    found = sorted(site.rglob("*.html"))
    assert len(found) >= 5
    for page in found:
        text = page.read_text(encoding="utf-8")
        for said in ("demo, speech: dev; music: valid", commit, "Baseline", "Scores written"):
            assert said in text, (page.name, said)
        assert "changed since" not in text
    params = root / "params.yaml"
    text = params.read_text()
    assert "  gain: " in text
    before = next(line for line in text.splitlines() if line.startswith("  gain: "))
    params.write_text(text.replace(before, "  gain: 7.5"))
    build_site(root, root / "report", only=["S06001"])
    for page in sorted(site.rglob("*.html")):
        text = page.read_text(encoding="utf-8")
        assert "changed since that commit: params.yaml" in text
        assert "enhance.gain = 7.5" in text


def test_sounds_that_are_missing_or_others_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = workspace(tmp_path / "w")
    monkeypatch.chdir(root)
    page = root / "report/scenes/S06001.html"
    assert main(["report", "--only", "S06001"]) == 0
    assert NOT_SCORED not in page.read_text(encoding="utf-8")
    assert "not shown" not in capsys.readouterr().err
    files = Workspace(root / "data" / "demo")
    changed, gone = (enhanced_file(files.enhanced, "S06001", name) for name in ("L0001", "L0002"))
    content = changed.read_bytes()
    changed.unlink()
    changed.write_bytes(content[:-2] + b"\1\0")
    gone.unlink()
    assert main(["report", "--only", "S06001"]) == 0
    text = page.read_text(encoding="utf-8")
    assert text.count(f'<p class="altered">{NOT_SCORED}</p>') == 1
    assert "Not here: Scene: Enhanced, L0002" in text
    said = capsys.readouterr().err
    assert "not shown: speech: 1 sound is not here (scenes: S06001); dvc pull or dvc repro brings it" in said


def test_what_own_recordings_do_not_have_is_not_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without --targets there is no target in the room, and never are there interferers: nothing would bring them."""
    root = make_workspace(tmp_path / "w")
    monkeypatch.chdir(root)
    files = Workspace(root / "data" / "demo")
    entries = json.loads(files.scenes("dev").read_text(encoding="utf-8"))
    for entry in entries:
        entry["files"] = [f"{entry['scene']}_{signal}_CH1.wav" for signal in ("mix", "target_anechoic")]
        for signal in ("target", "interferer"):
            (files.rendered("dev") / f"{entry['scene']}_{signal}_CH1.wav").unlink(missing_ok=True)
    files.scenes("dev").write_text(json.dumps(entries), encoding="utf-8")
    assert main(["report", "--only", "S06001"]) == 0
    assert "not shown" not in capsys.readouterr().err
    text = (root / "report/scenes/S06001.html").read_text(encoding="utf-8")
    assert "Not here" not in text
    assert "Target, anechoic" in text
    assert "everything but the talker" not in text
    (files.rendered("dev") / "S06001_mix_CH1.wav").unlink()
    assert main(["report", "--only", "S06001"]) == 0
    assert "not shown: speech: 1 sound is not here" in capsys.readouterr().err


def test_the_experiment_of_the_workspace_is_the_one_with_its_scores_and_parameters() -> None:
    def entry(name: str, kind: str, score: float, gain: float) -> Experiment:
        return Experiment(name, kind, "", None, {"HASPI": score}, {"enhance.gain": gain})

    here = entry("workspace", "workspace", 0.5, 3)
    others = [entry("same-scores", "experiment", 0.5, 2), entry("other", "experiment", 0.4, 3)]
    assert experiment_name([here, *others]) == ""
    assert experiment_name([here, *others, entry("mine", "experiment", 0.5, 3)]) == "mine"
