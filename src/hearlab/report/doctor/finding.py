"""One line of the doctor's report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hearlab.text import printable

State = Literal["ok", "warning", "error"]


@dataclass(frozen=True)
class Finding:
    """What was looked at, how it is, and what to do about it."""

    subject: str
    state: State
    text: str
    advice: str | None = None

    def __str__(self) -> str:
        line = f"{self.state:8}{self.subject}: {self.text}"
        return printable(f"{line}; {self.advice}" if self.advice else line)
