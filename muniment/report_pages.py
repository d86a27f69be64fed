"""The readable pages of a report on a person: what is held, since when, by whom, and how to check it. Pure; no script, nothing loaded."""

import html
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from retention.subject_finds import SubjectFinds, TableCount
from warehouse.clock import utc_text

MOST_ROWS = 2_000
"""Rows of a table that a page shows; the tables beside it hold all."""

_MOST_CHARACTERS = 4_000
_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "spans": ("time_unix_nano", "operation", "name", "agent_name", "tool_name", "user_id", "status_code", "attributes"),
    "audit_events": (
        "time_unix_nano", "event_name", "actor_id", "on_behalf_of", "action", "resource_type", "subject_id", "outcome", "reason",
    ),
    "logs": ("time_unix_nano", "severity_text", "event_name", "body", "attributes"),
    "metrics": ("time_unix_nano", "name", "value", "value_int", "unit", "attributes"),
    "contents": ("time_unix_nano", "part", "media_type", "body"),
}  # fmt: skip
_SAID_BY = {
    "spans": ("agent_name", "operation"),
    "audit_events": ("event_name",),
    "logs": ("event_name",),
    "metrics": ("name",),
}
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:75rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;margin:1rem 0;width:100%}"
    "th,td{border:1px solid #999;padding:.25rem .5rem;text-align:left;vertical-align:top;overflow-wrap:anywhere}"
    "th{background:#eee}td.n{text-align:right}pre{white-space:pre-wrap;margin:0}"
)


def readme(finds: SubjectFinds, tables: Mapping[str, pa.Table], *, proofs: int, problems: Sequence[str]) -> str:
    """The page as plain text."""
    lines = [
        f"Records about one person, held by tenant {finds.tenant_id}",
        "",
        "What is held:",
        *(f"  {_count_line(count)}" for count in finds.counts()),
        *([f"  refused records kept for a look (quarantine): {len(finds.quarantine)}"] if finds.quarantine else []),
        *(["  nothing"] if finds.is_empty else []),
        "",
        *_said_lines(tables),
        "How it was searched:",
        f"  {_how(finds)}",
        "",
        "What is in this file:",
        "  report.html            the same, with the records readable",
        "  tables/*.parquet       every record with all its columns",
        "  tables/*.json          the same, one record a line; bytes in hexadecimal",
        "  quarantine.json        refused records, where there are any",
        f"  proofs/<log>/*.tlog-proof   {proofs} proofs that a record stands in the tenant's log as it is here",
        "  checkpoints/           the signed state of each log that the proofs lead to",
        "  vkeys.txt              the public keys as this lake states them: compare them with ones you have from elsewhere",
        "  manifest.json          SHA-256 of every file",
        "",
        "To check a proof: muniment verify-proof FILE --vkey vkeys.txt",
        "Texts that begin with sub_ stand for persons. Those of other persons are left as they are.",
    ]
    if problems:
        lines += ["", "Records without a proof:", *(f"  {problem}" for problem in problems)]
    return "\n".join(lines) + "\n"


def page(finds: SubjectFinds, tables: Mapping[str, pa.Table], *, problems: Sequence[str]) -> str:
    """The page as HTML."""
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        f"<title>Records about one person</title><style>{_STYLE}</style></head><body>",
        f"<h1>Records about one person, held by tenant {html.escape(finds.tenant_id)}</h1>",
        "<h2>What is held</h2>",
        _counts(finds.counts()),
        f"<p>Refused records kept for a look (quarantine): {len(finds.quarantine)}.</p>",
        f"<h2>How it was searched</h2><p>{html.escape(_how(finds))}</p>",
    ]
    if problems:
        parts += [
            "<h2>Records without a proof</h2>",
            "<ul>",
            *(f"<li>{html.escape(each)}</li>" for each in problems),
            "</ul>",
        ]
    for table, rows in tables.items():
        parts += [f"<h2>{table}</h2>", _rows(table, rows)]
    return "\n".join([*parts, "</body></html>"]) + "\n"


def _how(finds: SubjectFinds) -> str:
    # no counts: the record of this very report is one more file, and the page of the next one would differ
    if finds.searched_texts:
        return "All records of this tenant were read whole: every text was searched."
    return (
        "All records of this tenant were searched by the columns that name persons. A name that was left in the clear inside of a text is"
        " not found that way; --search-texts reads every text."
    )


def _count_line(count: TableCount) -> str:
    line = f"{count.table}: {count.rows} from {count.first_day} to {count.last_day}"
    if count.clear:
        line += f"; {count.clear} of them name the person in the clear"
    return line


def _counts(counts: Sequence[TableCount]) -> str:
    if not counts:
        return "<p>Nothing.</p>"
    cells = [
        f"<tr><td>{count.table}</td><td class=n>{count.rows}</td><td>{count.first_day}</td><td>{count.last_day}</td>"
        f"<td class=n>{count.clear}</td></tr>"
        for count in counts
    ]
    heads = "<tr><th>table</th><th>records</th><th>first day</th><th>last day</th><th>in the clear</th></tr>"
    return f"<table>{heads}{''.join(cells)}</table>"


def _said_lines(tables: Mapping[str, pa.Table]) -> list[str]:
    """What the records are of: agents, operations, events, how often each. No record says for which purpose."""
    lines = []
    for table, names in _SAID_BY.items():
        for name in names if table in tables else ():
            counted = pc.value_counts(tables[table].column(name).combine_chunks().drop_null()).to_pylist()
            said = sorted((-each["counts"], each["values"]) for each in counted)
            if said:
                lines.append(f"  {table}, {name}: " + ", ".join(f"{value} ({-count})" for count, value in said))
    return ["What it is about:", *lines, ""] if lines else []


def _rows(table: str, rows: pa.Table) -> str:
    names = [name for name in _COLUMNS[table] if rows.column(name).null_count < rows.num_rows]
    heads = "".join(f"<th>{name.removesuffix('_unix_nano')}</th>" for name in names)
    lines = [
        "<tr>" + "".join(f"<td>{_cell(name, row[name])}</td>" for name in names) + "</tr>"
        for row in rows.sort_by("time_unix_nano").slice(0, MOST_ROWS).select(names).to_pylist()
    ]
    more = f"<p>{rows.num_rows - MOST_ROWS} more in tables/{table}.json.</p>" if rows.num_rows > MOST_ROWS else ""
    return f"<table><tr>{heads}</tr>{''.join(lines)}</table>{more}"


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    if name.endswith("_unix_nano"):
        return utc_text(value)
    text = str(value)
    cut = f"{text[:_MOST_CHARACTERS]} …" if len(text) > _MOST_CHARACTERS else text
    return f"<pre>{html.escape(cut)}</pre>" if name in {"body", "attributes"} else html.escape(cut)


def json_lines(rows: pa.Table) -> bytes:
    """Rows as JSON, one a line."""
    return b"".join(
        json.dumps(row, ensure_ascii=False, default=_json).encode("utf-8", "backslashreplace") + b"\n"
        for row in rows.to_pylist()
    )


def _json(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
