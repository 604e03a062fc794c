"""Running units on Ray: the cluster that RAY_ADDRESS names, or a local one for units that need graphics processors.

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
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from hearlab.compute.execution import Failure, Outcome, describe, unit_folder
from hearlab.compute.process import RETRIES, died_so_often
from hearlab.compute.ray.connection import connected
from hearlab.compute.ray.worker import MARK, FileServer, Job, Reply, clear_scratch, this_node, work
from hearlab.compute.units import Unit
from hearlab.compute.workers.groups import Groups
from hearlab.errors import InputError
from hearlab.secrets import hide

# Groups submitted for each core: enough that no worker waits, few enough that the driver holds few results.
GROUPS_PER_CORE = 2
COUNT_SECONDS = 1.0
SAME_CODE = "install the same version of HearLab (and of your system) on all; what was finished is kept"


def run_on_ray(
    groups: Groups,
    root: Path,
    staging: Path,
    stage: str,
    *,
    workers: int,
    idle: Callable[[], None],
    code: Callable[[Unit], str],
) -> Iterator[tuple[Unit, Outcome]]:
    """Run what is left of units on Ray and give their outcomes as they come; files are then in their staging folders.

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
        cores, counted = 1, -COUNT_SECONDS
        try:
            while len(groups) or running:
                if time.monotonic() - counted > COUNT_SECONDS:  # nodes come and go; asking takes 1 ms
                    cores, counted = int(ray.cluster_resources().get("CPU", 1)), time.monotonic()
                while len(groups) and len(running) < max(1, cores) * GROUPS_PER_CORE:
                    group = groups.take(cores)
                    options = {
                        "num_cpus": 1,
                        "num_gpus": max(unit.gpus for unit in group),
                        "memory": max(unit.memory for unit in group),
                        "max_retries": RETRIES if len(group) == 1 else 0,  # several are tried alone then
                    }
                    codes = [code(unit) for unit in group]
                    running[work.options(**options).remote(group, codes, job, server)] = group
                ready, _ = ray.wait(list(running), num_returns=1, timeout=1.0)
                if not ready:
                    idle()
                for reference in ready:
                    group = running.pop(reference)
                    if len(group) > 1 and _lost(reference):
                        # Only one of them ends its worker, or gives what cannot be sent: each alone shows which.
                        groups.put_back(group, alone=True)
                        continue
                    received = _received(reference, group, staging, served)
                    groups.took(len(received), sum(outcome.seconds for _, outcome in received))
                    groups.put_back(group[len(received) :])
                    yield from received
        finally:
            for reference in running:
                with contextlib.suppress(Exception):
                    ray.cancel(reference, force=True)
            clear_scratch(served, mark)


# Besides a crash: a worker whose code calls os._exit is one that ended by itself.
_DEATHS = (ray.exceptions.OutOfMemoryError, ray.exceptions.WorkerCrashedError)


def _lost(reference: Any) -> bool:
    """Whether nothing comes of a group."""
    try:
        ray.get(reference)
    except Exception as error:
        _check_unpacked(error)
        return True
    return False


def _received(reference: Any, group: list[Unit], staging: Path, served: set[str]) -> list[tuple[Unit, Outcome]]:
    try:
        replies: list[Reply] | str = ray.get(reference)
    except Exception as error:
        _check_unpacked(error)
        cause = hide(describe(error))[:300]
        if isinstance(error, _DEATHS):
            cause = died_so_often("out of memory, or a crash such as a segmentation fault")
        return [(unit, Outcome(failure=Failure(unit.id, cause, str(error)))) for unit in group]
    if isinstance(replies, str):
        # Not these units' fault: that node would refuse all others just as fast.
        raise InputError(
            f"node {replies} of the Ray cluster",
            f"has other code than {socket.gethostname()} for {group[0].id}",
            advice=SAME_CODE,
        )
    # A worker gives back what it has had no time for.
    return [(unit, _outcome(unit, reply, staging, served)) for unit, reply in zip(group, replies, strict=False)]


def _outcome(unit: Unit, reply: Reply, staging: Path, served: set[str]) -> Outcome:
    """What a worker replied, its files put into the unit's staging folder."""
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
