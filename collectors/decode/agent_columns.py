"""The normalised agent columns of spans: chosen attributes, then what only several of them together tell."""

from collections import Counter
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from collectors.costs import MOST_TOKENS, PRICED_OPERATIONS, Price, PriceBook, list_costs, sender_costs
from collectors.decode.chosen import Chosen
from collectors.decode.texts import (
    Flags,
    Ints,
    equals,
    filled_texts,
    literal,
    quote,
    repeated,
    valid_rows,
    when,
    wrapped,
)

_PLAIN = (
    "operation",
    "provider",
    "request_model",
    "response_model",
    "agent_id",
    "agent_name",
    "agent_version",
    "conversation_id",
    "workflow_name",
    "tool_name",
    "tool_call_id",
    "prompt_name",
    "prompt_version",
    "error_type",
    "user_id",
    "session_id",
)
_COUNTS = ("input_tokens", "output_tokens", "cache_read_tokens", "reasoning_tokens")
_ENTITY_COLUMNS = {"tool": "tool_name", "agent": "agent_name", "workflow": "workflow_name"}
"""Which column a traceloop entity's name belongs to, by `traceloop.span.kind`."""
_TOOL_OPERATIONS = frozenset({"execute_tool"})
_AGENT_OPERATIONS = frozenset({"invoke_agent", "create_agent"})
_CHAT = frozenset({"chat"})
_TOOL_SPAN = r"^(?:execute_tool |tools/call |tool[.:])?(?P<name>.+)$"
_AGENT_SPAN = r"^(?:(?:invoke_agent|create_agent) (?P<otel>.+)|agent_run \[(?P<adk>.+)\])$"
"""Span names that hold an agent's name: OTel GenAI's `invoke_agent {name}`, Google ADK's `agent_run [{name}]`."""
_ANSWER_REASON = r'"finish_reason"\s*:\s*"(?P<reason>[A-Za-z_-]{1,40})"'
_EPOCH = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True)
class AgentColumns:
    """Normalised columns by name, and how many calls have a model but no known price, by provider and model."""

    columns: dict[str, pa.Array]
    unknown_costs: Counter[tuple[str | None, str]]


def agent_columns(
    chosen: Chosen | None, names: pa.StringArray, days: npt.NDArray[np.int32], prices: PriceBook
) -> AgentColumns:
    """Normalised columns of spans with these names and UTC days (since 1970)."""
    if chosen is None:
        return AgentColumns({}, Counter())
    columns: dict[str, pa.Array] = {name: chosen.texts(name) for name in _PLAIN}
    columns |= {name: chosen.counts(name) for name in _COUNTS}
    _fill_from_entity(columns, chosen)
    operations = _fill_from_names(columns, names)
    columns["finish_reasons"] = _finish_reasons(operations, chosen)
    cost, source, unknown = _costs(columns, operations, chosen, days, prices)
    columns["cost_microusd"], columns["cost_source"] = cost, source
    return AgentColumns(columns, unknown)


def _fill_from_entity(columns: dict[str, pa.Array], chosen: Chosen) -> None:
    """Traceloop writes `traceloop.entity.name` on every kind of span; the kind says which name it is."""
    if not chosen.has("entity_name"):
        return
    names, kinds = chosen.texts("entity_name"), chosen.texts("entity_kind")
    for kind, column in _ENTITY_COLUMNS.items():
        fitting = when(equals(kinds, kind), names)
        columns[column] = pc.coalesce(columns[column], fitting)


class _Operations:
    """The operation of each span, looked up by distinct value."""

    def __init__(self, texts: pa.StringArray) -> None:
        encoded = texts.dictionary_encode()
        self._names = [*encoded.dictionary.to_pylist(), None]
        indices = encoded.indices
        self._codes = (indices.fill_null(len(self._names) - 1) if indices.null_count else indices).to_numpy()

    def among(self, wanted: frozenset[str | None]) -> Flags:
        """Spans whose operation is one of these; None stands for no operation."""
        found: Flags = np.array([name in wanted for name in self._names], np.bool_)[self._codes]
        return found


def _fill_from_names(columns: dict[str, pa.Array], names: pa.StringArray) -> _Operations:
    """A tool call without an operation is one; tool and agent spans may say the name in the span's name alone."""
    operation, tool, agent = columns["operation"], columns["tool_name"], columns["agent_name"]
    if tool.null_count < len(tool) and operation.null_count:
        columns["operation"] = operation = pc.coalesce(
            operation, when(pc.is_valid(tool), repeated("execute_tool", len(tool)))
        )
    operations = _Operations(operation)
    if tool.null_count:
        unnamed = operations.among(_TOOL_OPERATIONS) & ~valid_rows(tool)
        if unnamed.any():
            found = pc.extract_regex(names, _TOOL_SPAN).field("name")
            columns["tool_name"] = pc.if_else(pa.array(unnamed), pc.coalesce(found, names), tool)
    if agent.null_count:
        unnamed = operations.among(_AGENT_OPERATIONS) & ~valid_rows(agent)
        if unnamed.any():
            found = pc.extract_regex(names, _AGENT_SPAN)
            parts = [filled_texts(found.field(part).fill_null(literal(""))) for part in ("otel", "adk")]
            columns["agent_name"] = pc.if_else(pa.array(unnamed), pc.coalesce(*parts), agent)
    return operations


def _finish_reasons(operations: _Operations, chosen: Chosen) -> pa.StringArray:
    """OpenInference has no attribute for it: there the answer itself, a JSON object, is asked."""
    reasons = chosen.reasons("finish_reasons")
    if not chosen.has("answer") or not reasons.null_count:
        return reasons
    silent = ~valid_rows(reasons) & operations.among(_CHAT) & (chosen.rows("answer") >= 0)
    if not silent.any():
        return reasons
    answers = when(silent, chosen.texts("answer"))
    objects = when(pc.starts_with(answers, "{"), answers)
    found = pc.extract_regex(objects, _ANSWER_REASON).field("reason")
    read = wrapped("[", quote(filled_texts(found.fill_null(literal("")))), "]")
    return pc.coalesce(reasons, read)


def _costs(
    columns: dict[str, pa.Array],
    operations: _Operations,
    chosen: Chosen,
    days: npt.NDArray[np.int32],
    prices: PriceBook,
) -> tuple[pa.Int64Array, pa.StringArray, Counter[tuple[str | None, str]]]:
    """Cost and its source: the sender's, else of the price in force; and the calls that have no price."""
    spans = len(days)
    cost, by_sender = np.zeros(spans, np.int64), np.zeros(spans, np.bool_)
    if chosen.has("cost"):
        stated = sender_costs(chosen.amounts("cost"))
        by_sender = np.isfinite(stated)
        cost[by_sender] = stated[by_sender]
    sources = ["sender"]
    source_of = by_sender.astype(np.int64) - 1
    unknown: Counter[tuple[str | None, str]] = Counter()
    calls = np.flatnonzero(~by_sender & _is_call(columns, operations))
    if len(calls):
        lists, inverse, models = _lookup(columns, calls, days, prices)
        tokens, complete = _tokens(columns, calls)
        table = np.array([_row(price) for price in lists], np.int64)
        known = np.array([price is not None for price in lists], np.bool_)[inverse]
        no_output = np.array([price is not None and price.output is None for price in lists], np.bool_)[inverse]
        known &= complete[:, 0] & (complete[:, 1] | no_output) & (tokens.max(axis=1) <= MOST_TOKENS)
        priced = list_costs(table[inverse], tokens[:, 0], tokens[:, 1], tokens[:, 2])
        cost[calls[known]] = priced[known]
        names = sorted({price.source for price in lists if price is not None})
        number = {name: place + 1 for place, name in enumerate(names)}
        sources += names
        place_of = np.array([-1 if price is None else number[price.source] for price in lists], np.int64)[inverse]
        source_of[calls[known]] = place_of[known]
        if not known.all():
            missing = np.bincount(inverse[~known], minlength=len(models)).tolist()
            unknown.update({model: count for model, count in zip(models, missing, strict=True) if count})
    absent = source_of < 0
    source = (
        repeated(None, spans) if absent.all() else pa.array(sources, pa.string()).take(pa.array(source_of, mask=absent))
    )
    return pa.array(cost, mask=absent), source, unknown


def _is_call(columns: dict[str, pa.Array], operations: _Operations) -> Flags:
    """Spans of one model call with any tokens: not those that sum up calls below them."""
    model = valid_rows(columns["request_model"]) | valid_rows(columns["response_model"])
    tokens = valid_rows(columns["input_tokens"]) | valid_rows(columns["output_tokens"])
    return operations.among(PRICED_OPERATIONS) & model & tokens


def _lookup(
    columns: dict[str, pa.Array], calls: Ints, days: npt.NDArray[np.int32], prices: PriceBook
) -> tuple[list[Price | None], Ints, list[tuple[str | None, str]]]:
    """Price of each distinct (provider, models, day) among the calls, which of them each call is, and its model."""
    codes = np.zeros(len(calls), np.int64)
    values: list[list[str | None]] = []
    for name in ("provider", "response_model", "request_model"):
        encoded = _rows(columns[name], calls).dictionary_encode(null_encoding="encode")
        values.append(encoded.dictionary.to_pylist())
        codes = codes * len(values[-1]) + encoded.indices.to_numpy()
    first_day = int(days[calls].min())
    span = int(days[calls].max()) - first_day + 1
    distinct, inverse = np.unique(codes * span + (days[calls] - first_day), return_inverse=True)
    found: list[Price | None] = []
    models: list[tuple[str | None, str]] = []
    for code in distinct.tolist():
        rest, day = divmod(code, span)
        rest, asked = divmod(rest, len(values[2]))
        owner, answered = divmod(rest, len(values[1]))
        provider, names = values[0][owner], (values[1][answered], values[2][asked])
        models.append((provider, next(name for name in names if name)))
        when = date.fromordinal(_EPOCH + first_day + day)
        matches = (prices.find(provider, name, when) for name in names if provider and name)
        found.append(next((price for price in matches if price is not None), None))
    return found, inverse, models


def _rows(column: pa.Array, rows: Ints) -> pa.Array:
    return column if len(rows) == len(column) else column.take(pa.array(rows))


def _row(price: Price | None) -> tuple[int, int, int]:
    return (0, 0, 0) if price is None else (price.input, price.cache_read, price.output or 0)


def _tokens(columns: dict[str, pa.Array], calls: Ints) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Uncached, cached and output tokens of each call, and whether input and output are known.

    Input tokens include the cached ones (OTel semantic conventions); some instrumentations leave them out, which shows
    when more were cached than came in.
    """
    named = [_rows(columns[name], calls) for name in ("input_tokens", "cache_read_tokens", "output_tokens")]
    total, cached, output = ((column.fill_null(0) if column.null_count else column).to_numpy() for column in named)
    uncached = np.where(cached <= total, total - cached, total)
    complete = np.stack([valid_rows(named[0]), valid_rows(named[2])], axis=1)
    return np.stack([uncached, cached, output], axis=1), complete
