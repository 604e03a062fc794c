"""Ways to write Python that the follower of HearLab's own code cannot see, found in a module's source."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path

from hearlab.compute.code.definitions import DATA_FOLDER
from hearlab.compute.code.module_table import MUTATORS, Module, imports_of

CALLS = {"exec", "eval", "compile", "globals", "locals", "__import__", "setattr", "delattr"}
LOADERS = {"import_module", "find_spec", "load_named", "spec_from_file_location", "run_module", "run_path"}
DUNDERS = {"__init_subclass__", "__subclasses__", "__set_name__", "__class_getitem__", "__prepare__"}


def unseen(path: Path, source: str | None = None) -> Iterator[str]:
    """One line for each, of the form 'what: source'."""
    tree = ast.parse(path.read_text(encoding="utf-8") if source is None else source)
    imported, stars = imports_of(
        [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)], "a.b.c.d"
    )
    yield from (f"star import: {module}" for module in stars)
    yield from (f"effect: {_first_line(node)}" for node in Module("", tree.body).effects)
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in LOADERS:
                yield f"loads by name: {_first_line(node)}"
            case ast.Call(func=ast.Name(id=name)) if name in CALLS:
                yield f"{name}: {_first_line(node)}"
            case ast.Call(func=ast.Name(id="vars")) if node.args and _root(node.args[0]) in imported:
                yield f"vars: {_first_line(node)}"
            case ast.Attribute(ctx=ast.Store() | ast.Del()) | ast.Subscript(ctx=ast.Store() | ast.Del()) if _root(
                node
            ) in imported and not ast.unparse(node).startswith("os.environ["):
                yield f"changes what is imported: {_first_line(node)}"
            case ast.ClassDef(keywords=[_, *_]):
                yield f"class keywords: {node.name}"
            case ast.FunctionDef(name=name) | ast.Attribute(attr=name) | ast.Name(id=name) if name in DUNDERS:
                yield f"classes that know their heirs: {name}"
            case ast.Call(func=ast.Attribute(attr=name, value=value)) if (
                name in MUTATORS
                and isinstance(value, ast.Attribute | ast.Name)
                and _root(value) in imported
                and ast.unparse(value) != "os.environ"
            ):
                yield f"changes what is imported: {_first_line(node)}"
    for node in tree.body:
        reads = any(
            (isinstance(child, ast.Name) and child.id == "__file__")
            or (isinstance(child, ast.Attribute | ast.Name) and ast.unparse(child) in {"resources.files", "__path__"})
            for child in ast.walk(node)
        )
        texts = [child.value for child in ast.walk(node) if isinstance(child, ast.Constant)]
        if reads and not any(
            isinstance(text, str) and text and os.path.isfile(folder / text)
            for text in texts
            for folder in (DATA_FOLDER, path.parent)
        ):
            yield f"files by computed names: {_first_line(node)}"


def _first_line(node: ast.AST) -> str:
    return ast.unparse(node).splitlines()[0]


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""
