"""HearLab's own code, followed from definition to definition: what a function can reach, and nothing else.

Every name that a definition's source mentions is followed through the modules of the same top-level packages:
functions, classes and constants, as they are defined, without comments, docstrings and layout. So a change in something
that a unit uses changes its identity, and a change elsewhere, even in the same module, does not. What cannot be
followed in this way must not be written in HearLab: a test refuses it.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from hearlab.compute.code.file_cache import Stamp, digests, stamp
from hearlab.compute.code.module_table import Definition, Module, imports_of, modules

OWN_PACKAGE = "hearlab"
DATA_FOLDER = Path(__file__).resolve().parents[2] / "data"
ALL = "*"  # in place of a name: everything in the module
EFFECTS = ""  # in place of a name: the statements of a module that are there for what they do

_FILE_NAME = re.compile(r"[\w-]+(\.[\w-]+)+")


def places(top: str) -> list[str]:
    """Where a top-level package or module is: its folders, or its file. Nothing is imported."""
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError, AttributeError):
        return []
    if spec is None:
        return []
    if spec.submodule_search_locations is not None:
        return list(spec.submodule_search_locations)
    return [spec.origin] if spec.has_location and spec.origin else []


class Reached:
    """All definitions that others reach, and the files that were looked at on the way.

    Args:
        packages: top-level packages whose definitions are followed; other libraries are not, their versions are fixed
            by constraints.txt.
    """

    def __init__(self, packages: Iterable[str] = (OWN_PACKAGE,)) -> None:
        self.files: dict[str, tuple[Stamp, str]] = {}
        self.folders: dict[str, Stamp] = {}
        self.definitions: set[Definition] = set()
        self._imported: set[str] = set()  # names of other libraries
        self._packages = set(packages)
        self._places: dict[str, list[str]] = {}
        self._sources: dict[str, str | None] = {}
        self._tables: dict[str, Module] = {}

    def add(self, start: Iterable[Definition]) -> None:
        """Follow everything that these reach."""
        pending = list(start)
        while pending:
            definition = pending.pop()
            if definition not in self.definitions and definition[0].split(".")[0] in self._packages:
                self.definitions.add(definition)
                pending += self._mentioned(*definition)

    def lines(self) -> Iterator[str]:
        """The source of all that was reached, with the identity of the data files that it names."""
        for module, name in sorted(self.definitions):
            for text in self._texts(module, name):
                yield f"{module}:{name}:{text}"
        yield from sorted(self._imported)

    def places(self, top: str) -> list[str]:
        """As `places`, looked up once."""
        if top not in self._places:
            self._places[top] = places(top)
        return self._places[top]

    def is_module(self, dotted: str) -> bool:
        """Whether it is the name of a module or package, not of something in one."""
        return self._source(dotted) is not None

    def named(self, dotted: str) -> Iterator[Definition]:
        """What 'package.module.name' names: a definition, or all of a module."""
        parts = dotted.split(".")
        known = [count for count in range(1, len(parts) + 1) if self._source(".".join(parts[:count])) is not None]
        for count in known[:-1]:
            module, name = ".".join(parts[:count]), parts[count]
            table, submodule = self._table(module), ".".join(parts[: count + 1])
            if name in table.definitions or any(_dotted(each) != submodule for each in table.imports.get(name, ())):
                yield from self._resolve(module, name)  # the package has something else of that name
        for count in known[-1:]:
            module, rest = ".".join(parts[:count]), parts[count:]
            yield from self._resolve(module, rest[0]) if rest else [(module, ALL)]

    # --- what a definition mentions ---------------------------------------------------------------------------

    def _mentioned(self, module: str, name: str) -> Iterator[Definition]:
        table = self._table(module)
        if name == ALL:
            for each in {**table.definitions, **table.imports}:
                yield from self._resolve(module, each)
            yield from ((star, ALL) for star in table.stars)
        if name != EFFECTS:
            yield module, EFFECTS
        for node in table.nodes(name):
            yield from self._mentioned_by(node, module)

    def _mentioned_by(self, node: ast.stmt, module: str) -> Iterator[Definition]:
        found = self._table(module).mentions(node)
        local, _ = imports_of(found.imports, self._package(module))
        for root, attributes in [*found.chains, *((name, ()) for name in found.declared)]:
            for target in local.get(root, ()):
                yield from self._imports(target, attributes, f"{module}:{root}")
            yield from self._local(module, root, attributes)

    def _local(self, module: str, root: str, attributes: tuple[str, ...]) -> Iterator[Definition]:
        table = self._table(module)
        for target in table.imports.get(root, ()):
            yield from self._imports(target, attributes, f"{module}:{root}")
        if root in table.definitions or root not in table.imports:
            yield from self._resolve(module, root)

    def _imports(self, target: Definition, attributes: tuple[str, ...], where: str) -> Iterator[Definition]:
        """What is reached by an imported name, with the attributes that are read of it."""
        dotted = _dotted(target)
        if dotted.split(".")[0] in self._packages:
            yield from self.named(".".join((dotted, *attributes)))
        else:
            self._imported.add(f"{where} is {dotted}")

    def _resolve(self, module: str, name: str, seen: frozenset[Definition] = frozenset()) -> Iterator[Definition]:
        """Where a name of a module is really defined: here, or where the module imports it from."""
        if (module, name) in seen or module.split(".")[0] not in self._packages:
            return
        seen |= {(module, name)}
        table = self._table(module)
        if name in table.definitions:
            yield module, name
        for target in table.imports.get(name, ()):
            if self._source(_dotted(target)) is not None:
                yield _dotted(target), ALL
            elif target[0].split(".")[0] in self._packages:
                yield from self._resolve(*target, seen)
            else:
                self._imported.add(f"{module}:{name} is {_dotted(target)}")
        if name not in table.definitions and name not in table.imports:
            for star in table.stars:
                yield from self._resolve(star, name, seen)
            if "__getattr__" in table.definitions:
                yield module, "__getattr__"

    # --- files ------------------------------------------------------------------------------------------------

    def _texts(self, module: str, name: str) -> list[str]:
        table, path = self._table(module), self._source(module)
        if name not in table.texts:
            table.texts[name] = [ast.dump(node) for node in table.nodes(name)]
        texts = list(table.texts[name])
        if (shared := os.fspath(DATA_FOLDER)) not in self.folders:  # a file that is new there may be one that is named
            self.folders[shared] = stamp(shared)
        for node in table.nodes(name) if path else ():
            for file in sorted(filter(_FILE_NAME.fullmatch, table.mentions(node).texts)):
                for folder in (os.fspath(DATA_FOLDER), os.path.dirname(str(path))):
                    data = os.path.join(folder, file)
                    if not file.endswith(".py") and os.path.isfile(data):
                        self.files[data] = digests.of(data)
                        texts.append(self.files[data][1])
        return texts

    def _table(self, module: str) -> Module:
        if module not in self._tables:
            path = self._source(module)
            if path is None:
                table = Module("", [])
            else:
                mark, table = modules.of(path)
                self.files[path] = mark, table.digest
            self._tables[module] = table.within(self._package(module))
        return self._tables[module]

    def _package(self, module: str) -> str:
        return module if os.path.basename(self._source(module) or "") == "__init__.py" else module.rpartition(".")[0]

    def _source(self, module: str) -> str | None:
        """The source file of a module."""
        if module not in self._sources:
            top, *parts = module.split(".")
            self._sources[module] = next(filter(None, (self._file(place, parts) for place in places(top))), None)
        return self._sources[module]

    def _file(self, place: str, parts: list[str]) -> str | None:
        if not os.path.isdir(place):
            return place if place.endswith(".py") and not parts else None
        base = os.path.join(place, *parts)
        for path in (os.path.join(base, "__init__.py"), f"{base}.py"):
            if os.path.isfile(path):
                self.folders[os.path.dirname(path)] = stamp(os.path.dirname(path))
                return path
        return None


def _dotted(target: Definition) -> str:
    return ".".join(part for part in target if part)
