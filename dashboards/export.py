"""What a page gives to take along: offered to those who may export, and made once that somebody takes it is decided and on record.

Invariant: nothing lies ready to be fetched before. What a button stands for is asked for at each click, by whoever was shown it.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

import pyarrow as pa
import pyarrow.csv as pc
import streamlit as st

from dashboards.desk import Desk, Handed
from dashboards.viewer import Viewer

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001 - wide forms count in spreadsheets too
"""What the first letter of a formula can be, also after what a spreadsheet leaves out when it reads a cell."""


@dataclass(frozen=True)
class Export:
    """A file to take along: its name, kind, how many rows it has, and what makes its bytes."""

    name: str
    mime: str
    rows: int
    make: Callable[[], bytes]


def offer(desk: Desk, viewer: Viewer, tenant: str, label: str, export: Export) -> None:
    """A button that gives the file, for those who may export; nothing for others."""
    if not desk.may_export(viewer, tenant):
        return

    def give() -> bytes:
        desk.export(viewer, tenant, export.name, export.rows)
        return export.make()

    st.download_button(
        label, give, file_name=export.name, mime=export.mime, key=f"export-{export.name}", on_click="ignore"
    )


def hand_out(
    desk: Desk, viewer: Viewer, tenant: str, label: str, kind: Handed, name: str, read: Callable[[], bytes]
) -> None:
    """A button that gives a file which was made before, in the lake or in this session; whoever may no longer have it gets nothing.

    Whether the button is drawn is the page's to know: that a file was made for somebody does not say that they may have it now.
    """

    def give() -> bytes:
        content = read()
        desk.hand_out(viewer, tenant, kind, name, sha256(content).hexdigest())
        return content

    mime = "text/plain" if kind is Handed.PROOF else "application/zip"
    st.download_button(label, give, file_name=name, mime=mime, type="primary", key=f"take-{name}", on_click="ignore")


def csv_of(rows: pa.Table) -> bytes:
    """Rows as CSV, in which a text that a spreadsheet would take for a formula begins with an apostrophe."""
    buffer = io.BytesIO()
    pc.write_csv(_flat(rows), buffer)
    return buffer.getvalue()


def _flat(rows: pa.Table) -> pa.Table:
    """Rows as CSV can hold them: lists as texts, and no text that is a formula."""
    columns = []
    for column in rows.columns:
        if not (pa.types.is_primitive(column.type) or pa.types.is_decimal(column.type)):
            texts = [None if value is None else str(value) for value in column.to_pylist()]
            kept = [f"'{text}" if text is not None and is_formula(text) else text for text in texts]
            column = pa.chunked_array([pa.array(kept, pa.string())])  # noqa: PLW2901 - the column as it is written
        columns.append(column)
    return pa.Table.from_arrays(columns, names=rows.column_names)


def is_formula(text: str) -> bool:
    """Whether a spreadsheet could take a text for a formula."""
    return text.lstrip(" \u00a0\ufeff").startswith(_FORMULA)
