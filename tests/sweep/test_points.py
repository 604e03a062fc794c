"""The points of a sweep, and what a search draws."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from hearlab.cli import main
from hearlab.errors import InputError, ParameterError
from hearlab.learners import LEARNED
from hearlab.report.experiments.listing import Experiment
from hearlab.sweep.points import Base, changed_parameters, grid, points, present, state_of_code, untracked_code
from hearlab.sweep.run import best_text
from hearlab.sweep.search import Axis, Search, axes
from pipeline_support import REPOSITORY, run


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copy(REPOSITORY / "params.yaml", tmp_path)
    (tmp_path / "README.md").write_text("")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "code.py").write_text("")
    run(tmp_path, "git", "init", "--quiet", "--initial-branch=main")
    run(tmp_path, "git", "add", "--all")
    run(tmp_path, "git", "commit", "--quiet", "--message", "A project")
    return tmp_path


def test_a_grid_is_what_hydra_makes_of_it() -> None:
    assert grid(["enhance.gain=range(0,7,3)", "enhance.soft_clip=true,false", "seed=1"]) == [
        (f"enhance.gain={gain}", f"enhance.soft_clip={clip}", "seed=1") for gain in (0, 3, 6) for clip in (True, False)
    ]
    assert grid(["+enhance.params.x=choice(a,b)"]) == [("+enhance.params.x=a",), ("+enhance.params.x=b",)]
    assert grid(["enhance.gain=3"]) == [("enhance.gain=3",)]


@pytest.mark.parametrize("override", ["enhance.gain", "other.yaml:x=3", "enhance.gain=range(", "enhance.gain=glob(*)"])
def test_wrong_changes(override: str) -> None:
    with pytest.raises(ParameterError, match="-S: "):
        grid([override])


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (["enhance.gain=range(0,1e9)"], "makes too many experiments (found 1000000000, wanted at most 10000)"),
        (["enhance.gain=range(0,-1e9,-0.5)"], "makes too many experiments (found 2000000000"),
        (["seed=range(200)", "enhance.gain=range(0,10,0.1)"], "makes too many experiments (found 200 x 100"),
        (["seed=range(0,9,0)"], "cannot be read (found a range with a step of 0"),
        (["seed=1", "seed=2"], "gives seed two values (found seed=1 and seed=2, wanted one of them)"),
    ],
)
def test_grids_that_are_refused_before_they_are_made(overrides: list[str], line: str) -> None:
    with pytest.raises(ParameterError) as error:
        grid(overrides)
    assert f"-S: {line}" in str(error.value)


def test_points_are_checked_before_any_of_them_runs(project: Path) -> None:
    with pytest.raises(ParameterError, match=r"params\.yaml: enhance\.gain: "):
        points(Base.of(project), grid(["enhance.gain=3,loud"]))
    with pytest.raises(ParameterError, match="-S: cannot be applied"):
        points(Base.of(project), grid(["enhance.gian=3"]))
    before = (project / "params.yaml").read_bytes()
    (one,) = points(Base.of(project), grid(["+enhance.params.depth=3"]))
    assert one.parameters["enhance.params.depth"] == 3
    assert (project / "params.yaml").read_bytes() == before


def test_a_name_is_of_parameters_commit_and_code(project: Path) -> None:
    def names(*overrides: str) -> list[str]:
        return [point.name for point in points(Base.of(project), grid(overrides))]

    first = names("enhance.gain=-1.5,3")
    assert [name.rpartition("-")[0] for name in first] == ["gain-1p5", "gain3"]
    assert names("enhance.gain=3") == first[1:]
    assert len(names("enhance.gain=3,3")) == 1
    (project / "README.md").write_text("Text is no code.")
    assert names("enhance.gain=3") == first[1:]
    (project / "src" / "code.py").write_text("x = 1")
    changed = names("enhance.gain=3")
    assert changed != first[1:]
    run(project, "git", "commit", "--quiet", "--all", "--message", "Other code")
    assert names("enhance.gain=3") not in (changed, first[1:])
    assert state_of_code(project) == run(project, "git", "rev-parse", "HEAD").strip()
    for name in names("enhance.system=hearlab.b:C,hearlab.e:F"):
        run(project, "git", "check-ref-format", f"refs/exps/{name}")


@pytest.fixture
def lab(project: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of one's own, `swept_lab`, which git does not know."""
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "swept_lab").mkdir()
    (folder / "swept_lab" / "__init__.py").write_text("class Enhancer:\n    gain = 1\n")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.chdir(project)
    return folder / "swept_lab" / "__init__.py"


OWN = "enhance.system=swept_lab:Enhancer"


def experiment_of(project: Path) -> Callable[[str], None]:
    """Takes what is in the workspace into an experiment upon HEAD; the function that is given back names it."""
    head = run(project, "git", "rev-parse", "HEAD").strip()
    run(project, "git", "add", "--all", "--force")
    run(project, "git", "commit", "--quiet", "--message", "An experiment")
    commit = run(project, "git", "rev-parse", "HEAD").strip()
    run(project, "git", "reset", "--quiet", "--hard", head)

    def name_it(name: str) -> None:
        run(project, "git", "update-ref", f"refs/exps/{head[:2]}/{head[2:]}/{name}", commit)

    return name_it


@pytest.mark.slow
def test_an_edit_of_a_package_that_is_elsewhere_is_other_code(project: Path, lab: Path) -> None:
    """Scores of the code as it was are not known ones."""
    params = (project / "params.yaml").read_text()
    (before,) = points(Base.of(project), [(OWN,)])
    (project / "params.yaml").write_text(params.replace("hearlab.systems.baseline:Baseline", "swept_lab:Enhancer"))
    lock = {"system": {"cmd": "", "outs": [{"path": "data/system.json", "md5": before.system}]}}
    (project / "dvc.lock").write_text(json.dumps({"schema": "2.0", "stages": lock}))
    (project / "metrics").mkdir()
    (project / "metrics" / "speech.json").write_text('{"haspi": {"pairs": 8, "enhanced": 0.5}}')
    name_it = experiment_of(project)
    for name in ("mine", before.name):
        name_it(name)
        assert list(present(project, points(Base.of(project), [(OWN,)]))) == [before.name]
    lab.write_text(lab.read_text().replace("1", "2"))
    (after,) = points(Base.of(project), [(OWN,)])
    assert (after.parameters, after.system != before.system) == (before.parameters, True)
    assert after.name != before.name
    assert present(project, [after]) == {}


@pytest.mark.parametrize(("made_with", "known"), [(3, True), (0, False)])
def test_an_experiment_with_scores_of_before_is_no_known_one(project: Path, made_with: int, known: bool) -> None:
    """`dvc exp run -S enhance.gain=3 score_speech` keeps the scores of music that the commit has."""
    (point,) = points(Base.of(project), [("enhance.gain=3",)])
    (project / "params.yaml").write_text(point.content)
    stages = {
        f"score_{track}": {
            "params": {"params.yaml": {"enhance.gain": gain}},
            "outs": [{"path": f"metrics/{track}.json", "md5": ""}],
        }
        for track, gain in (("speech", 3), ("music", made_with))
    }
    (project / "dvc.lock").write_text(json.dumps({"schema": "2.0", "stages": stages}))
    (project / "metrics").mkdir()
    (project / "metrics" / "speech.json").write_text('{"haspi": {"pairs": 8, "enhanced": 0.5}}')
    (project / "metrics" / "music.json").write_text('{"haaqi": {"pairs": 8, "score": 0.25}}')
    experiment_of(project)("mine")
    assert list(present(project, [point])) == ([point.name] if known else [])


def test_other_weights_under_the_name_that_learn_weights_says_are_another_point(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    changes = (f"enhance.system={LEARNED}", "learn.weights=net.pth")
    names = []
    for content in (b"one", b"other"):
        (project / "net.pth").write_bytes(content)
        names.append(points(Base.of(project), [changes])[0].name)
    assert names[0] != names[1]


@pytest.mark.slow
def test_a_search_with_other_code_of_a_package_elsewhere_is_another_one(project: Path, lab: Path) -> None:
    def study() -> str:
        return str(
            Search(project, Base.of(project), *axes([OWN, "++enhance.params.x=0..3"]), "haspi", 0).study.study_name
        )

    before = study()
    assert study() == before
    lab.write_text(lab.read_text().replace("1", "2"))
    assert study() != before


def test_the_ends_of_what_is_searched_are_checked_first(project: Path) -> None:
    with pytest.raises(ParameterError, match=r"params\.yaml: enhance\.gain: "):
        Search(project, Base.of(project), *axes(["enhance.gain=0..10000"]), "haspi", 0)
    assert not (project / "optuna.db").exists()


def test_a_name_tells_what_differs(project: Path) -> None:
    same = "+enhance.params.file=name.txt"
    names = [point.name for point in points(Base.of(project), grid([same, "enhance.gain=1,2"]))]
    assert [name.rpartition("-")[0] for name in names] == ["gain1", "gain2"]
    (trial,) = points(Base.of(project), [(same, "enhance.gain=3")], fixed=[same])
    assert trial.name.rpartition("-")[0] == "gain3"
    (alone,) = points(Base.of(project), grid([same, "enhance.gain=3"]))
    assert alone.name.rpartition("-")[0] == "filename-txt-gain3"
    (again,) = points(Base.of(project), [(same,), (same,)])
    assert again.name.startswith("filename-txt")


def test_code_that_git_does_not_know_is_named(project: Path) -> None:
    assert untracked_code(project) == []
    (project / "src" / "new.py").touch()
    (project / "datasets" / "clinic").mkdir(parents=True)
    (project / "datasets" / "clinic" / "files.csv").touch()
    assert untracked_code(project) == ["datasets/clinic/files.csv", "src/new.py"]


def test_what_is_searched() -> None:
    searched, fixed = axes(["a=0..12", "b=0.0..1", "c=log(1e-3..1)", "d=x,y", "e=3", "f=range(0,7,3)"])
    assert searched == [
        Axis("a", 0, 12),
        Axis("b", 0.0, 1.0),
        Axis("c", 1e-3, 1.0, log=True),
        Axis("d", choices=("x", "y")),
        Axis("f", choices=("0", "3", "6")),
    ]
    assert fixed == ["e=3"]
    assert [axes([axis.text])[0] for axis in searched] == [[axis] for axis in searched]


@pytest.mark.parametrize("override", ["a=3", "a=12..0", "a=log(0..1)", "a=0..", "a=log(1..2"])
def test_what_cannot_be_searched(override: str) -> None:
    with pytest.raises(ParameterError):
        axes([override])


def search(
    project: Path, trials: int, stop_after: int | None = None
) -> list[tuple[int, tuple[str, ...], float | None]]:
    """Run a search whose best gain is 4, and which is killed in the trial after `stop_after` of them."""
    count = 0

    def score(changes: Sequence[tuple[str, ...]]) -> Iterator[float | None]:
        nonlocal count
        count += 1
        if stop_after is not None and count > stop_after:
            raise KeyboardInterrupt
        gain = float(changes[0][-1].partition("=")[2])
        yield None if gain > 11 else 1 - (gain - 4) ** 2 / 100

    searched, fixed = axes(["seed=1", "enhance.gain=0.0..12"])
    return list(Search(project, Base.of(project), searched, fixed, "haspi", 5).run(trials, score))


@pytest.mark.slow
def test_a_search_that_was_killed_tries_what_it_would_have_tried(project: Path) -> None:
    whole = search(project, 6)
    assert [number for number, _, _ in whole] == list(range(6))
    (project / "optuna.db").unlink()
    with pytest.raises(KeyboardInterrupt):
        search(project, 6, stop_after=3)
    assert search(project, 6) == whole[3:]
    assert search(project, 6) == []
    assert all(changes[0] == "seed=1" for _, changes, _ in whole)


def test_what_was_tried_is_not_tried_again(project: Path) -> None:
    """Nor does a search go on where nothing is left; a failed trial would fail again."""

    def tried(trials: int, *overrides: str) -> list[tuple[str, ...]]:
        def score(changes: Sequence[tuple[str, ...]]) -> Iterator[float | None]:
            gain = int(changes[0][0].partition("=")[2])
            yield None if gain == 1 else -abs(gain - 4.0)

        return [
            changes
            for _, changes, _ in Search(project, Base.of(project), *axes(overrides), "haspi", 0).run(trials, score)
        ]

    wide = tried(20, "enhance.gain=0..6", "enhance.soft_clip=true,false")
    assert len(wide) == len(set(wide)) == 14
    first = tried(2, "enhance.gain=0..4")
    assert len({*first, *tried(9, "enhance.gain=0..4")}) == 5


def entry(name: str, score: float) -> Experiment:
    return Experiment(name, "experiment", "", None, {"HAAQI": score}, {})


def test_equal_experiments_are_no_best_ones() -> None:
    first, second, third = entry("one", 0.1978), entry("two", 0.1978), entry("three", 0.3)
    assert best_text("HAAQI", [first, third]) == "best HAAQI, 0.3000: dvc exp apply three"
    assert best_text("HAAQI", [first, second]) == "HAAQI: 0.1978 in each of them, so that none is the best"
    text = "best HAAQI, 0.1978: dvc exp apply one (as good: two)"
    assert best_text("HAAQI", [entry("less", 0.1), first, second]) == text


def test_a_database_that_is_none(project: Path) -> None:
    (project / "optuna.db").write_text("no database " * 100)
    with pytest.raises(InputError, match=r"optuna\.db: cannot be used"):
        search(project, 1)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("", "-S: is missing"),
        ("-S enhance.gain=1,2 --jobs 0", "--jobs: wrong value"),
        ("-S enhance.gain=0..2 --optimise haspi", "--optimise: goes with --trials"),
        ("-S enhance.gain=0..2 --optimise haspi --trials 2 --jobs 2", "--optimise: goes with neither"),
        ("-S enhance.gain=1,2", "dvc.yaml: no such file"),
    ],
)
def test_wrong_arguments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: str, line: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["sweep", *arguments.split()]) in (1, 2)
    assert line in capsys.readouterr().err


def test_changes_are_those_that_dvc_makes(project: Path) -> None:
    assert changed_parameters((project / "params.yaml").read_bytes(), ["enhance.gain=3"])[1]["enhance.gain"] == 3
