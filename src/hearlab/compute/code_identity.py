"""The identity of the code that a unit runs: a hash over the definitions that it can reach.

Starting from a function or class, every name that its source mentions is followed through the modules of the same
top-level packages: functions, classes and constants, as they are defined, without comments, docstrings and layout. So a
change in something the unit uses changes the identity, and a change elsewhere, even in the same module, does not.
Other libraries are not followed: their versions are fixed by constraints.txt.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OWN_PACKAGE = "hearlab"
DATA_FOLDER = Path(__file__).resolve().parent.parent / "data"

Definition = tuple[str, str]  # module and name; an empty name means the whole module


@dataclass(frozen=True)
class _Module:
    """Top-level definitions of a module and where its imported names come from."""

    definitions: dict[str, tuple[ast.stmt, ...]]
    imports: dict[str, Definition]


def code_identity(function: Callable[..., Any], more: Iterable[str] = ()) -> str:
    """Hash of everything that `function`, and the classes or functions `more` ('package.module:Name'), can reach."""
    start = {(function.__module__, function.__qualname__.split(".")[0])}
    start |= {(module, name) for module, _, name in (dotted.partition(":") for dotted in more)}
    return _identity(tuple(sorted(start)))


@functools.lru_cache(maxsize=64)
def _identity(start: tuple[Definition, ...]) -> str:
    digest = hashlib.sha256()
    for module, name in sorted(_reached(start)):
        for line in _text(module, name):
            digest.update(f"{module}:{name}:{line}\n".encode())
    return digest.hexdigest()


def _reached(start: tuple[Definition, ...]) -> set[Definition]:
    packages = {OWN_PACKAGE} | {module.split(".")[0] for module, _ in start}
    pending, seen = list(start), set[Definition]()
    while pending:
        definition = pending.pop()
        if definition not in seen and definition[0].split(".")[0] in packages:
            seen.add(definition)
            pending += _mentioned(*definition)
    return seen


@functools.lru_cache(maxsize=4096)
def _text(module: str, name: str) -> tuple[str, ...]:
    """The definition's source as a normalised dump, and the data files that it names."""
    dumps = []
    for node in _parse(module).definitions.get(name, ()):
        dumps.append(ast.dump(_without_docstrings(node)))
        texts = {child.value for child in ast.walk(node) if isinstance(child, ast.Constant)}
        dumps += [identity for file, identity in _data_files().items() if file in texts]
    return tuple(dumps)


@functools.cache
def _data_files() -> dict[str, str]:
    """Packaged constants, which are read by their names: file name to hash."""
    files = sorted(path for path in DATA_FOLDER.iterdir() if path.is_file())
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _mentioned(module: str, name: str) -> Iterator[Definition]:
    """Definitions that one definition's source mentions."""
    table = _parse(module)
    for node in table.definitions.get(name, ()):
        local = dict(_imports(node, module))
        for child in ast.walk(node):
            if isinstance(child, ast.Name):
                if child.id in table.definitions:
                    yield module, child.id
                target = local.get(child.id) or table.imports.get(child.id)
                if target is not None:
                    yield from _resolve(*target)
            elif isinstance(child, ast.Attribute) and isinstance(child.value, ast.Name):
                target = local.get(child.value.id) or table.imports.get(child.value.id)
                if target is not None and not target[1]:
                    yield from _resolve(target[0], child.attr)


def _resolve(module: str, name: str) -> Iterator[Definition]:
    """Where a name of a module is really defined: a submodule, here, or where the module imports it from."""
    if not name or _source(f"{module}.{name}") is not None:
        return  # a module: the attribute that is read of it is followed on its own
    table = _parse(module)
    if name in table.definitions:
        yield module, name
    elif name in table.imports:
        yield from _resolve(*table.imports[name])


@functools.lru_cache(maxsize=1024)
def _parse(module: str) -> _Module:
    source = _source(module)
    definitions: dict[str, tuple[ast.stmt, ...]] = {}
    imports: dict[str, Definition] = {}
    if source is None:
        return _Module(definitions, imports)
    for node in ast.parse(source.read_text(encoding="utf-8")).body:
        imports.update(_imports(node, module))
        for name in _defined(node):
            definitions[name] = (*definitions.get(name, ()), node)
    return _Module(definitions, imports)


def _defined(node: ast.stmt) -> Iterator[str]:
    """Names that a top-level statement defines; compound statements (if, try) define all names inside them."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
        return
    for child in ast.walk(node):
        if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
            yield child.id
        elif child is not node and isinstance(child, ast.FunctionDef | ast.ClassDef):
            yield child.name


def _imports(node: ast.AST, module: str) -> Iterator[tuple[str, Definition]]:
    """Imported names inside a statement: local name -> (module, name); an empty name for a module."""
    for child in ast.walk(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                if alias.asname:
                    yield alias.asname, (alias.name, "")
        elif isinstance(child, ast.ImportFrom):
            base = _absolute(child, module)
            for alias in child.names:
                submodule = f"{base}.{alias.name}"
                target = (submodule, "") if _source(submodule) is not None else (base, alias.name)
                yield alias.asname or alias.name, target


def _absolute(node: ast.ImportFrom, module: str) -> str:
    source = _source(module)
    is_package = source is not None and source.name == "__init__.py"
    package = module if is_package else module.rpartition(".")[0]
    return importlib.util.resolve_name("." * node.level + (node.module or ""), package)


@functools.lru_cache(maxsize=4096)
def _source(module: str) -> Path | None:
    """The source file of a module, found without running it (its parent package is imported)."""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError, AttributeError):
        return None
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    return Path(spec.origin)


def _without_docstrings(node: ast.stmt) -> ast.stmt:
    copy = ast.parse(ast.unparse(node)).body[0]
    for child in ast.walk(copy):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            first = child.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and len(child.body) > 1:
                child.body = child.body[1:]
    return copy
