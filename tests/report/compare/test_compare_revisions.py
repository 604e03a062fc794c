"""`hearlab compare` on git revisions and DVC experiments, in a real repository with a real pipeline."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from compare_support import FREQUENCIES
from compare_support import run as compare
from forked import DVC, Forks, dvc, forks
from hearlab.errors import InputError
from hearlab.versions.revisions import find_revision, named_by, natural_order
from pipeline_support import run

# A pipeline with the stages, parameters and files that matter here, and nothing to compute.
PROGRAM = """
import json, random, re, sys
from pathlib import Path

text = Path("params.yaml").read_text()
seed, gain = int(re.search("seed: (.*)", text)[1]), float(re.search("gain: (.*)", text)[1])
data = Path("data") / re.search("dataset: (.*)", text)[1]
draw = random.Random(seed)
scenes = [{"scene": f"S{6001 + k}", "SNR": 18 * draw.random() - 12 if k > 1 else 3} for k in range(8)]
listeners = ["L0000", "L0001", "L0002"]
if sys.argv[1] == "scenes":
    people = {
        name: {"name": name, "audiogram_cfs": FREQUENCIES, **{f"audiogram_levels_{ear}": [25 * k] * 8 for ear in "lr"}}
        for k, name in enumerate(listeners)
    }
    for name, value in (("scene_lists/scenes.dev", scenes), ("inputs/clarity_data/metadata/listeners", people)):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / f"{name}.json").write_text(json.dumps(value))
else:
    Path("metrics").mkdir(exist_ok=True)
    for name, extra in (("speech", gain), ("speech_unprocessed", 0)):
        with open(f"metrics/{name}.csv", "w") as file:
            print("scene,listener,haspi", file=file)
            for scene in scenes:
                for k, listener in enumerate(listeners):
                    score = 0.5 + scene["SNR"] / 40 - 0.05 * k + extra * (0.02 + scene["SNR"] / 4000)
                    print(scene["scene"], listener, f"{score:.8f}", sep=",", file=file)
""".replace("FREQUENCIES", str(FREQUENCIES))
PARAMS = "dataset: demo\nseed: 0\nenhance:\n  gain: 0\nevaluate:\n  split: dev\n"
PIPELINE = """
stages:
  build_scenes:
    cmd: python make.py scenes
    params: [seed, dataset]
    outs:
      - data/${dataset}/scene_lists/scenes.dev.json
      - data/${dataset}/inputs/clarity_data
  score_speech:
    cmd: python make.py scores
    deps:
      - data/${dataset}/scene_lists/scenes.dev.json
      - make.py
    params: [enhance.gain]
    outs:
      - metrics/speech.csv
      - metrics/speech_unprocessed.csv
"""


@pytest.fixture(scope="module")
def processes() -> Iterator[Forks]:
    with forks(DVC) as started:
        yield started


@pytest.fixture(scope="module")
def made(processes: Forks, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two commits (gain 0; gain 1, tagged 'second'), the experiments 'louder' (gain 3, applied) and 'other-scenes'."""
    if shutil.which("dvc", path=str(Path(sys.executable).parent)) is None:
        pytest.skip("dvc is not installed beside this Python")
    folder = tmp_path_factory.mktemp("project")
    (folder / "make.py").write_text(PROGRAM)
    (folder / "dvc.yaml").write_text(PIPELINE)
    (folder / "params.yaml").write_text(PARAMS)
    run(folder, "git", "init", "--quiet", "--initial-branch=main")
    run(folder, "git", "config", "user.name", "Tester")
    run(folder, "git", "config", "user.email", "tester@example.org")
    dvc(processes, folder, "init", "--quiet")
    for gain in (0, 1):
        (folder / "params.yaml").write_text(PARAMS.replace("gain: 0", f"gain: {gain}"))
        dvc(processes, folder, "repro", "--quiet")
        run(folder, "git", "add", "--all")
        run(folder, "git", "commit", "--quiet", "--message", f"Gain {gain}")
    run(folder, "git", "tag", "second")
    run(folder, "git", "checkout", "--quiet", "-b", "elsewhere")
    for path in (folder / "params.yaml", folder / "dvc.lock"):
        path.write_text(path.read_text().replace("demo", "clarity"))
    run(folder, "git", "commit", "--quiet", "--all", "--message", "Another data set")
    run(folder, "git", "checkout", "--quiet", "main")
    for name, change in (("louder", "enhance.gain=3"), ("other-scenes", "seed=1")):
        dvc(processes, folder, "exp", "run", "--quiet", "--name", name, "--set-param", change)
        run(folder, "git", "checkout", "--quiet", "--", ".")
    dvc(processes, folder, "exp", "apply", "--quiet", "louder")
    return folder


@pytest.fixture
def project(made: Path) -> Iterator[Path]:
    before = run(made, "git", "status", "--porcelain")
    yield made
    assert run(made, "git", "status", "--porcelain") == before  # comparing changes nothing


def compared(project: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    compare(project, *arguments, "--json")
    (found,) = json.loads(capsys.readouterr().out)["comparisons"]
    return found


def commit(project: Path, name: str) -> str:
    return run(project, "git", "rev-parse", name).strip()


def gain(found: Any) -> float:
    return round(found["overall"]["difference"]["mean"] / found["overall"]["a"]["mean"], 6)


@pytest.mark.parametrize("name", ["main", "second", "HEAD", "@", "hash", "short hash", "second^{}"])
def test_names_of_a_revision(project: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    whole = commit(project, "HEAD")
    name = {"hash": whole, "short hash": whole[:9]}.get(name, name)
    found = compared(project, capsys, "HEAD~1", name)
    assert found["verdict"] == "better"
    assert found["b"] == (name if whole.startswith(name) else f"{name} ({whole[:7]})")
    assert found["notes"] == ["parameters that differ: enhance.gain 0 -> 1"]


def test_head_and_workspace(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = compared(project, capsys, "HEAD", "workspace")
    assert (found["a"], found["b"]) == (f"HEAD ({commit(project, 'HEAD')[:7]})", "workspace")
    assert found["notes"] == ["parameters that differ: enhance.gain 1 -> 3"]
    assert found["verdict"] == "better"
    first = compared(project, capsys, "HEAD~1", "HEAD")["overall"]["difference"]["mean"]
    assert found["overall"]["difference"]["mean"] == pytest.approx(2 * first, abs=1e-7)
    assert compared(project, capsys, "HEAD", "workspace", "--condition", "unprocessed")["verdict"] == "same"


def test_an_experiment_by_its_name(project: Path, processes: Forks, capsys: pytest.CaptureFixture[str]) -> None:
    assert "louder" in dvc(processes, project, "exp", "list")
    found = compared(project, capsys, "louder", "workspace")
    assert found["verdict"] == "same"
    assert found["a"].startswith("louder (")
    found = compared(project, capsys, "louder", "second")
    assert found["verdict"] == "worse"


def test_groups_come_from_the_revision(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = compared(project, capsys, "HEAD", "workspace")
    assert {row["name"]: row["pairs"] for row in found["tables"]["severity"]} == {
        "none": 8,
        "mild": 8,
        "moderately severe": 8,
    }
    assert sum(row["clusters"] for row in found["tables"]["snr"]) == 8
    names = "data/demo/scene_lists/scenes.dev.json, data/demo/inputs/clarity_data/metadata/listeners.json"
    assert found["left_out"] == [f"groups are from {names}"]
    # The same, when neither file lies in the workspace: the listeners are inside a folder that DVC keeps.
    shutil.move(project / "data", project / "moved")
    try:
        again = compared(project, capsys, "HEAD", "louder")
    finally:
        shutil.move(project / "moved", project / "data")
    assert again["tables"] == found["tables"]


def test_other_scenes_of_the_same_names(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = compared(project, capsys, "HEAD", "other-scenes")
    assert found["overall"]["clusters"] == 2  # the two scenes that both seeds draw alike
    assert found["notes"] == [
        "parameters that differ: seed 0 -> 1",
        "left out: 6 scenes of A and B that have the same name and are different scenes",
    ]
    assert found["verdict"] == "same"


def test_another_data_set(project: Path) -> None:
    with pytest.raises(InputError, match="share no pairs: A was scored on the data set demo, B on clarity"):
        compare(project, "HEAD", "elsewhere")


def test_other_code(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lock = project / "dvc.lock"
    given = lock.read_text()
    identity = run(project, "git", "show", "HEAD:dvc.lock").split("path: make.py")[1].split("md5: ")[1].split()[0]
    lock.write_text(given.replace(identity, identity[::-1]))
    found = compared(project, capsys, "HEAD", "workspace")
    lock.write_text(given)
    assert "scored with other data or code in A than in B: make.py" in found["notes"]


@pytest.mark.slow
def test_scores_that_only_the_remote_has(project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = compared(project, capsys, "HEAD~1", "louder")
    cache = project / ".dvc" / "cache"
    run(project, "dvc", "remote", "add", "--default", "lab", str(tmp_path / "remote"))  # later than all revisions
    run(project, "dvc", "push", "--quiet", "--all-commits")
    run(project, "dvc", "push", "--quiet")
    shutil.move(cache, tmp_path / "kept")
    try:
        assert compared(project, capsys, "HEAD~1", "louder") == wanted
        shutil.rmtree(tmp_path / "remote")
        name = "HEAD~1: metrics/speech.csv: is neither in DVC's cache nor in its remote; dvc push it from where it was"
        with pytest.raises(InputError, match=name) as error:
            compare(project, "HEAD~1", "louder")
        assert "git checkout HEAD~1 and dvc pull or dvc repro" in str(error.value)
        with pytest.raises(InputError, match="or dvc exp apply louder and dvc pull"):
            compare(project, "workspace", "louder")
    finally:
        shutil.rmtree(cache, ignore_errors=True)
        shutil.move(tmp_path / "kept", cache)
        run(project, "git", "checkout", "--quiet", "--", ".dvc/config")


def test_a_damaged_cache_is_not_read(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = compared(project, capsys, "HEAD~1", "HEAD")
    lock = run(project, "git", "show", "HEAD:dvc.lock")
    identity = lock.split("path: metrics/speech.csv")[1].split("md5: ")[1].split()[0]
    file = project / ".dvc" / "cache" / "files" / "md5" / identity[:2] / identity[2:]
    content = file.read_bytes()
    file.chmod(0o644)
    file.write_bytes(content.replace(b"0.5", b"0.9"))
    try:
        with pytest.raises(InputError, match=r"HEAD: metrics/speech\.csv: \w+: is damaged in DVC's cache; delete it"):
            compare(project, "HEAD~1", "HEAD")
    finally:
        file.unlink(missing_ok=True)
        file.write_bytes(content)
    assert compared(project, capsys, "HEAD~1", "HEAD") == wanted


def test_scores_that_git_keeps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "metrics").mkdir()
    run(tmp_path, "git", "init", "--quiet", "--initial-branch=main")
    for gain in (0.0, 0.1):
        lines = [f"S{k},L1,{0.3 + 0.02 * k + gain * (1 + 0.01 * k):.6f}\n" for k in range(8)]
        (tmp_path / "metrics" / "speech.csv").write_text("scene,listener,haspi\n" + "".join(lines))
        run(tmp_path, "git", "add", "--all")
        run(tmp_path, "git", "commit", "--quiet", "--message", "Scores")
    assert compared(tmp_path, capsys, "HEAD~1", "HEAD")["verdict"] == "better"


def test_a_pattern_stands_for_experiments(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    compare(project, "HEAD", "*", "--json")
    found = json.loads(capsys.readouterr().out)
    assert [one["b"].split()[0] for one in found["comparisons"]] == ["louder", "other-scenes"]
    compare(project, "louder", "l*", "HEAD~1", "HEAD", "--json")  # not the first one itself
    found = json.loads(capsys.readouterr().out)
    assert [one["b"].split()[0] for one in found["comparisons"]] == ["HEAD~1", "HEAD"]
    with pytest.raises(InputError, match="louder: is all that there is to compare"):
        compare(project, "louder", "l*")
    with pytest.raises(InputError, match=r"quieter\*: is the name of no DVC experiment"):
        compare(project, "HEAD", "quieter*")
    names = ["run-1", "run-2", "run-10", "run0p5", "run2", "run2p5", "run2p15-late"]
    references = [f"refs/exps/{'0' * 2}/{'0' * 38}/{name}" for name in names]
    for reference in references:
        run(project, "git", "update-ref", reference, "HEAD")
    try:
        assert named_by("run*", project) == sorted(names, key=natural_order)
        assert named_by("*", project) == ["louder", "other-scenes"]  # those upon HEAD are meant
    finally:
        for reference in references:
            run(project, "git", "update-ref", "-d", reference)


@pytest.mark.parametrize(
    "names",
    [
        ["loading0p0001-f00000", "loading0p0003-a12345", "loading0p001-836e12", "loading0p01-000001"],
        ["loading1e-05-999999", "loading2e-05-000000", "loading0p0001-111111", "loading3-000000"],
        ["gain-10-ffffff", "gain-2p5-000000", "gain-1-2746c7", "gain0-000000", "gain3-999999", "gain12-000000"],
        ["gain3-clipFalse-9aaaaa", "gain3-clipTrue-000000", "gain12-clipFalse-000000"],
        ["run2", "run2p15-late", "run2p5", "run10", "run-1", "run-2", "run-10"],  # of the user's own naming: no signs
    ],
)
def test_experiments_of_a_pattern_are_in_the_order_of_their_numbers(names: list[str]) -> None:
    """Neither when they ran nor what their digests are tells anything."""
    assert sorted(reversed(names), key=natural_order) == names


def test_names_that_do_not_tell_all_are_in_the_order_of_the_parameters(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A long name of a sweep is cut: what is behind it, and not the digest, decides."""
    head = commit(project, "HEAD")
    swept = {"cut-a00001": "other-scenes", "cut-b00002": "louder"}  # seed 1, seed 0
    references = {f"refs/exps/{head[:2]}/{head[2:]}/{name}": of for name, of in swept.items()}
    for reference, of in references.items():
        run(project, "git", "update-ref", reference, find_revision(of, project).commit)
    try:
        compare(project, "HEAD", "cut-*", "--csv")
        rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    finally:
        for reference in references:
            run(project, "git", "update-ref", "-d", reference)
    assert [row["source"].split()[0] for row in rows[1:]] == ["cut-b00002", "cut-a00001"]


def test_tables_name_experiments_of_a_sweep_by_what_differs(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def systems(*arguments: str) -> list[str]:
        compare(project, *arguments, "--csv")
        return [row["system"] for row in csv.DictReader(capsys.readouterr().out.splitlines())]

    head = commit(project, "HEAD")
    swept = {f"gain3-{1:06x}": "louder", f"seed1-{2:06x}": "other-scenes"}
    references = {f"refs/exps/{head[:2]}/{head[2:]}/{name}": of for name, of in swept.items()}
    commits = {name: find_revision(of, project).commit for name, of in swept.items()}
    for reference, of in references.items():
        run(project, "git", "update-ref", reference, find_revision(of, project).commit)
    try:
        assert systems("HEAD", "gain3-*") == ["HEAD", "gain 3"]
        assert systems("HEAD", "gain3-*", "louder") == ["HEAD", f"gain3-{1:06x}", "louder"]  # nothing differs
        assert systems("HEAD~1", "second", "workspace", "louder") == ["HEAD~1", "second", "workspace", "louder"]
        assert systems("HEAD", "gain3-*", "--label", "HEAD=baseline") == ["baseline", "gain 3"]
        compare(project, "HEAD", *swept, "--latex")
        lines = capsys.readouterr().out.splitlines()
    finally:
        for reference in references:
            run(project, "git", "update-ref", "-d", reference)
    assert f"% HEAD ({head[:7]})" in lines
    for title, (name, whole) in zip(("seed 0, gain 3", "seed 1, gain 1"), commits.items(), strict=True):
        assert f"% {title}: {name} ({whole[:7]})" in lines
        (row,) = [line for line in lines if line.removeprefix(r"\raggedright ").startswith(title)]
        assert whole[:7] not in row


@pytest.mark.parametrize("name", ["nothing", "HEAD~9", "0123456", "exec/EXEC_HEAD", "--all"])
def test_wrong_names(project: Path, name: str) -> None:
    with pytest.raises(InputError, match="is no file, no git revision and no DVC experiment"):
        find_revision(name, project)


def test_experiments_of_one_name(project: Path) -> None:
    head, before = commit(project, "HEAD"), commit(project, "HEAD~1")
    louder = find_revision("louder", project)
    references = {}
    for name, base in (("louder", before), ("twice", before), ("twice", "0" * 40)):
        references[f"refs/exps/{base[:2]}/{base[2:]}/{name}"] = before if base == before else head
    for reference, identity in references.items():
        run(project, "git", "update-ref", reference, identity)
    try:
        # The one that stands on the current commit is meant, as in DVC.
        assert find_revision("louder", project).commit == louder.commit != before
        with pytest.raises(InputError, match=r"several experiments \(found \w+, \w+, wanted a hash\)") as error:
            find_revision("twice", project)
        assert before[:7] in str(error.value)
        assert head[:7] in str(error.value)
    finally:
        for reference in references:
            run(project, "git", "update-ref", "-d", reference)


def test_no_scores_at_a_revision(tmp_path: Path) -> None:
    run(tmp_path, "git", "init", "--quiet")
    run(tmp_path, "git", "commit", "--quiet", "--allow-empty", "--message", "Empty")
    with pytest.raises(InputError, match=r"HEAD: holds no scores .wanted metrics/speech.csv or metrics/music.csv"):
        compare(tmp_path, "HEAD", "HEAD")
