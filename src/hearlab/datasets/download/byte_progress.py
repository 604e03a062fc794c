"""Progress in bytes: how much, how fast, how long still."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from typing import Protocol, TextIO

from hearlab.text import clock_text, size_text

REDRAW_SECONDS = 0.2
LOG_SECONDS = 30.0
RATE_WINDOW = 20.0  # seconds over which the rate is taken, so that a stall shows in the time left


class Progress(Protocol):
    """What fetching, unpacking and checking tell while they run; may be called from several threads."""

    def start(self, name: str, total: int | None, done: int = 0) -> None:
        """Begin (or begin anew): `total` bytes, of which `done` were there before."""

    def advance(self, count: int) -> None:
        """Count `count` more bytes."""

    def message(self, text: str) -> None:
        """Say one line."""

    def finish(self) -> None:
        """End the last line."""


class Silent:
    """Says nothing."""

    def start(self, name: str, total: int | None, done: int = 0) -> None:
        pass

    def advance(self, count: int) -> None:
        pass

    def message(self, text: str) -> None:
        pass

    def finish(self) -> None:
        pass


class ByteProgress:
    """One line, redrawn in place on a terminal, written now and then into a log file."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._lock = threading.Lock()
        self._running = False

    def start(self, name: str, total: int | None, done: int = 0) -> None:
        with self._lock:
            self._name, self._total, self._done, self._before = name, total, done, done
            self._started = self._shown = time.monotonic()
            self._marks = deque([(self._started, done)])
            self._running = True
            if self._live:
                self._draw()

    def advance(self, count: int) -> None:
        with self._lock:
            self._done += count
            now = time.monotonic()
            if now - self._shown >= (REDRAW_SECONDS if self._live else LOG_SECONDS):
                self._shown = now
                self._marks.append((now, self._done))
                while now - self._marks[0][0] > RATE_WINDOW and len(self._marks) > 2:
                    self._marks.popleft()
                self._draw()

    def message(self, text: str) -> None:
        with self._lock:
            if self._live:
                self._stream.write("\r\033[K")
            self._stream.write(text + "\n")
            if self._live and self._running:
                self._draw()
            self._stream.flush()

    def finish(self) -> None:
        with self._lock:
            if self._running:
                self._running = False
                self._draw(final=True)

    def _draw(self, final: bool = False) -> None:
        now = time.monotonic()
        parts = [f"{self._name}: {size_text(self._done)}"]
        if self._total is not None:
            share = f" ({min(self._done / self._total, 1):.0%})" if self._total else ""
            parts[0] += f" of {size_text(self._total)}{share}"
        since, then = (self._started, self._before) if final else self._marks[0]
        rate = (self._done - then) / (now - since) if now > since else 0.0
        if rate > 0:
            parts.append(f"{size_text(round(rate))}/s")
        if final:
            parts.append(f"took {clock_text(now - self._started)}")
        elif rate > 0 and self._total is not None and self._done < self._total:
            parts.append(f"{clock_text((self._total - self._done) / rate)} left")
        line = ", ".join(parts)
        if self._live:
            self._stream.write(f"\r\033[K{line}" + ("\n" if final else ""))
        else:
            self._stream.write(line + "\n")
        self._stream.flush()
