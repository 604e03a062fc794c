"""Actions that damage what a workspace has stored: outputs, objects of DVC's cache, HearLab's notes."""

from __future__ import annotations

import os
import random
import re
from pathlib import Path

from small_workspace import HOME, INPUTS, UNIT_STAGES, replace, said

UNIT_FOLDERS = ("rendered", "enhanced", "separated", "separator", "enhanced_music")
JOURNAL = "journal.jsonl"
NOTES = (JOURNAL, "identities.txt")


def damage(path: Path, rng: random.Random) -> str:
    """Change, cut, lengthen, replace or remove a file where it lies; other links to it see it, too."""
    how = rng.choice(("a byte", "a byte", "cut", "longer", "replaced", "removed"))
    if how == "a byte" and path.suffix in (".json", ".jsonl"):
        how = _other_digits(path, rng)
    elif how == "removed":
        path.unlink()
    elif how == "replaced":
        replace(path, bytes(path.stat().st_size))
    else:
        mode, size = path.stat().st_mode, path.stat().st_size
        os.chmod(path, 0o644)
        with path.open("r+b") as file:
            if how == "cut":
                file.truncate(rng.randrange(size) if size else 0)
            elif how == "longer":
                file.seek(size)
                file.write(b"\0more")
            elif size:
                place = rng.randrange(size)
                file.seek(place)
                byte = file.read(1)[0]
                file.seek(place)
                file.write(bytes([byte ^ 1 << rng.randrange(8)]))
        os.chmod(path, mode)
    return how


def _other_digits(path: Path, rng: random.Random) -> str:
    """Change a tenth of all fractions where they lie: numbers stay numbers, and JSON stays JSON."""
    mode, count = path.stat().st_mode, 0

    def other(match: re.Match[bytes]) -> bytes:
        nonlocal count
        if rng.random() > 0.1:
            return match[0]
        count += 1
        return match[0][:-1] + str(9 - int(match[0][-1:])).encode()

    text = re.sub(rb"\d\.\d+", other, path.read_bytes())
    os.chmod(path, 0o644)
    with path.open("r+b") as file:
        file.write(text)
    os.chmod(path, mode)
    return f"{count} other digits"


def alter_output(folder: Path, rng: random.Random) -> str:
    data = folder / "data" / "clarity"
    tops = [data / name for name in (*UNIT_FOLDERS, "units", "scene_lists")] + [folder / "metrics"]
    files = sorted(path for path in rng.choice(tops).rglob("*.*") if path.is_file() and path.name != ".gitignore")
    if not files:
        return "no outputs"
    path = rng.choice(files)
    said = f"{path.relative_to(folder)}: {damage(path, rng)}"
    if path.parent.name == "units" and rng.random() < 0.5:
        (folder / ".hearlab" / JOURNAL).unlink(missing_ok=True)  # as in a clone, which has the index alone
        said += ", and no journal"
    return said


def alter_cache(folder: Path, rng: random.Random) -> str:
    """Objects of inputs are left: other links to them are the user's files."""
    inputs = {path.stat().st_ino for name in (*HOME, *INPUTS) for path in (folder / name).rglob("*")}
    files = sorted(path for path in (folder / ".dvc" / "cache" / "files").rglob("*") if path.is_file())
    files = [path for path in files if path.stat().st_ino not in inputs]
    said = []
    for path in rng.sample(files, min(len(files), rng.choice((1, 5)))):
        said.append(f"{path.parent.name}{path.name}: {damage(path, rng)}")
    return ", ".join(said) or "no cache"


def alter_unseen(folder: Path, rng: random.Random) -> str:
    """A byte flips and all times stay: only `hearlab memo verify`, which reads everything, can see it."""
    files = sorted(p for name in UNIT_FOLDERS for p in (folder / "data/clarity" / name).rglob("*.*") if p.is_file())
    if not files:
        return "no outputs"
    path = rng.choice(files)
    status, content = path.stat(), bytearray(path.read_bytes())
    content[rng.randrange(len(content))] ^= 1
    os.chmod(path, 0o644)
    with path.open("r+b") as file:
        file.write(content)
    os.chmod(path, status.st_mode)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    return f"{path.relative_to(folder)}, {said(folder, 'hearlab', 'memo', 'verify')}"


def alter_notes(folder: Path, rng: random.Random) -> str:
    """Damage what HearLab notes in .hearlab, and have a stage use it."""
    files = sorted(path for path in (folder / ".hearlab").rglob("*") if path.is_file())
    if not files:
        return "no notes"
    favourites = [path for path in files if path.name in NOTES]
    path = rng.choice(favourites if favourites and rng.random() < 0.7 else files)
    if path.name == JOURNAL and rng.random() < 0.3:
        lines = path.read_bytes().splitlines(keepends=True)
        rng.shuffle(lines)
        path.write_bytes(b"".join(lines[rng.randrange(len(lines) + 1) :]))
        how = "lines shuffled and lost"
    else:
        how = damage(path, rng)
    stage = rng.choice(UNIT_STAGES).replace(" ", "@")
    return f"{path.name}: {how}; {said(folder, 'dvc', 'repro', '--force', '--single-item', stage)}"
