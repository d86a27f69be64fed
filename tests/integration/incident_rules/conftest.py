"""Small lakes for the shipped incident rules: rows through the real writer, rules over real sessions, in one round or in many."""

import json
from dataclasses import dataclass, field
from importlib.resources import files

import duckdb
import pyarrow as pa
import pytest
import yaml

from governance.registry import REGISTRY_SCHEMA
from pipelines.incidents.derived import derive_events
from warehouse.principals import Principal, PrincipalKind
from warehouse.query import QuerySettings, ReadPoint, open_session
from warehouse.tables import TABLES

SECOND, MINUTE, HOUR, DAY = 10**9, 60 * 10**9, 3600 * 10**9, 86_400 * 10**9
NOON = 1_795_176_000_000_000_000  # 2026-11-20T12:00:00Z, a Friday
FACTS = pa.schema(
    [("fact", pa.string()), ("subject", pa.string()), ("time_unix_nano", pa.int64()), ("value", pa.float64()),
     ("detail", pa.string())]
)  # fmt: skip
SETTINGS = QuerySettings(memory_limit_mib=256)
KEEP_BYTES = 1024**2
JOB = Principal(PrincipalKind.JOB, "incidents")


def shipped_rules():
    """Every shipped rule as its file has it, by id."""
    folder = files("pipelines.incidents") / "default_policies"
    documents = [yaml.safe_load(entry.read_text()) for entry in folder.iterdir() if entry.name.endswith(".yaml")]
    return {rule["id"]: rule for document in documents for rule in document["rules"]}


RULES = shipped_rules()


@dataclass
class Seen:
    """What a rule is asked with, besides the lake: who is registered, what the lake knows of itself, and when."""

    registry: list = field(default_factory=list)
    facts: list = field(default_factory=list)
    parameters: dict = field(default_factory=dict)
    now: int = NOON + DAY
    first: int = NOON - 400 * DAY

    def extra(self, tenant):
        """The views that only rules have."""
        blank = {field.name: [] if pa.types.is_list(field.type) else None for field in REGISTRY_SCHEMA}
        known = {"tenant_id": tenant, "state": "active", "risk_class": "limited", "updated_unix_nano": 0}
        agents = [blank | known | agent for agent in self.registry]
        return {
            "registry": pa.Table.from_pylist(agents, schema=REGISTRY_SCHEMA),
            "lake_state": pa.Table.from_pylist(self.facts, schema=FACTS),
        }


class RuleLake:
    """A lake, and rules asked over it."""

    def __init__(self, lake, writer, rows):
        self.lake = lake
        self._writer = writer
        self._rows = rows

    def add(self, tenant, given):
        """Make rows durable and readable: (table, columns) pairs, as `span` and `event` give them."""
        tables = {}
        for name in ("spans", "audit_events", "logs"):
            mine = [columns for table, columns in given if table == name]
            if mine:
                own = TABLES[name].decoded_schema.names
                values = {key: [row.get(key) for row in mine] for key in own if any(key in row for row in mine)}
                times = values.pop("time_unix_nano")
                tables[name] = self._rows.ledgered(name, len(mine), "case", tenant=tenant, time=times, **values)
        self._writer.append(self._rows.treated(**tables)).result(120)
        self._writer.flush()

    def ask(self, rule_id, tenant, seen, since=None):
        """The matches of a rule among what is new since a point, as a set without its sentence, and the next point."""
        rule = RULES[rule_id]
        if "derived_events" in rule["sql"]:
            derive_events(self.lake, tenant, principal=JOB, settings=SETTINGS)
        given = {**rule.get("parameters", {}), **seen.parameters, "now": seen.now, "from": seen.first, "tenant": tenant}
        with open_session(
            self.lake.path, tenants=[tenant], principal=JOB, settings=SETTINGS, since=since or ReadPoint(),
            extra=seen.extra(tenant), keep_bytes=KEEP_BYTES,
        ) as session:  # fmt: skip
            names = duckdb.extract_statements(rule["sql"])[0].named_parameters
            found = session.query(rule["sql"], {name: given[name] for name in names} or None).to_pylist()
            point = session.read_point()
            assert not (found and session.finds_nothing(rule["sql"]))
        for row in found:
            assert row["time_unix_nano"] is not None
            assert row.keys() >= {
                "source_table",
                "shard",
                "log_index",
                "trace_id",
                "agent_id",
                "detail",
                *rule["group_by"],
            }
        return {
            (row["source_table"], row["log_index"], row["time_unix_nano"], row["agent_id"], *(str(row[g]) for g in rule["group_by"]))
            for row in found
        }, ReadPoint.from_json(json.loads(json.dumps(point.to_json())))  # fmt: skip

    def found(self, rule_id, tenant, seen):
        """The matches of one round over everything."""
        return self.ask(rule_id, tenant, seen)[0]


def span(at, **columns):
    """A span that began `at` nanoseconds after noon, of the agent `a` unless said otherwise."""
    duration = columns.pop("duration_ns", SECOND)
    attributes = columns.pop("attributes", {})
    base = {
        "time_unix_nano": NOON + at, "end_unix_nano": NOON + at + duration, "duration_ns": duration, "agent_id": "a",
        "operation": "chat", "status_code": "UNSET", "links": "[]", "service_name": "support", "attributes": json.dumps(attributes),
    }  # fmt: skip
    return "spans", base | columns


def call(at, tool="pay", digest="d1", **columns):
    """A tool call."""
    return span(at, operation="execute_tool", tool_name=tool, action_digest=digest, **columns)


def event(at, name, **columns):
    """An audit event; `attributes` is a mapping."""
    attributes = columns.pop("attributes", {})
    base = {
        "time_unix_nano": NOON + at, "event_name": name, "actor_id": "a", "actor_type": "agent", "outcome": "success",
        "attributes": json.dumps(attributes),
    }  # fmt: skip
    return "audit_events", base | columns


@pytest.fixture
def rule_lake(lake, writers, rows):
    """An empty lake with a writer."""
    return RuleLake(lake, writers(), rows)


@pytest.fixture
def checked(rule_lake):
    """Checks a rule: so many matches in one round, the same ones in many rounds, and none for the rows that are fine."""

    def check(rule_id, bad, fine, matches, seen=None, fine_seen=None):
        seen = seen or Seen()
        for tenant, given in (("acme", bad), ("globex", fine)):
            if given:
                rule_lake.add(tenant, given)
        once = rule_lake.found(rule_id, "acme", seen)
        assert len(once) == matches, sorted(once, key=str)
        assert rule_lake.found(rule_id, "globex", fine_seen or seen) == set()
        if RULES[rule_id]["reads"] == "new" and len(bad) > 1:
            assert _in_rounds(rule_lake, rule_id, bad, seen) == {(row[0], *row[2:]) for row in once}
        return once

    return check


def _in_rounds(rule_lake, rule_id, given, seen):
    """What a rule finds when the rows come in three rounds, by their time; without their places in the log."""
    found, point = set(), ReadPoint()
    in_order = sorted(given, key=lambda row: row[1]["time_unix_nano"])
    size = -(-len(in_order) // 3)
    for at in range(0, len(in_order), size):
        rule_lake.add("initech", in_order[at : at + size])
        more, point = rule_lake.ask(rule_id, "initech", seen, point)
        found |= {(row[0], *row[2:]) for row in more}
    return found


@pytest.fixture
def build():
    """Builders of rows: `span`, `call`, `event`, and what a rule is asked with."""

    class Build:
        second, minute, hour, day, noon = SECOND, MINUTE, HOUR, DAY, NOON
        rules = RULES

    Build.span, Build.call, Build.event, Build.Seen = staticmethod(span), staticmethod(call), staticmethod(event), Seen
    return Build
