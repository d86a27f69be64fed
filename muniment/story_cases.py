"""What cases say of the records of a story: incidents that name them, holds that keep them, certificates of what went of them.

Each is shown only to those who may see it on its own page; `notes` say what was left away.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from governance.access import Action
from muniment.desk_retention import scope_words
from muniment.holding import scope_json
from muniment.story_erasures import Running, erasure_lines
from muniment.wiring import CommandContext
from retention.documents import Documents
from retention.hold_matching import matches
from retention.holds import Hold, read_scope
from warehouse.control import HoldRecord, IncidentRecord
from warehouse.errors import MunimentError, NotFoundError
from warehouse.ledger.certificates import PurgeCertificate
from warehouse.names import LAKE_TENANT
from warehouse.query import QuerySession
from warehouse.questions.sought import Kind, Sought
from warehouse.questions.story import StoryRecords
from warehouse.questions.story_lines import Entry, Line

MOST_CERTIFICATES = 200
_PURGED = """
select time_unix_nano, attributes ->> '$."muniment.certificate"' as certificate
from audit_events
where event_name = 'retention.purged' and starts_with(recorded_by, 'muniment:') and time_unix_nano >= $first
order by time_unix_nano desc limit $most
"""


@dataclass
class Cases:
    """The lines of a story's cases, and what was left away."""

    lines: list[Line] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_cases(
    context: CommandContext,
    session: QuerySession,
    tenant: str,
    sought: Sought,
    token: str | None,
    found: StoryRecords,
    rows: Mapping[str, pa.Table],
    running: Running,
) -> Cases:
    """Incidents, holds, requests and certificates. `rows` are the whole rows of the story, as far as they were read; the session has no limits."""
    cases = Cases()
    _add_incidents(context, tenant, sought, found, cases)
    if tenant != LAKE_TENANT:
        _add_holds(context, tenant, sought, token, found, rows, cases)
        _add_certificates(context, session, tenant, sought, found, cases)
        lines, problems = erasure_lines(context, session, tenant, running, found.rows)
        told = {line.link for line in cases.lines}
        cases.lines += [line for line in lines if line.link not in told]
        cases.notes += [*running.said, *problems]
    return cases


def _add_incidents(context: CommandContext, tenant: str, sought: Sought, found: StoryRecords, cases: Cases) -> None:
    if not context.allowed(Action.INCIDENT_READ, [tenant]):
        cases.notes.append("incidents are not shown: that takes the right incident.read")
        return
    places = {(row.shard, row.log_index) for row in found.rows}
    naming = {each.id: each for each in context.control.incidents_naming(tenant, found.runs, places)}
    naming |= {each.id: each for each in _meant(context, tenant, sought)}
    for incident in naming.values():
        cases.lines.append(
            Line(
                incident.opened_unix_nano,
                Entry.INCIDENT,
                f"{incident.severity} incident: {incident.title}",
                incident.owner or "",
                incident.detail,
                incident.state.value,
                link=incident.id,
            )
        )


def _meant(context: CommandContext, tenant: str, sought: Sought) -> list[IncidentRecord]:
    """The incident whose id was typed, where it is this tenant's."""
    if Kind.TICKET not in sought.kinds:
        return []
    try:
        found = context.control.incident(sought.text)
    except NotFoundError:
        return []
    return [found] if found.tenant_id == tenant else []


def _add_holds(
    context: CommandContext,
    tenant: str,
    sought: Sought,
    token: str | None,
    found: StoryRecords,
    rows: Mapping[str, pa.Table],
    cases: Cases,
) -> None:
    if not context.allowed(Action.HOLD_READ, [tenant]):
        cases.notes.append("holds are not shown: that takes the right hold.read")
        return
    for record in context.control.list_holds(tenant, released=True):
        hold = Hold(record.id, tenant, read_scope(record.scope))
        kept = sum(int(matches(hold, table, tenant, each).sum()) for table, each in rows.items())
        if kept or _names(hold, record, sought, token, found):
            cases.lines += _hold_lines(record, kept)


def _names(hold: Hold, record: HoldRecord, sought: Sought, token: str | None, found: StoryRecords) -> bool:
    scope = hold.scope
    return (
        token in scope.subjects
        or not set(scope.traces).isdisjoint(found.runs)
        or (Kind.CONVERSATION in found.kinds and sought.text in scope.conversations)
        or sought.text in {record.id, record.case_reference}
    )


def _hold_lines(record: HoldRecord, kept: int) -> list[Line]:
    case = f", case {record.case_reference}" if record.case_reference else ""
    keeps = scope_words(scope_json(read_scope(record.scope)))
    placed = Line(
        record.placed_unix_nano,
        Entry.HOLD,
        f"hold {record.id} placed{case}: it keeps {keeps}",
        record.placed_by,
        record.reason,
        f"keeps {kept:,} records here" if record.in_force else "released since",
        link=record.id,
    )
    if record.released_unix_nano is None:
        return [placed]
    said = record.release_reason or ""
    ended = Line(
        record.released_unix_nano,
        Entry.HOLD,
        f"hold {record.id} released",
        record.released_by or "",
        said,
        link=record.id,
    )
    return [placed, ended]


def _add_certificates(
    context: CommandContext, session: QuerySession, tenant: str, sought: Sought, found: StoryRecords, cases: Cases
) -> None:
    if not context.allowed(Action.RETENTION_PLAN, [tenant]):
        cases.notes.append("certificates of deletion are not shown: that takes the right retention.plan")
        return
    times = [row.time_unix_nano for row in found.rows if row.time_unix_nano]
    if not times and sought.index is None:
        return
    values = {"first": min(times, default=0), "most": MOST_CERTIFICATES + 1}
    purges = session.run_trusted(_PURGED, values).to_pylist()
    if len(purges) > MOST_CERTIFICATES:
        cases.notes.append(f"of certificates of deletion the newest {MOST_CERTIFICATES} were looked at")
    documents = Documents(context.lake, context.settings.lake)
    owners = {(row.shard, row.log_index) for row in found.rows}
    for purge in purges[:MOST_CERTIFICATES]:
        try:
            signed, _ = documents.find(purge["certificate"] or "")
        except MunimentError as exc:
            cases.notes.append(f"a certificate of deletion cannot be read: {exc}")
            continue
        document = signed.document
        if isinstance(document, PurgeCertificate) and (gone := _gone(document, sought, owners)):
            who = document.ordered_by + (f", approved by {document.approved_by}" if document.approved_by else "")
            what = f"deletion certified: {', '.join(gone)}"
            cases.lines.append(
                Line(int(document.time_unix_nano), Entry.CERTIFICATE, what, who, link=signed.file_sha256)
            )


def _gone(document: PurgeCertificate, sought: Sought, owners: Collection[tuple[str, int]]) -> Sequence[str]:
    """What of the story a certificate says is gone."""
    parts = sum(len(each.parts) for each in document.deleted.contents if (each.shard, each.owner_index) in owners)
    gone = [f"{parts:,} parts of contents of these records"] if parts else []
    if sought.index is not None:
        gone += [
            f"record {run.shard}/{sought.index} of {run.table}"
            for run in document.deleted.runs
            if run.first <= sought.index <= run.last and _is_shard(run.shard, sought.shard)
        ]
    return gone


def _is_shard(identity: str, named: str | None) -> bool:
    return named is None or named in {identity, identity.rpartition("-")[0]}
