"""A lake with a tenant, whose records a test writes and whose clock a test sets, with the incident rules that it applies."""

import json

import pytest

from governance.access import Access, local_principal
from muniment.incidents import detect_incidents
from muniment.settings import read_settings
from muniment.setup import set_up_lake
from muniment.wiring import CommandContext
from pipelines.incidents.compiler import KIND
from tests.template import copy_lake
from warehouse.clock import NANOS_PER_SECOND
from warehouse.lake import Lake
from warehouse.policies import Bundle, apply
from warehouse.principals import Principal, PrincipalKind

MINUTE = 60 * NANOS_PER_SECOND
ERRORS = """\
version: 1
rules:
  - id: failing
    title: Something fails
    severity: high
    runbook: failing.md
    group_by: [agent_id]
    cooldown: PT1H
    reads: new
    legal_clocks: [gdpr-33]
    sql: |
      select time_unix_nano, 'spans' as source_table, shard, log_index, trace_id, agent_id,
        'It failed: ' || status_message as detail
      from spans where status_code = 'ERROR'
"""


class IncidentLake:
    """Writes records and runs rounds. Times of records are minutes after `rows.NOW`."""

    def __init__(self, folder, rows):
        self.rows = rows
        self.now = rows.NOW
        lake = Lake(folder)
        access = Access.for_lake(lake.path, {})
        self.context = CommandContext(lake, read_settings(lake), access, local_principal(), self.clock)
        self.control = self.context.control
        self._batch = 0

    def clock(self):
        """The present."""
        return self.now

    def apply(self, text):
        """Put rules in force in place of those that are."""
        apply(self.control, Bundle(KIND, {"rules.yaml": text}), "user:alice", replacing=self.control.policy_hash(KIND))

    def spans(self, *minutes, agent="bot", status="ERROR", received=None, shard="main", tenant="acme", **values):
        """Write spans that begin at these minutes, in one request."""
        self._batch += 1
        times = [self.rows.NOW + int(minute * MINUTE) for minute in minutes]
        count = len(times)
        batch = self.rows.ledgered(
            "spans", count, f"b{self._batch}", tenant=tenant, time=times, agent_id=[agent] * count,
            status_code=[status] * count, data_class=["internal"] * count,
            received_unix_nano=self.rows.NOW if received is None else self.rows.NOW + int(received * MINUTE),
            **values,
        )  # fmt: skip
        self._write(shard, spans=batch)

    def events(self, *names, minute=0, **values):
        """Write audit events of these names, in one request."""
        self._batch += 1
        batch = self.rows.ledgered(
            "audit_events", len(names), f"b{self._batch}", time=[self.rows.NOW + int(minute * MINUTE)] * len(names),
            event_name=list(names), **values,
        )  # fmt: skip
        self._write("main", audit_events=batch)

    def _write(self, shard, **tables):
        writer = self.context.open_writer(shard)
        try:
            writer.append(self.rows.treated(**tables)).result(120)
        finally:
            writer.stop()

    def detect(self, *, minute=None, everything=False, tenants=("acme",)):
        """Run a round, at a minute after `rows.NOW` where given."""
        at = None if minute is None else self.rows.NOW + int(minute * MINUTE)
        return detect_incidents(self.context, tenants=tenants, now_unix_nano=at, everything=everything)

    def incidents(self):
        """Rule, key, minutes of the first and last match, records and state of each incident of acme that is one."""
        return [
            (
                each.rule,
                json.loads(each.key),
                (each.opened_unix_nano - self.rows.NOW) // MINUTE,
                (each.last_unix_nano - self.rows.NOW) // MINUTE,
                each.row_count,
                each.state.value,
            )
            for each in self.control.list_incidents(["acme"])
            if each.duplicate_of is None
        ]

    def own_events(self):
        """Event name, action, resource id and attributes of the incident events in acme's log."""
        found = self.rows.read_table(self.context.lake, "audit_events").to_pylist()
        mine = [row for row in found if row["event_name"].startswith("incident.") and row["tenant_id"] == "acme"]
        return [
            (row["event_name"], row["action"], row["resource_id"], json.loads(row["attributes"]))
            for row in sorted(mine, key=lambda row: row["time_unix_nano"])
        ]

    def acting(self, name):
        """From now on somebody else acts, who has no role."""
        self.context.principal = Principal(PrincipalKind.LOCAL_USER, name)


@pytest.fixture(scope="session")
def pattern(tmp_path_factory, rows):
    """An empty lake, with one rule in force: spans that failed, by agent, an hour of cool-down."""
    lake, _ = set_up_lake(tmp_path_factory.mktemp("incidents") / "lake", name="test", clock=lambda: rows.NOW)
    made = IncidentLake(lake.path, rows)
    made.control.add_tenant("acme")
    made.apply(ERRORS)
    made.control.close()
    return lake.path


@pytest.fixture
def lake(pattern, tmp_path, rows):
    """A copy of it."""
    made = IncidentLake(copy_lake(pattern, tmp_path / "lake"), rows)
    yield made
    made.control.close()
