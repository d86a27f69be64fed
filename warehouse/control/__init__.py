"""Control data: tenants, API keys, shards, applied policies, legal holds, registered agents and incidents, in SQLite by default and PostgreSQL by URL.

Small, rarely written, and needed before anything may be accepted. What was done to it is not logged here: the events go
into the lake, like everybody else's.
"""

from warehouse.control.agents import AgentProfile, AgentRecord, AgentState
from warehouse.control.cache import KeyCache
from warehouse.control.detection import FoundIncident, RuleProgress
from warehouse.control.holds import Deletion
from warehouse.control.incidents import (
    IncidentChange,
    IncidentClock,
    IncidentDetails,
    IncidentRecord,
    IncidentRow,
    IncidentState,
)
from warehouse.control.records import (
    AlertRecord,
    AppliedPolicy,
    DeletionRecord,
    DeliveryRecord,
    HoldRecord,
    IssuedKey,
    KeyRecord,
    KeyState,
    PlacedHold,
    RequestRecord,
    ShardRecord,
    Tenant,
)
from warehouse.control.store import ControlStore

__all__ = [
    "AgentProfile",
    "AgentRecord",
    "AgentState",
    "AlertRecord",
    "AppliedPolicy",
    "ControlStore",
    "Deletion",
    "DeletionRecord",
    "DeliveryRecord",
    "FoundIncident",
    "HoldRecord",
    "IncidentChange",
    "IncidentClock",
    "IncidentDetails",
    "IncidentRecord",
    "IncidentRow",
    "IncidentState",
    "IssuedKey",
    "KeyCache",
    "KeyRecord",
    "KeyState",
    "PlacedHold",
    "RequestRecord",
    "RuleProgress",
    "ShardRecord",
    "Tenant",
]
