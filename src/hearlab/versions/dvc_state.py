"""Telling DVC the identities of files that a stage has made, so that it need not read them again.

DVC keeps, per machine, which md5 a file of that inode, time and size has. After a stage it reads every file of the
outputs that it finds no such note of. The engine has read them already, when it stored them.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path

# Importing DVC takes one to two seconds, in which two cores read about this much.
WORTH_TELLING = 1 << 30

_log = logging.getLogger(__name__)


def tell_dvc(root: Path, files: Mapping[str, str]) -> bool:
    """Give DVC the md5 of files in the workspace; whether it took them.

    It only saves time: with another version of DVC, or where its notes cannot be written, DVC reads the files.

    Args:
        root: the workspace.
        files: md5 of each file, by its path relative to `root`.
    """
    try:
        from dvc.repo import Repo  # type: ignore[import-untyped,unused-ignore]
        from dvc_data.hashfile.hash_info import HashInfo  # type: ignore[import-untyped,unused-ignore]

        with Repo(os.fspath(root)) as repo:
            known = ((os.path.join(repo.root_dir, name), HashInfo("md5", md5), None) for name, md5 in files.items())
            repo.state.save_many(known, repo.fs)
    except Exception as error:
        _log.debug("DVC was not told of %d files: %s", len(files), error)
        return False
    return True
