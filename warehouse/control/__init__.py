"""Control data: tenants, API keys, shards and applied policies, in SQLite by default and PostgreSQL by URL.

Small, rarely written, and needed before anything may be accepted. What was done to it is not logged here: the events go
into the lake, like everybody else's.
"""

from warehouse.control.cache import KeyCache
from warehouse.control.records import AppliedPolicy, IssuedKey, KeyRecord, KeyState, ShardRecord, Tenant
from warehouse.control.store import ControlStore

__all__ = ["AppliedPolicy", "ControlStore", "IssuedKey", "KeyCache", "KeyRecord", "KeyState", "ShardRecord", "Tenant"]
