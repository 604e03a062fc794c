"""A program: FOLDER SEED. Runs train_separator in a copy of a workspace, killed at random points until it ends.

FOLDER holds the workspace `undisturbed`, which is run to its end first. Each run begins in a process that has run
nothing before.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

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


def main(folder: Path, seed: int) -> None:
    require_openunmix()
    rng = random.Random(seed)
    work = folder / "killed"
    shutil.copytree(folder / "undisturbed", work)
    began = time.monotonic()
    run(folder / "undisturbed", partial(run_stage, "train_separator"))
    seconds = time.monotonic() - began
    resumed = kills = 0
    for point in rng.sample(POINTS, len(POINTS)):
        resumed += any((work / CHECKPOINTS).glob("*.pt"))
        if point != "any":
            # After a kill the stage trains in a process of its own, which would not be the one that is killed here.
            for note in (work / CHECKPOINTS).parent.glob("in-flight-*"):
                note.unlink()
        process = start(work, partial(killed, point, rng.random(), rng.randint(1, 3)))
        if point == "any":
            time.sleep(rng.uniform(0, seconds / 3))  # well before its end, if the first run was slowed down, too
            os.kill(process, signal.SIGKILL)
        kills += os.WIFSIGNALED(os.waitpid(process, 0)[1])
        left = {path.name for path in (work / CHECKPOINTS).glob("*")} | {
            path.name for path in (work / CHECKPOINTS).glob(".*")
        }
        assert left <= {f"{target}.pt" for target in train_separator.TARGETS}, left
    run(work, partial(run_stage, "train_separator"))
    sys.stdout.write(f"{kills} {resumed}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
