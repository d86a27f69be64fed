"""What the demo sent, counted where it was made, and the troubles hidden in it: `demo-truth.json`."""

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from collectors.contents import is_content
from muniment.demo.fleet import AGENTS, TENANTS, Service
from warehouse.catalogue import is_audit
from warehouse.clock import NANOS_PER_DAY, utc_text

TRUTH_FILE = "demo-truth.json"
"""Name of the truth's file in a lake."""
CONTENTS_DAYS = 30
"""How long a new lake's policy keeps contents; nothing else of what a demo sends is old enough to go."""


@dataclass
class Trouble:
    """One seeded trouble.

    `time` is when it begins, `until` when it ends (None: a moment), nanoseconds since 1970. `seen` holds
    exactly the traces that show it, with the time they first do. `data` holds what a rule needs to recognise it.
    """

    rule: str
    tenant: str
    agent: str
    time: int
    detail: str
    until: int | None = None
    seen: dict[str, int] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)

    def covers(self, at: int) -> bool:
        """Whether an instant lies in the trouble's time."""
        return self.time <= at and (self.until is None or at < self.until)

    def seen_in(self, trace_id: str, at: int) -> None:
        """Note that a trace shows the trouble at an instant."""
        self.seen[trace_id] = min(at, self.seen.get(trace_id, at))

    @property
    def trace_ids(self) -> list[str]:
        """The traces that show the trouble, in order of time."""
        return sorted(self.seen, key=lambda trace_id: (self.seen[trace_id], trace_id))

    def as_json(self) -> dict[str, Any]:
        """The trouble with its times as RFC 3339 text and as nanoseconds."""
        ended = {} if self.until is None else {"until": utc_text(self.until), "until_unix_nano": self.until}
        return {
            "rule": self.rule,
            "tenant": self.tenant,
            "time": utc_text(self.time),
            "time_unix_nano": self.time,
            **ended,
            "agent": self.agent,
            "trace_ids": self.trace_ids,
            "detail": self.detail,
            **self.data,
        }


@dataclass
class ServiceTally:
    """What one service made."""

    spans: int = 0
    runs: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_microusd: int | None = None


@dataclass
class Tally:
    """Counts of everything that the SDK handed over, by tenant and by service."""

    spans: Counter[str] = field(default_factory=Counter)
    logs: Counter[str] = field(default_factory=Counter)
    metric_points: Counter[str] = field(default_factory=Counter)
    events: dict[str, Counter[str]] = field(default_factory=lambda: {tenant.id: Counter() for tenant in TENANTS})
    services: dict[tuple[str, str], ServiceTally] = field(default_factory=dict)
    content_times: dict[str, list[int]] = field(default_factory=lambda: {tenant.id: [] for tenant in TENANTS})

    def of(self, service: Service) -> ServiceTally:
        """The tally of one service."""
        return self.services.setdefault((service.tenant, service.service_name), ServiceTally())

    def span(self, service: Service, started: int = 0, attributes: Iterable[str] = ()) -> None:
        """Count a span, and by the keys of its attributes the content parts that it carries."""
        self.spans[service.tenant] += 1
        self.of(service).spans += 1
        self._contents(service, started, attributes)

    def _contents(self, service: Service, at: int, attributes: Iterable[str]) -> None:
        self.content_times[service.tenant] += [at] * sum(map(is_content, attributes))

    def log(self, service: Service, event_name: str | None, made: int = 0, attributes: Iterable[str] = ()) -> None:
        """Count a log record, an audit event when its name is in the catalogue, and the content parts that it carries."""
        self._contents(service, made, attributes)
        if event_name and is_audit(event_name):
            self.events[service.tenant][event_name] += 1
        else:
            self.logs[service.tenant] += 1

    def points(self, service: Service, count: int) -> None:
        """Count metric points."""
        self.metric_points[service.tenant] += count

    def used(self, service: Service, *, input_tokens: int, output_tokens: int, cost_usd: float | None) -> None:
        """Count a model call's tokens, and its cost where the sender reports one."""
        tally = self.of(service)
        tally.input_tokens += input_tokens
        tally.output_tokens += output_tokens
        if cost_usd is not None:
            tally.cost_microusd = (tally.cost_microusd or 0) + round(cost_usd * 1_000_000)

    @property
    def audit_events(self) -> int:
        """Audit events of all tenants."""
        return sum(counter.total() for counter in self.events.values())

    def as_counts(self) -> dict[str, dict[str, Any]]:
        """Counts by tenant."""
        return {
            tenant.id: {
                "spans": self.spans[tenant.id],
                "audit_events": self.events[tenant.id].total(),
                "logs": self.logs[tenant.id],
                "metric_points": self.metric_points[tenant.id],
                "by_event_name": dict(sorted(self.events[tenant.id].items())),
            }
            for tenant in TENANTS
        }

    def as_retention(self, end: int) -> dict[str, Any]:
        """What the retention policy that a new lake comes with takes at `end`, and leaves: by tenant and table."""
        kept_for = CONTENTS_DAYS * NANOS_PER_DAY
        found = {}
        for tenant in TENANTS:
            times = self.content_times[tenant.id]
            gone = sum(time + kept_for <= end for time in times)
            found[tenant.id] = {
                "taken": {"contents": gone} if gone else {},
                "left": {
                    "spans": self.spans[tenant.id],
                    "audit_events": self.events[tenant.id].total(),
                    "logs": self.logs[tenant.id],
                    "metrics": self.metric_points[tenant.id],
                    "contents": len(times) - gone,
                },
            }
        return found


def make_truth(
    *, seed: int, start: int, end: int, scale: float, tally: Tally, troubles: list[Trouble], planted: Mapping[str, Any]
) -> dict[str, Any]:
    """The truth as JSON: what was sent, by tenant and agent; each trouble; each planted value."""
    agents = []
    for agent in AGENTS:
        tallied = tally.of(agent)
        agents.append(
            {
                "tenant": agent.tenant,
                "id": agent.id,
                "name": agent.name,
                "service_name": agent.service_name,
                "dialect": agent.dialect.value,
                "protocol": agent.protocol.value,
                "runs": tallied.runs,
                "spans": tallied.spans,
                "input_tokens": tallied.input_tokens,
                "output_tokens": tallied.output_tokens,
                "reported_cost_microusd": tallied.cost_microusd,
            }
        )
    return {
        "seed": seed,
        "from": utc_text(start),
        "to": utc_text(end),
        "from_unix_nano": start,
        "to_unix_nano": end,
        "scale": scale,
        "tenants": [tenant.id for tenant in TENANTS],
        "agents": agents,
        "counts": tally.as_counts(),
        "troubles": [trouble.as_json() for trouble in sorted(troubles, key=lambda trouble: trouble.time)],
        "retention": tally.as_retention(end),
        "personal_data": dict(planted),
    }


def write_truth(truth: Mapping[str, Any], path: Path) -> None:
    """Write the truth to `path`, mode 0600: it lists the planted personal data."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:  # noqa: PTH123 - Path.open takes no mode bits
        json.dump(truth, file, indent=2, ensure_ascii=False)
        file.write("\n")
