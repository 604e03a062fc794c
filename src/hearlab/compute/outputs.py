"""What a stage has written beside its units' files, such as tables, before DVC stores it.

DVC takes the name of an object in its cache for proof of its bytes: where a stage writes what the cache has already,
DVC puts a link to the object in its place. If somebody has altered the object, the alteration would come back.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

from hearlab.compute.memo import Memo
from hearlab.versions.lock import lock_stages, outs

_log = logging.getLogger(__name__)


def set_aside_wrong_objects(root: Path, stage: str, units: Path | None = None) -> None:
    """Take objects out of DVC's cache that have the md5 of what a stage has written, but other bytes.

    Args:
        root: the workspace.
        stage: its name in dvc.lock, whose outputs are looked at.
        units: the folder of its units' files, which the memo has looked at.
    """
    memo = Memo(root, journal=False)
    if memo.cache is None:
        return
    identities = memo.identities()
    for path, recorded in outs(lock_stages(memo.root).get(stage, {})).items():
        names = [] if Path(path) == units else _files(memo.root, path)
        known = ((path, recorded),) if recorded.endswith(".dir") else ()
        for name, md5 in (*known, *((name, identities.of(name)) for name in names)):
            if memo.store.is_wrong(md5):
                aside = memo.store.set_aside(md5)
                _log.warning("%s: %s: its bytes in DVC's cache were altered; they are now %s", stage, name, aside)
    identities.save()


def _files(root: Path, path: str) -> Iterator[str]:
    """A file of the workspace, or those in a folder of it, relative to the workspace."""
    place = root / path
    if not place.parent.resolve().is_relative_to(root):
        return
    if place.is_file():
        yield path
    for folder, _, files in os.walk(place):
        yield from (os.path.relpath(os.path.join(folder, file), root) for file in files)
