"""Cores and memory that this process may use, by its affinity and by the limits that containers and batch systems give.

Libraries that count them look at one group only, or take the machine's number: a quota of any group above counts too.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath


def usable_cores(system: Path = Path("/")) -> int:
    """Number of cores; half a core is one.

    Args:
        system: where Linux shows /proc and /sys.
    """
    own = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([own, *map(math.ceil, _quotas(system))]))


def usable_memory(system: Path = Path("/")) -> int:
    """Bytes of memory that all processes of this machine, or of this container, have together."""
    own = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([own, *_limits(system)])


def _quotas(system: Path) -> Iterator[float]:
    """Cores that each control group of this process may use."""
    for kind, place in _groups(system, "cpu"):
        if kind == "cgroup2":
            words = _text(place / "cpu.max").split()
        else:
            words = [_text(place / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")]
        if len(words) == 2 and all(word.isascii() and word.isdigit() for word in words) and int(words[1]):
            yield int(words[0]) / int(words[1])


def _limits(system: Path) -> Iterator[int]:
    """Bytes that each control group of this process may use."""
    for kind, place in _groups(system, "memory"):
        text = _text(place / ("memory.max" if kind == "cgroup2" else "memory.limit_in_bytes")).strip()
        if text.isascii() and text.isdigit() and int(text):
            yield int(text)


def _groups(system: Path, controller: str) -> Iterator[tuple[str, Path]]:
    """The control groups of this process, and each above it, of both versions: the kind of file system, the folder."""
    groups = {}
    for line in _text(system / "proc/self/cgroup").splitlines():
        _, _, named = line.partition(":")
        controllers, _, path = named.partition(":")  # the second version names no controllers
        groups.update(dict.fromkeys(controllers.split(","), path))
    for line in _text(system / "proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        kind = after.split(" ")[0]
        options = after.split(" ")[-1].split(",")
        if kind != "cgroup2" and not (kind == "cgroup" and controller in options):
            continue
        top, mounted = before.split(" ")[3:5]
        folder = PurePosixPath(groups.get(controller if kind == "cgroup" else "", "/"))
        # A container may be told the machine's name for its group, or one outside of what it sees.
        below = folder.relative_to(top) if folder.is_relative_to(top) else PurePosixPath()
        below = PurePosixPath() if ".." in below.parts else below
        for group in (below, *below.parents):
            yield kind, system / mounted.lstrip("/") / group


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:  # no Linux, or a group without quotas
        return ""
