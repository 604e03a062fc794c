"""A command run again, in a process of its own, whenever the code of the system or the parameters change."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hearlab
from hearlab.compute.code.file_cache import is_left_over
from hearlab.compute.code_identity import code_of, is_own
from hearlab.compute.process import how_ended
from hearlab.errors import InputError
from hearlab.files import read_yaml
from hearlab.params import PARAMS_FILE
from hearlab.source import running_source
from hearlab.text import few

POLL_SECONDS = 0.25
ENDING_SECONDS = 5.0
ENDS = (0, 1, 2, 130)  # exit codes of `hearlab.cli.main`
PROGRAM = "import sys; from hearlab.cli import main; sys.exit(main())"

State = dict[str, tuple[int, int, int]]


def watch(first: Sequence[str], then: Sequence[str], root: Path, system: str | None) -> int:
    """Run `hearlab FIRST...`, and `hearlab THEN...` after each change, until Ctrl-C.

    Args:
        first, then: the arguments.
        root: the workspace.
        system: the name of the system, if it is not that of params.yaml.

    Returns:
        the exit code: 0, or 130 if Ctrl-C came while the command ran.
    """
    arguments = first
    while True:
        before = watched_state(root, system)
        process = _start(arguments)
        try:
            code = process.wait()
        except KeyboardInterrupt:
            _end(process)
            return 130
        if code not in ENDS:  # a shell would say so
            _say(f"hearlab: its process died ({how_ended(code)})")
        try:
            _say("waiting for a change of code or params.yaml (Ctrl-C ends)")
            changed = _wait(root, system, before)
        except KeyboardInterrupt:
            _say("hearlab: stopped watching")
            return 0
        _say(f"\n{time.strftime('%H:%M:%S')} {few(changed, 3)} changed")
        arguments = then


def watched_state(root: Path, system: str | None) -> State:
    """Each file that is watched, with time of change, size and inode: HearLab's own, the system's, params.yaml."""
    paths = {os.fspath(root / PARAMS_FILE)}
    paths.update(_files(Path(hearlab.__file__).parent, only=".py"))
    name = system or _system(root)
    if name and is_own(name):
        top = name.partition(":")[0].split(".")[0]
        for place in _places(top):
            paths.update(_files(place) if place.is_dir() else [os.fspath(place)])
        with contextlib.suppress(InputError, OSError, ValueError):  # half an edit: the package itself is watched
            paths.update(code_of(None, (name,)).own)  # other local packages that it imports, too
    state = {}
    for path in paths:
        try:
            status = os.stat(path)
        except OSError:
            continue
        state[path] = (status.st_mtime_ns, status.st_size, status.st_ino)
    return state


def _system(root: Path) -> str | None:
    try:
        enhance: Any = read_yaml(root / PARAMS_FILE).get("enhance")
    except (InputError, AttributeError):
        return None
    name = enhance.get("system") if isinstance(enhance, dict) else None
    return name if isinstance(name, str) else None


def _places(top: str) -> list[Path]:
    """The folders or the file of a package or module; it is not imported."""
    importlib.invalidate_caches()
    try:
        found = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return []
    if found is None:
        return []
    if found.submodule_search_locations is not None:
        return [Path(place) for place in found.submodule_search_locations]
    return [Path(found.origin)] if found.has_location and found.origin else []


def _files(folder: Path, only: str = "") -> list[str]:
    paths = []
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not is_left_over(name)]
        paths += [os.path.join(parent, name) for name in files if name.endswith(only) and not is_left_over(name)]
    return paths


def _wait(root: Path, system: str | None, before: State) -> list[str]:
    """Wait until files differ from what they were, and have not changed for a moment; gives their names."""
    now = watched_state(root, system)
    while now == before:
        time.sleep(POLL_SECONDS)
        now = watched_state(root, system)
    while (later := watched_state(root, system)) != now:  # an editor writes in steps
        now = later
        time.sleep(POLL_SECONDS)
    paths = sorted(path for path in {**before, **now} if before.get(path) != now.get(path))
    return [os.path.relpath(path, root) for path in paths]


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _start(arguments: Sequence[str]) -> subprocess.Popen[bytes]:
    paths = [str(running_source()), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    sys.stdout.flush()
    return subprocess.Popen([sys.executable, "-P", "-c", PROGRAM, *arguments], env=environment)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a command after Ctrl-C, which a terminal has sent to it as well."""
    try:
        process.wait(POLL_SECONDS)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
