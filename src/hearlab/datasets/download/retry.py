"""Retries with growing pauses."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from hearlab.datasets.download.sources import TransientError
from hearlab.errors import InputError
from hearlab.progress import ByteProgress

LONGEST_WAIT = 600.0  # seconds, however long a server asks us to wait

T = TypeVar("T")


@dataclass(frozen=True)
class Retry:
    """How often to try, and how long to wait: `pause`, twice that, and so on up to `longest`, varied by a quarter.

    `tries` counts failures in a row without a byte of progress: with the default values about three minutes.
    """

    tries: int = 9
    pause: float = 1.0
    longest: float = 60.0

    def few(self) -> Retry:
        """For the first request, where a wrong address is likelier than a bad moment."""
        return replace(self, tries=min(self.tries, 3))

    def delay(self, failures: int, asked: float = 0.0) -> float:
        """Seconds to wait after so many failures in a row; at least what the server asked for."""
        own = min(self.longest, self.pause * 2.0 ** (failures - 1)) * random.uniform(0.75, 1.25)
        return max(own, min(asked, LONGEST_WAIT))

    def run(self, action: Callable[[], T], shown: str, progress: ByteProgress) -> T:
        """Call `action` until it succeeds.

        Raises:
            InputError: it failed too often.
        """
        failures = 0
        while True:
            try:
                return action()
            except TransientError as error:
                failures += 1
                if failures >= self.tries:
                    raise self.given_up(shown, error) from None
                wait = self.delay(failures, error.wait)
                progress.message(f"{shown}: {error}; trying again in {wait:.0f} s")
                time.sleep(wait)

    def given_up(self, shown: str, error: TransientError) -> InputError:
        return InputError(
            shown,
            "cannot be fetched",
            found=f"{error}, {self.tries} times in a row",
            advice="check the network and the address, then fetch again: what was fetched is kept",
        )
