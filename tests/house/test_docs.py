"""Every file, module and name of HearLab that the documentation mentions exists."""

from __future__ import annotations

import ast
import importlib
import re
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
# A path may be written from the root of the repository, from the package, or from the page.
FOLDERS = (REPOSITORY, REPOSITORY / "src/hearlab")
# Files that belong to somebody else, or that a reader makes.
OTHERS = {
    "my_lab/net.py": "the example of docs/own-system.md",
    "render_scenes.py": "a script of the published recipes",
    "enhance.py": "a script of the published recipes",
    "evaluate.py": "a script of the published recipes",
    "hearlab.toml": "settings of a machine",
}
# Dotted names that are no modules.
TAGS = {"hearlab.identity": "a tag in MLflow", "hearlab.toml": "a file"}

CODE_PATH = re.compile(r"(?<![\w/.{<-])((?:[\w-]+/)*[\w-]+\.(?:py|sh|toml))\b")
DOTTED = re.compile(r"(?<![\w./-])(hearlab(?:\.[A-Za-z_]\w*)+)(?!\.?/)")
IMPORT = re.compile(r"^\s*from (hearlab[\w.]*) import ([\w, ]+)$", re.MULTILINE)
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
LINK = re.compile(r"\]\((?!\w+:)([^)#\s]+)(#[^)]*)?\)")


def missing_paths(text: str, page: Path) -> list[str]:
    """Mentioned code files that do not exist; a bare name must exist somewhere in the package or the scripts."""
    return [
        path
        for path in sorted(set(CODE_PATH.findall(text)) - set(OTHERS))
        if not any((folder / path).is_file() for folder in (*FOLDERS, page.parent))
        and ("/" in path or path not in file_names())
    ]


@cache
def file_names() -> set[str]:
    return {
        path.name
        for root in ("src", "benchmarks", "tools")
        for path in (REPOSITORY / root).rglob("*")
        if not any(part.startswith(".") for part in path.relative_to(REPOSITORY).parts)
    }


@cache
def functions_of(path: str) -> set[str]:
    """Names of the test functions in a file."""
    file = REPOSITORY / path
    tree = ast.parse(file.read_text()) if file.is_file() else ast.Module([], [])
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def missing_names(text: str) -> list[str]:
    """Mentioned dotted names and imports that cannot be resolved."""
    names = set(DOTTED.findall(text))
    for module, imported in IMPORT.findall(text):
        names |= {f"{module}.{name.strip()}" for name in imported.split(",")}
    return [name for name in sorted(names - set(TAGS)) if not resolves(name)]


def resolves(name: str) -> bool:
    """Whether the name is a module, or something in one."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_what_a_page_mentions_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    broken = [f"no file {path}" for path in missing_paths(text, page)]
    broken += [f"no module or name {name}" for name in missing_names(text)]
    broken += [f"a link to nothing: {link}" for link, _ in LINK.findall(text) if not (page.parent / link).exists()]
    broken += [f"no test {path}::{name}" for path, name in TEST.findall(text) if name not in functions_of(path)]
    if broken:
        pytest.fail(f"{page.relative_to(REPOSITORY)}:\n  " + "\n  ".join(broken), pytrace=False)


def test_all_pages_can_be_reached_from_the_readme() -> None:
    reached, waiting = set(), [PAGES[0]]
    while waiting:
        page = waiting.pop()
        if page in reached:
            continue
        reached.add(page)
        links = [(page.parent / link).resolve() for link, _ in LINK.findall(page.read_text(encoding="utf-8"))]
        waiting += [link for link in links if link.suffix == ".md"]
    assert not [str(page.relative_to(REPOSITORY)) for page in PAGES if page not in reached]


def test_names_that_do_not_exist_are_found() -> None:
    text = """See `ear/loss.py`, `ear/lost.py`, gone.py, hearlab.ear.loss, hearlab.ear.lost.

    from hearlab.metrics import haspi, no_such_metric
    """
    assert missing_paths(text, PAGES[0]) == ["ear/lost.py", "gone.py"]
    assert "test_names_that_do_not_exist_are_found" in functions_of("tests/house/test_docs.py")
    assert missing_names(text) == ["hearlab.ear.lost", "hearlab.metrics.no_such_metric"]
