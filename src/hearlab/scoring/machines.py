"""Which kind of machine made the results of each stage: metrics/machines.json, which git versions beside dvc.lock.

A stage that is made again from the same inputs, parameters and code has the same bytes, or says here that it has others
and what differs between the machines. What has the same bytes keeps the record of the machine that made it first, so
that the file is the same on all.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hearlab.compute.notes import kept_bytes
from hearlab.errors import InputError
from hearlab.files import md5_of, parse_json, write_json

FILE = "metrics/machines.json"
# What a pair's score, and the mean of all, may change by when another kind of machine makes all again: measured in
# docs/notes/same-bytes.md. Music's are those of a network that is trained anew.
BETWEEN_MACHINES = {"speech": (1e-4, 1e-4), "music": (2e-2, 5e-3)}
KEY = re.compile(rb'^\{"key":"([0-9a-f]{64})"', re.MULTILINE)  # as the memo writes it, an entry a line
NOTE = "docs/notes/same-bytes.md"

_log = logging.getLogger(__name__)


def note_machine(stage: str, work: str, result: str, machine: Mapping[str, str]) -> None:
    """Note that a stage was made here; warn where it has other bytes than were recorded for the same work.

    Args:
        stage: as dvc.lock names it, such as 'render_scenes@dev'.
        work: digest of all that decides the result.
        result: digest of the result.
        machine: see `hearlab.kernels.arithmetic.machine`.
    """
    records = parse_records(kept_bytes(Path(FILE)))
    before = records.get(stage, {})
    if before.get("work") == work and before.get("result") == result:
        return
    if before.get("work") == work:
        _log.warning(
            "%s: other bytes than recorded for the same inputs, parameters and code: %s (%s; %s)",
            stage,
            difference(before.get("machine", {}), machine),
            FILE,
            NOTE,
        )
    records[stage] = {"work": work, "result": result, "machine": dict(machine)}
    Path(FILE).parent.mkdir(parents=True, exist_ok=True)
    write_json(Path(FILE), dict(sorted(records.items())))


def parse_records(content: bytes | None) -> dict[str, dict[str, Any]]:
    """The records of all stages; none where they are missing or cannot be read: they are made again."""
    try:
        records = parse_json(content or b"{}", FILE)
    except InputError:
        return {}
    return {name: record for name, record in records.items() if _is_record(record)} if isinstance(records, dict) else {}


def other_machine(there: bytes | None, here: bytes | None, stages: Iterable[str]) -> str | None:
    """What differs between the machines that made two results, by their records, in a line; None if nothing does.

    Args:
        there: the record of a result; None if it has none.
        here: that of the same result, made again.
        stages: those that count.
    """
    recorded, made = parse_records(there), parse_records(here)
    if not recorded:
        return "the machine that made it is not recorded"
    for stage in stages:
        if stage in made and stage not in recorded:
            return f"no machine is recorded for {stage}"
        if stage in made and recorded[stage]["machine"] != made[stage]["machine"]:
            return difference(recorded[stage]["machine"], made[stage]["machine"])
    return None


def _is_record(record: Any) -> bool:
    return (
        isinstance(record, dict)
        and isinstance(record.get("machine"), dict)
        and all(isinstance(value, str) for value in record["machine"].values())
    )


def difference(recorded: Mapping[str, str], here: Mapping[str, str]) -> str:
    """What differs between two machines, in a line."""
    names = [name for name in {**recorded, **here} if recorded.get(name) != here.get(name)]
    if not names:
        return f"the recorded machine is of the same kind as this one ({here.get('processor')})"
    return ", ".join(f"{name} {recorded.get(name, 'none')} there, {here.get(name, 'none')} here" for name in names)


def digest_of_units(index: Path) -> tuple[str, str]:
    """Digests of the work and of the result of a stage, from its index of finished units."""
    keys = sorted(KEY.findall(index.read_bytes()))
    return hashlib.sha256(b"\n".join(keys)).hexdigest()[:32], md5_of(index)


def digest_of_files(folder: Path) -> str:
    """Digest of all files of a folder."""
    lines = [
        f"{path.relative_to(folder).as_posix()} {md5_of(path)}" for path in sorted(folder.rglob("*")) if path.is_file()
    ]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32]


def digest_of_work(*parts: Any) -> str:
    """Digest of values that JSON can hold."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]
