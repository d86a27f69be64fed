"""Action digests: a keyed digest of a tool's name and its raw arguments, computed before anything is redacted.

An approval is for one action. The digest stands on the approval and on the executed call alike, so one can be held against the
other although neither shows the arguments any more: `HMAC-SHA256(tenant's action key, canonical JSON of [name, arguments])`,
canonical as RFC 8785 has it. Text that is no JSON, or that RFC 8785 cannot carry, is digested as a string.
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import rfc8785

from warehouse.treated import RecordSet

ARGUMENT_PARTS = (
    "gen_ai.tool.call.arguments",
    "input.value",
    "tool.parameters",
    "ai.toolCall.args",
    "traceloop.entity.input",
    "langfuse.observation.input",
)
"""Parts that hold a tool call's arguments, the preferred one first."""

TOOL_NAME = "gen_ai.tool.name"

_UNUSUAL = re.compile("[0-9](?:[.eE]|[0-9]{14})")
"""Fractions, exponents and integers beyond 2^53: what RFC 8785 may write otherwise than an ordinary encoder does."""
TenantKey = Callable[[str], bytes]


def action_digest(key: bytes, tool_name: str, arguments: str) -> str:
    """Digest of one action in hex."""
    return hmac.new(key, _canonical(tool_name, arguments), hashlib.sha256).hexdigest()


def add_action_digests(records: RecordSet, tenant_key: TenantKey) -> RecordSet:
    """Fill `action_digest` on tool spans and on audit events that name a tool and its arguments.

    A digest that the sender gave is kept. Only rows with such arguments are visited.
    """
    contents = records.tables.get("contents")
    if contents is None or not contents.num_rows:
        return records
    are_arguments = pc.is_in(contents.column("part"), pa.array(ARGUMENT_PARTS))
    wanted = contents.select(["owner_table", "owner_index", "part", "body"]).filter(are_arguments)
    if not wanted.num_rows:
        return records
    tables = dict(records.tables)
    for name, source, tool_of in (("spans", "tool_name", _as_it_is), ("audit_events", "attributes", _tool_of)):
        batch = tables.get(name)
        if batch is None:
            continue
        mine = wanted.filter(pc.equal(wanted.column("owner_table"), name))
        if mine.num_rows:
            tables[name] = _fill(batch, _arguments(mine), source, tool_of, tenant_key)
    return replace(records, tables=tables)


def _arguments(parts: pa.RecordBatch) -> dict[int, str]:
    """Arguments by the owner's row; of several parts the preferred one."""
    rank = {part: at for at, part in enumerate(ARGUMENT_PARTS)}
    chosen: dict[int, tuple[int, str]] = {}
    rows = zip(
        parts.column("owner_index").to_pylist(),
        parts.column("part").to_pylist(),
        parts.column("body").to_pylist(),
        strict=True,
    )
    for owner, part, body in rows:
        if owner not in chosen or rank[part] < chosen[owner][0]:
            chosen[owner] = (rank[part], body)
    return {owner: body for owner, (_, body) in chosen.items()}


def _fill(
    batch: pa.RecordBatch,
    arguments: Mapping[int, str],
    source: str,
    tool_of: Callable[[str | None], str | None],
    tenant_key: TenantKey,
) -> pa.RecordBatch:
    rows = sorted(arguments)
    some = batch.select(["tenant_id", "action_digest", source]).take(pa.array(rows, pa.int64()))
    given = some.column("action_digest").to_pylist()
    tenants = some.column("tenant_id").to_pylist()
    keys = {tenant: tenant_key(tenant) for tenant in set(tenants)}
    tools = map(tool_of, some.column(source).to_pylist())
    computed = [
        known if known or tool is None else action_digest(keys[tenant], tool, arguments[row])
        for row, tenant, tool, known in zip(rows, tenants, tools, given, strict=True)
    ]
    mask = np.zeros(batch.num_rows, bool)
    mask[rows] = True
    column = pc.replace_with_mask(batch.column("action_digest"), pa.array(mask), pa.array(computed, pa.string()))
    return batch.set_column(batch.schema.get_field_index("action_digest"), batch.schema.field("action_digest"), column)


def _as_it_is(tool_name: str | None) -> str | None:
    return tool_name


def _tool_of(attributes: str | None) -> str | None:
    if attributes is None or TOOL_NAME not in attributes:
        return None
    value = msgspec.json.decode(attributes).get(TOOL_NAME)
    return value if isinstance(value, str) else None


def _canonical(tool_name: str, arguments: str) -> bytes:
    try:
        parsed: Any = msgspec.json.decode(arguments)
        if _is_ordinary(tool_name) and _is_ordinary(arguments):
            # the same bytes for an eighth of the time
            return msgspec.json.encode([tool_name, parsed], order="sorted")
        return rfc8785.dumps([tool_name, parsed])
    except (msgspec.DecodeError, rfc8785.CanonicalizationError, RecursionError):
        return rfc8785.dumps([tool_name, arguments])


def _is_ordinary(text: str) -> bool:
    """Whether RFC 8785 leaves no choice: no escapes but the short ones, keys in ASCII, small integers."""
    return text.isascii() and "\\u" not in text and "\x7f" not in text and not _UNUSUAL.search(text)
