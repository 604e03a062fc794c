"""Names and values of a result as MLflow takes them: different names stay different."""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

LONGEST_NAME = 250
LONGEST_VALUE = {"param": 6000, "tag": 5000}


def safe_names(names: Iterable[str]) -> dict[str, str]:
    """The name that MLflow gets, by each name.

    Where two would become one, also in a database that takes capital letters or blanks at the end for nothing, those
    that MLflow does not take as they are get a part of their hash.
    """
    alike: defaultdict[str, list[str]] = defaultdict(list)
    for name in sorted(set(names), key=lambda name: (_clean(name) != name, name)):  # first those that can stay
        alike[_clean(name).casefold()].append(name)
    found = {}
    for group in alike.values():
        for place, name in enumerate(group):
            alone = len(group) == 1 or (place == 0 and _clean(name) == name)
            found[name] = _clean(name) if alone else _marked(name)
    return found


def safe_texts(values: Mapping[str, Any], kind: str) -> dict[str, str]:
    """The same with values as texts: of a 'param' or a 'tag'. One that is cut ends with dots."""
    names, longest, texts = safe_names(values), LONGEST_VALUE[kind], {}
    for name, value in values.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
        texts[names[name]] = text if len(text) <= longest else f"{text[: longest - 3]}..."
    return texts


def _clean(name: str) -> str:
    """With the signs that MLflow knows, and as a relative path, which a name has to be."""
    parts = (part.strip() for part in re.sub(r"[^\w./ :-]", "_", name).split("/"))
    return "/".join(part for part in parts if part not in ("", ".", ".."))[:LONGEST_NAME].strip(" /") or "_"


def _marked(name: str) -> str:
    digest = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:8]
    return f"{_clean(name)[: LONGEST_NAME - 9]}_{digest}"
