"""Control data: tenants, API keys, shards, applied policies and legal holds, in SQLite by default and PostgreSQL by URL.

Small, rarely written, and needed before anything may be accepted. What was done to it is not logged here: the events go
into the lake, like everybody else's.
"""

from warehouse.control.cache import KeyCache
from warehouse.control.holds import Deletion
from warehouse.control.records import (
    AppliedPolicy,
    DeletionRecord,
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
    "AppliedPolicy",
    "ControlStore",
    "Deletion",
    "DeletionRecord",
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
