"""hearlab plan: what it tells before anything runs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import own_recordings
from hearlab.cli import main
from hearlab.compute.engine import run
from hearlab.compute.timings import START_SECONDS, unit_seconds
from hearlab.compute.units import Unit
from hearlab.datasets.own.importing import import_data
from hearlab.errors import InputError
from hearlab.params import check_params, load_params
from hearlab.report.plan import plan as plan_module
from hearlab.report.plan import work
from hearlab.report.plan.plan import Plan, Row, duration, make_plan, plan_text
from hearlab.report.plan.stages import PlannedStage
from hearlab.report.plan.work import Work, Workload
from hearlab.versions.overrides import overridden
from pipeline_support import make_repository

REPOSITORY = Path(__file__).resolve().parents[3]
SCENES = 2500
PAIRS = 7500


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git and DVC repository with the pipeline and its code, in which nothing has run."""
    folder = tmp_path_factory.mktemp("fresh")
    make_repository(folder)
    for name in ("params.yaml", "dvc.yaml", ".dvc/config"):
        shutil.copy(REPOSITORY / name, folder / name)
    for name in ("src", "datasets", "listeners"):
        (folder / name).symlink_to(REPOSITORY / name)
    return folder


@pytest.fixture
def inside(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(fresh)
    monkeypatch.setenv("HEARLAB_WORKERS", "4")
    return fresh


def rows(plan: Plan) -> dict[str, Row]:
    return {row.stage.name: row for row in plan.rows}


def test_the_full_development_set_with_nothing_here(inside: Path) -> None:
    before = sorted(path.name for path in inside.iterdir())
    plan = make_plan(inside, ["score_speech"], ["dataset=clarity"])
    assert sorted(path.name for path in inside.iterdir()) == before
    found = rows(plan)
    anywhere = ["system", "learning_scenes", "train_enhancer"]  # after check_params and before enhance_speech
    order = list(found)
    assert [name for name in order if name not in anywhere] == [
        "check_params",
        "prepare",
        "build_scenes@dev",
        "render_scenes@dev",
        "enhance_speech",
        "score_speech",
    ]
    assert all(order.index("check_params") < order.index(name) < order.index("enhance_speech") for name in anywhere)
    assert order.index("learning_scenes") < order.index("train_enhancer")
    assert {row.stage.runs for row in plan.rows} == {"yes"}
    assert found["render_scenes@dev"].work.units == SCENES
    assert found["score_speech"].work.units == PAIRS
    # Linked scenes are not rendered: seconds, and no bytes.
    assert found["render_scenes@dev"].work.seconds < 60
    assert found["render_scenes@dev"].work.bytes == 0
    assert plan.missing == ("missing: package cec2-core, for prepare, build_scenes@dev, render_scenes@dev",)
    # 7,500 pairs at 0.32 s and 0.1 s: docs/notes/scale.md.
    assert found["score_speech"].work.seconds == pytest.approx(PAIRS * 0.32)
    assert found["score_speech"].wall == pytest.approx(START_SECONDS + PAIRS * 0.32 / 4)
    assert "0.88 core-hours" in plan_text(plan)


def test_each_metric_and_condition_takes_its_time(inside: Path) -> None:
    seconds = {}
    for metrics in ("[haspi]", "[haspi,hasqi]"):
        for unprocessed in ("false", "true"):
            overrides = [f"evaluate.speech_metrics={metrics}", f"evaluate.unprocessed={unprocessed}"]
            plan = make_plan(inside, ["score_speech"], ["dataset=clarity", *overrides])
            seconds[metrics, unprocessed] = rows(plan)["score_speech"].work.seconds
    single = seconds["[haspi]", "false"]
    assert single == pytest.approx(PAIRS * 0.16)
    assert list(seconds.values()) == pytest.approx([single, 2 * single, 2 * single, 4 * single])


def test_measured_seconds_are_those_of_the_scores_that_were_measured(
    inside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = inside / "data/clarity/units/score_speech.json"
    index.parent.mkdir(parents=True)
    result = {"scene": "S1", "listener": "L1", "enhanced": 0.5, "unprocessed": 0.1}
    index.write_text(json.dumps({"units": [{"result": result, "files": []}]}))
    monkeypatch.setattr(work, "unit_seconds", lambda folder: {index.relative_to(inside).as_posix(): 1.0})
    try:
        for metrics, seconds in (("[haspi]", PAIRS), ("[haspi,hasqi]", 2 * PAIRS)):
            plan = make_plan(inside, ["score_speech"], ["dataset=clarity", f"evaluate.speech_metrics={metrics}"])
            found = rows(plan)["score_speech"].work
            assert (found.measured, found.seconds) == (True, pytest.approx(seconds))
    finally:
        shutil.rmtree(inside / "data")


def test_everything_at_full_size(inside: Path) -> None:
    plan = make_plan(inside, [], ["dataset=clarity", "render.source=rendered", "scenes.additional.enabled=true"])
    found = rows(plan)
    units = {name: row.work.units for name, row in found.items() if name.startswith("render")}
    assert units == {
        "render_scenes@train": 6000,
        "render_scenes@dev": SCENES,
        "render_scenes@demo": 100,
        "render_scenes@train_additional": 10000,
        "render_scenes@eval": 0,  # its package, which lists them, is not here
    }
    assert found["render_scenes@dev"].work.seconds == pytest.approx(SCENES * 0.27)
    # The published folder holds 39 GB.
    assert found["render_scenes@dev"].work.bytes == pytest.approx(39e9, rel=0.01)
    told = "\n".join(plan.missing)
    for package in ("cec2-core", "cec2-train", "cec2-hoairs", "cad1-metadata", "musdb18hq"):
        assert f"package {package}, for " in told
    assert plan.core_seconds == pytest.approx(sum(row.work.seconds for row in plan.rows))


def test_the_command_and_what_it_refuses(inside: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "build_scenes@dev", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert [row["stage"]["name"] for row in content["rows"]] == ["check_params", "prepare", "build_scenes@dev"]
    assert content["dataset"] == "demo"
    for arguments, message, code in (
        (["-S", "enhance.gian=3"], "-S: cannot be applied", 2),
        (["-S", "enhance.gain=loud"], "enhance.gain: wrong value", 2),
        (["no_such_stage"], "no_such_stage", 1),
    ):
        assert main(["plan", *arguments]) == code
        error = capsys.readouterr().err
        assert message in error
        assert len(error.splitlines()) == 1


def test_parameters_that_the_system_does_not_take_are_warned_of(
    inside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["plan", "build_scenes@dev", "-S", "enhance.gain=6"]
    told = "enhance.gain: not used by hearlab.systems.fitted:Fitted"
    assert main(arguments) == 0
    assert told not in capsys.readouterr().out
    assert main([*arguments, "-S", "enhance.system=hearlab.systems.fitted:Fitted"]) == 0
    assert capsys.readouterr().out.count(told) == 1


def test_a_disk_that_is_too_small_is_warned_of(inside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hearlab.datasets.packages import space

    real = space.os.statvfs

    def nearly_full(folder: Path) -> object:
        class Status:
            f_blocks, f_frsize, f_bavail = real(folder).f_blocks, 4096, 1000

        return Status()

    monkeypatch.setattr(space.os, "statvfs", nearly_full)
    plan = make_plan(inside, ["score_speech"], ["dataset=clarity"])
    (warning,) = plan.warnings
    assert warning.startswith("WARNING: ")
    assert "4.1 MB free, but 10.0 GB are needed" in warning
    assert main(["plan", "score_speech"]) == 0


def test_outside_of_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"dvc\.yaml: no such file"):
        plan_module.check_root(tmp_path)


# --- units --------------------------------------------------------------------------------------------------------


def double(root: Path, out: Path, *, name: str) -> None:
    (out / f"{name}.wav").write_bytes(b"x" * 500)


@pytest.fixture
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace without DVC in which some units of enhance_speech have run."""
    shutil.copy(REPOSITORY / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    units = [Unit(name, double, {"name": name}, outputs=(f"{name}.wav",)) for name in "abc"]
    run("enhance_speech", units, Path("out"), Path("data/demo/units/enhance_speech.json"))
    return tmp_path


def test_units_own_times_and_bytes_are_taken(demo: Path) -> None:
    seconds = unit_seconds(demo / ".hearlab")["data/demo/units/enhance_speech.json"]
    assert 0 < seconds < 1
    work = Workload(load_params()).of("enhance_speech", "perhaps")
    assert work.measured
    assert work.units == 36  # 12 scenes with 3 listeners each
    assert work.seconds == pytest.approx(36 * seconds)
    assert work.bytes == 36 * 500
    assert work.done is None
    assert Workload(load_params()).of("score_speech", "perhaps").measured is False


def test_units_that_are_done_are_not_counted(demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load = Workload(load_params())
    from hearlab.stages import enhance_speech

    def lists_five(params: object) -> list[Unit]:
        return [Unit(name, double, {"name": name}, outputs=(f"{name}.wav",)) for name in "abcde"]

    monkeypatch.setattr(enhance_speech, "units", lists_five)
    assert load.of("enhance_speech", "yes").done == 3
    assert sorted(path.name for path in Path("out").iterdir()) == ["a.wav", "b.wav", "c.wav"]


def test_own_data_has_the_units_of_its_description(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not those of the challenges: three recordings of speech were once planned with 14 songs of 50 listeners."""
    root = own_recordings.workspace(tmp_path / "work")
    import_data(root, "clinic", **own_recordings.recordings(tmp_path / "own"))
    import_data(root, "band", songs=own_recordings.songs(tmp_path / "songs"), listeners=tmp_path / "own" / "clinic.csv")
    monkeypatch.chdir(root)
    stages = ("render_scenes@dev", "render_scenes@train", "score_speech", "separate_music", "score_music")
    for name, units in (("clinic", [3, 0, 6, 0, 0]), ("band", [0, 0, 0, 2, 4])):
        params = check_params(overridden(root, [f"dataset={name}"]))
        assert [Workload(params).of(stage, "yes").units for stage in stages] == units


def test_a_subset_has_fewer_units_before_its_data_are_there(inside: Path) -> None:
    few = ["dataset=clarity", "evaluate.scenes={draw: 100, seed: 1}", "evaluate.songs=[Song]"]
    found = rows(make_plan(inside, ["score_speech", "score_music"], few))
    assert found["score_speech"].work.units == 300
    assert (found["separate_music"].work.units, found["score_music"].work.units) == (1, 50)


def test_a_broken_file_of_times_is_not_known(demo: Path) -> None:
    (demo / ".hearlab" / "unit-times.json").write_text("[")
    assert unit_seconds(demo / ".hearlab") == {}
    run("again", [Unit("z", double, {"name": "z"}, outputs=("z.wav",))], Path("other"), Path("other.json"))
    assert list(unit_seconds(demo / ".hearlab")) == ["other.json"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "< 1 s"), (12.4, "12 s"), (99, "99 s"), (600, "10 min"), (3600, "1 h 0 min"), (19_230, "5 h 20 min")],
)
def test_times_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_nothing_to_do() -> None:
    row = Row(PlannedStage("prepare", "no"), Work(), 0.0)
    plan = Plan("demo", (row,), 2, (), (), (), "hardlink")
    assert plan_text(plan) == "data set demo: nothing to do, all 1 stages are up to date"
