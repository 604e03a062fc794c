from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from implementations.workers import TaskFailedError, Worker, last_core

TASKS = Path(__file__).resolve().parent / "plain_tasks.py"


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    with Worker(sys.executable, TASKS, tmp_path) as started:
        yield started


def test_values_come_back_whatever_a_library_prints(worker: Worker) -> None:
    for numbers in ([1.0, 2.5], [0.1, 1e-300, np.pi]):
        reply = worker.call("double", numbers=numbers)
        assert reply.values is not None
        np.testing.assert_array_equal(reply.values["doubled"], 2 * np.array(numbers))


def test_only_the_run_is_timed(worker: Worker) -> None:
    reply = worker.call("sleep", prepare=0.5, work=0.1)
    since = time.monotonic()
    assert reply.values is not None
    # All of the work, and nothing of what was before it, however slow the machine is just now.
    assert 0.1 <= reply.values["ran"] <= reply.seconds < since - reply.values["prepared"]
    assert reply.cpu_seconds < 0.1


@pytest.mark.parametrize(
    ("when", "error", "text"), [("preparing", "ValueError", "before"), ("run", "IndexError", "list")]
)
def test_an_error_is_a_reply_and_the_worker_goes_on(worker: Worker, when: str, error: str, text: str) -> None:
    reply = worker.ask("fail", when=when)
    assert reply.error == error
    assert reply.text.startswith(text)
    assert "second line" not in reply.text
    with pytest.raises(TaskFailedError, match=error):
        worker.call("fail", when=when)
    assert worker.call("double", numbers=[1.0]).error is None


def test_a_process_that_ends_is_told_with_its_last_words(worker: Worker) -> None:
    with pytest.raises(TaskFailedError, match=r"code 3\n(?s:.*)last words"):
        worker.ask("end")
    with pytest.raises(TaskFailedError, match="code 3"):
        worker.ask("double", numbers=[1.0])


def test_one_thread(worker: Worker) -> None:
    values = worker.call("threads").values
    assert values is not None
    assert values["omp"] == 1


@pytest.mark.slow
def test_peak_memory_is_the_workers_own(tmp_path: Path) -> None:
    held_by_the_parent = np.ones(60_000_000)  # 480 MB
    with Worker(sys.executable, TASKS, tmp_path) as started:
        small = started.call("hold", megabytes=1).peak_bytes
        large = started.call("hold", megabytes=200).peak_bytes
    assert held_by_the_parent[-1] == 1
    assert small < 300e6
    assert 150e6 < large - small < 260e6


@pytest.mark.skipif(last_core() is None, reason="processes cannot be bound to a core here")
def test_bound_to_the_last_core() -> None:
    assert last_core() in os.sched_getaffinity(0)
