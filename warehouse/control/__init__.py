"""Control data: tenants, API keys, shards, applied policies, legal holds and registered agents, in SQLite by default and PostgreSQL by URL.

Small, rarely written, and needed before anything may be accepted. What was done to it is not logged here: the events go
into the lake, like everybody else's.
"""

from warehouse.control.agents import AgentProfile, AgentRecord, AgentState
from warehouse.control.cache import KeyCache
from warehouse.control.holds import Deletion
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
    "HoldRecord",
    "IssuedKey",
    "KeyCache",
    "KeyRecord",
    "KeyState",
    "PlacedHold",
    "RequestRecord",
    "ShardRecord",
    "Tenant",
]
