"""Tenants: who owns records. The reserved tenant `_lake` is not among them, and the name rule keeps it out."""

from collections.abc import Callable

from sqlalchemy import Connection, RowMapping, insert, select, update

from warehouse.control.part import Part, announce_nothing, check_text
from warehouse.control.records import Tenant
from warehouse.control.schema import TENANTS
from warehouse.errors import ConflictError, NotFoundError
from warehouse.names import check_name


class Tenants(Part):
    """The tenants' part of the control store."""

    def add_tenant(
        self, tenant_id: str, name: str | None = None, *, announce: Callable[[Tenant], None] = announce_nothing
    ) -> Tenant:
        """Add a tenant; `name` is for people and defaults to the id.

        Raises:
            NameRuleError: the id is outside the rule of names.
            InputError: the name is empty, too long or not printable.
            ConflictError: there is such a tenant already.
        """
        tenant = Tenant(
            id=check_name(tenant_id, "tenant"),
            name=check_text(name if name is not None else tenant_id, "tenant's display name"),
            created_unix_nano=self._clock(),
        )
        with self._database.read() as connection:
            if find_tenant(connection, tenant_id) is not None:
                raise ConflictError(f"tenant {tenant_id} exists already", hint="`muniment tenant list` shows them all")
        announce(tenant)
        with self._database.write() as connection:
            connection.execute(
                insert(TENANTS).values(id=tenant.id, name=tenant.name, created_unix_nano=tenant.created_unix_nano)
            )
        return tenant

    def tenant(self, tenant_id: str) -> Tenant:
        """One tenant.

        Raises:
            NotFoundError: there is none with this id.
        """
        with self._database.read() as connection:
            return expect_tenant(connection, tenant_id)

    def list_tenants(self) -> list[Tenant]:
        """Every tenant, closed ones too, by id."""
        with self._database.read() as connection:
            rows = connection.execute(select(TENANTS).order_by(TENANTS.c.id)).mappings()
            return [_tenant_of(row) for row in rows]

    def close_tenant(self, tenant_id: str, *, announce: Callable[[Tenant], None] = announce_nothing) -> Tenant:
        """Close a tenant: none of its keys works from now on, and none is issued. Its records stay.

        Raises:
            NotFoundError: there is none with this id.
            ConflictError: it is closed already.
        """
        with self._database.read() as connection:
            open_tenant = expect_open_tenant(connection, tenant_id)
        closed = Tenant(open_tenant.id, open_tenant.name, open_tenant.created_unix_nano, self._clock())
        announce(closed)
        with self._database.write() as connection:
            changed = connection.execute(
                update(TENANTS)
                .where(TENANTS.c.id == tenant_id, TENANTS.c.closed_unix_nano.is_(None))
                .values(closed_unix_nano=closed.closed_unix_nano)
            )
            if changed.rowcount != 1:
                raise ConflictError(f"tenant {tenant_id} was closed meanwhile")
        return closed


def find_tenant(connection: Connection, tenant_id: str) -> Tenant | None:
    """The tenant with this id, or None."""
    row = connection.execute(select(TENANTS).where(TENANTS.c.id == tenant_id)).mappings().first()
    return None if row is None else _tenant_of(row)


def expect_tenant(connection: Connection, tenant_id: str) -> Tenant:
    """The tenant with this id.

    Raises:
        NotFoundError: there is none.
    """
    tenant = find_tenant(connection, tenant_id)
    if tenant is None:
        raise NotFoundError(
            f"tenant: expected one of this lake's, got {tenant_id!r}",
            hint=f"`muniment tenant list` shows them; `muniment tenant add {tenant_id}` adds it",
        )
    return tenant


def expect_open_tenant(connection: Connection, tenant_id: str) -> Tenant:
    """The tenant with this id, not closed.

    Raises:
        NotFoundError: there is none.
        ConflictError: it is closed.
    """
    tenant = expect_tenant(connection, tenant_id)
    if tenant.closed_unix_nano is not None:
        raise ConflictError(f"tenant {tenant_id} is closed")
    return tenant


def _tenant_of(row: RowMapping) -> Tenant:
    return Tenant(
        id=row["id"],
        name=row["name"],
        created_unix_nano=row["created_unix_nano"],
        closed_unix_nano=row["closed_unix_nano"],
    )
