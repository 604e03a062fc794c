"""Running units on Ray: a local one started for the stage, or the cluster that RAY_ADDRESS names.

A worker that sees the workspace reads and writes it directly. One that does not gets its inputs from a file server on
the driver's machine and sends its outputs back, both through Ray's object store; the driver writes them.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from hearlab.compute.execution import Failure, Outcome, describe, unit_folder
from hearlab.compute.ray.connection import connected
from hearlab.compute.ray.worker import MARK, FileServer, Job, Reply, clear_scratch, this_node, work
from hearlab.compute.units import Unit, grouped
from hearlab.errors import InputError
from hearlab.secrets import hide

# Units submitted for each core: enough that no worker waits, few enough that the driver holds few results.
UNITS_PER_CORE = 2
# How often a unit is tried again after its worker or node died; units that fail by themselves are not tried again.
RETRIES = 3
COUNT_SECONDS = 1.0
SAME_CODE = "install the same version of HearLab (and of your system) on all; what was finished is kept"


def run_on_ray(
    units: Sequence[Unit],
    root: Path,
    staging: Path,
    stage: str,
    *,
    workers: int,
    idle: Callable[[], None],
    code: Callable[[Unit], str],
) -> Iterator[tuple[Unit, Outcome]]:
    """Run units on Ray and give their outcomes as they come; files are then in their staging folders.

    `idle` is called when there was nothing to give for a while; `code` gives the identity of a unit's code.

    Raises:
        InputError: the cluster cannot be reached, or one of its nodes has other code.
    """
    with connected(workers, stage), _marked(staging) as mark:
        server = FileServer.options(  # type: ignore[attr-defined]
            num_cpus=0, scheduling_strategy=NodeAffinitySchedulingStrategy(this_node(), soft=False)
        ).remote(str(root))
        job = Job(root, staging, mark)  # by value: an object in Ray's store is lost with the head
        running: dict[Any, list[Unit]] = {}
        served: set[str] = set()  # nodes that do not see the workspace
        waiting = list(reversed(grouped(units)))
        cores, counted = 1, -COUNT_SECONDS
        try:
            while waiting or running:
                if time.monotonic() - counted > COUNT_SECONDS:  # nodes come and go; asking takes 1 ms
                    cores, counted = int(ray.cluster_resources().get("CPU", 1)), time.monotonic()
                while waiting and len(running) < max(1, cores) * UNITS_PER_CORE:
                    group = waiting.pop()
                    options = {
                        "num_cpus": 1,
                        "num_gpus": max(unit.gpus for unit in group),
                        "memory": max(unit.memory for unit in group),
                        "max_retries": RETRIES,
                    }
                    codes = [code(unit) for unit in group]
                    running[work.options(**options).remote(group, codes, job, server)] = group
                ready, _ = ray.wait(list(running), num_returns=1, timeout=1.0)
                if not ready:
                    idle()
                for reference in ready:
                    group = running.pop(reference)
                    if len(group) > 1 and _worker_died(reference):
                        # Only one of them ends its worker: each by itself shows which.
                        waiting += [[unit] for unit in reversed(group)]
                        continue
                    yield from _received(reference, group, staging, served)
        finally:
            for reference in running:
                with contextlib.suppress(Exception):
                    ray.cancel(reference, force=True)
            clear_scratch(served, mark)


# Besides a crash: a worker whose code calls os._exit is one that ended by itself.
_DEATHS = (ray.exceptions.OutOfMemoryError, ray.exceptions.WorkerCrashedError)


def _worker_died(reference: Any) -> bool:
    try:
        ray.get(reference)
    except Exception as error:
        return isinstance(error, _DEATHS)
    return False


def _received(reference: Any, group: list[Unit], staging: Path, served: set[str]) -> list[tuple[Unit, Outcome]]:
    try:
        replies: list[Reply] = ray.get(reference)
    except Exception as error:
        _check_unpacked(error)
        cause = hide(describe(error))[:300]
        if isinstance(error, _DEATHS):
            cause = (
                f"its worker process died {RETRIES + 1} times (out of memory, or a crash such as a segmentation fault)"
            )
            cause += "; set HEARLAB_WORKERS lower, or to 1 to see where"
        return [(unit, Outcome(failure=Failure(unit.id, cause, str(error)))) for unit in group]
    return [(unit, _outcome(unit, reply, staging, served)) for unit, reply in zip(group, replies, strict=True)]


def _outcome(unit: Unit, reply: Reply, staging: Path, served: set[str]) -> Outcome:
    """What a worker replied, its files put into the unit's staging folder."""
    if reply.outcome is None:
        # Not this unit's fault: that node would refuse all others just as fast.
        raise InputError(
            f"node {reply.refused_by} of the Ray cluster",
            f"has other code than {socket.gethostname()} for {unit.id}",
            advice=SAME_CODE,
        )
    folder = unit_folder(staging, unit.id)
    if reply.node is not None:
        served.add(reply.node)
    if reply.folder is not None:
        os.replace(staging / reply.folder, folder)
    if reply.files is not None:
        for name, content in reply.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    return reply.outcome


def _check_unpacked(error: Exception) -> None:
    """Raise InputError if a unit failed because its node lacks the code; Ray gives this as a text only."""
    text = str(error)
    missing = re.search(r"No module named '[^']+'|Can't get attribute '[^']+'", text)
    if isinstance(error, ray.exceptions.RayTaskError) and missing:
        node = re.search(r"ip=([0-9a-fA-F.:]+)", text)
        where = f"node {node[1]} of the Ray cluster" if node else "a node of the Ray cluster"
        raise InputError(where, "lacks code of this stage", found=missing[0], advice=SAME_CODE) from error


@contextlib.contextmanager
def _marked(staging: Path) -> Iterator[str]:
    """A random mark in the staging folder, by which a worker knows whether it sees this very workspace."""
    mark = secrets.token_hex(16)
    path = staging / f"{MARK}.{mark}"
    path.touch()
    try:
        yield mark
    finally:
        path.unlink(missing_ok=True)
