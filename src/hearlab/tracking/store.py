"""Brings a written-down result into MLflow: once, whoever else is logging, and never half without a mark.

MLflow is imported late: it takes seconds, which nobody should wait for who does not log.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import json
import logging
import os
import platform
import re
import sqlite3
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hearlab.tracking.records import Record, home

DATABASE = "mlflow.db"  # names that MLflow takes by itself, so that `mlflow ui` finds them
ARTEFACTS = "mlruns"
EXPERIMENT = "hearlab"
IDENTITY = "hearlab.identity"
OWNER = "hearlab.process"
CONNECT_SECONDS = 5.0  # to find out whether a server is there at all
POLL_SECONDS = 0.5
# How long to wait for another process that is logging the same result, and after how long such a process on another
# machine is taken for dead: logging takes seconds.
WAIT_SECONDS = 60.0
DEAD_SECONDS = 600.0
AT_ONCE = 100  # parameters and tags that MLflow takes in one request
# A server that fails is found out in seconds: the result is kept and logged later. MLflow's own are 120 s and 7.
PATIENCE = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "20", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}


class TrackingFailed(Exception):
    """The result could not be logged now: why, in one line."""


@dataclass(frozen=True)
class Place:
    """Where runs go.

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
    def shown(self) -> str:
        """For messages, without a password."""
        default = self.uri == _local_uri(self.home)
        return str(self.home / DATABASE) if default else hide_password(self.uri)


@dataclass(frozen=True)
class Logged:
    """A run: its id, and whether it was logged just now."""

    run: str
    new: bool


def hide_password(text: str) -> str:
    """The text, with the passwords of addresses in it replaced."""
    return re.sub(r"(://[^\s/:@]*):[^\s@/]+@", r"\1:***@", text)


def place(root: Path) -> Place:
    """Where runs of the workspace go: MLFLOW_TRACKING_URI, or a database in the repository."""
    repository = home(root).resolve()
    uri = os.environ.get("MLFLOW_TRACKING_URI") or _local_uri(repository)
    if uri.startswith("postgresql://") and find_spec("psycopg") is None:
        # SQLAlchemy's own choice is psycopg 3; the other driver does as well.
        uri = uri.replace("postgresql://", "postgresql+psycopg2://", 1)
    match = re.fullmatch(r"sqlite:///([^/].*)", uri)
    if match:  # relative to the repository, wherever the experiment runs
        uri = f"sqlite:///{repository / match[1]}"
    return Place(uri, repository)


def _local_uri(repository: Path) -> str:
    return f"sqlite:///{repository / DATABASE}"


def log(record: Record, where: Place) -> Logged:
    """Log a result, unless it is there: as a finished run with all it holds.

    A run of it that was interrupted is marked and logged anew. An interruption now marks the run as killed.

    Raises:
        TrackingFailed: nothing is there, it refused, or another process has been at the same result for long.
        KeyboardInterrupt: interrupted.
    """
    try:
        with _one_at_a_time(where):
            return _log(record, where)
    except TrackingFailed:
        raise
    except ImportError as error:
        raise TrackingFailed(f"{error.name} is not installed (pip install 'hearlab[pipeline,postgresql]')") from None
    except Exception as error:  # of MLflow, SQLAlchemy, the drivers, requests
        text = (str(error).strip().splitlines() or [""])[0]
        raise TrackingFailed(hide_password(f"{type(error).__name__}: {text[:200]}")) from error


def _log(record: Record, where: Place) -> Logged:
    _reach(where)
    client = _client(where)
    experiment = _experiment(client, where)
    _mark_interrupted(client, experiment)
    there = _wait_for_others(client, experiment, record.identity)
    if there is not None:
        return Logged(there, new=False)
    tags = {**record.tags, OWNER: _own_name(), "mlflow.runName": record.name}
    run = str(client.create_run(experiment, start_time=time.time_ns() // 1_000_000, tags=_safe(tags, 5000)).info.run_id)
    try:
        _fill(client, run, record)
        client.set_terminated(run, "FINISHED")
    except BaseException as error:
        with contextlib.suppress(Exception):  # the server may be what failed; then the next `track` marks the run
            client.set_terminated(run, "FAILED" if isinstance(error, Exception) else "KILLED")
        raise
    kept = _keep_one(client, experiment, record.identity)
    return Logged(kept, new=kept == run)


def _fill(client: Any, run: str, record: Record) -> None:
    entities = _mlflow("mlflow.entities")
    params = [entities.Param(name, value) for name, value in _safe(record.params, 6000).items()]
    metrics = [entities.Metric(name, value, record.created, 0) for name, value in record.metrics.items()]
    for start in range(0, len(params), AT_ONCE):
        client.log_batch(run, params=params[start : start + AT_ONCE])
    for start in range(0, len(metrics), AT_ONCE):
        client.log_batch(run, metrics=metrics[start : start + AT_ONCE])
    client.log_artifacts(run, str(record.artefacts))


def _safe(values: Mapping[str, Any], longest: int) -> dict[str, str]:
    """Names and values as MLflow takes them."""
    texts = {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
        for name, value in values.items()
    }
    return {re.sub(r"[^\w./ :-]", "_", name)[:250]: text[:longest] for name, text in texts.items()}


# --- one run for each result ----------------------------------------------------------------------------------


@contextlib.contextmanager
def _one_at_a_time(where: Place) -> Iterator[None]:
    """Hold the lock of a local database; a server keeps order among its clients by itself."""
    if where.on_server or where.is_database_server:
        yield
        return
    match = re.fullmatch(r"sqlite:///(/.*)", where.uri)
    file = Path(match[1] if match else where.home / DATABASE)
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.with_name(f"{file.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _runs(client: Any, experiment: str, query: str) -> list[Any]:
    found: list[Any] = []
    token = None
    while True:
        page = client.search_runs([experiment], filter_string=query, max_results=1000, page_token=token)
        found += page
        token = page.token
        if not token:
            return found


def _of(client: Any, experiment: str, identity: str) -> list[Any]:
    """Runs of that result, in an order that all processes agree on."""
    found = _runs(client, experiment, f"tags.`{IDENTITY}` = '{identity}'")
    return sorted(found, key=lambda run: (run.info.start_time, run.info.run_id))


def _mark_interrupted(client: Any, experiment: str) -> None:
    """Mark runs whose processes are dead: they would stand as running for ever."""
    for run in _runs(client, experiment, "attributes.status = 'RUNNING'"):
        owner = run.data.tags.get(OWNER)
        if owner is not None and not _alive(owner, run.info.start_time):
            client.set_terminated(run.info.run_id, "KILLED")


def _wait_for_others(client: Any, experiment: str, identity: str) -> str | None:
    """The finished run of that result; waits for one that another process is just logging."""
    end = time.monotonic() + WAIT_SECONDS
    while True:
        runs = _of(client, experiment, identity)
        finished = [run for run in runs if run.info.status == "FINISHED"]
        if finished:
            return str(finished[0].info.run_id)
        running = [run for run in runs if run.info.status == "RUNNING"]
        if not running:
            return None
        if time.monotonic() > end:
            raise TrackingFailed(f"{running[0].data.tags.get(OWNER)} has been logging the same result for long")
        time.sleep(POLL_SECONDS)
        _mark_interrupted(client, experiment)


def _keep_one(client: Any, experiment: str, identity: str) -> str:
    """Of several finished runs of a result keep the first; gives its id.

    Two machines can begin at the same moment without seeing each other. Whoever ends last sees both runs, and all
    choose the same one.
    """
    runs = [run for run in _of(client, experiment, identity) if run.info.status == "FINISHED"]
    for run in runs[1:]:
        client.delete_run(run.info.run_id)
    return str(runs[0].info.run_id)


def _own_name() -> str:
    return f"{platform.node()} {os.getpid()} {_started(os.getpid())}"


def _alive(owner: str, start: int) -> bool:
    """Whether the process of that name is still logging a run that began at `start` (ms since 1970)."""
    host, _, process = owner.rpartition(" ")[0].rpartition(" ")
    if host != platform.node() or not process.isdigit():
        return time.time() - start / 1000 < DEAD_SECONDS
    return f"{_started(int(process))}" == owner.rpartition(" ")[2]


def _started(process: int) -> int | None:
    """When a process of this machine was started; None if it is dead."""
    import psutil

    try:
        return int(psutil.Process(process).create_time())
    except psutil.Error:
        return None


# --- MLflow itself --------------------------------------------------------------------------------------------


def _mlflow(module: str) -> Any:
    """Import a part of MLflow, with its chatter and its telemetry off."""
    os.environ.update(MLFLOW_DISABLE_TELEMETRY="true", MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT="true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    for name, value in PATIENCE.items():
        os.environ.setdefault(name, value)
    loaded = importlib.import_module(module)
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return loaded


def _client(where: Place) -> Any:
    if where.scheme == "sqlite" and not Path(where.uri.removeprefix("sqlite:///")).exists():
        sys.stderr.write(f"track: preparing {where.shown} (once, some seconds)\n")
    return _mlflow("mlflow.tracking").MlflowClient(tracking_uri=where.uri)


def _experiment(client: Any, where: Place) -> str:
    """The id of the experiment that MLFLOW_EXPERIMENT_NAME names; it is made if it is not there."""
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT
    there = client.get_experiment_by_name(name)
    if there is None:
        # A database knows no place for files; what is beside the repository stays when an experiment's folder goes.
        artefacts = None if where.on_server else (where.home / ARTEFACTS).as_uri()
        try:
            return str(client.create_experiment(name, artifact_location=artefacts))
        except Exception:
            there = client.get_experiment_by_name(name)  # another process has just made it
            if there is None:
                raise
    if there.lifecycle_stage != "active":
        raise TrackingFailed(f"the experiment {name} is deleted there: restore it, or set MLFLOW_EXPERIMENT_NAME")
    _follow_move(where, str(there.artifact_location))
    return str(there.experiment_id)


def _follow_move(where: Place, before: str) -> None:
    """Let the repository's own database know where it is: MLflow notes where its files are from the root on.

    In a copy of the repository, new files would go to the original otherwise.
    """
    now = (where.home / ARTEFACTS).as_uri()
    if where.uri != _local_uri(where.home) or before == now:
        return
    with contextlib.closing(sqlite3.connect(where.home / DATABASE)) as database, database:
        for table, column in (("experiments", "artifact_location"), ("runs", "artifact_uri")):
            database.execute(
                f"UPDATE {table} SET {column} = :now || substr({column}, length(:before) + 1) "
                f"WHERE substr({column} || '/', 1, length(:before) + 1) = :before || '/'",
                {"now": now, "before": before},
            )


def _reach(where: Place) -> None:
    """Find out in seconds whether a server is there: MLflow's own attempts go on for minutes.

    Raises:
        TrackingFailed: it is not.
    """
    if where.on_server:
        try:
            urllib.request.urlopen(f"{where.uri.rstrip('/')}/health", timeout=CONNECT_SECONDS).close()
        except urllib.error.HTTPError:
            return  # it answers, if not to this
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            raise TrackingFailed(hide_password(f"does not answer ({reason})")) from None
    elif where.is_database_server:
        import sqlalchemy

        options = {} if where.scheme.startswith("mssql") else {"connect_timeout": int(CONNECT_SECONDS)}
        engine = sqlalchemy.create_engine(where.uri, connect_args=options)
        try:
            engine.connect().close()
        except sqlalchemy.exc.SQLAlchemyError as error:
            text = " ".join(str(getattr(error, "orig", None) or error).split())
            raise TrackingFailed(hide_password(f"cannot be used ({text[:200]})")) from None
        finally:
            engine.dispose()
