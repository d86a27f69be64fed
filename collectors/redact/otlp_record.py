"""OTLP/JSON texts of single records on their way to quarantine: treated as their rows would have been.

OTLP writes an attribute as `{"key": "user.id", "value": {"stringValue": "…"}}` (OTLP §JSON Protobuf Encoding), so a value's key
stands beside it, not above it. Values keep their place and the record can be sent again: what became a token or a mask is a
string then, whatever it was before.
"""

import json
from collections.abc import Callable
from typing import Any

from collectors.redact.json_text import Path

Treat = Callable[[str, Path], str | None]
"""What stands in place of a value under these keys; None for no value."""

_SCALARS = ("stringValue", "intValue", "doubleValue")
_NAMES = {"scope": "scope_name", "metrics": "metric_name"}


def treat_otlp(text: str, treat: Treat) -> str:
    """The record with every text and number in it treated.

    Raises:
        ValueError: the text is no JSON.
    """
    return json.dumps(_node(json.loads(text), (), treat), ensure_ascii=False, separators=(",", ":"))


def _node(node: Any, path: Path, treat: Treat) -> Any:
    if isinstance(node, list):
        return [_node(child, path, treat) for child in node]
    if not isinstance(node, dict):
        return treat(node, path or ("body",)) if isinstance(node, str) else node
    if set(node) == {"key", "value"} and isinstance(node["key"], str):
        return {"key": treat(node["key"], ("key",)), "value": _value(node["value"], (node["key"],), treat)}
    return {key: _member(key, child, path, treat) for key, child in node.items()}


def _member(key: str, child: Any, path: Path, treat: Treat) -> Any:
    if key == "body":
        return _value(child, ("body",), treat)
    if key == "name" and path and path[-1] in _NAMES:
        return treat(child, (_NAMES[path[-1]],)) if isinstance(child, str) else child
    return _node(child, (*path, key), treat)


def _value(value: Any, path: Path, treat: Treat) -> Any:
    """An AnyValue."""
    if not isinstance(value, dict):
        return _node(value, path, treat)
    for name in _SCALARS:
        if name in value:
            return _scalar(value, name, path, treat)
    if "arrayValue" in value:
        items = (value["arrayValue"] or {}).get("values", [])
        return {"arrayValue": {"values": [_value(item, path, treat) for item in items]}}
    if "kvlistValue" in value:
        members = (value["kvlistValue"] or {}).get("values", [])
        return {"kvlistValue": {"values": [_pair(member, path, treat) for member in members]}}
    if "bytesValue" in value:
        return {"stringValue": "[BYTES]"}  # what they say cannot be told
    return value


def _pair(member: Any, path: Path, treat: Treat) -> Any:
    if not isinstance(member, dict) or not isinstance(member.get("key"), str):
        return _node(member, path, treat)
    key = member["key"]
    return {"key": treat(key, ("key",)), "value": _value(member.get("value"), (*path, key), treat)}


def _scalar(value: dict[str, Any], name: str, path: Path, treat: Treat) -> Any:
    old = value[name] if isinstance(value[name], str) else json.dumps(value[name])
    new = treat(old, path)
    if new == old:
        return value
    return {} if new is None else {"stringValue": new}
