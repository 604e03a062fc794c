"""What the top level of a module defines, imports and does, read from its source."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BufferedReader

from hearlab.compute.code.file_cache import FileCache
from hearlab.errors import InputError

Definition = tuple[str, str]  # module and name; an empty name for the module itself

# Decorators that change what they decorate and nothing else. With another one, which may register it somewhere, a
# definition belongs to everything in its module.
HARMLESS_DECORATORS = frozenset(
    {"abstractmethod", "cache", "cached_property", "classmethod", "compiled", "contextmanager", "dataclass"}
    | {"field_validator", "intrinsic", "lru_cache", "model_validator", "override", "property", "register_jitable"}
    | {"remote", "runtime_checkable", "setter", "staticmethod", "wraps"}
)
MUTATORS = frozenset(
    {"add", "append", "clear", "discard", "extend", "insert", "pop", "popitem", "remove", "setdefault", "update"}
)
_BLOCKS = (ast.ClassDef, ast.If, ast.Try, ast.ExceptHandler, ast.With, ast.For, ast.While, ast.Import, ast.ImportFrom)


class Module:
    """A module's top-level statements by the names that they define or change, and where its other names come from.

    Attributes:
        digest: of the file.
        definitions: name -> the statements that make it what it is.
        effects: statements that are there for what they do: a call, an attribute that is set, a loop.
        imports: name -> what it may be.
        stars: modules of which everything is imported.
        texts: what a reader made of the definitions.
    """

    def __init__(self, digest: str, body: list[ast.stmt]) -> None:
        self.digest, self._body = digest, body
        self.definitions: dict[str, list[ast.stmt]] = {}
        self.effects = [node for node in body if _is_effect(node)]
        self.imports: dict[str, list[Definition]] = {}
        self.stars: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self._mentions: dict[ast.stmt, Mentions] = {}
        for node in body:
            for name in _defined(node):
                self.definitions.setdefault(name, []).append(node)
        for node in body:
            for name in set(_changed(node)) & set(self.definitions):
                if node not in self.definitions[name]:
                    self.definitions[name].append(node)

    def within(self, package: str) -> Module:
        """With the names that it imports; relative ones start from `package`."""
        self.imports, self.stars = imports_of(self._body, package)
        return self

    def mentions(self, node: ast.stmt) -> Mentions:
        """What one of its statements mentions."""
        if node not in self._mentions:
            self._mentions[node] = mentions(node)
        return self._mentions[node]

    def nodes(self, name: str) -> list[ast.stmt]:
        """The statements of a definition; of no name, those that are there for what they do."""
        return self.definitions.get(name, []) if name else self.effects


def _parse(path: str, file: BufferedReader) -> Module:
    content = file.read()
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        raise InputError(path, "is not Python", field=f"line {line}" if line else None) from None
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and len(node.body) > 1:
                del node.body[0]  # its docstring
    return Module(hashlib.sha256(content).hexdigest(), tree.body)


modules = FileCache(_parse)


def imports_of(nodes: Iterable[ast.AST], package: str) -> tuple[dict[str, list[Definition]], list[str]]:
    """Names that are imported outside of functions, each with what it may be, and modules imported with a star."""
    imports: dict[str, list[Definition]] = {}
    stars: list[str] = []
    pending = list(nodes)
    while pending:
        node = pending.pop(0)
        if isinstance(node, ast.Import):
            for alias in node.names:
                name = alias.asname or alias.name.split(".")[0]
                imports.setdefault(name, []).append((alias.name if alias.asname else name, ""))
        elif isinstance(node, ast.ImportFrom):
            try:
                base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            except ImportError:  # beyond the top-level package: it fails when it runs
                continue
            for alias in node.names:
                if alias.name == "*":
                    stars.append(base)
                else:
                    imports.setdefault(alias.asname or alias.name, []).append((base, alias.name))
        elif isinstance(node, _BLOCKS):
            pending += (child for child in ast.iter_child_nodes(node) if isinstance(child, _BLOCKS))
    return imports, stars


@dataclass(frozen=True)
class Mentions:
    """What a piece of source mentions.

    Attributes:
        chains: names with the attributes that are read of them: `a.b.c()` gives ('a', ('b', 'c')).
        imports: its import statements.
        declared: names that functions declare as the module's own.
        texts: constants.
    """

    chains: dict[tuple[str, tuple[str, ...]], None]
    imports: list[ast.Import | ast.ImportFrom]
    declared: list[str]
    texts: dict[str, None]


def mentions(node: ast.AST) -> Mentions:
    """Everything that is mentioned anywhere in it."""
    found = Mentions({}, [], [], {})
    pending = [node]
    while pending:
        child, attributes = pending.pop(), list[str]()
        while isinstance(child, ast.Attribute):
            attributes.append(child.attr)
            child = child.value
        match child:
            case ast.Name():
                found.chains[child.id, tuple(reversed(attributes))] = None
            case ast.Constant():
                if isinstance(child.value, str):
                    found.texts[child.value] = None
            case ast.Import() | ast.ImportFrom():
                found.imports.append(child)
            case ast.Global():
                found.declared.extend(child.names)
            case _:
                pending += ast.iter_child_nodes(child)
    return found


def _defined(node: ast.stmt) -> Iterator[str]:
    """Names that a top-level statement defines; compound statements (if, try) define all names inside them."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
        return
    names = dict[str, None]()
    for child in ast.walk(node):
        if isinstance(child, ast.Name) and not isinstance(child.ctx, ast.Load):
            names[child.id] = None
        elif child is not node and isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names[child.name] = None
    yield from names


def _changed(node: ast.stmt) -> Iterator[str]:
    """Names of the module's top level that a function's body sets or changes when it is called."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        for child in ast.walk(node):
            if isinstance(child, ast.Global):
                yield from child.names
            elif isinstance(child, ast.Subscript | ast.Attribute) and not isinstance(child.ctx, ast.Load):
                yield from _root(child)
            elif isinstance(child, ast.Call) and isinstance(child.func, ast.Attribute) and child.func.attr in MUTATORS:
                yield from _root(child.func)


def _root(node: ast.expr) -> Iterator[str]:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    if isinstance(node, ast.Name):
        yield node.id


def _is_effect(node: ast.stmt) -> bool:
    match node:
        case ast.Expr(value=value):
            return not isinstance(value, ast.Constant)
        case ast.Assign(targets=targets) | ast.Delete(targets=targets):
            return not all(map(_plain, targets))
        case ast.AugAssign(target=target) | ast.AnnAssign(target=target):
            return not _plain(target)
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            inner = node.body if isinstance(node, ast.ClassDef) else []
            return any(map(_is_effect, (child for child in inner if not isinstance(child, ast.Expr)))) or not all(
                decorator_name(decorator) in HARMLESS_DECORATORS for decorator in node.decorator_list
            )
        case ast.If() | ast.Try():
            inner = [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)]
            handlers = [child for handler in getattr(node, "handlers", ()) for child in handler.body]
            return any(map(_is_effect, (*inner, *handlers)))
        case ast.Import() | ast.ImportFrom() | ast.Pass() | ast.Assert() | ast.Raise():
            return False
    return True


def _plain(target: ast.expr) -> bool:
    if isinstance(target, ast.Tuple | ast.List):
        return all(map(_plain, target.elts))
    return isinstance(target.value if isinstance(target, ast.Starred) else target, ast.Name)


def decorator_name(node: ast.expr) -> str:
    """The last part of a decorator's name."""
    node = node.func if isinstance(node, ast.Call) else node
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
