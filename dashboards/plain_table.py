"""The rows of a table that are seen without scrolling, as plain HTML, each value as the table in its place will show it.

Invariant: a value is text, escaped, and no longer than is seen of it in one line.
"""

import json
import re
from datetime import datetime
from html import escape
from typing import Any

import pyarrow as pa

_MOST_COLUMNS = 24
_MOST_CHARACTERS = 160
_ROW_PIXELS, _MOST_PIXELS = 35, 400
_MOST_ROWS = 40
_OWN_PAGE = re.compile(r"/[a-z]")
"""How the address of a page of this application begins; after two slashes, or one and a backslash, another machine's name comes."""


def table(arrow: bytes, columns: str, pixels: int) -> str:
    """A table of Streamlit: its rows as an Arrow stream, how its columns are shown as JSON, its height or 0 for its own choice."""
    rows = pa.ipc.open_stream(arrow).read_all()
    asked: dict[str, dict[str, Any]] = json.loads(columns) if columns else {}
    names = [name for name in rows.column_names if not _is_hidden(name, asked)][:_MOST_COLUMNS]
    height = pixels or min((rows.num_rows + 1) * _ROW_PIXELS + 2, _MOST_PIXELS)
    seen = rows.select(names).slice(0, min(height // _ROW_PIXELS, _MOST_ROWS))
    head = "".join(f"<th>{escape(_label(name, asked))}</th>" for name in names)
    cells = [[_cell(value, _form(name, asked)) for value in seen.column(name).to_pylist()] for name in names]
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in zip(*cells, strict=True))
    return f'<div class="rows" style="height:{height}px"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _is_hidden(name: str, asked: dict[str, dict[str, Any]]) -> bool:
    is_index = name.startswith("__index_level_")
    return is_index or bool(asked.get(name, {}).get("hidden"))


def _label(name: str, asked: dict[str, dict[str, Any]]) -> str:
    return str(asked.get(name, {}).get("label") or name)


def _form(name: str, asked: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return asked.get(name, {}).get("type_config") or {}


def _cell(value: object, form: dict[str, Any]) -> str:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    said = escape(_text(value, form)[:_MOST_CHARACTERS])
    if form.get("type") == "link" and _OWN_PAGE.match(str(value or "")):
        said = f'<a href="{escape(str(value))}">{said}</a>'
    return f"<td{' class=number' if is_number else ''}>{said}</td>"


def _text(value: object, form: dict[str, Any]) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "☑" if value else "☐"
    if isinstance(value, int | float):
        return _number(value, str(form.get("format") or ""))
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, list):
        return ", ".join(str(each) for each in value)
    text = str(value)
    return text.rsplit("#", 1)[-1] if form.get("type") == "link" else text


def _number(value: float, form: str) -> str:
    if form == "localized":
        return f"{value:,}"
    if form.startswith(("$", "%")):
        return form % value
    return f"{value:.4f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
