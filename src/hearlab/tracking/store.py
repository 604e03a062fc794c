"""Logs a recorded result in MLflow: once, whoever else is logging, and never half without a mark.

MLflow is imported late: it takes seconds, which only those should wait for who log.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
import re
import sqlite3
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from hearlab.kernels.retained_memory import objects_stay
from hearlab.secrets import hide, without_login
from hearlab.tracking.names import safe_names, safe_texts
from hearlab.tracking.records import Record
from hearlab.tracking.server import load_mlflow, server_problem
from hearlab.versions.dvc_files import experiment_home

DATABASE = "mlflow.db"  # MLflow's own defaults, so that `mlflow ui` finds them
ARTEFACTS = "mlruns"
EXPERIMENT = "hearlab"
IDENTITY = "hearlab.identity"
OWNER = "hearlab.process"
CONNECT_SECONDS = 5.0  # to find out whether a server is there at all
DEAD_SECONDS = 600.0  # after which a process on another machine counts as dead: logging takes seconds
AT_ONCE = 100  # parameters and tags that MLflow takes in one request
RUNS_AT_MOST = 10_000  # that are asked for at a time: more than one result ever has


class TrackingFailed(Exception):
    """The result could not be logged now: why, in one line."""


@dataclass(frozen=True)
class Backend:
    """Where runs go: a tracking server, a database server, or a local database.

    Attributes:
        uri: as MLflow takes it.
        home: the repository.
    """

    uri: str
    home: Path

    @property
    def scheme(self) -> str:
        return self.uri.partition(":")[0]

    @property
    def on_server(self) -> bool:
        return self.scheme in ("http", "https")

    @property
    def is_database_server(self) -> bool:
        return self.scheme.partition("+")[0] in ("postgresql", "mysql", "mssql")

    @property
    def local_database(self) -> Path | None:
        """The file of an SQLite database."""
        match = re.fullmatch(r"sqlite:///(/.*)", self.uri)
        return Path(match[1]) if match else None

    @property
    def shown(self) -> str:
        """For messages, without user and password."""
        own = self.home / DATABASE
        return str(own) if self.local_database == own else without_login(self.uri)


class Logged(NamedTuple):
    """A run: its id, and whether it was logged just now."""

    run: str
    new: bool


def backend(root: Path) -> Backend:
    """Where runs of the workspace go: MLFLOW_TRACKING_URI, or a database in the repository."""
    repository = experiment_home(root).resolve()
    uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{DATABASE}"
    if uri.startswith("postgresql://") and find_spec("psycopg") is None:
        # SQLAlchemy's own choice is psycopg 3; the other driver does as well.
        uri = uri.replace("postgresql://", "postgresql+psycopg2://", 1)
    match = re.fullmatch(r"sqlite:///([^/].*)", uri)
    if match:  # relative to the repository, wherever the experiment runs
        uri = f"sqlite:///{repository / match[1]}"
    return Backend(uri, repository)


def log(record: Record, where: Backend) -> Logged:
    """Log a result, unless it is there: as a finished run with all it holds.

    A run of it that was interrupted is marked and logged anew. An interruption now marks the run as killed.

    Raises:
        TrackingFailed: nothing is there, or it refused.
        KeyboardInterrupt: interrupted.
    """
    try:
        with _one_at_a_time(where), objects_stay():  # to look through what MLflow makes takes 0.6 s
            return _log(record, where)
    except TrackingFailed:
        raise
    except ImportError as error:
        raise TrackingFailed(f"{error.name} is not installed (pip install 'hearlab[pipeline,postgresql]')") from None
    except Exception as error:  # of MLflow, SQLAlchemy, the drivers, requests
        text = hide((str(error).strip().splitlines() or [""])[0])
        raise TrackingFailed(f"{type(error).__name__}: {text[:200]}") from error


def _log(record: Record, where: Backend) -> Logged:
    _reach(where)
    client = _client(where)
    experiment = _experiment(client, where)
    _mark_interrupted(client, experiment)
    there = _keep_one(client, experiment, record.identity)
    if there is not None:
        return Logged(there, new=False)
    tags = {**record.tags, OWNER: _own_name(), "mlflow.runName": record.name}
    texts = safe_texts(tags, "tag")
    run = str(client.create_run(experiment, start_time=time.time_ns() // 1_000_000, tags=texts).info.run_id)
    try:
        _fill(client, run, record)
        client.set_terminated(run, "FINISHED")
    except BaseException as error:
        with contextlib.suppress(Exception):  # the server may be what failed; then the next `track` marks the run
            client.set_terminated(run, "FAILED" if isinstance(error, Exception) else "KILLED")
        raise
    kept = _keep_one(client, experiment, record.identity) or run
    return Logged(kept, new=kept == run)


def _fill(client: Any, run: str, record: Record) -> None:
    entities = load_mlflow("mlflow.entities")
    params = [entities.Param(name, value) for name, value in safe_texts(record.params, "param").items()]
    names = safe_names(record.metrics)
    metrics = [entities.Metric(names[name], value, record.created, 0) for name, value in record.metrics.items()]
    for name, points in record.curves.items():
        metrics += [entities.Metric(name, value, record.created, step) for step, value in points]
    for start in range(0, max(len(params), len(metrics)), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        client.log_batch(run, params=params[part], metrics=metrics[part])
    client.log_artifacts(run, str(record.artefacts))


@contextlib.contextmanager
def _one_at_a_time(where: Backend) -> Iterator[None]:
    """Hold the lock of a local database; a server keeps order among its clients."""
    if where.on_server or where.is_database_server:
        yield
        return
    file = where.local_database or where.home / DATABASE
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.with_name(f"{file.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _runs(client: Any, experiment: str, query: str) -> list[Any]:
    """Runs that a query finds, in an order that all processes agree on."""
    found = client.search_runs([experiment], filter_string=query, max_results=RUNS_AT_MOST)
    return sorted(found, key=lambda run: (run.info.start_time, run.info.run_id))


def _mark_interrupted(client: Any, experiment: str) -> None:
    """Mark runs whose processes are dead as killed: MLflow would show them as running for ever."""
    for run in _runs(client, experiment, "attributes.status = 'RUNNING'"):
        owner = run.data.tags.get(OWNER)
        if owner is not None and not _alive(owner, run.info.start_time):
            client.set_terminated(run.info.run_id, "KILLED")


def _keep_one(client: Any, experiment: str, identity: str) -> str | None:
    """Of the finished runs of a result keep the first; gives its id, or None where there is none.

    Two machines can log the same result at the same time. Whoever ends last sees both runs, and all choose the same.
    """
    runs = _runs(client, experiment, f"attributes.status = 'FINISHED' AND tags.`{IDENTITY}` = '{identity}'")
    for run in runs[1:]:
        client.delete_run(run.info.run_id)
    return str(runs[0].info.run_id) if runs else None


def _own_name() -> str:
    return f"{platform.node()} {os.getpid()} {_started(os.getpid())}"


def _alive(owner: str, start: int) -> bool:
    """Whether the process of that name is still logging a run that began at `start` (ms since 1970)."""
    name, _, started = owner.rpartition(" ")
    host, _, process = name.rpartition(" ")
    if host != platform.node() or not process.isdigit():
        return time.time() - start / 1000 < DEAD_SECONDS
    return str(_started(int(process))) == started


def _started(process: int) -> int | None:
    """When a process of this machine was started; None if it is dead."""
    import psutil

    try:
        return int(psutil.Process(process).create_time())
    except psutil.Error:
        return None


def _client(where: Backend) -> Any:
    if where.local_database and not where.local_database.exists():
        sys.stderr.write(f"track: preparing {where.shown} (once, some seconds)\n")
    return load_mlflow("mlflow.tracking").MlflowClient(tracking_uri=where.uri)


def _experiment(client: Any, where: Backend) -> str:
    """The id of the experiment that MLFLOW_EXPERIMENT_ID or MLFLOW_EXPERIMENT_NAME names.

    One that is known by its name alone is made if it is not there.

    Raises:
        TrackingFailed: there is none of that id, the two name different ones, or it is deleted.
    """
    known, name = (os.environ.get(f"MLFLOW_EXPERIMENT_{kind}") for kind in ("ID", "NAME"))
    if known:
        there = _experiment_of_id(client, known)
        if name and there.name != name:
            raise TrackingFailed(f"MLFLOW_EXPERIMENT_ID={known} is {there.name}, MLFLOW_EXPERIMENT_NAME says {name}")
    else:
        name = name or EXPERIMENT
        there = client.get_experiment_by_name(name)
    if there is None:
        # A database has no place for files; those in the repository outlive the temporary folder of an experiment.
        artefacts = None if where.on_server else (where.home / ARTEFACTS).as_uri()
        try:
            return str(client.create_experiment(name, artifact_location=artefacts))
        except Exception:
            there = client.get_experiment_by_name(name)  # another process has just made it
            if there is None:
                raise
    if there.lifecycle_stage != "active":
        raise TrackingFailed(f"the experiment {there.name} is deleted there: restore it, or name another one")
    _follow_move(where, str(there.artifact_location))
    return str(there.experiment_id)


def _experiment_of_id(client: Any, known: str) -> Any:
    try:
        return client.get_experiment(known)
    except load_mlflow("mlflow.exceptions").MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        raise TrackingFailed(f"MLFLOW_EXPERIMENT_ID={known}: there is no such experiment") from None


def _follow_move(where: Backend, before: str) -> None:
    """Correct the paths in the repository's own database, which are absolute, after the repository was moved or copied.

    Otherwise a copy would write its files into the original.
    """
    now = (where.home / ARTEFACTS).as_uri()
    if where.local_database != where.home / DATABASE or before == now:
        return
    with contextlib.closing(sqlite3.connect(where.home / DATABASE)) as database, database:
        for table, column in (("experiments", "artifact_location"), ("runs", "artifact_uri")):
            database.execute(
                f"UPDATE {table} SET {column} = :now || substr({column}, length(:before) + 1) "
                f"WHERE substr({column} || '/', 1, length(:before) + 1) = :before || '/'",
                {"now": now, "before": before},
            )


def _reach(where: Backend) -> None:
    """Find out in seconds whether a server is there: MLflow's own attempts go on for minutes.

    Raises:
        TrackingFailed: it is not.
    """
    if where.on_server:
        problem = server_problem(where.uri, CONNECT_SECONDS)
        if problem:
            raise TrackingFailed(hide(f"does not answer ({problem})"))
    elif where.is_database_server:
        import sqlalchemy

        options = {} if where.scheme.startswith("mssql") else {"connect_timeout": int(CONNECT_SECONDS)}
        engine = sqlalchemy.create_engine(where.uri, connect_args=options)
        try:
            engine.connect().close()
        except sqlalchemy.exc.SQLAlchemyError as error:
            text = hide(" ".join(str(getattr(error, "orig", None) or error).split()))
            raise TrackingFailed(f"cannot be used ({text[:200]})") from None
        finally:
            engine.dispose()
