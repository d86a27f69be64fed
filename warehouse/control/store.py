"""The control store: tenants, keys, shards, policies, holds, requests, agents, alerts and incidents over one database."""

import secrets
from pathlib import Path
from types import TracebackType
from typing import Self

from warehouse.clock import Clock
from warehouse.control.agents import Agents
from warehouse.control.alerts import Alerts
from warehouse.control.database import parse_url
from warehouse.control.detection import Detections
from warehouse.control.forgetting import Forgetting
from warehouse.control.holds import Holds
from warehouse.control.incidents import Incidents
from warehouse.control.keys import Keys
from warehouse.control.migration import open_migrated
from warehouse.control.policies import AppliedPolicies
from warehouse.control.requests import Requests
from warehouse.control.secret import RandomBytes
from warehouse.control.shards import Shards
from warehouse.control.tenants import Tenants


class ControlStore(
    Tenants, Keys, Shards, AppliedPolicies, Holds, Requests, Agents, Alerts, Incidents, Detections, Forgetting
):
    """The control data of one lake. Open it with `open`; safe to use from several threads and processes at once.

    Every method raises `ControlUnavailableError` when the database does not answer or cannot write, and works again once
    it does. Times are nanoseconds since 1970.
    """

    @classmethod
    def open(
        cls, where: str | Path, *, clock: Clock, create: bool = True, random_bytes: RandomBytes = secrets.token_bytes
    ) -> Self:
        """Open the control database at a path, `sqlite:///PATH` or `postgresql://…`, brought to the newest schema.

        `create` makes what is missing: the SQLite file (mode 0600), or the tables in a PostgreSQL database, which itself
        must exist. Safe when several processes do it at once.

        Raises:
            SettingsError: a URL that cannot be used.
            ControlUnavailableError: the database does not answer, is missing and `create` is False, or was written by a
                newer version.
        """
        database = open_migrated(parse_url(where), create=create, random_bytes=random_bytes)
        return cls(database, clock=clock, random_bytes=random_bytes)

    def close(self) -> None:
        """Close the connections."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _exc: BaseException | None, _at: TracebackType | None
    ) -> None:
        self.close()
