"""YAML of plain values, split by libyaml: a tenth of the time that ruamel.yaml takes.

The values are ruamel.yaml's: of what may mean more than it says (tags, anchors, aliases, directives, merged or repeated
keys) nothing is read here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hearlab.files.reading import DEEPEST


class NotPlainYaml(Exception):
    """Not read here: libyaml is missing, refuses the text, or the text has more than plain values, lists and keys."""


class _Open:
    """A list, or keys and values, of which more follows."""

    def __init__(self, value: dict[Any, Any] | list[Any]) -> None:
        self.value = value
        self._key: Any = _NO_KEY

    def add(self, value: Any) -> None:
        if isinstance(self.value, list):
            self.value.append(value)
        elif self._key is not _NO_KEY:
            self.value[self._key], self._key = value, _NO_KEY
        elif isinstance(value, dict | list) or value in self.value:
            raise NotPlainYaml
        else:
            self._key = value


_NO_KEY = object()


def read_plain_yaml(text: str, scalar: Callable[[str], Any], most: int) -> Any:
    """The value of a YAML text.

    Args:
        text: the text.
        scalar: gives the value of what is written without quotes.
        most: values that it may have.

    Raises:
        NotPlainYaml: see there.
    """
    try:
        from yaml import CLoader, YAMLError, parse
    except ImportError:
        raise NotPlainYaml from None
    known: dict[str, Any] = {}
    documents = _Open([])
    path = [documents]
    try:
        for number, event in enumerate(parse(text, Loader=CLoader)):
            kind = type(event).__name__
            if number > most or any(getattr(event, name, None) for name in ("anchor", "tag", "version", "tags")):
                raise NotPlainYaml
            if kind == "ScalarEvent":
                value = event.value
                if event.implicit[0]:
                    if value not in known:
                        known[value] = scalar(value)
                    value = known[value]
                path[-1].add(value)
            elif kind in ("MappingStartEvent", "SequenceStartEvent"):
                collection: Any = {} if kind == "MappingStartEvent" else []
                path[-1].add(collection)
                path.append(_Open(collection))
                if len(path) > DEEPEST:
                    raise NotPlainYaml
            elif kind in ("MappingEndEvent", "SequenceEndEvent"):
                path.pop()
            elif kind not in ("StreamStartEvent", "DocumentStartEvent", "DocumentEndEvent", "StreamEndEvent"):
                raise NotPlainYaml
    except (YAMLError, ValueError):
        raise NotPlainYaml from None
    if len(documents.value) != 1:
        raise NotPlainYaml
    return documents.value[0]
