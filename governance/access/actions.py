"""What can be asked for, and what kind of thing each action is done to.

Invariant: every action stands in `schema.cedarschema` with the kind of resource that `RESOURCES` gives it.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Action(StrEnum):
    """What can be asked for. `read` and `list` of a thing are one action; changing it is another."""

    LAKE_INIT = "lake.init"
    LAKE_DEMO = "lake.demo"
    LAKE_BACKUP = "lake.backup"
    LAKE_RESTORE = "lake.restore"
    TENANT_READ = "tenant.read"
    TENANT_MANAGE = "tenant.manage"
    KEY_READ = "key.read"
    KEY_MANAGE = "key.manage"
    RECORDS_WRITE = "records.write"
    RECORDS_READ = "records.read"
    RECORDS_EXPORT = "records.export"
    CONTENTS_READ = "contents.read"
    IMPORT_WRITE = "import.write"
    COLLECTOR_RUN = "collector.run"
    QUARANTINE_READ = "quarantine.read"
    QUARANTINE_REPLAY = "quarantine.replay"
    MAINTENANCE_RUN = "maintenance.run"
    STATUS_READ = "status.read"
    POLICY_READ = "policy.read"
    POLICY_APPLY = "policy.apply"
    SUBJECT_REVEAL = "subject.reveal"
    SUBJECT_REPORT = "subject.report"
    SUBJECT_SHRED = "subject.shred"
    SUBJECT_ERASE = "subject.erase"
    HOLD_READ = "hold.read"
    HOLD_PLACE = "hold.place"
    HOLD_RELEASE = "hold.release"
    RETENTION_PLAN = "retention.plan"
    RETENTION_APPLY = "retention.apply"
    AGENT_READ = "agent.read"
    AGENT_MANAGE = "agent.manage"
    SLO_READ = "slo.read"
    SLO_COMPUTE = "slo.compute"
    QUALITY_READ = "quality.read"
    QUALITY_RUN = "quality.run"
    ALERT_READ = "alert.read"
    ALERT_SEND = "alert.send"
    INCIDENT_READ = "incident.read"
    INCIDENT_HANDLE = "incident.handle"
    INCIDENT_DETECT = "incident.detect"
    CONTROL_DISPOSE = "control.dispose"
    CONTROL_REVIEW = "control.review"


RESOURCES: Mapping[str, str] = MappingProxyType(
    {
        "lake": "Lake",
        "status": "Lake",
        "tenant": "Lake",
        "key": "Key",
        "records": "Records",
        "contents": "Contents",
        "import": "Records",
        "collector": "Collector",
        "quarantine": "Quarantine",
        "maintenance": "Maintenance",
        "policy": "Policy",
        "subject": "Subject",
        "hold": "Hold",
        "retention": "Retention",
        "agent": "Agent",
        "slo": "Slo",
        "quality": "Quality",
        "alert": "Alert",
        "incident": "Incident",
        "control": "Control",
    }
)
"""The kind of thing, as the schema calls it, by the first part of an action's name. What is done to the lake is done to a tenant
where one is named."""

WHOLE_LAKE = "lake"
"""Id of the lake among resources."""

OF_THE_LAKE = "*"
"""Id of the things of the whole lake: no tenant can be called so."""


def resource_of(action: Action, tenant: str | None) -> tuple[str, str]:
    """Kind and id of what an action is done to: a tenant's things, or with None those of the whole lake."""
    kind = RESOURCES[action.partition(".")[0]]
    if kind == "Lake":
        return ("Lake", WHOLE_LAKE) if tenant is None else ("Tenant", tenant)
    return kind, OF_THE_LAKE if tenant is None else tenant
