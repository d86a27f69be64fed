"""`muniment agent register|update|import|list|show|suspend|resume|retire`: who answers for which agent, and what it may use."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from muniment.cli.output import JsonOption, LakeOption, TenantOption, console, notes, plain_text, print_json
from warehouse.errors import InputError

if TYPE_CHECKING:  # at run time it would make every command wait for the lake's libraries
    from governance.registry import AgentEntry
    from muniment.registering import Registered
    from warehouse.control import AgentRecord

AgentId = Annotated[
    str, typer.Argument(metavar="AGENT", help="Its id, as its records carry it (gen_ai.agent.id).", show_default=False)
]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for the record.")]
Models = Annotated[
    list[str] | None,
    typer.Option("--model", metavar="NAME", help="A model it may use; * for any characters; repeatable, as below."),
]
Providers = Annotated[list[str] | None, typer.Option("--provider", metavar="NAME", help="A provider it may use.")]
Tools = Annotated[list[str] | None, typer.Option("--tool", metavar="NAME", help="A tool it may call.")]
Keys = Annotated[list[str] | None, typer.Option("--key", metavar="ID", help="A key or credential that is its own.")]
Silence = Annotated[
    str | None,
    typer.Option("--silent-after", metavar="PT6H", help="It counts as silent after this long without a record."),
]
_RISKS = "minimal, limited or high."


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = typer.Typer(help="Agents: who answers for them, and what they may use.", no_args_is_help=True)
    group.command(
        "register",
        epilog="Example: muniment agent register claims --tenant acme --owner claims-team --on-call '#claims-oncall'\n\n"
        "  --purpose 'settles claims' --risk high --model 'mistral-large*' --provider mistral_ai --tool settle_claim",
    )(register_)
    group.command(
        "update",
        epilog="Examples: muniment agent update claims --tenant acme --on-call '#night-desk'\n\n"
        "muniment agent update claims --tenant acme --any-tool --silent-after PT6H",
    )(update)
    group.command(
        "import",
        epilog="Examples: muniment agent import agents.yaml --tenant acme\n\n"
        "muniment agent import agents.json --tenant acme --dry-run",
    )(import_)
    group.command("list", epilog="Example: muniment agent list --tenant acme --all --json")(list_)
    group.command("show", epilog="Example: muniment agent show claims --tenant acme")(show)
    group.command(
        "suspend", epilog="Example: muniment agent suspend claims --tenant acme --reason 'incident i3f9a0c12b7de'"
    )(suspend)
    group.command("resume", epilog="Example: muniment agent resume claims --tenant acme --reason 'fixed'")(resume)
    group.command("retire", epilog="Example: muniment agent retire claims --tenant acme --reason 'replaced'")(retire)
    app.add_typer(group, name="agent")


def register_(
    agent: AgentId,
    *,
    tenant: TenantOption,
    owner: Annotated[str, typer.Option("--owner", metavar="NAME", help="Who answers for it: a team or a role.")],
    on_call: Annotated[str, typer.Option("--on-call", metavar="WHERE", help="Whom to call: a rotation or channel.")],
    purpose: Annotated[str, typer.Option("--purpose", metavar="TEXT", help="What it is for.")],
    risk: Annotated[str, typer.Option("--risk", metavar="CLASS", help=f"How much depends on it: {_RISKS}")],
    name: Annotated[str | None, typer.Option("--name", help="Its name for people.", show_default="the id")] = None,
    models: Models = None,
    providers: Providers = None,
    tools: Tools = None,
    keys: Keys = None,
    silent_after: Silence = None,
    lake: LakeOption = None,
    json_: JsonOption = False,
) -> None:
    """Register an agent, or one again that was retired. A list that is left out forbids nothing.

    Recorded as `agent.registered` in the tenant's log first. What is typed passes redaction: name teams and rotations rather than
    people.
    """
    from governance.registry import AgentEntry
    from muniment.registering import register_agent
    from muniment.wiring import command_context

    entry = AgentEntry(
        id=agent,
        name=name,
        owner=owner,
        on_call=on_call,
        purpose=purpose,
        risk=risk,
        models=models or [],
        providers=providers or [],
        tools=tools or [],
        keys=keys or [],
        silent_after=silent_after,
    )
    _show_changed([register_agent(command_context(lake), tenant, entry)], json_=json_, one=True)


def update(
    agent: AgentId,
    *,
    tenant: TenantOption,
    owner: Annotated[str | None, typer.Option("--owner", metavar="NAME", help="Who answers for it.")] = None,
    on_call: Annotated[str | None, typer.Option("--on-call", metavar="WHERE", help="Whom to call.")] = None,
    purpose: Annotated[str | None, typer.Option("--purpose", metavar="TEXT", help="What it is for.")] = None,
    risk: Annotated[str | None, typer.Option("--risk", metavar="CLASS", help=_RISKS)] = None,
    name: Annotated[str | None, typer.Option("--name", help="Its name for people.")] = None,
    models: Models = None,
    any_model: Annotated[bool, typer.Option("--any-model", help="It may use any model.")] = False,
    providers: Providers = None,
    any_provider: Annotated[bool, typer.Option("--any-provider", help="It may use any provider.")] = False,
    tools: Tools = None,
    any_tool: Annotated[bool, typer.Option("--any-tool", help="It may call any tool.")] = False,
    keys: Keys = None,
    any_key: Annotated[bool, typer.Option("--any-key", help="Nothing is said of its keys.")] = False,
    silent_after: Silence = None,
    lake: LakeOption = None,
    json_: JsonOption = False,
) -> None:
    """Change what is registered of an agent: what is given replaces what was there, a list as a whole; the rest stays.

    Recorded as `agent.updated`, with what differs, in the tenant's log first.
    """
    import msgspec

    from muniment.registering import update_agent
    from muniment.wiring import command_context

    lists = {
        "models": _listed(models, any_model, "--model"),
        "providers": _listed(providers, any_provider, "--provider"),
        "tools": _listed(tools, any_tool, "--tool"),
        "keys": _listed(keys, any_key, "--key"),
    }
    texts = {
        "owner": owner, "on_call": on_call, "purpose": purpose, "risk": risk, "name": name, "silent_after": silent_after,
    }  # fmt: skip
    given = {key: value for key, value in (texts | lists).items() if value is not None}
    if not given:
        raise InputError("agent update: expected something to change, got nothing", hint="muniment agent update --help")

    def change(entry: "AgentEntry") -> "AgentEntry":
        return msgspec.structs.replace(entry, **given)

    _show_changed([update_agent(command_context(lake), tenant, agent, change)], json_=json_, one=True)


def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="YAML or JSON: `version: 1` and a list `agents`.")],
    *,
    tenant: TenantOption,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the file, and change nothing.")] = False,
    lake: LakeOption = None,
    json_: JsonOption = False,
) -> None:
    """Register every agent of a file: new ones are registered, those that differ updated, the others left alone.

    The file is checked whole first: with one wrong entry none is registered. An agent that the file does not name stays as it is.
    """
    from governance.access import Action
    from governance.registry import read_agents
    from muniment.registering import import_agents
    from muniment.wiring import command_context

    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise InputError(f"{file}: expected a text file that can be read: {exc}") from exc
    context = command_context(lake)
    context.check(Action.AGENT_MANAGE, tenant)
    profiles = read_agents(file.name, text)
    if dry_run:
        if json_:
            print_json({"ok": True, "agents": sorted(profiles)})
        else:
            _say(f"{file.name}: {len(profiles)} agents, all fine; nothing was changed")
        return
    _show_changed(import_agents(context, tenant, profiles), json_=json_, one=False)


def list_(
    *,
    tenant: Annotated[str | None, typer.Option("--tenant", metavar="T", help="Only this tenant's.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Retired ones too.")] = False,
    lake: LakeOption = None,
    json_: JsonOption = False,
) -> None:
    """List the registered agents; with --all the retired ones too."""
    from rich.table import Table

    from muniment.cli.table import PIPE_WIDTH, wide_enough
    from muniment.registering import list_agents
    from muniment.wiring import command_context

    agents = list_agents(command_context(lake), tenant, retired=all_)
    if json_:
        print_json([agent_json(agent) for agent in agents])
        return
    if not agents:
        _say("no registered agents: `muniment agent register --help` shows how to add one")
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("agent", "tenant", "owner", "on call", "risk", "state"):
        table.add_column(title, overflow="fold", no_wrap=title == "agent")
    for agent in agents:
        said = agent.profile
        cells = (agent.id, agent.tenant_id, said.owner, said.on_call, said.risk_class, agent.state.value)
        table.add_row(*map(plain_text, cells))
    wide_enough(console, PIPE_WIDTH).print(table)


def show(agent: AgentId, *, tenant: TenantOption, lake: LakeOption = None, json_: JsonOption = False) -> None:
    """Show one agent, retired or not: who answers for it, what it may use, who registered it and when."""
    from muniment.registering import read_agent
    from muniment.wiring import command_context

    content = agent_json(read_agent(command_context(lake), tenant, agent))
    if json_:
        print_json(content)
        return
    for name, value in content.items():
        text = (", ".join(value) or "any") if isinstance(value, list) else value
        if text is not None:
            console.print(plain_text(f"{name.replace('_', ' ') + ':':<22}{text}"), soft_wrap=True)


def suspend(
    agent: AgentId, *, tenant: TenantOption, reason: Reason, lake: LakeOption = None, json_: JsonOption = False
) -> None:
    """Note that an agent is stopped for a while: from now on its silence is no news, and its work is.

    Recorded as `agent.suspended`. Muniment does not stop it: revoke its key for that.
    """
    _move(agent, tenant, "suspended", reason, lake, json_=json_)


def resume(
    agent: AgentId, *, tenant: TenantOption, reason: Reason, lake: LakeOption = None, json_: JsonOption = False
) -> None:
    """Take a suspended agent into service again. Recorded as `agent.updated`."""
    _move(agent, tenant, "active", reason, lake, json_=json_)


def retire(
    agent: AgentId, *, tenant: TenantOption, reason: Reason, lake: LakeOption = None, json_: JsonOption = False
) -> None:
    """Note that an agent left service. It stays on record; what it still does after this is an incident.

    Recorded as `agent.retired`. Muniment does not stop it: revoke its key for that.
    """
    _move(agent, tenant, "retired", reason, lake, json_=json_)


def agent_json(agent: "AgentRecord") -> dict[str, Any]:
    """An agent for machines."""
    from warehouse.clock import utc_text

    said = agent.profile
    return {
        "id": agent.id,
        "tenant": agent.tenant_id,
        "name": said.name,
        "state": agent.state.value,
        "owner": said.owner,
        "on_call": said.on_call,
        "purpose": said.purpose,
        "risk": said.risk_class,
        "models": list(said.models),
        "providers": list(said.providers),
        "tools": list(said.tools),
        "keys": list(said.keys),
        "silent_after_seconds": said.silent_after_seconds,
        "registered": utc_text(agent.registered_unix_nano),
        "registered_by": agent.registered_by,
        "updated": utc_text(agent.updated_unix_nano),
        "updated_by": agent.updated_by,
        "revision": agent.revision,
    }


def _move(agent: str, tenant: str, state: str, reason: str, lake: Path | None, *, json_: bool) -> None:
    from muniment.registering import move_agent
    from muniment.wiring import command_context
    from warehouse.control import AgentState

    moved = move_agent(command_context(lake), tenant, agent, AgentState(state), reason=reason)
    if json_:
        print_json(agent_json(moved))
    else:
        _say(f"Agent {moved.id} of tenant {moved.tenant_id} is {moved.state}.")


def _show_changed(done: Sequence["Registered"], *, json_: bool, one: bool) -> None:
    if json_:
        content = [agent_json(each.agent) | {"change": each.change, "redacted": list(each.redacted)} for each in done]
        print_json(content[0] if one else content)
        return
    for each in done:
        if each.redacted:
            texts = ", ".join(f"{name} is kept as {getattr(each.agent.profile, name)!r}" for name in each.redacted)
            _say(f"{each.agent.id}: redaction changed what you typed: {texts}. Name teams and rotations, not people.")
    for each in done if one else ():
        _say(f"Agent {each.agent.id} of tenant {each.agent.tenant_id}: {each.change or 'nothing to change'}.")
    if not one:
        counts = [(word, sum(each.change == change for each in done)) for word, change in _WORDS]
        _say(", ".join(f"{count} {word}" for word, count in counts))


_WORDS = (("registered", "registered"), ("updated", "updated"), ("as they were", None))


def _listed(names: list[str] | None, any_: bool, option: str) -> list[str] | None:
    if any_ and names:
        raise InputError(f"{option}: expected names, or --any-{option[2:]}, got both")
    return [] if any_ else names or None


def _say(message: str) -> None:
    notes.print(message, markup=False, soft_wrap=True)
