"""What DVC has noted, on this machine, of the files in a workspace.

It notes which md5 a file of that inode, time and size has. After a stage it reads every output file that it has no such
note of. The engine has read them already, when it stored them, and hands them over.

It also notes what it has linked to its cache, and `dvc exp run` removes those of its links that are no output any more:
with another data set the whole of the former one.
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


def keep_linked(root: Path, folder: str) -> int:
    """Have DVC forget that it made the links in a folder, so that it does not remove them; returns how many it did.

    Their bytes stay in its cache, and outputs of the pipeline are replaced and removed as before.

    Args:
        root: the workspace.
        folder: below it, such as 'data'.
    """
    try:
        with repository(root) as repo, repo.state.links as links:
            found = [name for name in links if Path(name).parts[:1] == (folder,)]
            for name in found:
                del links[name]
    except Exception as error:  # DVC is not installed, or another version
        _log.debug("DVC keeps its notes of links in %s: %s", folder, error)
        return 0
    return len(found)
