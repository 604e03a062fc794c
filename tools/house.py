"""The house: who imports whom, the rules for it, and its picture.

    python tools/house.py            print the counts, write docs/images/house.svg
    python tools/house.py --check    exit 1 if a rule is broken or the picture is out of date

An import counts wherever it stands: in a function, under `TYPE_CHECKING` (a module that needs another one's types
depends on it), or as `import_module("hearlab...")`. Stages and commands are started by names built at run time:
those do not count.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from house_picture import draw

REPOSITORY = Path(__file__).resolve().parent.parent
PICTURE = REPOSITORY / "docs/images/house.svg"
# The rules hold for the modules below each of these folders; the floors are those of the package.
ROOTS = ("src", "benchmarks", "tools")
PACKAGE = "hearlab"
LONGEST_MODULE, FULLEST_FOLDER = 400, 15

# From the ground to the roof: a room may import what lies on lower floors, nothing of its own floor or above it. Each
# room is a folder or a module of the package, here with what it is about.
FLOORS: tuple[Mapping[str, str], ...] = (
    {
        "text": "tables and sizes",
        "named": "code loaded by name",
        "arrays": "types of arrays",
        "separators": "their table",
        "learners": "what is trained",
        "ranges": "of plausible values",
        "secrets": "hidden in all texts",
        "cores": "that may be used",
    },
    {"errors": "one line for the user"},
    {
        "kernels": "compiled loops",
        "files": "atomic writing, bounded reading",
        "names": "safe for files and lines",
        "progress": "the progress line",
        "source": "whose code runs",
    },
    {"audio": "WAV, FLAC, levels", "listeners": "audiograms", "params": "params.yaml, validated"},
    {"fitting": "NAL-R, compressor", "networks": "devices, weights", "versions": "git and DVC"},
    {"compute": "units, memo, workers", "datasets": "file layout, demo", "enhancement": "a network that hears"},
    {
        "ear": "the auditory model",
        "scenes": "build and render scenes",
        "separation": "songs into stems",
        "systems": "the hearing aids",
        "scoring": "tables and statistics",
    },
    {"metrics": "HASPI, HASQI, HAAQI", "tracking": "runs in MLflow"},
    {"learning": "metrics with gradients"},
    {"training": "of hearing aids, by the metrics"},
    {"stages": "one module per DVC stage"},
    {"report.leaderboard": "entries, verified", "report.doctor": "what is installed"},
    {"report.compare": "are two results different?", "report.plan": "what would run", "report.experiments": "lists"},
    {"report.site": "the listening pages", "report.serve": "pages on a server", "sweep": "many experiments"},
    {"lab": "one pair at a time"},
    {"commands": "one module per command"},
    {"cli": "the hearlab command"},
)


@dataclass(frozen=True)
class Import:
    """`source` imports `target` in this line of its file; both are dotted names of modules below one root."""

    source: str
    target: str
    line: int


@dataclass(frozen=True)
class Module:
    """A file below a root; a package is its `__init__.py`."""

    name: str
    path: Path
    is_package: bool
    lines: int
    imports: tuple[Import, ...]


Modules = Mapping[str, Module]


def read(root: Path) -> dict[str, Module]:
    """All modules below `root` by dotted name, each with its imports from the same root."""
    paths = {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        if not any(part.startswith(".") for part in parts):
            paths[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    paths.pop("", None)
    modules = {}
    for name, path in paths.items():
        text = path.read_text(encoding="utf-8")
        is_package = path.name == "__init__.py"
        package = name if is_package else name.rpartition(".")[0]
        found = {
            Import(name, target, line)
            for line, wanted in _imported_names(ast.parse(text, str(path)), package)
            if (target := _longest_known(wanted, paths)) not in (None, name)
        }
        imports = tuple(sorted(found, key=lambda one: (one.line, one.target)))
        modules[name] = Module(name, path, is_package, len(text.splitlines()), imports)
    return modules


def _imported_names(tree: ast.AST, package: str) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything that is imported; `from a import b` yields a.b, which may be no module."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, name.name) for name in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                base = package.split(".")[: len(package.split(".")) + 1 - level] if level else []
                start = ".".join([*base, *([module] if module else [])])
                yield from ((node.lineno, f"{start}.{name.name}") for name in names)
            case ast.Call(
                func=ast.Name(id="import_module") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                yield node.lineno, name


def _longest_known(name: str, known: Mapping[str, object]) -> str | None:
    """The module that `name` is, or that holds it."""
    while name and name not in known:
        name = name.rpartition(".")[0]
    return name or None


def circles(modules: Modules) -> list[str]:
    """Circles between the modules and folders of each folder, one line for each, with the imports that close it."""
    arrows: dict[str, dict[tuple[str, str], Import]] = defaultdict(dict)
    for one in _all_imports(modules):
        source, target = one.source.split("."), one.target.split(".")
        depth = next((i for i, (a, b) in enumerate(zip(source, target, strict=False)) if a != b), None)
        if depth is None:  # a package and a module in it: the package itself is the room `__init__`
            depth = min(len(source), len(target))
        ends = tuple(
            ".".join(parts[: depth + 1] if depth < len(parts) else [*parts, "__init__"]) for parts in (source, target)
        )
        arrows[".".join(source[:depth])].setdefault((ends[0], ends[1]), one)
    found = []
    for inside in sorted(arrows):
        seen: set[frozenset[str]] = set()
        for start in sorted({source for source, _ in arrows[inside]}):
            way = _way_back(start, list(arrows[inside]))
            if way and frozenset(way) not in seen:
                seen.add(frozenset(way))
                steps = zip(way, [*way[1:], way[0]], strict=True)
                found.append("circle: " + "; ".join(_where(modules, arrows[inside][step]) for step in steps))
    return found


def _way_back(start: str, arrows: list[tuple[str, str]]) -> list[str]:
    """The shortest way along the arrows from `start` to `start`, without its end; empty if there is none."""
    ways = [[start]]
    reached = set()
    while ways:
        way = ways.pop(0)
        for source, target in sorted(arrows):
            if source == way[-1] and target == start:
                return way
            if source == way[-1] and target not in reached:
                reached.add(target)
                ways.append([*way, target])
    return []


def upward_imports(modules: Modules) -> list[str]:
    """Imports from a room's own floor or a higher one, modules that are in no room, and rooms that do not exist."""
    floor_of = {f"{PACKAGE}.{room}": floor for floor, rooms in enumerate(FLOORS) for room in rooms}
    found = [
        f"{_short(room)} has a floor in tools/house.py but does not exist" for room in floor_of if room not in modules
    ]
    for module in modules.values():
        room = _longest_known(module.name, floor_of)
        if room is None and not module.is_package:
            found.append(f"{module.path}: in no room; give {module.name} a floor in tools/house.py")
        for one in module.imports:
            target = _longest_known(one.target, floor_of)
            # A package above the rooms (hearlab, hearlab.report) holds a version or nothing: all may import it.
            if room and target and room != target and floor_of[target] >= floor_of[room]:
                found.append(
                    f"upward: {_where(modules, one)}; {_short(room)} is on floor {floor_of[room]}, "
                    f"{_short(target)} on floor {floor_of[target]}"
                )
            if room is None and target:
                found.append(f"upward: {_where(modules, one)}; {module.name} is below all rooms")
    return found


def long_modules(modules: Modules, limit: int = LONGEST_MODULE) -> list[str]:
    """Modules with more than `limit` lines."""
    return [
        f"long: {module.path} has {module.lines} lines, at most {limit} are allowed: give its second subject a module"
        for module in modules.values()
        if module.lines > limit
    ]


def crowded_folders(modules: Modules, limit: int = FULLEST_FOLDER) -> list[str]:
    """Folders with more than `limit` modules besides `__init__`."""
    count: dict[Path, int] = defaultdict(int)
    for module in modules.values():
        count[module.path.parent] += not module.is_package
    return [
        f"crowded: {folder} has {number} modules, at most {limit} are allowed: give a subject its own folder"
        for folder, number in count.items()
        if number > limit
    ]


def broken_rules(repository: Path) -> list[str]:
    """One line for each place in the repository where a rule is broken."""
    found = []
    for root in ROOTS:
        modules = read(repository / root)
        found += [*circles(modules), *long_modules(modules), *crowded_folders(modules)]
        if root == "src":
            found += upward_imports(modules)
    return [line.replace(f"{repository}/", "") for line in found]


def room_arrows(modules: Modules) -> set[tuple[str, str]]:
    """The pairs of rooms of which the first imports the second."""
    rooms = {f"{PACKAGE}.{room}": room for floor in FLOORS for room in floor}
    ends = ((_longest_known(one.source, rooms), _longest_known(one.target, rooms)) for one in _all_imports(modules))
    return {(rooms[source], rooms[target]) for source, target in ends if source and target and source != target}


def picture(modules: Modules) -> str:
    """The floors of the package as SVG."""
    sizes = {
        room: sum(_in_room(name, f"{PACKAGE}.{room}") and not module.is_package for name, module in modules.items())
        for floor in FLOORS
        for room in floor
        if f"{PACKAGE}.{room}" in modules and modules[f"{PACKAGE}.{room}"].is_package
    }
    return draw([dict(floor) for floor in FLOORS], room_arrows(modules), sizes)


def counts(modules: Modules) -> str:
    """What the size of the house is, in one line."""
    between_modules = {(one.source, one.target) for one in _all_imports(modules)}
    number = sum(not module.is_package for module in modules.values())
    lines = sum(module.lines for module in modules.values())
    return (
        f"{number} modules in {sum(map(len, FLOORS))} rooms on {len(FLOORS)} floors, {lines} lines; "
        f"{len(room_arrows(modules))} arrows between rooms, {len(between_modules)} between modules"
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 if something is wrong")
    check = parser.parse_args(arguments).check
    modules = read(REPOSITORY / "src")
    wrong = broken_rules(REPOSITORY)
    svg = picture(modules)
    if not check:
        PICTURE.write_text(svg, encoding="utf-8")
        print(counts(modules))
    elif not PICTURE.is_file() or PICTURE.read_text(encoding="utf-8") != svg:
        wrong.append(f"{PICTURE.relative_to(REPOSITORY)} is out of date: run python tools/house.py")
    print(*wrong, sep="\n", end="\n" if wrong else "", file=sys.stderr)
    return int(bool(wrong))


def _all_imports(modules: Modules) -> Iterator[Import]:
    for module in modules.values():
        yield from module.imports


def _where(modules: Modules, one: Import) -> str:
    return f"{modules[one.source].path}:{one.line} imports {one.target}"


def _short(room: str) -> str:
    return room.removeprefix(f"{PACKAGE}.")


def _in_room(name: str, room: str) -> bool:
    return name == room or name.startswith(f"{room}.")


if __name__ == "__main__":
    sys.exit(main())
