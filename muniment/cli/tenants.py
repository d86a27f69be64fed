"""`muniment tenant` and `muniment key`: who owns records, and with which keys they are sent."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from muniment.cli.output import JsonOption, LakeOption, console, notes, print_json
from warehouse.clock import NANOS_PER_SECOND, system_clock, utc_text
from warehouse.errors import InputError

if TYPE_CHECKING:  # at run time it would make every command, `--help` too, wait for SQLAlchemy
    from warehouse.control import IssuedKey, KeyRecord, Tenant

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_DURATION = re.compile(r"([0-9]{1,6})([smhdw])", re.ASCII)

TenantArgument = Annotated[str | None, typer.Argument(metavar="TENANT", help="The tenant's id.", show_default=False)]
TenantOption = Annotated[str | None, typer.Option("--tenant", "-t", help="The same, as an option.", show_default=False)]
KeyId = Annotated[str, typer.Argument(metavar="KEY-ID", help="The key's id, such as k3f9a0c12b7de.")]


def parse_duration_seconds(text: str, what: str) -> int:
    """Seconds of a duration such as `45s`, `30m`, `24h`, `90d` or `2w`.

    Raises:
        InputError: it is none.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise InputError(f"{what}: expected a duration such as 45s, 30m, 24h, 90d or 2w, got {text!r}")
    return int(match.group(1)) * _SECONDS[match.group(2)]


def register(app: typer.Typer) -> None:
    """Add the commands `tenant` and `key` to the command line."""
    tenants = typer.Typer(no_args_is_help=True, help="Tenants: whose records are kept apart.")
    tenants.command("add", epilog="Example: muniment tenant add acme --name 'Acme Ltd'")(_tenant_add)
    tenants.command("list", epilog="Example: muniment tenant list --json")(_tenant_list)
    app.add_typer(tenants, name="tenant")
    keys = typer.Typer(no_args_is_help=True, help="API keys: a key decides whose a record is.")
    keys.command(
        "issue",
        epilog="Examples: muniment key issue acme --expires 90d\n\n"
        "muniment key issue acme --agent approvals-desk --events 'approval.*' --label desk",
    )(_key_issue)
    keys.command("list", epilog="Example: muniment key list acme")(_key_list)
    keys.command("rotate", epilog="Example: muniment key rotate k3f9a0c12b7de --overlap 24h")(_key_rotate)
    keys.command("revoke", epilog="Example: muniment key revoke k3f9a0c12b7de --reason 'laptop lost'")(_key_revoke)
    app.add_typer(keys, name="key")


def _tenant_add(
    tenant: Annotated[str, typer.Argument(metavar="TENANT", help="Its id: lower-case letters, digits, hyphens.")],
    name: Annotated[str | None, typer.Option("--name", help="Its name for people.", show_default="the id")] = None,
    lake: LakeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add a tenant."""
    from muniment.tenancy import add_tenant
    from muniment.wiring import command_context

    context = command_context(lake)
    added = add_tenant(context.control, context.access, context.principal, context.record, tenant_id=tenant, name=name)
    if as_json:
        print_json(_tenant_json(added))
    else:
        _say(f"Tenant {added.id} added. Next: muniment key issue {added.id}")


def _tenant_list(*, lake: LakeOption = None, as_json: JsonOption = False) -> None:
    """List the tenants."""
    from muniment.tenancy import list_tenants
    from muniment.wiring import command_context

    context = command_context(lake)
    found = list_tenants(context.control, context.access, context.principal)
    if as_json:
        print_json([_tenant_json(tenant) for tenant in found])
    else:
        _print_table([_tenant_json(tenant) for tenant in found], "no tenants: `muniment tenant add ID` adds one")


def _key_issue(
    *,
    tenant: TenantArgument = None,
    tenant_option: TenantOption = None,
    agent: Annotated[str | None, typer.Option("--agent", help="Only this agent may send with it.")] = None,
    events: Annotated[list[str] | None, typer.Option("--events", help="Only these event names; repeatable.")] = None,
    expires: Annotated[str | None, typer.Option("--expires", help="How long it works, such as 90d.")] = None,
    label: Annotated[str | None, typer.Option("--label", help="A note to know it again by.")] = None,
    lake: LakeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Issue an API key for a tenant, and print it: it is shown this once."""
    from muniment.tenancy import issue_key
    from muniment.wiring import command_context

    tenant_id = _one_tenant(tenant, tenant_option)
    if tenant_id is None:
        raise InputError("tenant: expected one, got none", hint="muniment key issue TENANT")
    life = None if expires is None else parse_duration_seconds(expires, "--expires")
    context = command_context(lake)
    issued = issue_key(
        context.control,
        context.access,
        context.principal,
        context.record,
        tenant_id=tenant_id,
        agent=agent,
        events=events or None,
        expires_unix_nano=None if life is None else system_clock() + life * NANOS_PER_SECOND,
        label=label,
    )
    _print_issued(issued, f"Key {issued.id} for tenant {issued.tenant}", as_json=as_json)


def _key_list(
    *,
    tenant: TenantArgument = None,
    tenant_option: TenantOption = None,
    lake: LakeOption = None,
    as_json: JsonOption = False,
) -> None:
    """List keys, without their secrets."""
    from muniment.tenancy import list_keys
    from muniment.wiring import command_context

    context = command_context(lake)
    tenant_id = _one_tenant(tenant, tenant_option)
    now = system_clock()
    found = [
        _key_json(key, now)
        for key in list_keys(context.control, context.access, context.principal, tenant_id=tenant_id)
    ]
    if as_json:
        print_json(found)
    else:
        _print_table(found, f"no keys: `muniment key issue {tenant_id or 'TENANT'}` issues one")


def _key_rotate(
    key_id: KeyId,
    overlap: Annotated[str, typer.Option("--overlap", help="How long the old key goes on working.")] = "24h",
    lake: LakeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Issue a key's successor with the same scope; the old key works until the overlap ends."""
    from muniment.tenancy import list_keys, rotate_key
    from muniment.wiring import command_context

    seconds = parse_duration_seconds(overlap, "--overlap")
    context = command_context(lake)
    issued = rotate_key(
        context.control, context.access, context.principal, context.record, key_id=key_id, overlap_seconds=seconds
    )
    known = list_keys(context.control, context.access, context.principal, tenant_id=issued.tenant)
    ends = next(
        key.ends_unix_nano for key in known if key.key_id == key_id
    )  # its own expiry may come before the overlap's
    _print_issued(issued, f"Key {issued.id} follows {key_id}, which works until {_time(ends)}", as_json=as_json)


def _key_revoke(
    key_id: KeyId,
    reason: Annotated[str | None, typer.Option("--reason", help="Why, for the record.")] = None,
    lake: LakeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Revoke a key: receivers refuse it within seconds."""
    from muniment.tenancy import revoke_key
    from muniment.wiring import command_context

    context = command_context(lake)
    revoked = revoke_key(
        context.control, context.access, context.principal, context.record, key_id=key_id, reason=reason
    )
    if as_json:
        print_json(_key_json(revoked, system_clock()))
        return
    _say(f"Key {key_id} of tenant {revoked.tenant_id} is revoked; receivers refuse it within 5 seconds.")
    if revoked.rotated_to is not None:
        _say(f"Its successor {revoked.rotated_to} is another key and still works.")


def _one_tenant(argument: str | None, option: str | None) -> str | None:
    if argument is not None and option is not None and argument != option:
        raise InputError(f"tenant: expected one, got {argument!r} and --tenant {option!r}")
    return argument if argument is not None else option


def _time(unix_nano: int | None) -> str | None:
    return None if unix_nano is None else utc_text(unix_nano)


def _tenant_json(tenant: "Tenant") -> dict[str, object]:
    return {
        "id": tenant.id,
        "name": tenant.name,
        "created": _time(tenant.created_unix_nano),
        "closed": _time(tenant.closed_unix_nano),
    }


def _key_json(key: "KeyRecord", now_unix_nano: int) -> dict[str, object]:
    return {
        "id": key.key_id,
        "tenant": key.tenant_id,
        "state": key.state_at(now_unix_nano).value,
        "label": key.label,
        "agent": key.agent,
        "events": None if key.event_patterns is None else list(key.event_patterns),
        "created": _time(key.created_unix_nano),
        "ends": _time(key.ends_unix_nano),
        "rotated_to": key.rotated_to,
    }


def _print_issued(issued: "IssuedKey", what: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"id": issued.id, "tenant": issued.tenant, "key": issued.secret_text})
        return
    # The key alone goes to standard output, so that a shell can catch it; the rest is for eyes.
    _say(f"{what}. It is shown this once, and only a hash of it is kept: store it now.")
    typer.echo(issued.secret_text)


def _print_table(rows: Sequence[dict[str, object]], empty: str) -> None:
    if not rows:
        _say(empty)
        return
    table = Table(box=None, pad_edge=False)
    # Columns that no row fills would only make the others narrower; the rest fold, as nothing here may be cut short.
    filled = [column for column in rows[0] if any(row[column] is not None for row in rows)]
    for column in filled:
        table.add_column(column.replace("_", " "), no_wrap=column in {"id", "tenant", "state"}, overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(row[column])) for column in filled))
    console.print(table)


def _cell(value: object) -> str:
    if value is None:
        return ""
    return ", ".join(value) if isinstance(value, list) else str(value)


def _say(message: str) -> None:
    notes.print(message, markup=False, soft_wrap=True)
