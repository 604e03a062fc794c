"""Stage prepare: makes the demo data set, or checks that the real one is there."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hearlab.datasets.layout import ClarityData, Workspace
from hearlab.errors import InputError
from hearlab.params import Params
from hearlab.stages.common import workspace


def run(params: Params) -> None:
    files = workspace(params)
    if params.dataset == "demo":
        _make_demo(files, params)
    else:
        _check(files.clarity, params)


def _make_demo(files: Workspace, params: Params) -> None:
    from hearlab.datasets import demo

    splits = params.data.splits
    for split, most, counts in (("train", demo.TRAIN_ROOMS, splits.train), ("dev", demo.DEV_ROOMS, splits.dev)):
        most = min(most, counts.scenes)
        if counts.rooms > most:
            raise InputError(
                "params.yaml",
                "the demo world has fewer rooms",
                field=f"datasets.demo.splits.{split}.rooms",
                found=counts.rooms,
                wanted=f"at most {most} for {counts.scenes} scenes",
            )
    with made_beside(files.clarity.root) as staging:
        demo.make_demo(staging, params.data_seed, dev_scenes=splits.dev.scenes, train_scenes=splits.train.scenes)


@contextlib.contextmanager
def made_beside(target: Path) -> Iterator[Path]:
    """Give an empty folder that becomes `target`: an interrupted run leaves the old one, or none, never half of one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{target.name}.part-", dir=target.parent))
    try:
        yield staging
        os.chmod(staging, 0o755)
        if target.exists():
            shutil.rmtree(target)
        os.replace(staging, target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _check(data: ClarityData, params: Params) -> None:
    """The folders and metadata that the later stages read exist (their files are checked when they are read)."""
    needed = [data.listeners, data.hrir_metadata, data.scenes_listeners(params.evaluate.split)]
    needed += [data.hrir("x").parent]
    for split in ("train", "dev"):
        if getattr(params.data.splits, split).scenes:
            needed += [data.rpf(split), data.room_response(split, "x", "t").parent, data.target(split, "x").parent]
    missing = [path for path in needed if not path.exists()]
    if missing:
        raise InputError(
            data.root,
            "the data set is not complete",
            found=f"no {', no '.join(str(path.relative_to(data.root)) for path in missing)}",
            wanted="the unpacked packages of the challenge",
            advice=f"unpack them so that {data.root}/metadata and its neighbours exist, or use dataset: demo",
        )
