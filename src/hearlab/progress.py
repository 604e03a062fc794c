"""Progress of long work as one line: redrawn in place on a terminal, written every half minute to a log."""

from __future__ import annotations

import sys
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from typing import Any, TextIO

from hearlab.text import clock_text, printable, size_text

REDRAW_SECONDS = 0.2
LOG_SECONDS = 30.0
RATE_WINDOW = 20.0  # seconds over which a rate in bytes is taken, so that a stall shows in the time left


class _Progress(ABC):
    """A line on a stream. On a terminal tqdm redraws it, cuts it to the width and keeps messages above it."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._lock = threading.RLock()
        self._bar: Any = None
        self._running = False

    def message(self, text: str) -> None:
        """Print a line above the progress line."""
        text = printable(text)
        with self._lock:
            if self._bar is None:
                self._print(text)
            else:
                self._bar.write(text, file=self._stream)

    def finish(self) -> None:
        """Write the last line, once."""
        with self._lock:
            if self._running:
                self._running = False
                self._show(final=True)
            if self._bar is not None:
                self._bar.close()
                self._bar = None

    def _begin(self) -> None:
        self.finish()
        self._running = True
        self._started = self._shown = time.monotonic()
        if self._live:
            from tqdm.std import tqdm  # takes a twentieth of a second, which a log need not wait for

            tqdm.monitor_interval = 0  # no thread of its own: the line is redrawn when something happens
            self._bar = tqdm(total=1, file=self._stream, bar_format="{desc}", dynamic_ncols=True, disable=False)
            self._show()

    def _show_when_due(self) -> None:
        now = time.monotonic()
        if self._running and now - self._shown >= (REDRAW_SECONDS if self._live else LOG_SECONDS):
            self._shown = now
            self._show()

    def _show(self, final: bool = False) -> None:
        text = printable(self._text(time.monotonic() - self._started, final))
        if self._bar is None:
            self._print(text)
        else:
            self._bar.set_description_str(text)

    def _print(self, text: str) -> None:
        self._stream.write(text + "\n")
        self._stream.flush()

    @abstractmethod
    def _text(self, elapsed: float, final: bool) -> str:
        """The line after `elapsed` seconds; `final` if it is the last one."""


_current: UnitProgress | None = None


def note(text: str) -> None:
    """Show how far a long unit is, at the end of the line that this process draws, if it draws one."""
    if _current is not None:
        _current.note(text)


class UnitProgress(_Progress):
    """Counts finished units: rate and time left."""

    def __init__(self, name: str, total: int, stream: TextIO | None = None) -> None:
        super().__init__(stream)
        self.name, self.total = name, total
        self.done = self.failed = self.remembered = 0
        self._note = ""
        self._counted: tuple[float, int] | None = None  # since when the rate is taken, and units that ran before
        self._begin()

    def __enter__(self) -> UnitProgress:
        """Show the notes of this process's units (see `note`) until the end of the block."""
        global _current
        _current = self
        return self

    def __exit__(self, *unused: object) -> None:
        global _current
        _current = None

    def note(self, text: str) -> None:
        """Show what the running unit is doing."""
        self._note = text
        self._show_when_due()

    def count_from_here(self) -> None:
        """Take the rate of what follows the next unit: that one ends a start of workers, which tells nothing."""
        self._counted = time.monotonic() - self._started, self.done - self.remembered + 1

    def advance(self, *, failed: bool = False, remembered: bool = False) -> None:
        """Count one finished unit; `remembered` if it was done before."""
        self.done += 1
        self.failed += failed
        self.remembered += remembered
        self._note = ""
        self._show_when_due()

    def _text(self, elapsed: float, final: bool) -> str:
        parts = [f"{self.name}: {self.done}/{self.total}"]
        ran = self.done - self.remembered
        since, before = (0.0, 0) if final or self._counted is None else self._counted
        if ran > before and elapsed > since:
            rate = (ran - before) / (elapsed - since)
            parts.append(f"{rate:.1f}/s" if rate >= 1 else f"{1 / rate:.1f} s each")
            if final:
                parts.append(f"took {clock_text(elapsed)}")
            elif self.done < self.total:
                parts.append(f"{clock_text((self.total - self.done) / rate)} left")
        if self.remembered:
            parts.append(f"{self.remembered} done before")
        if self.failed:
            parts.append(f"{self.failed} failed")
        if self._note and not final:
            parts.append(self._note)
        return ", ".join(parts)


class ByteProgress(_Progress):
    """Counts the bytes of one task after the other; for several threads.

    Args:
        quiet: print nothing.
    """

    def __init__(self, stream: TextIO | None = None, *, quiet: bool = False) -> None:
        super().__init__(stream)
        self._quiet = quiet
        self._live = self._live and not quiet

    def start(self, name: str, total: int | None, done: int = 0) -> None:
        """Begin a task of `total` bytes, of which `done` are there already; ends the one before."""
        with self._lock:
            self.finish()
            self._name, self._total, self._done, self._before = name, total, done, done
            self._marks = deque([(time.monotonic(), done)])
            self._begin()

    def advance(self, count: int) -> None:
        """Count `count` more bytes."""
        with self._lock:
            self._done += count
            self._show_when_due()

    def _text(self, elapsed: float, final: bool) -> str:
        now = time.monotonic()
        self._marks.append((now, self._done))
        while now - self._marks[0][0] > RATE_WINDOW and len(self._marks) > 2:
            self._marks.popleft()
        since, then = (now - elapsed, self._before) if final else self._marks[0]
        rate = (self._done - then) / (now - since) if now > since else 0.0
        parts = [f"{self._name}: {size_text(self._done)}"]
        if self._total is not None:
            share = f" ({min(self._done / self._total, 1):.0%})" if self._total else ""
            parts[0] += f" of {size_text(self._total)}{share}"
        if rate > 0:
            parts.append(f"{size_text(round(rate))}/s")
        if final:
            parts.append(f"took {clock_text(elapsed)}")
        elif rate > 0 and self._total is not None and self._done < self._total:
            parts.append(f"{clock_text((self._total - self._done) / rate)} left")
        return ", ".join(parts)

    def _print(self, text: str) -> None:
        if not self._quiet:
            super()._print(text)
