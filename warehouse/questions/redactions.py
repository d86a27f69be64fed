"""What redaction found and where: counts by detector as the records carry them, and the fields in which marks stand now.

The counts in `redactions` are exact. Fields are found by the marks that redaction leaves, masks and tokens; what was dropped or kept
in part leaves none, so a field's counts may be lower than the records say.
"""

from dataclasses import dataclass
from importlib import resources

from warehouse.query import QuerySession

REDACTION_TABLES = ("spans", "audit_events", "logs", "contents")
"""The tables that a report is read from."""

_TOTALS = """
select tenant_id, coalesce(service_name, '') as service_name, detector.key as detector,
    sum(cast(detector.value as bigint)) as count, count(*) as records
from (
    select tenant_id, service_name, redactions from spans where redactions is not null
    union all
    select tenant_id, service_name, redactions from audit_events where redactions is not null
    union all
    select tenant_id, service_name, redactions from logs where redactions is not null
) as records, json_each(records.redactions) as detector
group by all
order by count desc, tenant_id, service_name, detector
"""


@dataclass(frozen=True)
class DetectorCount:
    """Redactions of one detector in one service's records of a tenant, and how many records have any."""

    tenant_id: str
    service_name: str
    detector: str
    count: int
    records: int


@dataclass(frozen=True)
class FieldCount:
    """Marks of one kind in one field: `detector` is a mask's name in lower case, or `token`."""

    table: str
    tenant_id: str
    service_name: str
    field: str
    detector: str
    count: int


@dataclass(frozen=True)
class RedactionReport:
    """What was found, most frequent first."""

    detectors: tuple[DetectorCount, ...]
    fields: tuple[FieldCount, ...]


def report_redactions(session: QuerySession) -> RedactionReport:
    """Summarise what redaction found in the records of a session's tenants.

    Raises:
        QueryError: it took longer than the session allows.
    """
    text = resources.files("warehouse.questions").joinpath("sql/redactions.sql").read_text(encoding="utf8")
    totals = session.run_trusted(_TOTALS).to_pylist()
    fields = session.run_trusted(text).to_pylist()
    return RedactionReport(
        tuple(DetectorCount(**{**row, "count": int(row["count"])}) for row in totals),
        tuple(FieldCount(table=row.pop("source"), **row) for row in fields),
    )
