"""Whether the enhancement system takes the parameters of all points: asked before the first one runs.

A system's constructor is the user's code. So a process of its own makes them, once for each set of arguments, as the
stage check_params of each experiment would: `python -m hearlab.sweep.constructors ANSWERS`, with points as its input.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hearlab.compute.process import how_ended, process_died
from hearlab.errors import InputError, ParameterError
from hearlab.files import parse_yaml
from hearlab.params import PARAMS_FILE, check_params
from hearlab.source import running_source
from hearlab.sweep.points import Point
from hearlab.systems.base import shared_system, system_arguments

DETAILS = ("field", "found", "wanted", "advice")


def check_constructors(root: Path, wanted: Sequence[Point]) -> None:
    """Make the system of each point, in another process that starts in `root`; what it prints is not shown.

    Raises:
        ParameterError: one of them cannot be made; the line names the point's changes.
    """
    if not wanted:
        return
    paths = filter(None, [str(running_source()), os.environ.get("PYTHONPATH")])
    with tempfile.TemporaryDirectory(prefix="hearlab-") as folder:
        answers = Path(folder, "answers")
        done = subprocess.run(
            [sys.executable, "-P", "-m", "hearlab.sweep.constructors", str(answers)],
            cwd=root,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            input=json.dumps([point.content for point in wanted]),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
        lines = answers.read_text(encoding="utf-8").splitlines() if answers.exists() else []
    told = json.loads(lines[-1]) if lines else {}
    if told.get("done"):
        return
    point = wanted[told.get("place", 0)]
    changes = f"-S {' -S '.join(point.changes)}" if point.changes else PARAMS_FILE
    if told.get("error"):
        where, problem, details = told["error"]
        raise ParameterError(f"{changes}: {where}", problem, **details)
    last = next((line for line in reversed(done.stdout.splitlines()) if line.strip()), None)
    system = point.parameters.get("enhance.system")
    died = process_died(how_ended(done.returncode))
    raise ParameterError(f"{changes}: {system}", f"could not be constructed: {died}", found=last)


def main(answers: Path) -> None:
    """Make the systems of the points whose params.yaml the input holds; of each a line says what became of it."""
    known: set[str] = set()
    with answers.open("w", encoding="utf-8") as file:
        for place, content in enumerate(json.load(sys.stdin)):
            print(json.dumps({"place": place}), file=file, flush=True)
            if (error := _error(content, known)) is not None:
                print(json.dumps({"place": place, "error": error}, default=str), file=file, flush=True)
                return
        print(json.dumps({"done": True}), file=file)  # a constructor may end the process with exit code 0


def _error(content: str, known: set[str]) -> tuple[str, str, dict[str, Any]] | None:
    """Why a system cannot be made, as `InputError` takes it; None if it can, or if it is in `known`."""
    try:
        params = check_params(parse_yaml(content.encode()), Path(PARAMS_FILE))
        arguments = system_arguments(params.enhance, params.system_params)
        text = json.dumps(arguments, sort_keys=True)
        if text not in known:
            shared_system(**arguments)
        known.add(text)
    except InputError as error:
        return error.where, error.problem, {name: getattr(error, name) for name in DETAILS}
    return None


if __name__ == "__main__":
    main(Path(sys.argv[1]))
