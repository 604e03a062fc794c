"""The progress line, on a terminal and in a log."""

from __future__ import annotations

import io

import pytest

from hearlab.compute import progress as module
from hearlab.compute.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_gets_plain_lines_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    log = io.StringIO()
    progress = Progress("render", 100, log)
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


def test_slow_units_show_seconds_each_and_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    log = io.StringIO()
    progress = Progress("train", 2000, log)
    clock[0] = 40.0
    progress.advance(failed=True)
    assert log.getvalue() == "train: 1/2000, 40.0 s each, 22:12:40 left, 1 failed\n"


def test_a_terminal_is_redrawn_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    terminal = Terminal()
    progress = Progress("score", 2, terminal)
    clock[0] = 1.0
    progress.advance()
    progress.message("a warning")
    clock[0] = 2.0
    progress.advance()
    progress.finish()
    text = terminal.getvalue()
    assert text.count("\n") == 2  # the message and the end
    assert "\r\033[Kscore: 1/2, 1.0/s, 0:01 left" in text
    assert "\r\033[Ka warning\n" in text
    assert text.endswith("score: 2/2, 1.0/s, took 0:02\n")


def test_nothing_to_do() -> None:
    log = io.StringIO()
    Progress("render", 0, log).finish()
    assert log.getvalue() == "render: 0/0\n"
