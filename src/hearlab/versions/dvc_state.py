"""The md5 of files that a stage has made, handed to DVC so that it need not read the files again.

DVC notes, on each machine, which md5 a file of that inode, time and size has. After a stage it reads every output file
that it has no such note of. The engine has read them already, when it stored them.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path

from hearlab.versions.dvc_command import repository

# Importing DVC takes one to two seconds, in which two cores read about this much.
LEAST_BYTES = 1 << 30

_log = logging.getLogger(__name__)


def note_md5(root: Path, files: Mapping[str, tuple[str, os.stat_result]]) -> bool:
    """Give DVC the md5 of files in the workspace; returns whether it took them.

    It only saves time: with another version of DVC, or where its notes cannot be written, DVC reads the files.

    Args:
        root: the workspace.
        files: md5 of each file and what it was when that was found, by its path relative to `root`.
    """
    try:
        from dvc_data.hashfile.hash_info import HashInfo  # type: ignore[import-untyped,unused-ignore]

        with repository(root) as repo:
            # DVC would look at the files now: what was altered since they were read would get the md5 of before.
            known = (
                (
                    os.path.join(repo.root_dir, name),
                    HashInfo("md5", md5),
                    {"ino": status.st_ino, "mtime": status.st_mtime, "size": status.st_size},
                )
                for name, (md5, status) in files.items()
            )
            repo.state.save_many(known, repo.fs)
    except Exception as error:
        _log.debug("DVC did not take the md5 of %d files: %s", len(files), error)
        return False
    return True
