"""The process beside a notebook: each call gets its own answer, whatever happened to the one before."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hearlab.lab import fixed
from hearlab.lab.fixed import Pipeline
from waits import LONGEST

LIMIT_S = LONGEST  # of a wait that something else ends at once
MODULE = f"""
import os
import time
from pathlib import Path


def answer(root, out, *, value):
    return [value, os.getpid()]


def wait(root, out, *, begun):
    Path(begun).touch()
    time.sleep({LIMIT_S})
"""


@pytest.fixture
def pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    (tmp_path / "answers.py").write_text(MODULE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(fixed, "is_as_pipeline", lambda: False)
    made = Pipeline(tmp_path)
    yield made
    made.close()


def call(pipeline: Pipeline, value: int) -> list[int]:
    found: list[int] = pipeline.call("answers:answer", Path(), {"value": value})
    return found


def test_after_ctrl_c_the_next_call_gets_its_own_answer(pipeline: Pipeline, tmp_path: Path) -> None:
    """It once got that of the call that was interrupted: the score of another pair."""
    begun = tmp_path / "begun"
    notebook = threading.main_thread().ident
    assert notebook is not None

    def press() -> None:
        until = time.monotonic() + LIMIT_S
        while not begun.exists() and time.monotonic() < until:
            time.sleep(0.01)
        signal.pthread_kill(notebook, signal.SIGINT)  # only while the call waits: elsewhere it would end the tests

    keys = threading.Thread(target=press)
    keys.start()
    with pytest.raises(KeyboardInterrupt):
        pipeline.call("answers:wait", Path(), {"begun": os.fspath(begun)})
    keys.join()
    assert call(pipeline, 2)[0] == 2


def test_a_lab_that_is_closed_leaves_the_others_theirs(pipeline: Pipeline) -> None:
    """Labs of other parameters share the process; without it they once computed in the notebook's own arithmetic."""
    first = call(pipeline, 1)
    pipeline.close()
    second = call(pipeline, 2)
    assert second[0] == 2
    assert os.getpid() not in (first[1], second[1])
