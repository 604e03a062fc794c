"""The reference of params.yaml: keys, defaults and comments of the file, types and ranges of the schema."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from hearlab.params import Params

ROOT = Path(__file__).resolve().parents[2]
LIMITS = {
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "exclusiveMaximum": "< {}",
    "multipleOf": "a multiple of {}",
    "minItems": "at least {} of them",
    "minLength": "not empty",
}


def page() -> str:
    """One table for each top key, in Markdown."""
    content = YAML().load(ROOT / "params.yaml")
    schema = Params.model_json_schema()
    alone, parts = [], []
    for key, value in content.items():
        comment = _comment(content, key)
        below = schema["properties"].get(key, {})
        if isinstance(value, dict):
            rows = _rows(value, _resolved(below, schema), schema, "")
            parts += [f"## {key}", "", *([comment[0].upper() + comment[1:] + ".", ""] if comment else [])]
            parts += [*_table(rows), ""]
        else:
            alone.append((key, value, _type(below, schema), comment))
    return "\n".join([*_table(alone), "", *parts])


def _table(rows: list[tuple[str, Any, str, str]]) -> list[str]:
    lines = ["| key | value | type | |", "| - | - | - | - |"]
    return lines + [f"| `{key}` | {_value(value)} | {_cell(kind)} | {_cell(text)} |" for key, value, kind, text in rows]


def _rows(section: Any, schema: dict[str, Any], whole: dict[str, Any], above: str) -> list[tuple[str, Any, str, str]]:
    rows: list[tuple[str, Any, str, str]] = []
    fields, others = schema.get("properties", {}), schema.get("additionalProperties")
    for key, value in section.items():
        below = fields.get(key) or (others if isinstance(others, dict) else {})
        comment = _comment(section, key)
        if isinstance(value, dict) and value:
            inner = _resolved(below, whole)
            if comment:
                rows.append((f"{above}{key}", "", "section", comment))
            rows += _rows(value, inner, whole, f"{above}{key}.")
        else:
            rows.append((f"{above}{key}", value, _type(below, whole), comment))
    return rows


def _resolved(schema: dict[str, Any], whole: dict[str, Any]) -> dict[str, Any]:
    """The schema itself, or that which it refers to; of several the first with keys."""
    for one in (schema, *schema.get("anyOf", ())):
        found = whole["$defs"][one["$ref"].rpartition("/")[2]] if "$ref" in one else one
        if "properties" in found or "additionalProperties" in found:
            return dict(found)
    return schema


def _type(schema: dict[str, Any], whole: dict[str, Any]) -> str:
    if "$ref" in schema:
        return _type(whole["$defs"][schema["$ref"].rpartition("/")[2]], whole)
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(filter(None, (_type(one, whole) for one in schema["anyOf"]))))
    if "enum" in schema or "const" in schema:
        return " or ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    kind = str(schema.get("type", ""))
    if kind == "array":
        items = schema.get("prefixItems")
        inner = _type(items[0] if items else schema.get("items", {}), whole)
        kind = f"{len(items)} values: {inner}" if items else f"list of {inner or 'values'}"
        schema = {name: value for name, value in schema.items() if name == "minItems" and not items}
    kind = {"null": "nothing", "object": "section"}.get(kind, kind)
    limits = [text.format(_number(schema[name])) for name, text in LIMITS.items() if name in schema]
    return ", ".join([kind, *limits]) if kind else ""


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:g}"


def _comment(section: Any, key: str) -> str:
    """The comment on the key's own line, or on the line above."""
    found = section.ca.items.get(key)
    texts = [token.value for token in (found or []) if token is not None and not isinstance(token, list)]
    match = re.match(r"\s*#\s*(.*)", texts[0]) if texts else None
    return match[1].strip() if match else ""


def _value(value: Any) -> str:
    if value is None or value == "":
        return ""
    if isinstance(value, list):
        return f"`[{', '.join(map(_plain, value))}]`"
    return f"`{_plain(value)}`"


def _plain(value: Any) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
