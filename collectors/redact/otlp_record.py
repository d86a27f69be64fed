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
    if isinstance(node, str):
        return treat(node, path or ("body",))
    if not isinstance(node, dict):
        return _number(node, path, treat) if path else node
    if isinstance(node.get("key"), str) and "value" in node:
        return _pair(node, (), treat)
    return {treat(key, ("key",)) or "": _member(key, child, path, treat) for key, child in node.items()}


def _number(node: Any, path: Path, treat: Treat) -> Any:
    if node is None or isinstance(node, bool):
        return node
    old = json.dumps(node)
    new = treat(old, path)
    return node if new == old else new


def _member(key: str, child: Any, path: Path, treat: Treat) -> Any:
    if key == "body":
        return _value(child, ("body",), treat)
    if key == "name" and path and path[-1] in _NAMES:
        return _node(child, (_NAMES[path[-1]],), treat)
    return _node(child, (*path, key), treat)


def _value(value: Any, path: Path, treat: Treat) -> Any:
    """An AnyValue; what is none is treated whatever it is."""
    if not isinstance(value, dict):
        return _node(value, path, treat)
    treated: dict[str, Any] = {}
    for name, inner in value.items():
        treated |= _typed(name, inner, path, treat)
    return treated


def _typed(name: str, inner: Any, path: Path, treat: Treat) -> dict[str, Any]:
    """One member of an AnyValue: its type and its value."""
    if name == "bytesValue":
        return {"stringValue": "[BYTES]"}  # what they say cannot be told
    if name in _SCALARS and isinstance(inner, (str, int, float)):
        return _scalar(name, inner, path, treat)
    items = inner.get("values") if isinstance(inner, dict) and len(inner) == 1 else None
    if name == "arrayValue" and isinstance(items, list):
        return {name: {"values": [_value(item, path, treat) for item in items]}}
    if name == "kvlistValue" and isinstance(items, list):
        return {name: {"values": [_pair(item, path, treat) for item in items]}}
    return {treat(name, ("key",)) or "": _node(inner, path, treat)}


def _pair(member: Any, path: Path, treat: Treat) -> Any:
    """A KeyValue: an attribute where nothing is above it, else a member of a value."""
    if not isinstance(member, dict) or not isinstance(member.get("key"), str):
        return _node(member, path, treat)
    key = member["key"]
    others = {name: child for name, child in member.items() if name not in {"key", "value"}}
    treated = {"key": treat(key, ("key",)) or ""}
    if "value" in member:
        treated["value"] = _value(member["value"], (*path, key), treat)
    return treated | _node(others, path, treat)


def _scalar(name: str, value: Any, path: Path, treat: Treat) -> dict[str, Any]:
    old = value if isinstance(value, str) else json.dumps(value)
    new = treat(old, path)
    if new == old:
        return {name: value}
    return {} if new is None else {"stringValue": new}
