"""Changes of tenants and keys as a principal makes them: allowed, recorded, then made.

A change is recorded first and made afterwards: where its event can't be recorded it is refused. Where it can't be made after
that, a second event with the outcome `failure` follows the first. A crash in between leaves an event of a change that was not
made: of a key nobody ever saw, or of a revocation that whoever ordered it saw fail.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from governance.access import Access, Action, Decision
from governance.access.asking import Question
from warehouse.control import ControlStore, IssuedKey, KeyRecord, Tenant
from warehouse.errors import MunimentError, NotFoundError
from warehouse.names import LAKE_TENANT
from warehouse.principals import Principal

Record = Callable[..., object]
"""`record(event_name, tenant, **columns)`: records an event of Muniment's own, or raises."""


def lake_tenants(control: ControlStore) -> list[str]:
    """Whose records the lake holds: its own log's, then every tenant's by id, closed ones too.

    Raises:
        ControlUnavailableError: the control database does not answer.
    """
    return [LAKE_TENANT, *sorted(tenant.id for tenant in control.list_tenants())]


def check_among(known: Sequence[str], tenant: str) -> None:
    """Refuse a tenant that is none of `known`.

    Raises:
        NotFoundError: it is not.
    """
    if tenant not in known:
        raise NotFoundError(f"tenant: expected one of the lake's ({', '.join(known)}), got {tenant!r}")


@contextmanager
def recording(
    record: Record, event: str, tenant: str, decision: Decision, **columns: str
) -> Iterator[Callable[..., None]]:
    """Gives a function that records the change as done; records a failure when the change fails after that.

    `policy_id` and `policy_version` are those of the decision unless the change is one of a policy and names its own.
    """
    columns = {"policy_id": decision.policy_id, "policy_version": decision.policy_version} | columns
    announced: dict[str, object] = {}

    def announce(**more: object) -> None:
        record(event, tenant, **columns, **more, outcome="success")
        announced.update(more)

    try:
        yield announce
    except MunimentError as exc:
        if announced:
            try:
                record(event, tenant, **columns, **(announced | {"outcome": "failure", "reason": str(exc)}))
            except MunimentError as second:
                exc.add_note(f"that it failed could not be recorded either: {second}")
        raise


def add_tenant(
    control: ControlStore, access: Access, principal: Principal, record: Record, *, tenant_id: str, name: str | None
) -> Tenant:
    """Add a tenant; recorded as `policy.changed` in the lake's own log, as the tenant has none yet."""
    decision = access.check(principal, Action.TENANT_MANAGE)
    with recording(record, "policy.changed", LAKE_TENANT, decision, action="add", resource_type="tenant") as announce:
        return control.add_tenant(tenant_id, name, announce=lambda tenant: announce(resource_id=tenant.id))


def list_tenants(control: ControlStore, access: Access, principal: Principal) -> list[Tenant]:
    """Every tenant of the lake."""
    access.check(principal, Action.TENANT_READ)
    return control.list_tenants()


def issue_key(
    control: ControlStore,
    access: Access,
    principal: Principal,
    record: Record,
    *,
    tenant_id: str,
    agent: str | None = None,
    events: Sequence[str] | None = None,
    expires_unix_nano: int | None = None,
    label: str | None = None,
) -> IssuedKey:
    """Issue a key; recorded as `key.issued`, with its scope, in the tenant's log."""
    decision = access.check(principal, Action.KEY_MANAGE, tenant_id)
    with recording(record, "key.issued", tenant_id, decision, action="issue", resource_type="api_key") as announce:
        return control.issue_key(
            tenant_id,
            agent=agent,
            events=events,
            expires_unix_nano=expires_unix_nano,
            label=label,
            announce=lambda key: announce(
                resource_id=key.key_id, expires_unix_nano=key.expires_unix_nano, reason=_scope_text(key)
            ),
        )


def list_keys(control: ControlStore, access: Access, principal: Principal, *, tenant_id: str | None) -> list[KeyRecord]:
    """The keys of a tenant, or of all, without secrets."""
    access.check(principal, Action.KEY_READ, tenant_id)
    return control.list_keys(tenant_id)


def rotate_key(
    control: ControlStore, access: Access, principal: Principal, record: Record, *, key_id: str, overlap_seconds: int
) -> IssuedKey:
    """Issue a key's successor; recorded as `key.rotated` about the old key, naming the new one and the overlap's end."""
    tenant_id, decision = _may_manage(control, access, principal, key_id)
    with recording(record, "key.rotated", tenant_id, decision, action="rotate", resource_type="api_key") as announce:
        return control.rotate_key(
            key_id,
            overlap_seconds,
            announce=lambda old, new: announce(
                resource_id=old.key_id,
                expires_unix_nano=old.ends_unix_nano,
                reason=f"rotated to {new.key_id}, overlap of {overlap_seconds} seconds",
            ),
        )


def revoke_key(
    control: ControlStore, access: Access, principal: Principal, record: Record, *, key_id: str, reason: str | None
) -> KeyRecord:
    """Revoke a key; recorded as `key.revoked` in the tenant's log."""
    tenant_id, decision = _may_manage(control, access, principal, key_id)
    with recording(record, "key.revoked", tenant_id, decision, action="revoke", resource_type="api_key") as announce:
        return control.revoke_key(key_id, announce=lambda key: announce(resource_id=key.key_id, reason=reason))


def _may_manage(control: ControlStore, access: Access, principal: Principal, key_id: str) -> tuple[str, Decision]:
    # Asked before the key is looked up: whether one exists is nothing for everybody, and another tenant's is told to nobody.
    known = lake_tenants(control)
    decisions = access.decide_all(principal, [Question(Action.KEY_READ, tenant) for tenant in known])
    among = [tenant for tenant, each in zip(known, decisions, strict=True) if each.allowed]
    if not among:
        access.check(principal, Action.KEY_READ)
    tenant_id = control.key(key_id, among=among).tenant_id
    return tenant_id, access.check(principal, Action.KEY_MANAGE, tenant_id)


def _scope_text(key: KeyRecord) -> str:
    agent = "any agent" if key.agent is None else f"agent {key.agent}"
    events = "any event" if key.event_patterns is None else f"events {', '.join(key.event_patterns)}"
    return f"scope: {agent}, {events}"
