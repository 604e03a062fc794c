"""Whether the units that are left end sooner in several processes, which take some time to start."""

from __future__ import annotations

import os
import time

from hearlab.cores import usable_cores

RUNNING = "/proc/loadavg"
LOOK_SECONDS = 0.25  # cores and load are looked at so often: it takes 0.3 ms, as long as the engine for a quick unit


def load_of_others(running: str = RUNNING) -> float:
    """How many other processes want a core at once, of those cores that this process may use; 0 if that is unknown.

    The average of a minute still holds the workers of the stage before; what runs just now does not.
    """
    try:
        load = os.getloadavg()[0]
        with open(running, encoding="ascii") as file:
            load = min(load, float(file.read().split()[3].partition("/")[0]))
    except (OSError, AttributeError, IndexError, ValueError):
        load = 0.0
    # The load is that of the whole machine, and this process is part of it.
    return max(0.0, load - 1.0) * usable_cores() / (os.cpu_count() or 1)


class Look:
    """Cores that may be used and the load of others, as they were a moment ago."""

    def __init__(self) -> None:
        self._at = -LOOK_SECONDS
        self._found = 1, 0.0

    def __call__(self) -> tuple[int, float]:
        """Cores, and other processes that want one."""
        if time.monotonic() - self._at >= LOOK_SECONDS:
            self._at, self._found = time.monotonic(), (usable_cores(), load_of_others())
        return self._found


def slowdown(cores: int, others: float) -> float:
    """How many times longer workers take to start, which keeps two cores busy, beside `others`."""
    return max(1.0, (others + 2) / max(cores, 2))


def worth_workers(seconds: float, workers: int, cores: int, others: float, start: float) -> bool:
    """Whether workers save more than they cost.

    Args:
        seconds: that the units which are left would take in this process, as it is now.
        workers: how many there would be.
        cores: that this process may use.
        others: other processes that want a core.
        start: seconds that workers take to start on an idle machine.
    """
    alone, together = (_cores_got(count, cores, others) for count in (1, workers))
    return seconds * (1 - alone / together) > start * slowdown(cores, others)


def _cores_got(processes: int, cores: int, others: float) -> float:
    """Cores that processes get: each one its own, or the share of all who want one."""
    wanted = processes + others
    return float(processes) if wanted <= cores else cores * processes / wanted
