"""YAML read within bounds, with errors that name the line."""

from __future__ import annotations

import contextlib
import copy
import functools
import os
from collections.abc import Callable
from typing import Any

from hearlab.errors import InputError
from hearlab.files.libyaml import NotPlainYaml, read_plain_yaml
from hearlab.files.reading import DEEPEST, TOO_DEEP, Unfit, check_values, decoded, read_bytes

# Parameters and dvc.lock have at most some 50 kB, 4,000 values, entries one; a megabyte takes ten seconds to read.
MOST_YAML = 500_000
MOST_SHORT_YAML = 50_000
MOST_NODES = 50_000
LONGEST_NUMBER = 400  # letters of a number in YAML, where some forms take a time that grows with the square


def read_yaml(
    path: str | os.PathLike[str],
    *,
    most: int = MOST_YAML,
    advice: str | None = None,
    error: type[InputError] = InputError,
) -> dict[str, Any]:
    """Read a YAML file that holds keys and values.

    Args:
        path: the file.
        most: bytes that it may have.
        advice: for the error of a missing file.
        error: the kind of error.

    Raises:
        InputError: the file is missing, is not UTF-8, is not YAML (with its line), holds something else, or what no
            file of data needs: see `check_values`; aliases that repeat each other without end; keys that are no single
            value.
    """
    content = _load_yaml(read_bytes(path, most=most, advice=advice, error=error), path, error)
    if not isinstance(content, dict):
        raise error(path, "must hold keys and values", found=type(content).__name__)
    return content


def parse_yaml(content: bytes | None, *, exact: bool = False) -> Any:
    """The value of a YAML text; None where it is absent or is nothing that `read_yaml` takes.

    Args:
        content: the text.
        exact: without libyaml, of whose reading a test compares the values with this.
    """
    try:
        return None if content is None or len(content) > MOST_YAML else _load_yaml(content, "", exact=exact)
    except InputError:
        return None


def _load_yaml(
    content: bytes, where: str | os.PathLike[str], error: type[InputError] = InputError, *, exact: bool = False
) -> Any:
    from ruamel.yaml.error import MarkedYAMLError  # not needed by most commands

    text = decoded(content, where, error)
    try:
        return copy.deepcopy(_value(text, exact))
    except Unfit as problem:
        raise error(where, *problem.args) from None
    except RecursionError:
        raise error(where, TOO_DEEP) from None
    except MarkedYAMLError as problem:
        line = f"line {problem.problem_mark.line + 1}" if problem.problem_mark else None
        what = str(problem.problem).splitlines()[0].removeprefix("found ")
        raise error(where, f"is not valid YAML: {what}", field=line) from None
    except Exception as problem:  # of many kinds, for values that do not fit their tags
        found = (str(problem).splitlines() or [type(problem).__name__])[0]
        raise error(where, "is not valid YAML", found=found[:120]) from None


@functools.lru_cache(maxsize=8)
def _value(text: str, exact: bool) -> Any:
    """A stage asks for params.yaml and dvc.lock several times, and to read one takes a good part of a second."""
    from ruamel.yaml import YAML

    yaml = YAML(typ="safe", pure=True)  # pure: the errors name the line in the same way everywhere
    yaml.Composer = _bounded_composer()
    value: Any = None
    if not exact:
        with contextlib.suppress(NotPlainYaml):
            value = read_plain_yaml(text, _scalar_of(yaml), MOST_NODES)
    if value is None:
        value = yaml.load(text)
    check_values(value, finite=False)
    return value


def _scalar_of(yaml: Any) -> Callable[[str], Any]:
    """Gives the value of what is written without quotes."""
    from ruamel.yaml.nodes import ScalarNode

    resolver, constructor = yaml.resolver, yaml.constructor

    def scalar(text: str) -> Any:
        tag = resolver.resolve(ScalarNode, text, (True, False))
        kind = str(tag).rpartition(":")[2]
        if kind == "str":
            return text
        if kind not in ("null", "bool", "int", "float") or len(text) > LONGEST_NUMBER:
            raise NotPlainYaml
        return constructor.construct_object(ScalarNode(tag, text))

    return scalar


@functools.cache
def _bounded_composer() -> Any:
    """A composer of YAML nodes that counts them; what an alias stands for is counted each time.

    A few lines of aliases of aliases are gigabytes when they are read, written or compared.
    """
    from ruamel.yaml.composer import Composer
    from ruamel.yaml.events import AliasEvent
    from ruamel.yaml.nodes import ScalarNode

    class Bounded(Composer):
        def __init__(self, loader: Any = None) -> None:
            super().__init__(loader)
            self.count = self.depth = 0
            self.sizes: dict[int, int] = {}

        def compose_node(self, parent: Any, index: Any) -> Any:
            alias, before = self.parser.check_event(AliasEvent), self.count
            if not alias and self.parser.peek_event().anchor in self.anchors:
                raise Unfit("gives an anchor twice")
            self.count += 1
            self.depth += 1
            if self.depth > DEEPEST:
                raise Unfit(TOO_DEEP)
            node = super().compose_node(parent, index)
            self.depth -= 1
            if isinstance(node, ScalarNode) and not str(node.tag).endswith(":str") and len(node.value) > LONGEST_NUMBER:
                raise Unfit(f"holds a number of {len(node.value)} digits")
            if not alias:
                self.sizes[id(node)] = self.count - before
            elif id(node) not in self.sizes:
                raise Unfit("holds an alias of what it is a part of")
            else:
                self.count += self.sizes[id(node)]
            if self.count > MOST_NODES:
                raise Unfit(f"holds more than {MOST_NODES} values, aliases written out")
            return node

    return Bounded
