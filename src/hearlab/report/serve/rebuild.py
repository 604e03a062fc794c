"""The site made again, in a process of its own, when results change."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from hearlab.source import running_source

POLL_SECONDS = 0.5
ENDING_SECONDS = 5.0
PROGRAM = "import sys; from hearlab.cli import main; sys.exit(main())"
# What the site shows and what changes with every result.
WATCHED = ("dvc.lock", "params.yaml", "metrics/*.csv", "metrics/*.json", "leaderboard/*.yaml")

State = dict[str, tuple[int, int, int]]


def state(root: Path) -> State:
    """Each file that is watched, with time of change, size and inode."""
    found = {}
    for pattern in WATCHED:
        for path in root.glob(pattern):
            try:
                status = path.stat()
            except OSError:
                continue
            found[str(path.relative_to(root))] = (status.st_mtime_ns, status.st_size, status.st_ino)
    return found


class Rebuilder:
    """Runs `hearlab report` at first, and again after each change, in a thread.

    Args:
        root: the workspace.
        arguments: of `hearlab report`.
        say: gets lines for the user.
    """

    def __init__(self, root: Path, arguments: Sequence[str], say: Callable[[str], None]) -> None:
        self.root, self.arguments, self.say = root, arguments, say
        self.built = 0  # how often it went well
        self._ended = threading.Event()
        self._starting = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._seen: State = {}
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def build(self) -> bool:
        """Make the site; whether it went well. What the process says, it says for itself."""
        self._seen = state(self.root)
        paths = [str(running_source()), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
        command = [sys.executable, "-P", "-c", PROGRAM, "report", *self.arguments]
        with self._starting:
            if self._ended.is_set():
                return False
            try:
                # In a group of its own: Ctrl-C ends the server, which ends this.
                self._process = subprocess.Popen(command, cwd=self.root, env=environment, start_new_session=True)
            except OSError as error:
                self.say(f"hearlab report cannot be started: {error.strerror}")
                return False
        done = self._process.wait() == 0
        self.built += done
        return done

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Stop watching, and end a process that still runs."""
        with self._starting:  # after this none is started
            self._ended.set()
        process = self._process
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(ENDING_SECONDS)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)  # its workers, too
        if self._thread.is_alive():
            self._thread.join(ENDING_SECONDS)

    def _watch(self) -> None:
        while not self._ended.wait(POLL_SECONDS):
            now = state(self.root)
            if now == self._seen:
                continue
            # A stage writes its files one by one, and DVC removes them first: wait until they stay.
            while not self._ended.wait(POLL_SECONDS) and (later := state(self.root)) != now:
                now = later
            if self._ended.is_set():
                return
            changed = sorted(path for path in {**self._seen, **now} if self._seen.get(path) != now.get(path))
            self.say(f"{time.strftime('%H:%M:%S')} {', '.join(changed[:3])} changed: the site is made again")
            if not self.build() and not self._ended.is_set():
                self.say("the site stays as it was; the next change makes it again")
