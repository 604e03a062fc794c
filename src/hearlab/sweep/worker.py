"""The process that runs experiments of a sweep one after the other: `python -m hearlab.sweep.worker ROOT`.

Each line of its input is an experiment: a point's name, its params.yaml, flat parameters, code and system, and its log.
It answers each with a line, {"name": ..., "error": null or why}. DVC is imported once; each experiment runs in a folder
of its own, as with `dvc exp run --temp`, and DVC_ROOT tells its stages whose memo they use.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hearlab.params import PARAMS_FILE
from hearlab.sweep.left_over import own_folder
from hearlab.sweep.points import why_changed
from hearlab.versions.dvc_command import repository

GATE = ".hearlab/sweep/gate"
LOCK_SECONDS = 120.0  # to wait for another DVC in the workspace


def main(root: Path) -> None:
    """Run the experiments that the input names, until it ends."""
    # The stages inherit neither: what they read is nothing, and what they print goes into the experiment's log.
    tasks, answers = os.fdopen(os.dup(0), encoding="utf-8"), os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for line in tasks:
        task = json.loads(line)
        error = _run(root, task)
        print(json.dumps({"name": task["name"], "error": error}), file=answers, flush=True)


def _run(root: Path, task: dict[str, Any]) -> str | None:
    """Run one experiment; gives why it failed."""
    log = os.open(task["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(log, stream.fileno())
    os.close(log)
    try:
        _experiment(root, task)
    except Exception as error:  # of DVC's own kinds, and of those it is made of
        from dvc.exceptions import DvcException

        if not isinstance(error, DvcException):  # what a stage printed says more of these
            traceback.print_exc()
            sys.stderr.flush()
        return " ".join(f"{error.__cause__ or error}".split())[:300] or type(error).__name__
    return None


def _experiment(root: Path, task: dict[str, Any]) -> None:
    from dvc.lock import LockError
    from dvc.repo import lock_repo
    from dvc.repo.experiments.executor.local import TempDirExecutor

    with repository(root) as repo:
        experiments = repo.experiments
        queue = experiments.tempdir_queue

        def write_params(params: dict[str, Any], no_hydra: bool = False) -> None:
            # The whole file as it was when the sweep began, with the point's changes. DVC would apply these to what
            # params.yaml says now.
            for path, content in params.items():
                Path(path).write_text(content, encoding="utf-8")
            repo.scm.add(list(params))

        queue._update_params = write_params
        # DVC changes the workspace for a moment, to note it as it is with the experiment's parameters, and then puts
        # it back: one experiment at a time, and no Ctrl-C in between.
        until, told = time.monotonic() + LOCK_SECONDS, False
        while True:
            try:
                with _gate(root), _uninterrupted(), lock_repo(repo):
                    if why := why_changed(root, task["code"], task["system"], task["parameters"]):
                        raise RuntimeError(why)
                    params = {PARAMS_FILE: task["content"]}
                    entry = experiments.queue_one(queue, targets=None, params=params, name=task["name"])
                    folder = own_folder(Path(queue._standalone_tmp_dir))
                    executor = queue.init_executor(experiments, entry, TempDirExecutor, wdir=str(folder))
                break
            except LockError:  # the user's own dvc is at work in the workspace
                if time.monotonic() > until:
                    raise
                if not told:
                    sys.stderr.write("waiting for another DVC that is at work here\n")
                    sys.stderr.flush()
                told = True
                time.sleep(0.5)
        try:
            if not queue._reproduce_entry(entry, executor):
                raise RuntimeError("DVC made no experiment")
        finally:
            with contextlib.suppress(OSError):  # DVC has emptied it
                folder.rmdir()


@contextlib.contextmanager
def _gate(root: Path) -> Iterator[None]:
    with (root / GATE).open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C waits for the end of the block."""
    seen: list[int] = []
    former = signal.signal(signal.SIGINT, lambda number, frame: seen.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)
    if seen:
        raise KeyboardInterrupt


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main(Path(sys.argv[1]))
