"""A program: FOLDER SEED. Runs train_separator in a copy of a workspace, killed at random points until it ends.

FOLDER holds the workspace `undisturbed`, which is run to its end first. Each run begins in a process that has run
nothing before.
"""

from __future__ import annotations

import contextlib
import os
import random
import resource
import shutil
import signal
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import torch  # noqa: F401  imported once for all processes
from fresh_processes import run, start

from hearlab.separation.torch_audio import require_openunmix
from hearlab.stages import run_stage, train_separator

CHECKPOINTS = Path(".hearlab") / "checkpoints"
# At any time; in the middle of writing a checkpoint; before and after it gets its name.
POINTS = ("any", "any", "half", "before", "after")


def killed(point: str, part: float, nth: int) -> None:
    """Run the stage, and have it killed at the nth checkpoint."""
    fsync, replace, count = os.fsync, os.replace, 0

    def reached(name: object) -> bool:
        nonlocal count
        count += os.fspath(str(name)).endswith("checkpoint")
        return str(name).endswith("checkpoint") and count == nth

    def synced(file: int) -> None:
        if point == "half" and reached(os.readlink(f"/proc/self/fd/{file}")):
            os.ftruncate(file, int(part * os.fstat(file).st_size))
            os.kill(os.getpid(), signal.SIGKILL)
        fsync(file)

    def renamed(source: Any, target: Any) -> None:
        here = point in ("before", "after") and reached(source)
        if not here or point == "after":
            replace(source, target)
        if here:
            os.kill(os.getpid(), signal.SIGKILL)

    os.fsync, os.replace = synced, renamed
    run_stage("train_separator")


def kill_after(process: int, seconds: float) -> None:
    """Kill a process when it and those that it has started have had so much of the processors.

    By the clock it would be at another point of its work, or after its end, if the machine has just become slower or
    quicker.
    """
    with contextlib.suppress(psutil.Error):
        leader = psutil.Process(process)
        while leader.status() != psutil.STATUS_ZOMBIE:
            times = [one.cpu_times() for one in (leader, *leader.children(recursive=True))]
            if sum(one.user + one.system for one in times) >= seconds:
                break
            time.sleep(0.005)
    os.kill(process, signal.SIGKILL)


def main(folder: Path, seed: int) -> None:
    require_openunmix()
    rng = random.Random(seed)
    work = folder / "killed"
    shutil.copytree(folder / "undisturbed", work)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run(folder / "undisturbed", partial(run_stage, "train_separator"))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    resumed = kills = 0
    for point in rng.sample(POINTS, len(POINTS)):
        resumed += any((work / CHECKPOINTS).glob("*.pt"))
        if point != "any":
            # After a kill the stage trains in a process of its own, which would not be the one that is killed here.
            for note in (work / CHECKPOINTS).parent.glob("in-flight-*"):
                note.unlink()
        process = start(work, partial(killed, point, rng.random(), rng.randint(1, 3)))
        if point == "any":
            kill_after(process, rng.uniform(0, seconds / 3))  # well before its end
        kills += os.WIFSIGNALED(os.waitpid(process, 0)[1])
        left = {path.name for path in (work / CHECKPOINTS).glob("*")} | {
            path.name for path in (work / CHECKPOINTS).glob(".*")
        }
        assert left <= {f"{target}.pt" for target in train_separator.TARGETS}, left
    run(work, partial(run_stage, "train_separator"))
    sys.stdout.write(f"{kills} {resumed}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
