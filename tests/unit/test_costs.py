"""What a call cost: the sender's figure, else the price in force, else unknown."""

from collections import Counter
from datetime import date
from typing import Any

import numpy as np
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from collectors.costs import PriceBook, default_price_files, read_prices, sender_costs
from collectors.decode import DecodedGroup, decode_group
from collectors.exports import Export, IntakeLimits, Sender, Signal
from warehouse.errors import SettingsError

DAY = 86_400_000_000_000
NOW = 20_700 * DAY  # 2026-09-04T00:00:00Z
PRICES = b"""
prices:
  - {provider: openai, model: "gpt-4o*", valid_from: 2026-01-01, input: 2.50, output: 10, cache_read: 1.25}
  - {provider: openai, model: "gpt-4o-mini*", valid_from: 2026-01-01, input: 0.15, output: 0.60}
  - {provider: openai, model: "gpt-4o-exact", valid_from: 2026-01-01, input: 1, output: 1}
  - {provider: openai, model: "gpt-4o*", valid_from: 2026-09-04, input: 5, output: 20}
  - {provider: openai, model: embed, valid_from: 2026-01-01, input: 0.02}
"""
SOURCE = "price:297f761bd6a5"
BOOK = PriceBook(read_prices("test.yaml", PRICES))


def decode(*calls: dict[str, Any], start: int = NOW, book: PriceBook = BOOK) -> DecodedGroup:
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for call in calls:
        span = spans.add(trace_id=b"t" * 16, span_id=b"s" * 8, start_time_unix_nano=start)
        for key, value in call.items():
            kind = {int: "int_value", float: "double_value", str: "string_value"}[type(value)]
            span.attributes.add(key=key).value.CopyFrom(AnyValue(**{kind: value}))
    export = Export(Signal.TRACES, request.SerializeToString(), Sender("acme", "k", "key:k", "p"), start, b"d" * 16)
    return decode_group([export], limits=IntakeLimits(), prices=book)


def costs(*calls: dict[str, Any], start: int = NOW) -> list[tuple[int | None, bool]]:
    """Cost and whether it came from the price list."""
    rows = decode(*calls, start=start).records.tables["spans"].to_pylist()
    return [(row["cost_microusd"], str(row["cost_source"]).startswith("price:")) for row in rows]


def call(model: str = "gpt-4o", provider: str = "openai", **tokens: int) -> dict[str, Any]:
    names = {"input": "gen_ai.usage.input_tokens", "output": "gen_ai.usage.output_tokens"}
    names["cached"] = "gen_ai.usage.cache_read.input_tokens"
    given = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": provider, "gen_ai.request.model": model}
    return given | {names[name]: value for name, value in tokens.items()}


CASES: dict[str, tuple[dict[str, Any], int, int | None]] = {
    # dollars a million tokens are microdollars a token: 100 x 5 + 10 x 20
    "input and output": (call(input=100, output=10), NOW, 700),
    "the day before the price changed": (call(input=100, output=10), NOW - 1, 350),
    "cached tokens cost less": (call(input=100, cached=40, output=0), NOW - DAY, 60 * 5 // 2 + 50),
    "cached tokens left out of the input": (call(input=10, cached=40, output=0), NOW - DAY, 25 + 50),
    "longest prefix": (call("gpt-4o-mini-2024", input=100, output=100), NOW, 75),
    "exact name before prefix": (call("gpt-4o-exact", input=1, output=1), NOW, 2),
    "half to even, down": (call("gpt-4o-mini", input=30, output=0), NOW, 4),
    "half to even, up": (call("gpt-4o-mini", input=50, output=0), NOW, 8),
    "embeddings have no output": (call("embed", input=1000) | {"gen_ai.operation.name": "embeddings"}, NOW, 20),
    "known price, no tokens": (call("gpt-4o", input=0, output=0), NOW, 0),
    "before any price": (call(input=1, output=1), NOW - 300 * DAY, None),
    "another provider": (call(provider="azure.ai.openai", input=1, output=1), NOW, None),
    "unknown model": (call("gpt-9", input=1, output=1), NOW, None),
    "output missing": (call(input=1), NOW, None),
    "input missing": (call(output=1), NOW, None),
    "no tokens at all": (call(), NOW, None),
    "impossible tokens": (call(input=10**15, output=1), NOW, None),
    "an agent sums up its calls": (call(input=1, output=1) | {"gen_ai.operation.name": "invoke_agent"}, NOW, None),
}


@pytest.mark.parametrize("case", CASES)
def test_price_list(case):
    """A call costs its tokens at the price in force that day; whatever is not known stays NULL."""
    attributes, start, expected = CASES[case]
    assert costs(attributes, start=start) == [(expected, expected is not None)]


def test_response_model_is_asked_first():
    """The model that answered decides the price, the one asked for only where the other has none."""
    asked = call("gpt-4o-mini", input=100, output=0)
    assert costs(
        asked | {"gen_ai.response.model": "gpt-4o-exact"}, asked | {"gen_ai.response.model": "unheard-of"}
    ) == [
        (100, True),
        (15, True),
    ]


SENDERS: dict[str, tuple[dict[str, Any], int | None]] = {
    "double": ({"gen_ai.usage.cost": 0.0125}, 12_500),
    "text": ({"gen_ai.usage.cost": "0.0125"}, 12_500),
    "integer": ({"llm.cost.total": 2}, 2_000_000),
    "traceloop": ({"llm.usage.cost": 1e-5}, 10),
    "Langfuse": ({"langfuse.observation.cost_details": '{"input":1,"total":0.5}'}, 500_000),
    "zero is a figure": ({"gen_ai.usage.cost": 0.0}, 0),
    "half to even, down": ({"gen_ai.usage.cost": 0.0000125}, 12),
    "half to even, up": ({"gen_ai.usage.cost": 0.0000135}, 14),
    "negative is none": ({"gen_ai.usage.cost": -1.0}, None),
    "infinite is none": ({"gen_ai.usage.cost": float("inf")}, None),
    "no number": ({"gen_ai.usage.cost": "cheap"}, None),
}


@pytest.mark.parametrize("case", SENDERS)
def test_sender_cost(case):
    """The sender's own figure in dollars is kept in microdollars, rounded half to even."""
    attributes, expected = SENDERS[case]
    (row,) = decode(attributes).records.tables["spans"].to_pylist()
    assert (row["cost_microusd"], row["cost_source"]) == (expected, None if expected is None else "sender")


def test_sender_wins_over_the_list():
    """A call with its own figure is not priced again; its neighbours are."""
    assert costs(call(input=100, output=10) | {"gen_ai.usage.cost": 1.0}, call(input=100, output=10)) == [
        (1_000_000, False),
        (700, True),
    ]


def test_source_names_the_list():
    """`cost_source` is the price list's SHA-256, so that a cost can be traced to the file it came from."""
    (row,) = decode(call(input=1, output=1)).records.tables["spans"].to_pylist()
    assert row["cost_source"] == SOURCE


def test_unknown_costs_are_counted():
    """Calls without a price are counted by provider and model."""
    group = decode(
        call("gpt-9", input=1, output=1), call("gpt-9", input=1, output=1), call(input=1, output=1), call("x", input=2)
    )
    assert group.counts.unknown_costs == Counter({("openai", "gpt-9"): 2, ("openai", "x"): 1})


BAD_LISTS = {
    "no mapping": (b"[]", "expected a mapping with one key, `prices`, that holds a list"),
    "another key": (b"prices: []\nmore: 1", "expected a mapping with one key, `prices`"),
    "no YAML": (b"prices: [", "expected YAML"),
    "missing field": (
        b"prices: [{provider: a, model: b, input: 1}]",
        "prices[0]: expected provider, model, valid_from",
    ),
    "unknown field": (
        b"prices: [{provider: a, model: b, valid_from: 2026-01-01, input: 1, x: 1}]",
        "prices[0]: expected",
    ),
    "no date": (b"prices: [{provider: a, model: b, valid_from: soon, input: 1}]", "valid_from: expected a date"),
    "no price": (
        b"prices: [{provider: a, model: b, valid_from: 2026-01-01, input: free}]",
        "input: expected US dollars",
    ),
    "negative": (b"prices: [{provider: a, model: b, valid_from: 2026-01-01, input: -1}]", "input: expected 0 to 1000"),
    "truth value": (b"prices: [{provider: a, model: b, valid_from: 2026-01-01, input: true}]", "input: expected"),
    "too fine": (b"prices: [{provider: a, model: b, valid_from: 2026-01-01, input: 0.0000001}]", "at most 6 decimals"),
}


@pytest.mark.parametrize("case", BAD_LISTS)
def test_bad_price_lists(case):
    """A file that is no price list is refused, with file, place, got and expected."""
    content, message = BAD_LISTS[case]
    with pytest.raises(SettingsError) as caught:
        read_prices("bad.yaml", content)
    assert str(caught.value).startswith("bad.yaml: ")
    assert message in str(caught.value)


def test_load_reads_every_list(tmp_path):
    """A folder's lists together make the book; a folder without any makes an empty one."""
    assert PriceBook.load(tmp_path).prices == ()
    for name, content in default_price_files():
        (tmp_path / name).write_bytes(content)
    book = PriceBook.load(tmp_path)
    assert book.prices == PriceBook.default().prices
    price = book.find("openai", "gpt-4o-2024-08-06", date(2026, 1, 1))
    assert price is not None
    assert (price.input, price.output, price.cache_read) == (2_500_000, 10_000_000, 1_250_000)


def test_sender_costs_keep_unknown_apart():
    """NaN, which stands for no figure, stays NaN."""
    assert np.isnan(sender_costs(np.array([np.nan]))).all()
