"""The demo fleet's records: repeatable, well formed, counted exactly, and true about what they plant."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter
from opentelemetry.sdk.metrics.export import MetricsData
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from muniment.demo.fleet import TENANTS, Service
from muniment.demo.people import iban
from muniment.demo.simulation import simulate
from warehouse.catalogue import CATALOGUE, is_own
from warehouse.errors import InputError
from warehouse.names import check_name

END = 1_795_392_123_456_789_012  # 2026-11-23T00:02:03.456789012Z
DAY = 86_400_000_000_000
HUMAN = "human"


@dataclass
class Memory:
    """An outlet over the SDK's in-memory exporters."""

    span_exporter: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)
    log_exporter: InMemoryLogRecordExporter = field(default_factory=InMemoryLogRecordExporter)
    points: list[MetricsData] = field(default_factory=list)
    point_count: int = 0

    def spans(self, batch):
        """Keep spans."""
        self.span_exporter.export(batch)

    def logs(self, batch):
        """Keep log records."""
        self.log_exporter.export(batch)

    def metrics(self, data, points):
        """Keep metric points."""
        self.points.append(data)
        self.point_count += points


@dataclass
class Played:
    """A simulation and everything that came out of it."""

    truth: dict[str, Any]
    outlets: dict[str, Memory]

    @property
    def spans(self) -> list[ReadableSpan]:
        """All spans."""
        return [span for outlet in self.outlets.values() for span in outlet.span_exporter.get_finished_spans()]

    @property
    def logs(self) -> list[ReadableLogRecord]:
        """All log records, audit events among them."""
        return [log for outlet in self.outlets.values() for log in outlet.log_exporter.get_finished_logs()]

    @property
    def events(self) -> list[ReadableLogRecord]:
        """The audit events."""
        return [log for log in self.logs if log.log_record.event_name]

    def as_bytes(self) -> list[bytes]:
        """Every record as the bytes of a one-record request, sorted."""
        requests = [encode_spans([span]) for span in self.spans]
        requests += [encode_logs([log]) for log in self.logs]
        requests += [encode_metrics(data) for outlet in self.outlets.values() for data in outlet.points]
        return sorted(request.SerializeToString(deterministic=True) for request in requests)


def play(seed: int = 7, days: int = 8, scale: float = 0.02, end: int = END) -> Played:
    """Simulate a small fleet."""
    outlets: dict[str, Memory] = {}

    def outlet_for(service: Service) -> Memory:
        return outlets.setdefault(f"{service.tenant}/{service.service_name}", Memory())

    truth = simulate(seed=seed, end_unix_nano=end, days=days, scale=scale, outlet_for=outlet_for)
    return Played(truth, outlets)


@pytest.fixture(scope="module")
def played() -> Played:
    """A month of a small fleet."""
    return play(days=30)


def tenant_of(record: ReadableSpan | ReadableLogRecord) -> str:
    """The tenant that a record says it is of."""
    return str(record.resource.attributes["service.namespace"])


def texts(played: Played, tenant: str) -> Iterator[str]:
    """The text of each of a tenant's records."""
    for span in played.spans:
        if tenant_of(span) == tenant:
            yield json.dumps(dict(span.attributes or {}), ensure_ascii=False).replace('\\"', '"')
    for log in played.logs:
        if tenant_of(log) == tenant:
            yield f"{log.log_record.body} {json.dumps(dict(log.log_record.attributes or {}), ensure_ascii=False)}"


def test_same_seed_and_end_give_the_same_bytes(monkeypatch):
    """Two runs with one seed and end are byte-identical, whatever the SDK's environment variables say."""
    first = play().as_bytes()
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "host.name=elsewhere")
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "2")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    assert play().as_bytes() == first


@pytest.mark.parametrize("other", [{"seed": 8}, {"end": END + 1}])
def test_another_seed_or_end_gives_other_ids(other):
    """No trace id of one demo occurs in a demo with another seed or end."""
    ids = {span.context.trace_id for span in play().spans}
    assert not ids & {span.context.trace_id for span in play(**other).spans}


def test_a_disabled_sdk_is_an_error(monkeypatch):
    """With the SDK switched off the demo refuses rather than sending nothing."""
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    with pytest.raises(InputError, match="OTEL_SDK_DISABLED"):
        play()


@pytest.mark.parametrize(
    ("changed", "message"),
    [({"days": 6}, "at least 7, got 6"), ({"scale": 0.0}, "above 0"), ({"end": DAY}, "after 1970")],
)
def test_windows_that_cannot_be_simulated_are_refused(changed, message):
    """Too short a window, no work at all, or a start before 1970 is an input error."""
    with pytest.raises(InputError, match=message):
        play(**changed)


def test_counts_equal_the_truth(played):
    """The truth's counts are those of the records, for each tenant and event name."""
    for tenant in played.truth["tenants"]:
        names = Counter(event.log_record.event_name for event in played.events if tenant_of(event) == tenant)
        points = sum(outlet.point_count for name, outlet in played.outlets.items() if name.startswith(f"{tenant}/"))
        assert played.truth["counts"][tenant] == {
            "spans": sum(tenant_of(span) == tenant for span in played.spans),
            "audit_events": names.total(),
            "logs": sum(tenant_of(log) == tenant and not log.log_record.event_name for log in played.logs),
            "metric_points": points,
            "by_event_name": dict(names),
        }


def test_metric_points_are_counted_one_by_one(played):
    """The points that an outlet is told of are the data points of its metrics, in the window and ending after they begin."""
    start = played.truth["from_unix_nano"]
    for outlet in played.outlets.values():
        points = [
            point
            for data in outlet.points
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            for point in metric.data.data_points
        ]
        assert len(points) == outlet.point_count
        assert all(start <= point.start_time_unix_nano < point.time_unix_nano <= END for point in points)
        assert all(point.count == sum(point.bucket_counts) for point in points)


def test_tokens_equal_the_truth(played):
    """An agent's tokens in the truth are the sum of those on its model calls, in whatever dialect."""
    names = ("gen_ai.usage.input_tokens", "llm.token_count.prompt", "gen_ai.usage.prompt_tokens")
    for agent in played.truth["agents"]:
        spans = played.outlets[f"{agent['tenant']}/{agent['service_name']}"].span_exporter.get_finished_spans()
        found = sum(int(span.attributes[name]) for span in spans for name in names if name in span.attributes)
        assert found == agent["input_tokens"] > 0


def test_traces_are_trees(played):
    """Each trace has one root; each child lies inside its parent; nothing lies outside the window."""
    spans = {(span.context.trace_id, span.context.span_id): span for span in played.spans}
    assert len(spans) == len(played.spans)
    roots = Counter(span.context.trace_id for span in played.spans if span.parent is None)
    assert set(roots.values()) == {1}
    assert set(roots) == {span.context.trace_id for span in played.spans}
    for span in played.spans:
        assert played.truth["from_unix_nano"] <= span.start_time <= span.end_time <= END
        if span.parent is not None:
            parent = spans[span.parent.trace_id, span.parent.span_id]
            assert parent.start_time <= span.start_time <= span.end_time <= parent.end_time
        for event in span.events:
            assert span.start_time <= event.timestamp <= span.end_time


def test_links_and_trace_contexts_lead_somewhere(played):
    """Each span link and each record's trace context names a span that was sent; links lead back in time."""
    spans = {(span.context.trace_id, span.context.span_id): span for span in played.spans}
    links = [(span, link) for span in played.spans for link in span.links]
    assert links
    for span, link in links:
        assert spans[link.context.trace_id, link.context.span_id].start_time < span.start_time
    for log in played.logs:
        record = log.log_record
        assert record.trace_id == 0 or (record.trace_id, record.span_id) in spans
        assert played.truth["from_unix_nano"] <= record.timestamp == record.observed_timestamp <= END


def test_one_trace_runs_through_two_agents(played):
    """The loan officer's traces hold spans that the fraud agent's service recorded."""
    by_trace: dict[int, set[str]] = {}
    for span in played.spans:
        by_trace.setdefault(span.context.trace_id, set()).add(str(span.resource.attributes["service.name"]))
    assert {"loan-officer", "fraud-sentinel"} in by_trace.values()


def test_audit_events_follow_the_catalogue(played):
    """Each event's name is in the catalogue and none of Muniment's own; each says who, what, to what and how it ended."""
    for event in played.events:
        record = event.log_record
        assert record.event_name in CATALOGUE
        assert not is_own(record.event_name)
        for name in ("actor.id", "actor.type", "action", "resource.type", "resource.id", "outcome", "record.id"):
            assert record.attributes[f"audit.{name}"], (record.event_name, name)
    ids = [event.log_record.attributes["audit.record.id"] for event in played.events]
    assert len(ids) == len(set(ids))


def test_approvals_are_bound_to_call_approver_and_expiry(played):
    """A decided approval has a human approver, an expiry, and the same call as its request; it comes after it."""
    kinds = ("approval.requested", "approval.granted", "approval.denied", "approval.expired")
    by_id: dict[str, dict[str, Any]] = {}
    for event in played.events:
        if event.log_record.event_name in kinds:
            by_id.setdefault(event.log_record.attributes["audit.approval.id"], {})[event.log_record.event_name] = event
    assert {name for events in by_id.values() for name in events} >= set(kinds[:2])
    for events in by_id.values():
        request = events.pop("approval.requested").log_record
        for name, event in events.items():
            record = event.log_record
            assert record.timestamp > request.timestamp
            assert record.attributes["audit.expires_unix_nano"] == request.attributes["audit.expires_unix_nano"]
            for bound in ("gen_ai.tool.name", "gen_ai.tool.call.arguments"):
                assert record.attributes.get(bound) == request.attributes.get(bound)
            assert (record.attributes["audit.actor.type"] == HUMAN) == (name != "approval.expired")


def test_sequence_numbers_have_no_gaps(played):
    """A service's audit events are numbered from 0 without a gap."""
    streams: dict[str, list[int]] = {}
    for event in played.events:
        attributes = event.log_record.attributes
        streams.setdefault(attributes["audit.sequence.stream"], []).append(attributes["audit.sequence.number"])
    for numbers in streams.values():
        assert sorted(numbers) == list(range(len(numbers)))


def test_all_dialects_are_spoken(played):
    """Spans come in the current GenAI conventions, OpenInference, Vercel and traceloop."""
    seen = {name.split(".")[0] for span in played.spans for name in span.attributes or {}}
    assert {"gen_ai", "openinference", "ai", "traceloop"} <= seen


def test_planted_values_are_there_and_complete(played):
    """Each planted value occurs in its tenant's records, and no e-mail address or IBAN occurs that is not planted."""
    for tenant in played.truth["tenants"]:
        text = "\n".join(texts(played, tenant))
        planted = played.truth["personal_data"][tenant]
        for category, values in planted.items():
            assert values
            missing = [value for value in values if value not in text]
            assert not missing, (category, missing[:3])
        addresses = set(re.findall(r"[\w.]+@[\w.]+\.(?:com|net|org|example)\b", text))
        assert addresses <= {*planted["email"], *planted.get("staff_email", ())}
        accounts = set(re.findall(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){4,6} ?[A-Z0-9]{0,3}\b", text))
        assert {account.replace(" ", "").strip() for account in accounts} == {
            account.replace(" ", "") for account in planted["iban"]
        }


def test_ibans_have_valid_check_digits(played):
    """Moved to the end and read as a number, each planted IBAN is 1 modulo 97 (ISO 13616)."""
    for tenant in played.truth["tenants"]:
        for account in played.truth["personal_data"][tenant]["iban"]:
            compact = account.replace(" ", "")
            moved = compact[4:] + compact[:4]
            assert int("".join(str(int(character, 36)) for character in moved)) % 97 == 1


@pytest.mark.parametrize(
    ("country", "bban", "expected"),
    [("GB", "WEST12345698765432", "GB82WEST12345698765432"), ("DE", "370400440532013000", "DE89370400440532013000")],
)
def test_iban_check_digits_of_published_examples(country, bban, expected):
    """The check digits are those of the IBAN registry's published examples."""
    assert iban(country, bban) == expected


def test_tenant_names_follow_the_rule():
    """Each tenant's name is one that the lake accepts."""
    assert [check_name(tenant.id, "tenant") for tenant in TENANTS]


def test_load_follows_the_week(played):
    """Offices are nearly empty at weekends; customers are not."""
    full = play(days=14, scale=0.3)

    def weekend_share(service: str) -> float:
        starts = [s.start_time for s in full.outlets[service].span_exporter.get_finished_spans() if s.parent is None]
        return sum((start // DAY + 3) % 7 >= 5 for start in starts) / len(starts)

    assert weekend_share("northwind-retail/procurement-buyer") < 0.12
    assert weekend_share("aurora-bank/fraud-sentinel") > 0.2
