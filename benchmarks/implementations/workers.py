"""Worker processes: one implementation each, one thread each, tasks over pipes."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from hearlab.kernels.arithmetic import FIXED, VARIABLES

HERE = Path(__file__).resolve().parent
OURS, THEIRS = HERE / "ours.py", HERE / "theirs.py"
ONE_THREAD = {
    f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "NUMBA", "NUMEXPR", "VECLIB_MAXIMUM")
}


class TaskFailedError(Exception):
    """A task raised an error, or its process ended."""


@dataclass(frozen=True)
class Reply:
    """What a task took and returned, or (`error`: name of the exception) how it failed."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_bytes: int = 0
    values: Mapping[str, np.ndarray] | None = None
    error: str | None = None
    text: str = ""


class Worker:
    """A process that runs the tasks of `script`; close it, or use it in a `with` block.

    Args:
        python: interpreter of the implementation's environment.
        script: `OURS`, `THEIRS` or another script that calls `serve`.
        scratch: folder for values and for what the process says on standard error.
        cpu: core to run on; None for any.
        environment: more environment variables.
    """

    _numbers = itertools.count()

    def __init__(
        self,
        python: Path | str,
        script: Path,
        scratch: Path,
        *,
        cpu: int | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._name = f"{script.stem}-{next(self._numbers)}"
        self._values = scratch / f"{self._name}.npz"
        self._log = scratch / f"{self._name}.log"
        # The script finds the modules beside it under the same names as here.
        path = os.pathsep.join(filter(None, (os.fspath(HERE.parent), os.environ.get("PYTHONPATH"))))
        own = {name: value for name, value in os.environ.items() if name not in (*VARIABLES, FIXED)}
        variables = {**own, "PYTHONPATH": path, **ONE_THREAD, **(environment or {})}
        if cpu is not None:
            variables["BENCH_CPU"] = str(cpu)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [os.fspath(python), os.fspath(script)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=variables,
                text=True,
                encoding="utf-8",
            )

    def ask(self, task: str, **arguments: Any) -> Reply:
        """Run a task; its own error is part of the reply.

        Raises:
            TaskFailedError: the process ended without an answer.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request = {"task": task, "arguments": arguments, "values": os.fspath(self._values)}
        with contextlib.suppress(BrokenPipeError):  # reported below, as a missing answer
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            code = self._process.wait()
            last = "\n".join(self._log.read_text(errors="replace").splitlines()[-12:])
            raise TaskFailedError(f"{self._name}: {task}: the process ended with code {code}\n{last}")
        answer = json.loads(line)
        if "error" in answer:
            return Reply(**answer)
        with np.load(self._values) as file:
            values = {name: file[name] for name in file.files}
        return Reply(**answer, values=values)

    def call(self, task: str, **arguments: Any) -> Reply:
        """Run a task.

        Raises:
            TaskFailedError: it raised an error, or the process ended.
        """
        reply = self.ask(task, **arguments)
        if reply.error is not None:
            raise TaskFailedError(f"{self._name}: {task}: {reply.error}: {reply.text}")
        return reply

    def close(self) -> None:
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._process.kill()  # it may be in the middle of a long task
        self.close()


def last_core() -> int | None:
    """The core that the workers share: the last one that this process may use; None where processes cannot be bound."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    return max(os.sched_getaffinity(0))


def our_python() -> Path:
    return Path(sys.executable)
