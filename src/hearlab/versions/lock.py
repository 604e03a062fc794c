"""dvc.lock: which stages have run, on what, and the identity (md5) of every file that they made."""

from __future__ import annotations

import contextlib
import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hearlab.errors import InputError
from hearlab.files import parse_json, parse_yaml, read_bytes, write_text
from hearlab.versions.dvc_files import cached_object, is_md5

LOCK_FILE = "dvc.lock"

Lock = Mapping[str, Mapping[str, Any]]


def parse_lock(content: bytes | None) -> dict[str, dict[str, Any]]:
    """The stages of a dvc.lock; none where it is absent or holds nothing that can be read."""
    lock = parse_yaml(content)
    stages = lock.get("stages") if isinstance(lock, dict) else None
    if not isinstance(stages, dict):
        return {}
    return {str(name): _sound(stage) for name, stage in stages.items() if isinstance(stage, dict)}


def _sound(stage: dict[str, Any]) -> dict[str, Any]:
    """A stage without lists that are none, and without parameters that are not by file and name."""
    wrong = {kind for kind in ("deps", "outs") if not isinstance(stage.get(kind), list)}
    params = stage.get("params")
    if not isinstance(params, dict) or not all(isinstance(values, dict) for values in params.values()):
        wrong.add("params")
    return {name: value for name, value in stage.items() if name not in wrong}


def lock_stages(root: Path) -> dict[str, dict[str, Any]]:
    """The stages of the dvc.lock that lies in `root`; none where there is no such file."""
    try:
        return parse_lock(read_bytes(root / LOCK_FILE))
    except InputError:
        return {}


def outs(stage: Mapping[str, Any]) -> dict[str, str]:
    """md5 of each file or folder that a stage made, by its path; that of a folder ends in '.dir'."""
    return _identities(stage, "outs")


def deps(stage: Mapping[str, Any]) -> dict[str, str]:
    """md5 of each file or folder that a stage read, by its path."""
    return _identities(stage, "deps")


def _identities(stage: Mapping[str, Any], kind: str) -> dict[str, str]:
    entries = stage.get(kind) or []
    return {str(entry.get("path")): str(entry.get("md5") or "") for entry in entries if isinstance(entry, dict)}


def all_outs(lock: Lock) -> dict[str, str]:
    """md5 of everything that any stage made, by its path."""
    return {path: identity for stage in lock.values() for path, identity in outs(stage).items()}


def lock_records(root: Path, cache: Path | None) -> dict[str, str]:
    """md5 of each file that dvc.lock names, by its path; files inside folders as DVC's cache lists them."""
    records: dict[str, str] = {}
    for path, identity in all_outs(lock_stages(root)).items():
        if not identity.endswith(".dir"):
            records[path] = identity
        elif cache is not None and is_md5(identity.removesuffix(".dir")):
            with contextlib.suppress(OSError):
                files = listing(cached_object(cache, identity).read_bytes())
                records |= {f"{path}/{name}": md5 for name, md5 in files.items()}
    return {path: md5 for path, md5 in records.items() if is_md5(md5)}


def forget_stage(root: Path, name: str, below: str) -> bool:
    """Take a stage out of the workspace's dvc.lock if it made something below a path: DVC then runs it again.

    DVC does not see what such a stage reads outside of the repository.
    """
    if not any(path.startswith(f"{below}/") for path in outs(lock_stages(root).get(name, {}))):
        return False
    text = read_bytes(root / LOCK_FILE).decode()
    write_text(root / LOCK_FILE, re.sub(rf"^  {re.escape(name)}:\n(?:   .*\n)*", "", text, flags=re.MULTILINE))
    return name not in lock_stages(root)


def listing(content: bytes) -> dict[str, str]:
    """What DVC notes of a folder: md5 of each file in it, by its path there; nothing where that cannot be read."""
    try:
        return {str(entry["relpath"]): str(entry["md5"]) for entry in parse_json(content, "")}
    except (InputError, KeyError, TypeError):
        return {}


def stages_behind(lock: Lock, stage: str) -> list[str]:
    """A stage and all stages that it needs, in an order in which they can run; none if the stage never ran.

    Where dvc.lock still holds a stage that no longer exists, the later one that makes the same path is taken.
    """
    makers = {path: name for name, entry in lock.items() for path in outs(entry)}
    seen: set[str] = set()
    order: list[str] = []

    in_order = sorted(makers)

    def needed(name: str) -> Iterator[str]:
        for dep in deps(lock[name]):
            below = in_order[bisect_left(in_order, f"{dep}/") : bisect_left(in_order, f"{dep}0")]  # "0" follows "/"
            parts = dep.split("/")
            above = ("/".join(parts[: n + 1]) for n in range(len(parts)))
            yield from (makers[path] for path in (*above, *below) if path in makers)

    # Not by recursion, nor each with each: the dvc.lock of a stranger holds as many stages as he likes.
    open_stages = [(stage, needed(stage))] if stage in lock else []
    seen.update(name for name, _ in open_stages)
    while open_stages:
        name, rest = open_stages[-1]
        following = next((one for one in rest if one not in seen), None)
        if following is None:
            order.append(name)
            open_stages.pop()
        else:
            seen.add(following)
            open_stages.append((following, needed(following)))
    return order


def overlap(one: str, two: str) -> bool:
    """Whether one of two paths is the other, or lies below it."""
    return one == two or one.startswith(f"{two}/") or two.startswith(f"{one}/")
