"""Compiled functions and where their code is kept."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hearlab.kernels import compiled as module
from hearlab.kernels.frames import windowed_sums

PROGRAM = """
from hearlab.kernels.frames import windowed_sums
import numpy as np
print(windowed_sums(np.ones(8), np.ones(4), 4, 2).tolist(), sum(windowed_sums.stats.cache_hits.values()))
"""


def run(cache: Path) -> str:
    environment = os.environ | {"NUMBA_CACHE_DIR": str(cache), "HOME": str(cache)}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.slow
def test_code_is_kept_for_the_next_process(tmp_path):
    assert run(tmp_path) == "[4.0, 4.0] 0"
    assert any(tmp_path.rglob("*.nbc"))
    assert run(tmp_path) == "[4.0, 4.0] 1"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_without_a_place_to_write_it_works_too(tmp_path):
    tmp_path.chmod(0o500)
    assert run(tmp_path / "cache") == "[4.0, 4.0] 0"


def test_code_depends_on_what_is_compiled_into_it():
    @module.compiled
    def doubled(x: float) -> float:
        return 2 * x

    assert doubled(3.0) == 6.0
    # The tests import no compiled code but that of the module itself, as its text says.
    assert doubled._cache._made_of[-1] != windowed_sums._cache._made_of[-1]


def test_the_stamp_changes_with_the_sources(tmp_path, monkeypatch):
    kernels = tmp_path / "kernels"
    kernels.mkdir()
    texts = {
        "one.py": "from hearlab.kernels.two import double\nfrom hearlab.kernels.plain import name\n",
        "two.py": "from hearlab.kernels.three import triple\n",
        "three.py": "import numba\n",
        "plain.py": "name = 1\n",
    }
    for name, text in texts.items():
        (kernels / name).write_text(text)
    monkeypatch.setattr(module, "PACKAGE", tmp_path)
    sources = module.compiled_sources(kernels / "one.py")
    assert {source.name for source in sources} == {"two.py", "three.py"}
    before = module._stamp(sources)
    (kernels / "three.py").write_text("import numba\n# changed\n")
    module._text.cache_clear()
    module._stamp.cache_clear()
    assert module._stamp(sources) != before


def jitted(tree: ast.Module) -> list[ast.FunctionDef]:
    names = {"compiled", "register_jitable"}
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return [node for node in functions if names & {getattr(mark, "id", None) for mark in node.decorator_list}]


@pytest.mark.parametrize(
    "path",
    [path for path in sorted(module.PACKAGE.rglob("*.py")) if module.HOLDS_COMPILED.search(path.read_text())],
    ids=lambda path: str(path.relative_to(module.PACKAGE)),
)
def test_compiled_functions_take_nothing_from_modules_that_are_not_in_their_stamp(path):
    tree = ast.parse(path.read_text())
    imported = {
        alias.asname or alias.name: node.module
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("hearlab.")
        for alias in node.names
    }
    used = {
        imported[name.id]
        for function in jitted(tree)
        for statement in function.body
        for name in ast.walk(statement)
        if isinstance(name, ast.Name) and name.id in imported
    }
    covered = {source.relative_to(module.PACKAGE.parent) for source in module.compiled_sources(path)}
    assert {Path(*name.split(".")).with_suffix(".py") for name in used} <= covered


def test_division_by_zero_is_as_in_numpy():
    @module.compiled
    def quotient(x: float) -> float:
        return 1.0 / x

    assert quotient(0.0) == np.inf
