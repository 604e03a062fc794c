"""The process that makes the site: none is started once the server ends, and none stays."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hearlab.report.serve import rebuild
from hearlab.report.serve.rebuild import Rebuilder
from waits import LONGEST

# A report that does not mind Ctrl-C, with a worker that its parent's end does not end; both hold the pipe.
DEAF = """
import signal, subprocess, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
worker = subprocess.Popen([sys.executable, "-c", "import signal; print('here', flush=True); signal.pause()"])
worker.wait()
"""


def test_none_is_started_after_the_end(tmp_path: Path) -> None:
    rebuilder = Rebuilder(tmp_path, [], print)
    rebuilder.end()
    assert not rebuilder.build()
    assert rebuilder._process is None


def test_a_report_that_hangs_ends_with_its_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebuild, "ENDING_SECONDS", 0.2)
    rebuilder = Rebuilder(tmp_path, [], print)
    process = subprocess.Popen([sys.executable, "-c", DEAF], stdout=subprocess.PIPE, start_new_session=True)
    pipe = process.stdout
    assert pipe is not None
    assert pipe.readline() == b"here\n"
    rebuilder._process = process
    rebuilder.end()
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append(pipe.read()), daemon=True)
    reader.start()
    reader.join(LONGEST)
    assert found == [b""]  # the pipe has no writer left
    process.wait()


def test_a_workspace_that_is_gone_is_told(tmp_path: Path) -> None:
    said: list[str] = []
    assert not Rebuilder(tmp_path / "gone", [], said.append).build()
    assert said == ["hearlab report cannot be started: No such file or directory"]
