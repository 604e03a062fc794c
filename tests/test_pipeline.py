"""The pipeline as its users run it: dvc repro, dvc exp run, dvc metrics diff, dvc push and pull, on a small demo."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import sqlite3
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pipeline_support import (
    REPOSITORY,
    SONG_PAIRS,
    made_project,
    nothing_to_do,
    pulled_clone,
    run,
    started,
    wait_for_queue,
)

pytestmark = pytest.mark.slow


def lock(folder: Path) -> dict[str, str]:
    """Hash of every output in dvc.lock."""
    stages = YAML(typ="safe").load((folder / "dvc.lock").read_text())["stages"]
    return {out["path"]: out["md5"] for stage in stages.values() for out in stage.get("outs", [])}


def mean(folder: Path) -> float:
    return float(json.loads((folder / "metrics" / "speech.json").read_text())["haspi"]["enhanced"])


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_project(tmp_path_factory.mktemp("pipeline"))  # in its place, which MLflow's records name


def test_a_finished_run_has_nothing_to_do(project: Path) -> None:
    assert started(run(project, "dvc", "repro")) == ["system"]
    assert nothing_to_do(project)
    assert run(project, "git", "status", "--porcelain") == ""


def test_results_are_where_the_readme_says(project: Path) -> None:
    for name, header in (("speech", "scene,listener,haspi"), ("speech_unprocessed", "scene,listener,haspi")):
        lines = (project / "metrics" / f"{name}.csv").read_text().splitlines()
        assert lines[0] == header
        assert len(lines) == 1 + 9
    assert len((project / "metrics" / "music.csv").read_text().splitlines()) == 1 + SONG_PAIRS
    shown = run(project, "dvc", "metrics", "show")
    assert "haspi.improvement" in shown
    assert "haaqi.score" in shown
    table = run(project, "hearlab", "scores")
    assert f"{mean(project):.4f}" in table
    assert len(list((project / "data" / "demo" / "rendered" / "dev").iterdir())) == 3 * 14
    assert list((project / "data" / "demo" / "rendered" / "train_additional").iterdir()) == []
    assert not list(project.rglob("*.part-*"))


def test_an_experiment_changes_the_metrics_and_runs_only_what_it_must(project: Path) -> None:
    before = mean(project)
    output = run(project, "dvc", "exp", "run", "-S", "enhance.gain=6")
    ran = re.findall(r"Running stage '([\w@]+)'", output)
    scores = {"enhance_speech", "score_speech", "enhance_music", "score_music"}
    assert set(ran) == {"check_params", "system", "track"} | scores
    difference = run(project, "dvc", "metrics", "diff")
    assert "haspi.enhanced" in difference
    assert "haspi.unprocessed" not in difference
    assert mean(project) != before
    assert "haaqi.stems.bass" in difference
    assert "enhance.gain" in run(project, "dvc", "exp", "show", "--csv")
    run(project, "git", "checkout", "--quiet", ".")
    run(project, "dvc", "checkout")
    assert mean(project) == before


def test_experiments_in_other_folders_run_the_source_of_their_commit(project: Path) -> None:
    """With the `hearlab` of another folder on the PATH, as it is in every experiment that DVC runs elsewhere."""
    foreign = ("env", f"PYTHONPATH={REPOSITORY / 'src'}")
    before = mean(project)
    path = project / "src/hearlab/systems/baseline.py"
    text = path.read_text()
    line = "return soft_clip(enhanced)"
    assert line in text
    wanted = {}
    try:
        for way, factor in (("--temp", 0.02), ("--queue", 0.03)):  # DVC takes the same result from its run cache
            path.write_text(text.replace(line, f"enhanced *= {factor}\n        {line}"))
            run(project, *foreign, "dvc", "exp", "run", way, "--name", f"quiet{way}", "score_speech")
            run(project, "hearlab", "stage", "enhance_speech")
            run(project, "hearlab", "stage", "score_speech")
            wanted[f"quiet{way}"] = mean(project)
    finally:
        run(project, "git", "checkout", "--quiet", ".")
        run(project, "dvc", "checkout", "--force")
    assert wanted["quiet--temp"] < wanted["quiet--queue"] < before
    run(project, *foreign, "dvc", "queue", "start")
    wait_for_queue(project, "quiet--queue")
    for name, score in wanted.items():
        averages = json.loads(run(project, "git", "show", f"{experiment(project, name)}:metrics/speech.json"))
        assert averages["haspi"]["enhanced"] == score, run(project, "dvc", "queue", "status")


def experiment(project: Path, name: str) -> str:
    """The commit of an experiment."""
    return run(project, "git", "for-each-ref", "--format=%(objectname)", f"refs/exps/*/*/{name}").strip()


def test_each_result_is_one_run_in_mlflow(project: Path) -> None:
    """The first run, and an experiment in the workspace and one in a folder of DVC's own: also when asked again."""
    assert len(tracked(project)) >= 1
    for more, gain in ((["--name", "here"], 3), (["--name", "there", "--temp"], 4)):
        run(project, "dvc", "exp", "run", *more, "-S", f"enhance.gain={gain}")
    assert "already" in run(project, "hearlab", "track")
    runs = tracked(project)
    assert runs["here"] == runs["there"] == ["FINISHED"]
    compared = run(project, "hearlab", "compare", "HEAD", "workspace", "--by", "none")
    assert "enhance.gain 0 -> 3" in compared
    run(project, "git", "checkout", "--quiet", ".")
    run(project, "dvc", "checkout")
    assert "already" in run(project, "hearlab", "track")
    assert tracked(project) == runs


def tracked(project: Path) -> dict[str, list[str]]:
    """States of the runs of each name in the repository's own database."""
    found: dict[str, list[str]] = {}
    with contextlib.closing(sqlite3.connect(project / "mlflow.db")) as database:
        for name, status in database.execute("SELECT name, status FROM runs WHERE lifecycle_stage = 'active'"):
            found.setdefault(name, []).append(status)
    return found


def test_a_server_that_is_down_does_not_stop_the_pipeline(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    output = run(project, "dvc", "repro", "--force", "--single-item", "track")
    assert "track: warning: " in output
    assert "hearlab track --pending logs it later" in output
    assert "still wait" in run(project, "hearlab", "track", "--pending", code=1)
    assert nothing_to_do(project)
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    before = tracked(project)
    assert "already" in run(project, "hearlab", "track", "--pending")
    assert tracked(project) == before
    assert run(project, "git", "status", "--porcelain") == ""


def test_another_separator_changes_the_music_only(project: Path) -> None:
    """Hybrid Demucs with weights in place (random ones): separated again, the speech track untouched."""
    torch = pytest.importorskip("torch", reason="the music track needs torch")
    from hearlab.separation.hdemucs import build_hdemucs, weights_files

    before = json.loads((project / "metrics" / "music.json").read_text())
    torch.manual_seed(0)
    weights = project / "data" / "weights" / "hdemucs_high_musdbhq_only.pt"
    torch.save(build_hdemucs().state_dict(), weights)
    assert weights_files(weights.parent) == [weights]
    try:
        output = run(project, "dvc", "exp", "run", "-S", "separate.model=hdemucs", "-S", "separate.segment=4")
        ran = re.findall(r"Running stage '([\w@]+)'", output)
        music = {"train_separator", "separate_music", "fit_music", "enhance_music", "score_music"}
        assert set(ran) == {"check_params", "system", "track"} | music
        assert "haaqi.score" in run(project, "dvc", "metrics", "diff")
        assert json.loads((project / "metrics" / "music.json").read_text()) != before
        assert mean(project) > 0
    finally:
        weights.unlink()
        run(project, "git", "checkout", "--quiet", ".")
        run(project, "dvc", "checkout")
    assert json.loads((project / "metrics" / "music.json").read_text()) == before


def test_the_plot_template_draws(project: Path, tmp_path: Path) -> None:
    run(project, "dvc", "plots", "show", "--out", str(tmp_path / "plots"))
    page = (tmp_path / "plots" / "index.html").read_text()
    assert '"condition": "enhanced"' in page or '"condition":"enhanced"' in page
    assert "<DVC_METRIC" not in page


def test_additional_scenes_are_built_when_asked_for(project: Path) -> None:
    output = run(project, "dvc", "exp", "run", "-S", "scenes.additional.enabled=true")
    assert "Running stage 'build_scenes@" not in output
    folder = project / "data" / "demo"
    scenes = json.loads((folder / "scene_lists" / "scenes.train_additional.json").read_text())
    assert [scene["scene"] for scene in scenes] == ["S10001", "S10002", "S10003", "S10004"]
    assert (folder / "rendered" / "train_additional" / "S10004_mix_CH1.wav").exists()
    run(project, "git", "checkout", "--quiet", ".")
    run(project, "dvc", "checkout")


def test_a_forced_run_gives_the_same_hashes(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = lock(project)
    assert len(before) >= 12
    monkeypatch.setenv("HEARLAB_MEMO", "ignore")
    output = run(project, "dvc", "repro", "--force")
    assert "done before" not in output
    assert lock(project) == before
    assert run(project, "git", "status", "--porcelain") == ""


def test_a_second_clone_pulls_and_computes_nothing(project: Path, tmp_path: Path) -> None:
    clone = pulled_clone(project, tmp_path)
    assert started(run(clone, "dvc", "repro")) == ["system"]
    assert nothing_to_do(clone)
    name = "data/demo/enhanced"
    assert len(list((clone / name).iterdir())) == 9
    for path in (clone / name).iterdir():
        assert path.read_bytes() == (project / name / path.name).read_bytes()


def test_a_wrong_parameter_stops_before_any_work(project: Path) -> None:
    text = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(text.replace("  gain: 0", "  gian: 0"))
    try:
        assert run(project, "hearlab", "stage", "enhance_speech", code=2).splitlines() == [
            "hearlab: params.yaml: enhance.gian: unknown key (wanted one of system, gain, nalr, compressor, "
            "soft_clip, music_compressor, params); did you mean gain?"
        ]
        (project / "params.yaml").write_text(text.replace("systems.baseline", "systems.basline"))
        output = run(project, "dvc", "repro", code=255)
        assert "hearlab: enhance.system: no such module" in output
        assert "Running stage 'enhance_speech'" not in output
    finally:
        (project / "params.yaml").write_text(text)


def test_an_archive_without_git_works(project: Path, tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    folder.mkdir()
    listed = run(project, "git", "ls-files").splitlines()
    for name in listed:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(project / name, folder / name)
    said = run(folder, "sh", "tools/scm.sh")
    assert "no git repository" in said
    assert "git init" in said
    output = run(folder, "dvc", "repro", "build_scenes")
    assert "Running stage 'build_scenes@dev'" in output
    assert (folder / "data" / "demo" / "scene_lists" / "scenes.dev.json").exists()
    run(folder, "git", "init", "--quiet", "--initial-branch=main")
    assert run(folder, "sh", "tools/scm.sh") == ""
    assert "no_scm" not in (folder / ".dvc" / "config.local").read_text()


def test_the_demo_behaves_like_the_real_data(project: Path) -> None:
    """Unprocessed intelligibility rises with the SNR, scene by scene made louder; the baseline helps on average."""
    folder = project / "data" / "demo"
    scenes_file = folder / "scene_lists" / "scenes.dev.json"
    scenes_text = scenes_file.read_text()
    averages = json.loads((project / "metrics" / "speech.json").read_text())["haspi"]
    assert averages["improvement"] > 0.01
    means = []
    try:
        for snr in (-12.0, -3.0, 6.0):
            scenes_file.unlink()  # a link into DVC's cache, which must not be written through
            scenes_file.write_text(re.sub(r'"SNR": [-\d.]+', f'"SNR": {snr}', scenes_text))
            run(project, "hearlab", "stage", "render_scenes", "dev")
            run(project, "hearlab", "stage", "enhance_speech")
            run(project, "hearlab", "stage", "score_speech")
            means.append(json.loads((project / "metrics" / "speech.json").read_text())["haspi"]["unprocessed"])
    finally:
        run(project, "git", "checkout", "--quiet", ".")
        run(project, "dvc", "checkout", "--force")
    assert means[0] < means[1] < means[2]
    # From hardly a word to much of it.
    assert means[2] - means[0] > 0.1
