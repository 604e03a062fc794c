"""Whether the units that are left end sooner on Ray, which takes some time to start."""

from __future__ import annotations

import os

from hearlab.cores import usable_cores


def load_of_others() -> float:
    """How many other processes want a core at once, of those cores that this process may use; 0 if that is unknown."""
    try:
        load = os.getloadavg()[0]
    except (OSError, AttributeError):
        return 0.0
    # The load is that of the whole machine, and this process is part of it.
    return max(0.0, load - 1.0) * usable_cores() / (os.cpu_count() or 1)


def slowdown(cores: int, others: float) -> float:
    """How many times longer Ray takes to start, which keeps two cores busy, beside `others`."""
    return max(1.0, (others + 2) / max(cores, 2))


def worth_ray(seconds: float, workers: int, cores: int, others: float, start: float) -> bool:
    """Whether Ray saves more than it costs.

    Args:
        seconds: that the units which are left would take in this process, as it is now.
        workers: that Ray would have.
        cores: that this process may use.
        others: other processes that want a core.
        start: seconds that Ray takes to start and end on an idle machine.
    """
    alone, together = (_cores_got(count, cores, others) for count in (1, workers))
    return seconds * (1 - alone / together) > start * slowdown(cores, others)


def _cores_got(processes: int, cores: int, others: float) -> float:
    """Cores that processes get: each one its own, or the share of all who want one."""
    wanted = processes + others
    return float(processes) if wanted <= cores else cores * processes / wanted
