"""HearLab's own functions run with the arithmetic of the pipeline, whatever this process has loaded before.

The pipeline fixes what numpy and others choose by the processor (`hearlab.kernels.arithmetic`), but for a system of
one's own. A notebook, or a process that runs such a system, has not done so, and numpy cannot be told any more: then
the functions run in a process beside this one, which is started once and kept.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hearlab.compute.process import OneThread
from hearlab.errors import InputError, ParameterError
from hearlab.kernels.arithmetic import FIXED, fix, fixed_variables, is_fixed
from hearlab.named import load_named
from hearlab.source import running_source

PROGRAM = "from hearlab.kernels.arithmetic import fix; fix(); from hearlab.lab.fixed import serve; serve()"
DETAILS = ("where", "problem", "field", "found", "wanted", "advice")


def is_as_pipeline() -> bool:
    """Whether this process computes as the pipeline's own stages do."""
    return not fixed_variables() or (FIXED in os.environ and is_fixed())


class Pipeline:
    """Calls functions of stages, `function(root, out, **arguments)`, in the workspace `root`.

    The process beside this one, if one is needed, starts at once and ends with `close` or this process; a call after
    `close` (of a lab that shares this object) starts another one.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._process: subprocess.Popen[str] | None = None
        self._is_beside = not is_as_pipeline()
        if self._is_beside:
            self._process = self._start()

    def call(self, function: str, out: Path, arguments: Mapping[str, Any]) -> Any:
        """What 'package.module:name' returns for the arguments, which JSON can hold; files go into the folder `out`.

        Raises:
            InputError: as the function does, or the process beside this one has ended.
        """
        if not self._is_beside:
            with OneThread() as threads:
                called = load_named(function)
                threads.limit()
                return called(Path(), out, **arguments)
        return self._ask({"function": function, "out": os.fspath(out), "arguments": arguments})

    def close(self) -> None:
        """End the process beside this one."""
        if self._process is not None:
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe:
                    with contextlib.suppress(OSError):  # half a job that nobody will read
                        pipe.close()
            self._process.wait()
            self._process = None

    def _start(self) -> subprocess.Popen[str]:
        paths = [str(running_source()), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
        return subprocess.Popen(
            [sys.executable, "-P", "-c", PROGRAM],
            cwd=self._root,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            start_new_session=True,  # Ctrl-C is for this process, which ends the other
        )

    def _ask(self, job: dict[str, Any]) -> Any:
        process = self._process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(job) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except OSError:
            line = ""
        except BaseException:  # Ctrl-C: its answer would be taken for that of the next call
            process.kill()
            self.close()
            self._process = self._start()
            raise
        if not line:
            code = process.wait()
            self._process = self._start()  # for the next call
            raise InputError("the process that scores", "has ended", found=f"exit code {code}", advice="try it again")
        reply = json.loads(line)
        if "result" in reply:
            return reply["result"]
        error = ParameterError if reply["parameter"] else InputError
        details = reply["error"]
        raise error(details.pop("where"), details.pop("problem"), **details)


def serve() -> None:
    """Answer jobs from the standard input, one a line, until it ends."""
    fix()
    # What a library prints must not get between the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    with OneThread() as threads:
        for line in sys.stdin:
            job = json.loads(line)
            try:
                called = load_named(job["function"])
                threads.limit()
                reply = {"result": called(Path(), Path(job["out"]), **job["arguments"])}
            except InputError as error:
                texts = {name: _text(getattr(error, name)) for name in DETAILS}
                reply = {"error": texts, "parameter": isinstance(error, ParameterError)}
            except Exception as error:
                texts = {"where": job["function"], "problem": f"{type(error).__name__}: {error}"}
                reply = {"error": texts, "parameter": False}
            answers.write(json.dumps(reply) + "\n")
            answers.flush()


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
