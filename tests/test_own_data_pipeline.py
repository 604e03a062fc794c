"""Own recordings and listeners through the whole pipeline: `hearlab data import`, then `dvc exp run`."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from hearlab.audio import read_audio
from hearlab.datasets.stem_files import read_stem
from hearlab.listeners import load_listeners
from hearlab.metrics import haspi_better_ear, unit_seed
from hearlab.metrics.haaqi import haaqi_stem
from own_recordings import TABLE, recordings, songs
from pipeline_support import make_project, pulled_clone, run, started

pytestmark = pytest.mark.slow


def rows(path: Path) -> dict[tuple[str, str], dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return {(row.get("scene") or row["song"], row["listener"]): row for row in csv.DictReader(file)}


def test_three_recordings_and_two_listeners(tmp_path: Path) -> None:
    project, own = make_project(tmp_path / "project"), recordings(tmp_path / "own")
    own["songs"] = songs(tmp_path / "songs")
    run(
        project,
        "hearlab",
        "data",
        "import",
        "clinic",
        *(part for name in own for part in (f"--{name}", str(own[name]))),
    )
    run(project, "git", "add", "--all")
    run(project, "git", "commit", "--quiet", "--message", "Own recordings")
    weights = "separate.weights=data/demo/separator"  # of the demo's small networks
    run(project, "dvc", "exp", "run", "-S", "dataset=clinic", "-S", weights, "-S", "evaluate.small_test=false")

    # Each number is that of the metric called by hand on the user's own files.
    people = load_listeners(own["listeners"])
    found, before = rows(project / "metrics/speech.csv"), rows(project / "metrics/speech_unprocessed.csv")
    assert len(found) == 6
    scores = {}
    for name, sounds in (("Café one", ("Café one.wav", "Café one.wav")), ("two", ("two.flac", "two.wav"))):
        mixture, reference = (read_audio(own[kind] / file)[0] for kind, file in zip(own, sounds, strict=False))
        reference = np.broadcast_to(reference, (len(reference), 2))  # one channel is heard with both ears
        for listener in people.values():
            output, rate = soundfile.read(project / f"data/clinic/enhanced/{name}_{listener.id}_HA-output.wav")
            for table, signal in ((found, output), (before, mixture)):
                result = haspi_better_ear(reference, signal, rate, listener, rng=unit_seed(name))
                assert float(table[name, listener.id]["haspi"]) == pytest.approx(result.score, abs=6e-9)
                scores[name, listener.id] = result.score
    assert len(set(scores.values())) > 1

    music = rows(project / "metrics/music.csv")
    assert len(music) == 4
    drums, _ = soundfile.read(tmp_path / "songs" / "Ñandú" / "drums.wav")
    heard = read_stem(project / "data/clinic/enhanced_music/Zoë/Ñandú/Zoë_Ñandú_left_drums.flac", rate=24000)
    rng = np.random.RandomState(unit_seed("Ñandú"))
    wanted = haaqi_stem(drums[:, 0], 44100, heard, 24000, people["Zoë"].left, music_level="challenge", rng=rng)
    assert float(music["Ñandú", "Zoë"]["left_drums"]) == pytest.approx(wanted.score, abs=6e-9)

    # The recordings are there once, and no result of the demo is lost.
    linked = project / "data/clinic/rendered/dev/Café one_mix_CH1.wav"
    assert linked.samefile(own["mixtures"] / "Café one.wav")
    assert (project / "data/demo/enhanced").is_dir()
    assert "6 scene-listener pairs" in run(project, "hearlab", "scores")
    assert "share no pairs" in run(project, "hearlab", "compare", "HEAD", "workspace", code=1)
    run(project, "git", "add", "--all")
    run(project, "git", "commit", "--quiet", "--message", "Scores of own recordings")
    assert "nothing to do" in run(project, "hearlab", "plan")
    run(project, "hearlab", "leaderboard", "add", "--team", "Us", "--name", "ours", "--track", "speech")
    entry = yaml.safe_load((project / "leaderboard/ours.yaml").read_text())
    assert (entry["dataset"], entry["split"], entry["units"]) == ("clinic", "own data", 6)


def test_a_clone_an_experiment_in_the_queue_and_a_stranger(tmp_path: Path) -> None:
    clone, own = pulled_clone(make_project(tmp_path / "project"), tmp_path), recordings(tmp_path / "own")
    own["songs"] = songs(tmp_path / "own" / "songs")
    before = {path: path.read_bytes() for path in (tmp_path / "own").rglob("*") if path.is_file()}
    results = [path for path in (clone / "data/demo").rglob("*") if path.is_file()]
    run(clone, "hearlab", "data", "import", "clinic", *(part for name in own for part in (f"--{name}", str(own[name]))))
    # Not committed: nothing of the demo is lost, in a clone where DVC has made all of it.
    weights = "separate.weights=data/demo/separator"  # of another data set: no output of this pipeline
    run(clone, "dvc", "exp", "run", "-S", "dataset=clinic", "-S", weights, "-S", "evaluate.small_test=false")
    assert not [path for path in results if not path.is_file()]
    told = run(clone, "dvc", "exp", "run", "--temp", "-S", "enhance.gain=6", "score_speech", code=255)
    assert "datasets/clinic: no such data set here; git add datasets/clinic params.yaml" in told
    run(clone, "git", "add", "--all")
    run(clone, "git", "commit", "--quiet", "--message", "Scores of own recordings")
    run(clone, "dvc", "push")
    run(clone, "dvc", "exp", "run", "--queue", "--name", "louder", "-S", "enhance.gain=6", "-S", "separate.overlap=0.2")
    run(clone, "dvc", "exp", "run", "--run-all")
    assert "enhance.gain 0 -> 6" in run(clone, "hearlab", "compare", "HEAD", "louder")
    assert "nothing to do" in run(clone, "hearlab", "plan")
    assert {path: path.read_bytes() for path in before} == before

    # Somebody who has no recordings has the results, and can go on from the sounds that were made of them.
    (tmp_path / "own").rename(tmp_path / "away")
    stranger = tmp_path / "stranger"
    run(tmp_path, "git", "clone", "--quiet", str(clone), str(stranger))
    run(stranger, "dvc", "remote", "modify", "lab", "url", str(tmp_path / "remote"))
    run(stranger, "dvc", "pull")
    assert "6 scene-listener pairs" in run(stranger, "hearlab", "scores")
    assert "nothing to do" in run(stranger, "hearlab", "plan")
    run(stranger, "dvc", "exp", "run", "-S", "enhance.gain=3", "score_speech")
    with (stranger / "src/hearlab/datasets/own/conversion.py").open("a") as file:
        file.write("# of another day\n")
    told = run(stranger, "dvc", "repro", code=255)
    assert "Café one.wav: the recording cannot be read" in told
    run(stranger, "dvc", "checkout")
    run(stranger, "dvc", "commit", "--force", "prepare", "prepare_music")
    assert started(run(stranger, "dvc", "repro", "score_speech")) == ["system"]


def test_own_listeners_hear_a_subset_of_the_demo(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    (project / "listeners" / "clinic.csv").write_text(TABLE)
    run(project, "git", "add", "--all")
    run(project, "git", "commit", "--quiet", "--message", "Own listeners")
    subset = ("-S", "evaluate.listeners=listeners/clinic.csv", "-S", "evaluate.scenes={draw: 2, seed: 0}")
    run(project, "dvc", "exp", "run", *subset, "score_speech")
    found = rows(project / "metrics/speech.csv")
    assert len(found) == 4
    assert {listener for _, listener in found} == {"A B", "Zoë"}
    text = "2 scenes drawn (seed 0), listeners of listeners/clinic.csv"
    assert json.loads((project / "metrics/speech.json").read_text())["subset"] == text
    assert f"of a subset: {text}" in run(project, "hearlab", "scores")
    run(project, "git", "add", "--all")
    run(project, "git", "commit", "--quiet", "--message", "A subset")
    refused = run(project, "hearlab", "leaderboard", "add", "--track", "speech", code=1)
    assert f"the result is of a subset (found {text})" in refused
    # Another file of the same name is another experiment.
    (project / "listeners" / "clinic.csv").write_text(TABLE.replace("Zoë", "Zoe"))
    assert "listeners" in run(project, "dvc", "status", "score_speech")
