"""Tracking without a server: one database in the repository, its lock, what is shown of addresses, where things lie."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, cast

import pytest
import tracking_support
from tracking_support import ENHANCED, environment, make_result

from damaged_files import HOWS, damage
from hearlab.secrets import without_login
from hearlab.tracking import provenance, records, store
from hearlab.tracking.recording import track, track_pending
from hearlab.tracking.result import current_result
from hearlab.versions.dvc_files import experiment_home
from ports import hanging_up
from waits import LONGEST

TABLES = ("speech.csv", "speech_unprocessed.csv", "speech.json", "music.csv", "music.json")


def git(root: Path, *arguments: str) -> str:
    return subprocess.run(("git", *arguments), cwd=root, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A committed workspace, in a folder whose name needs quoting, with its first result logged."""
    root = make_result(tmp_path_factory.mktemp("local") / "Zoë's lab, 100 %")
    git(root, "init", "--quiet", "--initial-branch=main")
    git(root, "config", "user.name", "Tester")
    git(root, "config", "user.email", "tester@example.org")
    (root / ".gitignore").write_text("/.hearlab/\n/mlflow.db*\n/mlruns/\n/data/\n")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "First")
    with pytest.MonkeyPatch.context() as patch:
        clear(patch)
        patch.setenv("DVC_EXP_NAME", "first-try")
        assert track(root).logged
    return root


@pytest.fixture(autouse=True)
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    clear(monkeypatch)


def clear(patch: pytest.MonkeyPatch) -> None:
    names = ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID")
    for name in (*names, "DVC_ROOT", "DVC_EXP_NAME", "DVC_EXP_BASELINE_REV"):
        patch.delenv(name, raising=False)


def client_of(root: Path) -> tuple[Any, str]:
    where = store.backend(root)
    client = store._client(where)
    return client, store._experiment(client, where)


def runs(root: Path) -> list[Any]:
    client, experiment = client_of(root)
    return list(client.search_runs([experiment]))


def named(root: Path, name: str) -> Any:
    return next(run for run in runs(root) if run.info.run_name == name)


def test_a_run_holds_all_of_its_result(project: Path) -> None:
    run = named(project, "first-try")
    assert run.info.status == "FINISHED"
    assert run.data.params["enhance.gain"] == "0"
    assert run.data.params["enhance.nalr.taps"] == "220"
    assert run.data.params["datasets.clarity.songs"] == "null"
    assert run.data.metrics["haspi/enhanced"] == pytest.approx(sum(ENHANCED.values()) / len(ENHANCED))
    assert run.data.metrics["haspi_by_severity/enhanced/moderately severe"] == pytest.approx(0.3)
    tags = run.data.tags
    assert tags["git.commit"] == git(project, "rev-parse", "HEAD").strip()
    assert tags["git.dirty"] == "false"
    assert tags["dvc.experiment"] == "first-try"
    assert tags["dvc.md5.data/demo/inputs/clarity_data"] == "11.dir"
    assert tags["dvc.md5.data/weights"] == "31.dir"
    assert {"machine.name", "machine.cpu", "version.python", "version.mlflow"} <= tags.keys()
    files = Path(experiment_home(project) / store.ARTEFACTS / run.info.run_id / "artifacts")
    for name in TABLES:
        assert (files / "scores" / name).read_bytes() == (project / "metrics" / name).read_bytes()
    for name in ("params.yaml", "dvc.lock"):
        assert (files / name).is_file()
    assert (files / "report.md").read_text().startswith("# speech: HASPI 0.4000 enhanced")
    for name in ("haspi_snr", "haaqi_stems"):
        assert (files / "plots" / f"{name}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_once_and_a_changed_one_again(project: Path) -> None:
    before = len(runs(project))
    report = track(project)
    assert report.logged
    assert "already" in report.lines[-1]
    assert len(runs(project)) == before
    make_result(project, gain=3)
    try:
        report = track(project)
        assert len(runs(project)) == before + 1
        name = report.lines[-1].split()[0]
        run = named(project, name)
        assert run.data.tags["git.dirty"] == "true"
        assert run.data.tags["git.changed"] == "params.yaml"
        assert "- parameter enhance.gain: 3\n" in run.data.tags["mlflow.note.content"]
        assert records.waiting(project) == []
    finally:
        make_result(project)
    assert "already" in track(project).lines[-1]


def test_a_copy_of_the_repository_keeps_its_files_to_itself(project: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(project, tmp_path / "copy"))
    before = sorted((project / "mlruns").rglob("*"))
    assert track(make_result(copy, gain=7)).logged
    client, experiment = client_of(copy)
    assert client.get_experiment(experiment).artifact_location == (copy / "mlruns").as_uri()
    found = runs(copy)
    assert len(found) >= 2
    for run in found:
        assert run.info.artifact_uri == (copy / "mlruns" / run.info.run_id / "artifacts").as_uri()
        assert (copy / "mlruns" / run.info.run_id / "artifacts/report.md").is_file()
    assert sorted((project / "mlruns").rglob("*")) == before


def test_runs_of_dead_processes_are_marked_and_others_let_be(project: Path) -> None:
    client, experiment = client_of(project)
    dead = subprocess.Popen((sys.executable, "-c", ""))
    dead.wait()
    host = store.platform.node()
    now = time.time_ns() // 1_000_000
    long_ago = now - int(2 * store.DEAD_SECONDS * 1000)
    owners = {
        "dead here": (f"{host} {dead.pid} 12345", now),
        "its id given to another": (f"{host} {os.getpid()} 12345", now),
        "alive here": (store._own_name(), long_ago),
        "on another machine, just now": ("elsewhere 1 12345", now),
        "on another machine, long ago": ("elsewhere 1 12345", long_ago),
        "not ours": (None, long_ago),
    }
    made = {
        what: client.create_run(experiment, start_time=start, tags={store.OWNER: owner} if owner else {}).info.run_id
        for what, (owner, start) in owners.items()
    }
    store._mark_interrupted(client, experiment)
    killed = {what for what, run in made.items() if client.get_run(run).info.status == "KILLED"}
    for run in made.values():
        client.delete_run(run)
    assert killed == {"dead here", "its id given to another", "on another machine, long ago"}


def test_of_two_that_began_at_once_all_keep_the_same(project: Path) -> None:
    client, experiment = client_of(project)
    tags = {store.IDENTITY: "twice"}
    made = [client.create_run(experiment, start_time=start, tags=tags).info.run_id for start in (2000, 1000, 1000)]
    for run in made:
        client.set_terminated(run, "FINISHED")
    first = min(made[1:])
    assert store._keep_one(client, experiment, "twice") == first
    assert store._keep_one(client, experiment, "twice") == first
    assert [run.info.run_id for run in client.search_runs([experiment], "tags.`hearlab.identity` = 'twice'")] == [first]
    client.delete_run(first)


@pytest.mark.slow
def test_two_processes_at_once_on_a_new_database(project: Path, tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/shared.db"
    roots = [make_result(tmp_path / name, gain=gain) for name, gain in (("a", 1), ("b", 2), ("c", 1))]
    command = (sys.executable, "-m", "hearlab.cli", "track")
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    processes = [subprocess.Popen(command, cwd=root, env=environment(uri), **pipes) for root in roots]
    outputs = [process.communicate(timeout=LONGEST)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], outputs
    client = store._client(store.Backend(uri, tmp_path))
    found = client.search_runs([client.get_experiment_by_name("hearlab").experiment_id])
    assert sorted(run.data.params["enhance.gain"] for run in found) == ["1", "2"]
    assert {run.info.status for run in found} == {"FINISHED"}


def test_a_deleted_experiment_is_reported(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "gone")
    client, experiment = client_of(project)
    client.delete_experiment(experiment)
    report = track(project)
    assert not report.logged
    assert "the experiment gone is deleted there: restore it" in report.lines[-1]
    client.restore_experiment(experiment)
    assert [report.logged for report in track_pending(project)] == [True]
    assert list(track_pending(project)) == []


@pytest.mark.slow
def test_the_experiment_of_an_id(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client, own = client_of(project)
    other = client.create_experiment("by its id", artifact_location=(project / "mlruns").as_uri())
    for name in ("", "by its id"):
        monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", name)
        monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", other)
        assert track(project).logged
        assert len(client.search_runs([other])) == 1
    for name, known, line in (
        ("hearlab", other, f"MLFLOW_EXPERIMENT_ID={other} is by its id, MLFLOW_EXPERIMENT_NAME says hearlab"),
        ("not made yet", other, "MLFLOW_EXPERIMENT_NAME says not made yet"),
        ("", "4711", "MLFLOW_EXPERIMENT_ID=4711: there is no such experiment"),
        ("", "no/id", "MLFLOW_EXPERIMENT_ID=no/id: there is no such experiment"),
    ):
        monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", name)
        monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", known)
        report = track(project)
        assert not report.logged
        assert line in report.lines[-1]
        assert "\n" not in report.lines[-1]
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", own)
    assert [report.logged for report in track_pending(project)] == [True]
    assert client.get_experiment_by_name("not made yet") is None


@pytest.mark.slow
def test_parameters_of_like_names_are_all_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow takes few signs, and would refuse the second value for one name."""
    own = {"a+b": 1, "a*b": 2, "Gain": 3, "gain": 4, "k//": 5, "é": 6}
    monkeypatch.setitem(tracking_support.ENHANCE, "params", own)
    root = make_result(tmp_path / "lab")
    assert track(root).logged
    (run,) = runs(root)
    found = {name: value for name, value in run.data.params.items() if name.startswith("enhance.params.")}
    assert sorted(found.values()) == sorted(str(value) for value in own.values())
    assert found["enhance.params.é"] == "6"


@pytest.mark.slow
def test_a_result_without_a_commit_says_why(tmp_path: Path) -> None:
    root = make_result(tmp_path / "lab")
    report = track(root)
    assert any("has no commit: this folder is no git repository" in line for line in report.lines)
    (run,) = runs(root)
    assert run.data.tags["git.no_commit"] == "this folder is no git repository"
    assert "- git.no_commit: this folder is no git repository\n" in run.data.tags["mlflow.note.content"]
    git(root, "init", "--quiet")
    assert provenance.tags(current_result(root))["git.no_commit"] == "the repository has no commit yet"


def test_a_dead_server_is_asked_once_and_nothing_is_lost(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with hanging_up() as (port, calls):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://user:secret@127.0.0.1:{port}")
        report = track(project)
    assert len(calls) == 1  # MLflow alone tries for minutes
    assert not report.logged
    assert f"is not in MLflow yet: http://127.0.0.1:{port}: does not answer" in report.lines[-1]
    assert "secret" not in report.lines[-1]
    (record,) = records.waiting(project)
    assert record.identity == current_result(project).identity
    assert record.metrics["haspi/enhanced"] == pytest.approx(0.4)
    assert (record.artefacts / "scores/speech.csv").is_file()
    records.discard(record)


def test_a_damaged_record_is_reported(tmp_path: Path) -> None:
    record = records.write(current_result(make_result(tmp_path)))
    path = record.folder / records.RECORD
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "version": 99}))
    with pytest.raises(records.InputError, match=r"record.json: is of another version"):
        records.waiting(tmp_path)
    del content["metrics"]
    path.write_text(json.dumps(content))
    with pytest.raises(records.InputError, match=r"record.json: is damaged"):
        records.waiting(tmp_path)


def test_no_damage_to_a_record_is_logged(tmp_path: Path) -> None:
    seed = 20261131
    rng = random.Random(seed)
    record = records.write(current_result(make_result(tmp_path)))
    assert records.waiting(tmp_path) == [record]
    for path in sorted(path for path in record.folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        for how in HOWS:
            damage(path, how, rng)
            sound, damaged = records.sound_and_damaged(tmp_path)
            assert (sound, len(damaged)) == ([], 1), f"{seed}: {path.name}, {how}"
            if path.is_dir():
                path.rmdir()
            path.write_bytes(content)
        path.unlink()
        os.mkfifo(path)  # whoever opened it would wait for ever
        assert len(records.sound_and_damaged(tmp_path)[1]) == 1
        path.unlink()
        path.write_bytes(content)
    assert records.waiting(tmp_path) == [record]


def test_a_damaged_record_stops_no_other(project: Path) -> None:
    good = records.write(current_result(project))
    bad = good.folder.with_name("0" * 64)
    shutil.copytree(good.folder, bad)
    (bad / records.RECORD).write_bytes(b"")
    try:
        assert track(project).lines[-1].startswith("1 earlier results wait")
        records.write(current_result(project))
        reports = list(track_pending(project))
        assert [report.logged for report in reports] == [True, False]
        assert str(bad / records.RECORD) in reports[1].lines[0]
        assert records.folders(project) == [bad]
    finally:
        shutil.rmtree(bad)


@pytest.mark.parametrize(
    "login", ["user:secret", "token", "token:", "user:p@ss", "user:p?s#s s", "token:x-oauth-basic"]
)
def test_an_address_is_shown_without_its_login(tmp_path: Path, login: str) -> None:
    assert without_login(f"https://{login}@host:5000/x") == "https://host:5000/x"
    assert store.Backend(f"postgresql://{login}@host:5432/x", tmp_path).shown == "postgresql://host:5432/x"


@pytest.mark.parametrize("address", ["http://host:80/a@b", "sqlite:////srv/a@b.db", "s3://bucket/a@b", "/srv/a@b", ""])
def test_an_address_without_login_stays(address: str) -> None:
    assert without_login(address) == address


def test_a_password_is_hidden_before_a_long_error_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*unused: object) -> None:
        raise OSError("x" * 170 + " https://user:" + 50 * "secret" + "@host/x")

    monkeypatch.setattr(store, "_log", fail)
    with pytest.raises(store.TrackingFailed) as failed:
        store.log(cast(records.Record, None), store.Backend("http://host", tmp_path))
    assert str(failed.value).endswith("x https://***@host/x")


def test_runs_go_to_the_repository_that_the_user_sees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outer, inner = (make_result(tmp_path / name) for name in ("outer", "inner"))
    assert store.backend(inner).uri == f"sqlite:///{inner}/mlflow.db"
    monkeypatch.setenv("DVC_ROOT", str(outer))
    assert store.backend(inner).uri == f"sqlite:///{outer}/mlflow.db"
    assert records.write(current_result(inner)).folder.is_relative_to(outer)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///lab/runs.db")
    assert store.backend(inner).uri == f"sqlite:///{outer}/lab/runs.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////srv/runs.db")
    assert store.backend(inner).uri == "sqlite:////srv/runs.db"


def test_changed_files_leave_out_what_the_pipeline_writes(project: Path) -> None:
    (project / "notes ünd.txt").write_text("x")
    (project / "metrics/speech.json").write_text(json.dumps({"haspi": {"pairs": 4}}, indent=1))
    try:
        assert set(provenance.changed_files(project)) >= {"notes ünd.txt", "metrics/speech.json"}
    finally:
        (project / "notes ünd.txt").unlink()
        make_result(project)
