"""`muniment access explain|list`: who may do what, by which policy, and who holds which role."""

from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from muniment.cli.output import JsonOption, LakeOption, console, plain_text, print_json
from warehouse.errors import InputError

if TYPE_CHECKING:
    from governance.access import Access, Action
    from governance.access.explanation import Explanation
    from warehouse.principals import Principal

EXIT_NO = 1


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = typer.Typer(help="Access: who may do what, by which policy.", no_args_is_help=True)
    group.command(
        "explain",
        epilog="Examples: muniment access explain --as bob --action records.export --tenant acme\n\n"
        "muniment access explain --as oidc:248289761001 --group auditors-of-acme --action hold.place --tenant acme",
    )(explain)
    group.command("list", epilog="Example: muniment access list --json")(list_)
    app.add_typer(group, name="access")


def explain(
    user: Annotated[
        str,
        typer.Option(
            "--as", metavar="USER", help="A local user, or oidc:SUBJECT, key:ID (with --tenant), muniment:JOB."
        ),
    ],
    action: Annotated[str, typer.Option("--action", metavar="A", help="What is asked for, such as records.export.")],
    tenant: Annotated[
        str | None, typer.Option("--tenant", metavar="T", help="In which tenant.", show_default="the whole lake")
    ] = None,
    group: Annotated[
        list[str] | None,
        typer.Option("--group", metavar="G", help="A group that the provider says an oidc user is in; repeatable."),
    ] = None,
    lake: LakeOption = None,
    json_: JsonOption = False,
) -> None:
    """Say whether somebody may do something, and name the policy that decides by id, file and line.

    Nothing is done, and nobody needs to be signed in. Exit code 0 for yes, 1 for no. Of `table.read`, `columns.read` and `rows.read`
    it says each thing of the tenant that is shown or hidden.
    """
    from governance.access import Action
    from governance.access.limits import READING
    from muniment.wiring import command_context

    context = command_context(lake)
    context.check(Action.POLICY_READ)
    if action in READING:
        _explain_reading(context.access, _principal(user, group or [], tenant), action, tenant, json_=json_)
    found = context.access.explain(_principal(user, group or [], tenant), _action(action), tenant)
    if json_:
        print_json(found.to_json())
    else:
        _print(found)
    raise typer.Exit(0 if found.decision.allowed else EXIT_NO)


def list_(lake: LakeOption = None, json_: JsonOption = False) -> None:
    """List whom this lake gives roles: its owner, users of the settings, users and groups of groups.yaml, and root."""
    from governance.access import Action
    from governance.access.explanation import grant_json
    from muniment.wiring import command_context

    context = command_context(lake)
    context.check(Action.POLICY_READ)
    rows = [{"who": who} | grant_json(grant) for who, grant in context.access.held()]
    if json_:
        print_json(rows)
        return
    for row in rows:
        where = "every tenant" if row["tenants"] is None else ", ".join(row["tenants"])
        until = "" if row["until"] is None else f", until {row['until']}"
        line = f"{row['who']}  {row['role']} in {where}{until}  ({row['source']})"
        console.print(plain_text(line), soft_wrap=True)


def _explain_reading(
    access: "Access", principal: "Principal", action: str, tenant: str | None, *, json_: bool
) -> NoReturn:
    """Say of each table, kind of column or class of rows whether it is shown, and end: with 0 where all are."""
    if tenant is None:
        raise InputError(f"--action {action}: expected --tenant too, got none", hint="tables are tenants'")
    found = access.explain_reading(principal, action, tenant)
    if json_:
        print_json(
            {
                "principal": principal.recorded_by,
                "action": action,
                "tenant": tenant,
                "things": {
                    thing: {"allowed": each.allowed, "reason": each.reason, "policies": each.policies}
                    for thing, each in found.items()
                },
            }
        )
    else:
        shown = sum(each.allowed for each in found.values())
        lines = [f"{principal.recorded_by} may {action} in tenant {tenant}: {shown} of {len(found)}"]
        lines += [
            f"  {thing}: {'yes' if each.allowed else 'no'}, {each.reason} ({each.policy_id})"
            for thing, each in found.items()
        ]
        for line in lines:
            console.print(plain_text(line), soft_wrap=True)
    raise typer.Exit(0 if all(each.allowed for each in found.values()) else EXIT_NO)


def _principal(text: str, groups: list[str], tenant: str | None) -> "Principal":
    from warehouse.principals import Principal, PrincipalKind

    kinds = {kind.value: kind for kind in PrincipalKind}
    kind, _, name = text.partition(":")
    if not name:
        kind, name = PrincipalKind.LOCAL_USER.value, text
    if kind not in kinds or not name:
        raise InputError(f"--as: expected a user, or one of {', '.join(kinds)} with a colon and a name, got {text!r}")
    found = kinds[kind]
    if groups and found is not PrincipalKind.OIDC_USER:
        raise InputError(f"--group: expected --as oidc:SUBJECT, got {text!r}", hint="only providers' users have groups")
    if found is PrincipalKind.API_KEY:
        return Principal(found, name, frozenset({tenant}) if tenant else frozenset())
    return Principal(found, name, groups=frozenset(groups))


def _action(text: str) -> "Action":
    from governance.access import Action
    from governance.access.limits import READING

    try:
        return Action(text)
    except ValueError as exc:
        raise InputError(
            f"--action: expected one of {', '.join(sorted([*Action, *READING]))}, got {text!r}",
            hint="docs/reference/access.md says who may do which",
        ) from exc


def _print(found: "Explanation") -> None:
    where = "the whole lake" if found.tenant is None else f"tenant {found.tenant}"
    word = "may" if found.decision.allowed else "may not"
    lines = [f"{found.principal.recorded_by} {word} {found.action.value} in {where}: {found.decision.reason}"]
    for policy in found.policies:
        lines.append(f"  by {policy.id}, {policy.file}:{policy.line}")
        lines += [f"    {line}" for line in policy.text.splitlines()]
    if not found.policies:
        lines.append("  no policy permits it, and what none permits is denied")
    for grant in found.grants:
        tenants = "every tenant" if grant.tenants is None else ", ".join(sorted(grant.tenants))
        lines.append(f"  holds {grant.role.value} in {tenants} ({grant.source})")
    if found.accounts:
        lines.append(f"  one person with {', '.join(sorted(found.accounts))} (groups.yaml: same_person)")
    for line in lines:
        console.print(plain_text(line), soft_wrap=True)
