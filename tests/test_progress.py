"""The progress line, on a terminal and in a log."""

from __future__ import annotations

import fcntl
import io
import itertools
import os
import struct
import termios

import pytest

from hearlab import progress as module
from hearlab.progress import UnitProgress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_gets_plain_lines_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    log = io.StringIO()
    progress = UnitProgress("render", 100, log)
    for _ in range(100):
        clock[0] += 1
        progress.advance()
    progress.finish()
    lines = log.getvalue().splitlines()
    assert lines == [
        "render: 30/100, 1.0/s, 1:10 left",
        "render: 60/100, 1.0/s, 0:40 left",
        "render: 90/100, 1.0/s, 0:10 left",
        "render: 100/100, 1.0/s, took 1:40",
    ]
    assert "\r" not in log.getvalue()


def test_a_start_of_workers_is_no_part_of_the_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two units here, a start of half a minute, and then the workers' own pace."""
    clock = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    log = io.StringIO()
    progress = UnitProgress("score", 100, log)
    for clock[0] in (1.0, 2.0):
        progress.advance()
    clock[0] = 32.0
    progress.count_from_here()
    progress.advance()
    for _ in range(60):
        clock[0] += 1
        progress.advance()
    clock[0] = 100.0
    progress.finish()
    assert log.getvalue().splitlines() == [
        "score: 3/100",  # nothing is known yet
        "score: 33/100, 1.0/s, 1:07 left",
        "score: 63/100, 1.0/s, 0:37 left",
        "score: 63/100, 1.6 s each, took 1:40",
    ]


def test_slow_units_show_seconds_each_and_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    log = io.StringIO()
    progress = UnitProgress("train", 2000, log)
    clock[0] = 40.0
    progress.advance(failed=True)
    assert log.getvalue() == "train: 1/2000, 40.0 s each, 22:12:40 left, 1 failed\n"


def test_a_terminal_is_redrawn_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    terminal = Terminal()
    progress = UnitProgress("score", 2, terminal)
    clock[0] = 1.0
    progress.advance()
    progress.message("a warning")
    clock[0] = 2.0
    progress.advance()
    progress.finish()
    text = terminal.getvalue()
    assert text.count("\n") == 2  # the message and the end
    shown = [line.rstrip() for line in text.replace("\n", "\r").split("\r")]
    assert [line for line, _ in itertools.groupby(filter(None, shown))] == [
        "score: 0/2",
        "score: 1/2, 1.0/s, 0:01 left",
        "a warning",
        "score: 1/2, 1.0/s, 0:01 left",  # again, below the message
        "score: 2/2, 1.0/s",
        "score: 2/2, 1.0/s, took 0:02",
    ]


def test_a_line_is_cut_to_the_width_of_the_terminal() -> None:
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", 24, 20, 0, 0))
    with os.fdopen(slave, "w") as terminal:
        UnitProgress("a stage with a long name", 2, terminal).finish()
        text = ""
        while "\n" not in text:
            text += os.read(master, 10_000).decode()
    os.close(master)
    assert "a stage with a" in text
    assert max(len(line) for line in text.replace("\n", "\r").split("\r")) <= 20


def test_nothing_to_do() -> None:
    log = io.StringIO()
    UnitProgress("render", 0, log).finish()
    assert log.getvalue() == "render: 0/0\n"
