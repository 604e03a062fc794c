"""One line of progress per stage: redrawn in place on a terminal, a plain line now and then in a log file."""

from __future__ import annotations

import sys
import time
from typing import TextIO

REDRAW_SECONDS = 0.2
LOG_SECONDS = 30.0


_current: Progress | None = None


def note(text: str) -> None:
    """Tell how far a long unit is: shown at the end of the line of the run that this process draws, if it draws one."""
    if _current is not None:
        _current.note(text)


class Progress:
    """Counts finished units and tells rate and time left."""

    def __init__(self, name: str, total: int, stream: TextIO | None = None) -> None:
        self.name = name
        self.total = total
        self.done = 0
        self.failed = 0
        self.remembered = 0
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._note = ""
        self._started = self._shown = time.monotonic()
        if self._live:
            self._draw()

    def __enter__(self) -> Progress:
        """Show the notes of this process's units (see `note`) until the end of the block."""
        global _current
        _current = self
        return self

    def __exit__(self, *unused: object) -> None:
        global _current
        _current = None

    def note(self, text: str) -> None:
        """Show what the unit that runs is at."""
        self._note = text
        self._draw_when_due()

    def advance(self, *, failed: bool = False, remembered: bool = False) -> None:
        """Count one finished unit; `remembered` if it was done before."""
        self.done += 1
        self.failed += failed
        self.remembered += remembered
        self._note = ""
        self._draw_when_due()

    def _draw_when_due(self) -> None:
        now = time.monotonic()
        if now - self._shown >= (REDRAW_SECONDS if self._live else LOG_SECONDS):
            self._shown = now
            self._draw()

    def message(self, text: str) -> None:
        """Print a line above the progress line."""
        if self._live:
            self._stream.write("\r\033[K")
        self._stream.write(text + "\n")
        if self._live:
            self._draw()
        self._stream.flush()

    def finish(self) -> None:
        """Print the last line and end it."""
        self._draw(final=True)

    def _draw(self, final: bool = False) -> None:
        elapsed = time.monotonic() - self._started
        parts = [f"{self.name}: {self.done}/{self.total}"]
        ran = self.done - self.remembered
        if ran and elapsed > 0:
            rate = ran / elapsed
            parts.append(f"{rate:.1f}/s" if rate >= 1 else f"{1 / rate:.1f} s each")
            if final:
                parts.append(f"took {_clock(elapsed)}")
            elif self.done < self.total:
                parts.append(f"{_clock((self.total - self.done) / rate)} left")
        if self.remembered:
            parts.append(f"{self.remembered} done before")
        if self.failed:
            parts.append(f"{self.failed} failed")
        if self._note and not final:
            parts.append(self._note)
        line = ", ".join(parts)
        if self._live:
            self._stream.write(f"\r\033[K{line}" + ("\n" if final else ""))
        else:
            self._stream.write(line + "\n")
        self._stream.flush()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
