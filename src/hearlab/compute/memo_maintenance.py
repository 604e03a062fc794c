"""Maintenance of the memo: what is stored, what can be deleted, and whether every byte is still right."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hearlab.compute.entries import Entry
from hearlab.compute.memo import Memo
from hearlab.errors import InputError
from hearlab.progress import UnitProgress
from hearlab.text import size_text, table
from hearlab.versions.lock import listing, lock_records

INDEX_PATTERN = "data/*/units/*.json"


@dataclass(frozen=True)
class StageStatus:
    """Finished units of a stage that the memo knows: how many, how many of them are in the current result, bytes."""

    stage: str
    units: int
    current: int
    files: int
    size: int


@dataclass(frozen=True)
class VerifyResult:
    """What `verify` read and found: identities of wrong objects, ids of the units to be run again."""

    objects: int
    wrong: tuple[str, ...]
    again: tuple[str, ...]


def open_memo(root: Path) -> tuple[Memo, dict[Path, set[str]]]:
    """The memo with all versioned indexes read, and the keys in each index."""
    memo = Memo(root)
    # Through a link to somewhere else `verify` would replace a file there.
    paths = (path for path in memo.root.glob(INDEX_PATTERN) if path.parent.resolve().is_relative_to(memo.root))
    return memo, {path: memo.load_index(path) for path in sorted(paths)}


def status(root: Path) -> list[StageStatus]:
    """One row for each stage."""
    memo, indexes = open_memo(root)
    current = set[str]().union(*indexes.values())
    stages: dict[str, list[Entry]] = {}
    for entry in memo.entries.values():
        stages.setdefault(entry.stage, []).append(entry)
    rows = []
    for stage, entries in sorted(stages.items()):
        sizes = {file.md5: file.size for entry in entries for file in entry.files}
        here = sum(entry.key in current for entry in entries)
        rows.append(StageStatus(stage, len(entries), here, len(sizes), sum(sizes.values())))
    return rows


def collect_garbage(root: Path, *, dry_run: bool = False) -> tuple[int, int]:
    """Forget units that are in no current or interrupted result, and delete their bytes unless DVC knows them.

    Bytes that any folder in DVC's cache or dvc.lock lists belong to a commit or experiment: `dvc gc` decides on them.

    Returns:
        number of objects deleted (or, for a dry run, to be deleted) and their bytes.

    Raises:
        InputError: a folder's listing in DVC's cache is damaged, so that it is not known what it needs.
    """
    memo, indexes = open_memo(root)
    # What an interrupted run has finished is in no index yet.
    current = set[str]().union(*indexes.values(), *memo.unfinished.values())
    old = [entry for key, entry in memo.entries.items() if key not in current]
    needed = {file.md5 for key in current if key in memo.entries for file in memo.entries[key].files}
    needed |= _known_to_dvc(memo)
    victims = {file.md5: file.size for entry in old for file in entry.files if file.md5 not in needed}
    present = {md5: size for md5, size in victims.items() if os.path.exists(memo.store.path(md5))}
    if not dry_run:
        memo.drop([entry.key for entry in old])
        for md5 in present:
            memo.store.delete(md5)
    return len(present), sum(present.values())


def _known_to_dvc(memo: Memo) -> set[str]:
    if memo.cache is None:
        return set()
    known = set(lock_records(memo.root, memo.cache).values())
    for folder in memo.cache.glob("??/*.dir"):
        content = folder.read_bytes() if folder.is_file() else b""
        files = set(listing(content).values())
        if not files and content.strip() != b"[]":
            problem = "is no listing of a folder by DVC: nothing is deleted, since what it should list would be"
            raise InputError(folder, problem, advice="remove it; dvc pull, or dvc repro, brings it back")
        known |= files
    return known


def verify(root: Path) -> VerifyResult:
    """Read every stored byte again; set wrong objects aside, and forget the units that made or read them.

    Outputs that link to a wrong object are removed from the workspace, and the versioned indexes lose the units, so
    that the next `dvc repro` runs exactly these stages and, in them, exactly these units.
    """
    memo, indexes = open_memo(root)
    sizes = {file.md5: file.size for entry in memo.entries.values() for file in entry.files}
    progress = UnitProgress("memo verify", len(sizes))
    wrong = []
    for md5 in sorted(sizes):
        bad = memo.store.is_wrong(md5, again=True)
        if bad:
            wrong.append(md5)
        progress.advance(failed=bad)
    progress.finish()
    dropped = _dependents(memo, set(wrong))
    for entry in dropped:
        for file in entry.files:
            _remove_link(memo, memo.root / entry.out / file.name, file.md5)
    for md5 in wrong:
        memo.store.set_aside(md5)
    memo.notes.forget(wrong)
    memo.notes.save()
    keys = {entry.key for entry in dropped}
    for index, index_keys in indexes.items():
        if index_keys & keys:
            # Taken out of the way first: it may be a link into DVC's cache.
            kept = {memo.entries[key].id: key for key in index_keys - keys}
            os.unlink(index)
            memo.write_index(index, kept)
    memo.drop(keys)
    return VerifyResult(len(sizes), tuple(wrong), tuple(f"{entry.stage}: {entry.id}" for entry in dropped))


def _remove_link(memo: Memo, path: Path, md5: str) -> None:
    """Remove a file of the workspace if it is a link to that object; what an entry names could be any other file."""
    with contextlib.suppress(OSError):
        if path.parent.resolve().is_relative_to(memo.root) and os.path.samefile(path, memo.store.path(md5)):
            path.unlink()


def _dependents(memo: Memo, wrong: set[str]) -> list[Entry]:
    """Units that made a wrong object, units that read one, and units that read what those made."""
    dropped: dict[str, Entry] = {}
    while True:
        more = [
            entry
            for entry in memo.entries.values()
            if entry.key not in dropped and (_made(entry) & wrong or set(entry.inputs) & wrong)
        ]
        if not more:
            return sorted(dropped.values(), key=lambda entry: (entry.stage, entry.id))
        for entry in more:
            dropped[entry.key] = entry
            # What was computed from wrong bytes is not to be trusted, even if its own bytes are as they were written.
            if set(entry.inputs) & wrong:
                wrong |= _made(entry)


def _made(entry: Entry) -> set[str]:
    return {file.md5 for file in entry.files}


def status_text(rows: Iterable[StageStatus]) -> str:
    """`status` as a table."""
    counts = ((row.stage, str(row.units), str(row.current), str(row.files), size_text(row.size)) for row in rows)
    return table([("stage", "units", "current", "files", "size"), *counts])
