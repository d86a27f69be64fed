"""Reads indicators: OpenSLO's `ratioMetric` and `thresholdMetric`, whose sources are SQL over the lake's views.

A source's SQL is one SELECT that yields a row an event, with `time_unix_nano` (when it happened), `shard` and `log_index` (the
record that it stands for). It reads new events from the views of the tables' own names, so that each is counted once, and may
join everything through `all_<name>`.
"""

from pipelines.slo.definitions import Indicator, Source
from pipelines.slo.durations import parse_duration
from pipelines.slo.keys import Keys
from pipelines.slo.openslo import Definition, read_metadata
from warehouse.errors import QueryError
from warehouse.policies import Problem
from warehouse.query.guard import check_query
from warehouse.query.views import ALL_PREFIX
from warehouse.tables import TABLES

SOURCE_TYPE = "muniment"
NEW_VIEWS = frozenset(TABLES)
QUERY_VIEWS = NEW_VIEWS | {f"{ALL_PREFIX}{name}" for name in TABLES}
"""What an indicator may read: records, and no derived table, which would change under it."""
_RAW = ("success", "failure")


def read_indicator(definition: Definition, notes: list[Problem]) -> Indicator:
    """An object of kind SLI."""
    return _indicator(definition.metadata.name, definition.metadata.title, definition.spec, notes)


def read_inline_indicator(keys: Keys, notes: list[Problem]) -> Indicator | None:
    """An indicator that stands within an SLO."""
    metadata = read_metadata(keys.child("metadata", required=True), ())
    spec = keys.child("spec", required=True)
    keys.finish()
    return None if spec is None else _indicator(metadata.name, metadata.title, spec, notes)


def _indicator(name: str, title: str, spec: Keys, notes: list[Problem]) -> Indicator:
    description = spec.text("description", "")
    ratio, threshold = spec.child("ratioMetric"), spec.child("thresholdMetric")
    if (ratio is None) == (threshold is None):
        got = "neither" if ratio is None else "both"
        spec.report((), f"got {got} of ratioMetric and thresholdMetric, expected one of them")
    sources: dict[str, Source] = {}
    if ratio is not None:
        sources = _ratio(ratio, notes)
    elif threshold is not None:
        sources = {"threshold": _source(threshold, notes)}
        threshold.finish()
    spec.finish()
    return Indicator(name, sources, title, description)


def _ratio(keys: Keys, notes: list[Problem]) -> dict[str, Source]:
    if keys.has("counter"):
        keys.flag("counter", default=False)
        keys.report(("counter",), "this key of OpenSLO is not supported: rows are counted, no counter is read")
    if keys.has("raw"):
        kind = keys.text("rawType", "success", among=_RAW)
        raw = keys.child("raw")
        found = {} if raw is None else {kind: _source(raw, notes)}
        if raw is not None:
            raw.finish()
        keys.finish()
        return found
    parts = {}
    for part in ("good", "bad", "total"):
        inner = keys.child(part)
        if inner is not None:
            parts[part] = _source(inner, notes)
            inner.finish()
    if "total" not in parts or ("good" in parts) == ("bad" in parts):
        keys.report((), f"got {', '.join(parts) or 'nothing'}, expected total with good or bad, or raw with rawType")
    keys.finish()
    return parts


def _source(keys: Keys, notes: list[Problem]) -> Source:
    source = keys.child("metricSource", required=True)
    if source is None:
        return Source(None)
    source.unsupported("metricSourceRef", "an indicator's SQL asks the lake itself")
    kind = source.text("type")
    spec = source.child("spec", required=True)
    source.finish()
    if spec is None:
        return Source(None)
    if kind.lower() != SOURCE_TYPE:
        _note_foreign(source, kind, spec, notes)
        return Source(None)
    sql = spec.text("sql")
    settle = _settle(spec)
    spec.finish()
    if sql:
        _check(spec, sql)
    return Source(sql or None, settle)


def _note_foreign(source: Keys, kind: str, spec: Keys, notes: list[Problem]) -> None:
    aside = Keys(source.document, source.place, {}, notes)
    aside.report(("type",), f"got {kind!r}, which cannot be asked here: expected {SOURCE_TYPE}, with SQL as spec.sql")
    for key in spec.names():
        aside.report(("spec", key), "this key of another system's source is not used")


def _settle(spec: Keys) -> int:
    if not spec.has("settle"):
        return 0
    text = spec.text("settle")
    try:
        return parse_duration(text)
    except ValueError as exc:
        spec.report(("settle",), str(exc))
        return 0


def _check(spec: Keys, sql: str) -> None:
    try:
        checked = check_query(sql, QUERY_VIEWS)
    except QueryError as exc:
        spec.report(("sql",), str(exc))
        return
    if not checked.views & NEW_VIEWS:
        read = ", ".join(sorted(checked.views)) or "none"
        spec.report(
            ("sql",), f"got the views {read}, expected one of {', '.join(sorted(NEW_VIEWS))}: they hold what is new"
        )
