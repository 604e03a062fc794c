"""The code of a system of one's own, as a whole: its package, what that imports, and the versions of libraries.

Python has many ways to reach code, and a package that is not HearLab's may use all of them. So nothing is followed
inside it: every file of the package counts, data files too, and every file of other local code that it imports or names
in a text. Of installed distributions the version counts. No path of this machine does.

Of HearLab what it names counts, by definitions; where it has a module of HearLab as an object, or loads modules by
names that are made at run time, all of HearLab does.
"""

from __future__ import annotations

import ast
import functools
import importlib.metadata
import importlib.util
import os
import re
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BufferedReader

from hearlab.compute.code.bytecode import drop_stale_bytecode
from hearlab.compute.code.definitions import OWN_PACKAGE, Reached, places
from hearlab.compute.code.file_cache import FileCache, Stamp, digests, is_left_over, stamp
from hearlab.compute.code.module_table import decorator_name, imports_of, mentions
from hearlab.errors import InputError

_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*(:[A-Za-z_]\w*(\.\w+)*)?")
LONGEST_FILE = 200
_INSTALLED = {"site-packages", "dist-packages"}
_LOADERS = {"__import__", "import_module", "find_spec"}
# They load what a text or a path says; with another name they would not be seen.
_OTHER_LOADERS = {"exec_module", "load_module", "resolve_name", "run_module", "run_path", "spec_from_file_location"}
OUTPUTS = ("data", "metrics", ".hearlab")  # of a workspace


@dataclass(frozen=True)
class _Facts:
    """What a source file names: modules, what it takes from HearLab, definitions of HearLab, texts.

    `anything`: it can load or reach any module.
    """

    imports: frozenset[str] = frozenset()
    taken: frozenset[str] = frozenset()
    hearlab: frozenset[str] = frozenset()
    texts: frozenset[str] = frozenset()
    anything: bool = False


def _read(path: str, file: BufferedReader) -> _Facts:
    drop_stale_bytecode(path)
    try:
        tree = ast.parse(file.read())
    except (SyntaxError, ValueError):
        return _Facts()
    found = mentions(tree)
    imports, hearlab, texts = set[str](), set[str](), set(found.texts)
    taken, seen = set[str](), set[ast.AST]()
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                imports |= {alias.name for alias in names}
            case ast.ImportFrom(module=str(module), level=0, names=names):
                imports.add(module)
                hearlab |= {module if alias.name == "*" else f"{module}.{alias.name}" for alias in names}
                taken |= {f"{module}.{alias.name}" for alias in names}
            case ast.Call(args=[ast.Constant(value=str(name)), *_]) if decorator_name(
                node
            ) in _LOADERS and not name.startswith("."):
                imports.add(name)
                seen.add(node.func)
    hearlab |= imports | {text.replace(":", ".") for text in texts if _DOTTED.fullmatch(text)}
    bound, _ = imports_of(found.imports, "a.b.c.d.e.f.g.h")
    for root, attributes in found.chains:
        hearlab |= {".".join(filter(None, (*target, *attributes))) for target in bound.get(root, ())}
    own, objects = (frozenset(filter(_is_hearlab, names)) for names in (hearlab, taken))
    anything = any(_loads_anything(node) for node in ast.walk(tree) if node not in seen)
    return _Facts(frozenset(imports), objects, own, frozenset(texts), anything)


def _is_hearlab(dotted: str) -> bool:
    return f"{dotted}.".startswith(f"{OWN_PACKAGE}.")


def _loads_anything(node: ast.AST) -> bool:
    """Whether a piece of code has HearLab as an object, or a loader that is not called with a plain name."""
    match node:
        case ast.Import(names=names):
            return any(_is_hearlab(alias.name) for alias in names)
        case ast.alias(name=name, asname=str()):
            return name in _LOADERS | _OTHER_LOADERS
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name in _LOADERS | _OTHER_LOADERS
    return False


_facts = FileCache(_read)


class OwnCode:
    """All local code behind top-level packages or modules.

    Args:
        names: 'package.module:Class' of what is loaded.
        reached: follows what the code uses of HearLab.
    """

    def __init__(self, names: Iterable[str], reached: Reached) -> None:
        self.files: dict[str, Stamp] = {}
        self.folders: dict[str, Stamp] = {}
        self.looked: dict[str, Stamp] = {}  # where a module that a text names was looked for, and is not
        self._lines: list[str] = []
        self._reached = reached
        self._seen: set[str] = set()
        self._anything = False
        self._pending = [name.partition(":")[0].split(".")[0] for name in names]
        for top in tuple(self._pending):
            self._take(top, reached.places(top))
        while self._pending:
            self._follow(self._pending.pop())
        if self._anything:
            self._take(OWN_PACKAGE, reached.places(OWN_PACKAGE))

    def lines(self) -> list[str]:
        """One line for each file, each distribution and each module that is not there."""
        return sorted(self._lines)

    def _follow(self, top: str) -> None:
        """Another top-level module that is imported: local code is taken whole, of installed code its version."""
        if top in self._seen or top == OWN_PACKAGE:
            return
        where = self._reached.places(top)
        if not where:
            self._seen.add(top)
            if not _is_standard(top):
                self._lines.append(f"absent {top}")
            return
        self._seen.add(top)
        installed = list(filter(_is_installed, where))  # a namespace package can be both
        for place in installed:
            self.folders[os.path.dirname(place)] = stamp(os.path.dirname(place))  # changes with an installation
        versions = _versions(top, installed) if installed else []
        self._lines += versions
        if versions:
            where = [place for place in where if place not in installed]
        # Else no distribution says what it is.
        self._take(top, [place for place in where if not _in_standard_library(place)])

    def _take(self, top: str, where: Iterable[str]) -> None:
        self._seen.add(top)
        for number, place in enumerate(where):
            if os.path.isdir(place):
                portion = f"{top}/{number}" if number else top  # of a namespace package
                for path in self._walk(place):
                    self._add(path, f"{portion}/{os.path.relpath(path, place)}", None)
            else:
                self._add(place, os.path.basename(place), os.path.dirname(place))

    def _walk(self, folder: str) -> Iterator[str]:
        for parent, folders, files in os.walk(folder, followlinks=True):
            self.folders[parent] = stamp(parent)
            _check_no_workspace(parent, files)
            folders[:] = sorted(
                name
                for name in folders
                if not is_left_over(name)
                and not _is_environment(os.path.join(parent, name))
                and os.path.realpath(os.path.join(parent, name)) not in map(os.path.realpath, self.above(parent))
            )
            for name in sorted(files):
                path = os.path.join(parent, name)
                if not is_left_over(name) and os.path.isfile(path):
                    yield path

    @staticmethod
    def above(folder: str) -> Iterator[str]:
        """The folder and those that hold it: a link to one of them leads in a circle."""
        while True:
            yield folder
            if folder == (folder := os.path.dirname(folder)):
                return

    def _add(self, path: str, name: str, beside: str | None) -> None:
        """A file; of a module that is no package, the files beside it that it names, too."""
        if path in self.files:
            return
        self.files[path], digest = digests.of(path)
        self._lines.append(f"file {name} {digest}")
        if not path.endswith(".py"):
            return
        _, facts = _facts.of(path)
        self._pending += [module.split(".")[0] for module in facts.imports]
        self._reached.add(definition for dotted in facts.hearlab for definition in self._reached.named(dotted))
        self._anything |= facts.anything or any(map(self._reached.is_module, facts.taken))
        for text in facts.texts:
            if _DOTTED.fullmatch(text) and self._is_local(text.partition(":")[0]):
                self._pending.append(text.partition(":")[0].split(".")[0])
        if beside is not None:
            self._add_data(beside, facts.texts)

    def _is_local(self, dotted: str) -> bool:
        """Whether a text names local code; a mere folder is none, only a module in it."""
        top, *rest = dotted.split(".")
        if top in self._seen or top == OWN_PACKAGE:
            return False
        for place in self._reached.places(top):
            if _is_installed(place) or _in_standard_library(place):
                return False
            inner = [os.path.join(place, *rest[:count]) for count in range(len(rest) + 1)]
            if not os.path.isdir(place) or any(
                os.path.isfile(path) for base in inner for path in (os.path.join(base, "__init__.py"), f"{base}.py")
            ):
                return True
            self.looked |= {base: stamp(base) for base in inner}
        return False

    def _add_data(self, folder: str, texts: Iterable[str]) -> None:
        """Files that texts name, by themselves or after a folder that another text names."""
        names = [
            text
            for text in texts
            if 0 < len(text) <= LONGEST_FILE and text.isprintable() and ".." not in text and not text.startswith("/")
        ]
        bases = [folder]
        for base in bases:
            self.folders[base] = stamp(base)
            for name in names:
                path = os.path.normpath(os.path.join(base, name))
                if os.path.isfile(path):
                    self._add(path, os.path.relpath(path, folder), None)
                elif os.path.isdir(path) and path not in bases:
                    bases.append(path)


def _check_no_workspace(folder: str, files: Iterable[str]) -> None:
    """What a run writes must not be part of the code that it runs."""
    found = "dvc.yaml" if "dvc.yaml" in files else None
    real = os.path.realpath(folder)
    for above in OwnCode.above(real) if os.path.islink(folder) else ():
        if os.path.isfile(os.path.join(above, "dvc.yaml")):
            inside = os.path.relpath(real, above).split(os.sep)[0]
            found = f"a link to {real}" if inside in (".", *OUTPUTS) else found
    if found:
        problem = "is in a package of your own, all files of which are part of the keys of its units"
        raise InputError(folder, problem, found=found, advice="move the system into a package of its own")


def _is_environment(folder: str) -> bool:
    """Whether it is a virtual environment: what is imported from it counts by its version."""
    return any(os.path.exists(os.path.join(folder, name)) for name in ("pyvenv.cfg", "conda-meta"))


def is_local(path: str) -> bool:
    """Whether a file is neither the standard library's nor an installed distribution's nor HearLab's."""
    hearlab = tuple(place + os.sep for place in places(OWN_PACKAGE))
    return not (_is_installed(path) or _in_standard_library(path) or path.startswith(hearlab))


def _is_installed(path: str) -> bool:
    return not _INSTALLED.isdisjoint(path.split(os.sep))


@functools.cache
def _standard_folders() -> tuple[str, ...]:
    paths = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib")}
    return tuple(os.path.join(folder, "") for path in paths for folder in {path, os.path.realpath(path)})


def _in_standard_library(path: str) -> bool:
    return path.startswith(_standard_folders()) and not _is_installed(path)


def _is_standard(top: str) -> bool:
    """Whether a module without a file is part of Python."""
    try:
        return importlib.util.find_spec(top) is not None
    except (ImportError, ValueError, AttributeError):
        return False


def _versions(top: str, where: Iterable[str]) -> list[str]:
    """Name and version of the distributions that a top-level name comes from, of those in the folder it is found in."""
    folders = tuple(dict.fromkeys(os.path.dirname(place) for place in where))
    by_name = list(importlib.metadata.distributions(name=top, path=list(folders)))
    found = [each for each in by_name if top in _top_level(each)]
    if not found:
        found = [each for folder in folders for each in _distributions(folder, stamp(folder)).get(top, ())]
    return sorted({f"distribution {each.metadata['Name']} {each.version}" for each in found})


@functools.lru_cache(maxsize=8)
def _distributions(folder: str, mark: Stamp) -> dict[str, list[importlib.metadata.Distribution]]:
    found: dict[str, list[importlib.metadata.Distribution]] = {}
    for distribution in importlib.metadata.distributions(path=[folder]):
        for top in _top_level(distribution):
            found.setdefault(top, []).append(distribution)
    return found


def _top_level(distribution: importlib.metadata.Distribution) -> set[str]:
    declared = (distribution.read_text("top_level.txt") or "").split()
    return set(declared) or {file.parts[0].partition(".")[0] for file in distribution.files or ()}
