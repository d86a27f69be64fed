"""From a rule's matches to the incidents that they open or join, with the events that say so.

Invariant: what is kept of a match is its place in the log, its time, and ids; its sentence and its key pass redaction first.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from muniment.wiring import CommandContext
from pipelines.incidents.clocks import LEGAL_CLOCKS
from pipelines.incidents.compiler import KIND
from pipelines.incidents.grouping import Group, Known, group_matches, key_hash
from pipelines.incidents.rules import Rule
from warehouse.clock import utc_text
from warehouse.control import FoundIncident, IncidentChange, IncidentClock, IncidentRecord, IncidentRow, IncidentState
from warehouse.own_events import OwnEvent

_LONGEST_DETAIL = 500
_ID_LENGTH = 12
_AFFECTED = {"agent": "agent_id", "run": "trace_id", "data_class": "data_class"}


@dataclass(frozen=True)
class _Finder:
    """What all incidents of one rule and round share."""

    context: CommandContext
    tenant: str
    rule: Rule
    policy_hash: str
    now: int

    @property
    def by(self) -> str:
        """The principal that detects."""
        return self.context.principal.recorded_by

    def open(self, group: Group) -> tuple[FoundIncident, OwnEvent]:
        """A new incident from matches that belong to none."""
        matches = group.table()
        first = matches.slice(0, 1).to_pylist()[0]
        rows = _rows(matches)
        record = IncidentRecord(
            id=_incident_id(self.tenant, self.rule.id, group.key, first),
            tenant_id=self.tenant,
            rule=self.rule.id,
            title=self.rule.title,
            severity=self.rule.severity,
            runbook=self.rule.runbook,
            policy_hash=self.policy_hash,
            key_hash=key_hash(group.key),
            key=self._redacted(group.key),
            detail=self._redacted(first["detail"] or self.rule.title),
            state=IncidentState.OPENED,
            opened_unix_nano=group.first,
            last_unix_nano=group.last,
            detected_unix_nano=self.now,
            row_count=len(rows),
        )
        line = IncidentChange(self.now, "opened", self.by, _count_text(len(rows)))
        clocks = [self._clock(name) for name in self.rule.legal_clocks]
        found = FoundIncident(record, None, rows, _affected(matches), [line], clocks)
        return found, self._event("incident.opened", record, "open", line)

    def join(
        self, group: Group, before: IncidentRecord, merged: Sequence[IncidentRecord]
    ) -> tuple[FoundIncident, list[OwnEvent]]:
        """An incident that matches join. Where none names a record, it only lasts longer, and nothing is told."""
        matches = pa.concat_tables(group.matches).sort_by("time_unix_nano") if group.matches else None
        rows = [] if matches is None else _rows(matches)
        record = replace(
            before,
            opened_unix_nano=group.first,
            last_unix_nano=group.last,
            row_count=before.row_count + len(rows) + sum(each.row_count for each in merged),
            revision=before.revision + 1,
        )
        if group.reopens:
            record = replace(record, state=IncidentState.REOPENED, closed_unix_nano=None, mitigated_unix_nano=None)
        affected = {} if matches is None else _affected(matches)
        told = bool(rows or group.reopens or merged)
        same = f"; {', '.join(each.id for each in merged)} turned out to be the same" if merged else ""
        what = "reopened" if group.reopens else "joined"
        line = IncidentChange(self.now, what, self.by, _count_text(len(rows)) + same)
        found = FoundIncident(record, before, rows, affected, [line] if told else [], (), merged)
        events = [self._event("incident.updated", record, "reopen" if group.reopens else "join", line)] if told else []
        closed = [replace(each, state=IncidentState.CLOSED, duplicate_of=record.id) for each in merged]
        reason = IncidentChange(self.now, "closed", self.by, f"it is {record.id}")
        return found, [*events, *(self._event("incident.closed", each, "join", reason) for each in closed)]

    def _clock(self, name: str) -> IncidentClock:
        return IncidentClock(name, self.now, self.now + LEGAL_CLOCKS[name].allowed_nanos)

    def _event(self, name: str, incident: IncidentRecord, action: str, line: IncidentChange) -> OwnEvent:
        fields = {
            "action": action,
            "resource_type": "incident",
            "resource_id": incident.id,
            "reason": line.note,
            "policy_id": KIND,
            "policy_version": self.policy_hash,
        }
        return OwnEvent(self.tenant, name, self.by, fields=fields, attributes=event_attributes(incident))

    def _redacted(self, text: str) -> str:
        treated = self.context.redactor.redact_text(self.tenant, text)
        printable = "".join(character if character.isprintable() else " " for character in treated)
        return " ".join(printable.split())[:_LONGEST_DETAIL]


def find_incidents(
    context: CommandContext, tenant: str, rule: Rule, policy_hash: str, matches: pa.Table, now_unix_nano: int
) -> Iterator[tuple[FoundIncident, list[OwnEvent]]]:
    """What a rule's matches make of a tenant's incidents, and the events that record it.

    Raises:
        ControlUnavailableError: the control database does not answer.
        UnavailableError: redaction is not available.
    """
    finder = _Finder(context, tenant, rule, policy_hash, now_unix_nano)
    hashes = [key_hash(key) for key in pc.unique(matches.column("key")).to_pylist()]
    there = {incident.id: incident for incident in context.control.incidents_of_keys(tenant, rule.id, hashes)}
    for group in group_matches(matches, _known(context, there, matches), cooldown=rule.cooldown):
        if group.id is None:
            found, event = finder.open(group)
            yield found, [event]
        else:
            yield finder.join(group, there[group.id], [there[incident] for incident in group.merged])


def event_attributes(incident: IncidentRecord) -> dict[str, Any]:
    """What an event about an incident says of it besides its id."""
    said = {
        "muniment.incident.rule": incident.rule,
        "muniment.incident.severity": incident.severity,
        "muniment.incident.state": incident.state.value,
        "muniment.incident.opened": utc_text(incident.opened_unix_nano),
        "muniment.incident.rows": incident.row_count,
        "muniment.incident.owner": incident.owner,
        "muniment.incident.duplicate_of": incident.duplicate_of,
    }
    return {name: value for name, value in said.items() if value is not None}


def _known(context: CommandContext, there: Mapping[str, IncidentRecord], matches: pa.Table) -> dict[str, list[Known]]:
    """The incidents that are there, by key hash, each with those of its records that these matches could be."""
    bounds = pc.min_max(matches.column("log_index")).as_py()
    rows = (
        {}
        if bounds["min"] is None
        else context.control.incident_row_ids(list(there), lowest=bounds["min"], highest=bounds["max"])
    )
    found: dict[str, list[Known]] = {}
    for incident in there.values():
        ended = incident.closed_unix_nano or incident.mitigated_unix_nano
        known = Known(
            incident.id,
            incident.opened_unix_nano,
            incident.last_unix_nano,
            rows.get(incident.id, frozenset()),
            ended,
            incident.state is IncidentState.CLOSED,
        )
        found.setdefault(incident.key_hash, []).append(known)
    return found


def _rows(matches: pa.Table) -> list[IncidentRow]:
    placed = matches.filter(pc.and_(pc.is_valid(matches.column("log_index")), pc.is_valid(matches.column("shard"))))
    columns = [placed.column(name).to_pylist() for name in IncidentRow.__dataclass_fields__]
    return [IncidentRow(*values) for values in zip(*columns, strict=True)]


def _affected(matches: pa.Table) -> dict[str, list[str]]:
    found = {kind: pc.unique(matches.column(column).drop_null()).to_pylist() for kind, column in _AFFECTED.items()}
    return {kind: values for kind, values in found.items() if values}


def _incident_id(tenant: str, rule: str, key: str, first: Mapping[str, Any]) -> str:
    """The same for the same first match: a round that is repeated after a crash opens the same incident."""
    identity = [tenant, rule, key, *(first[name] for name in ("time_unix_nano", "source_table", "shard", "log_index"))]
    return f"i{hashlib.sha256(repr(identity).encode()).hexdigest()[:_ID_LENGTH]}"


def _count_text(rows: int) -> str:
    return "1 record" if rows == 1 else f"{rows} records"
