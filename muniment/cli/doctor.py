"""`muniment doctor`."""

import secrets
import time
from typing import TYPE_CHECKING

import typer

from muniment.cli.output import JsonOption, LakeOption, console, print_json

if TYPE_CHECKING:
    from collectors.probe import Step
    from muniment.wiring import CommandContext

_KEY_SECONDS = 300
_NANOS = 1_000_000_000
_QUERYABLE_SECONDS = 40.0
_POLL_SECONDS = 0.25
_RECORDS = 4
EXIT_NO = 1
_ADVICE = {
    "control database": "see that LAKE/control.db, or the server that control_url names, is there and may be read",
    "policies": "`muniment policy show --applied` prints what is in force; mend the folder's files and `muniment policy apply`",
    "API key": "muniment tenant add NAME, then again",
    "receiver answers": "start the receivers with `muniment up`, or name their address with --host",
    "receiver is ready": "the answer above says what keeps it from taking records; `muniment status` says more",
    "span by OTLP/HTTP": "401 means the key: `muniment key list` shows which ones work; anything else is in the answer above",
    "event by OTLP/HTTP": "a key scoped with --events needs 'message.sent' among them for this test",
    "span by OTLP/gRPC": "see that the gRPC port can be reached: a proxy that speaks HTTP/1 alone does not pass it on",
    "event by OTLP/gRPC": "a key scoped with --events needs 'message.sent' among them for this test",
    "queryable": "`muniment status` shows the collector's lag and last problem",
}
"""What to do next, by the step that failed; docs/how-to/doctor.md says more."""


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("doctor", epilog="Example: MUNIMENT_API_KEY=mun_… muniment doctor")(doctor)


def doctor(
    lake: LakeOption = None,
    key: str | None = typer.Option(
        None, "--key", help="API key to test.", show_default="$MUNIMENT_API_KEY, else one made for five minutes"
    ),
    tenant: str | None = typer.Option(
        None, "--tenant", help="Tenant of the key made for the test.", show_default="the first"
    ),
    host: str | None = typer.Option(None, "--host", help="Receiver's address.", show_default="from settings"),
    json_: JsonOption = False,
) -> None:
    """Send a test span and event over both protocols, look for them in the lake, and say at which step it stopped."""
    from muniment.environment import api_key
    from muniment.wiring import command_context

    context = command_context(lake)
    steps = examine(context, key=key or api_key(), tenant=tenant, host=host)
    ok = all(step.ok for step in steps)
    if json_:
        print_json({"ok": ok, "steps": [{"name": s.name, "ok": s.ok, "detail": s.detail} for s in steps]})
    else:
        for step in steps:
            mark = "[green]ok  [/]" if step.ok else "[bold red]FAIL[/]"
            console.print(mark, end=" ")
            console.print(
                f"{step.name}" + ("" if step.detail == "ok" else f": {step.detail}"), markup=False, soft_wrap=True
            )
        if not ok:
            console.print(f"stopped at: {steps[-1].name}", style="bold", markup=False)
            console.print(f"  {_ADVICE[steps[-1].name]}", style="dim", markup=False, soft_wrap=True)
    raise typer.Exit(0 if ok else EXIT_NO)


def examine(context: "CommandContext", *, key: str | None, tenant: str | None, host: str | None) -> "list[Step]":
    """Every step of the examination, up to the first that fails."""
    from collectors.probe import Step, Target, probe
    from warehouse.errors import MunimentError

    steps = [Step("lake and settings", ok=True, detail=str(context.lake.path))]
    try:
        tenants = [known.id for known in context.control.list_tenants()]
    except MunimentError as exc:
        return [*steps, Step("control database", ok=False, detail=str(exc))]
    steps.append(Step("control database", ok=True, detail=f"{len(tenants)} tenant{'' if len(tenants) == 1 else 's'}"))
    steps.append(_policies(context))
    if not steps[-1].ok:
        return steps
    issued = None
    if key is None:
        if not tenants:
            return [*steps, Step("API key", ok=False, detail="no tenant yet: muniment tenant add NAME")]
        issued = _issue(context, tenant or tenants[0])
        key, tenant = issued
    ports = _ports(context)
    receivers = context.settings.receivers
    target = Target(
        host=host or receivers.host,
        http_port=ports[0],
        grpc_port=ports[1],
        key=key,
        tls=receivers.tls_cert_file is not None,
    )
    trace_id = secrets.token_bytes(16)
    sent = probe(
        target, trace_id=trace_id, span_ids=(secrets.token_bytes(8), secrets.token_bytes(8)), clock=context.clock
    )
    steps += sent
    if all(step.ok for step in sent) and host is None:
        steps.append(_look(context, trace_id.hex(), tenants))
    return steps


def _policies(context: "CommandContext") -> "Step":
    """Which policies are in force, and whether they can be used."""
    from collectors.probe import Step
    from muniment.policies import policy_status, policy_text

    found = policy_status(context.lake, context.control)
    problems = [f"{policy['kind']}: {policy['problem']}" for policy in found if policy["problem"]]
    return Step("policies", ok=not problems, detail="; ".join(problems or map(policy_text, found)))


def _issue(context: "CommandContext", tenant: str) -> tuple[str, str]:
    from muniment.tenancy import issue_key

    issued = issue_key(
        context.control,
        context.access,
        context.principal,
        context.record,
        tenant_id=tenant,
        expires_unix_nano=context.clock() + _KEY_SECONDS * _NANOS,
        label="muniment doctor",
    )
    return issued.secret_text, tenant


def _ports(context: "CommandContext") -> tuple[int, int]:
    """Ports of a running collector of this lake, else those of its settings."""
    from muniment.lake_status import ask_collector

    for socket in sorted(context.lake.run.glob("collector-*.sock")):
        answer = ask_collector(socket)
        if answer.get("ok"):
            return int(answer["http_port"]), int(answer["grpc_port"])
    return context.settings.receivers.http_port, context.settings.receivers.grpc_port


def _look(context: "CommandContext", trace_id: str, tenants: list[str]) -> "Step":
    """Wait until the four records can be queried."""
    from collectors.probe import Step
    from warehouse.query import open_session

    deadline = time.monotonic() + _QUERYABLE_SECONDS
    started = time.monotonic()
    found = 0
    while time.monotonic() < deadline:
        with open_session(
            context.lake.path, tenants=tenants, principal=context.principal, settings=context.settings.query
        ) as session:
            counted = session.run_trusted(
                "select (select count(*) from spans where trace_id = $id)"
                " + (select count(*) from audit_events where trace_id = $id) as n",
                {"id": trace_id},
            )
        found = counted.to_pylist()[0]["n"]
        if found == _RECORDS:
            return Step("queryable", ok=True, detail=f"trace {trace_id} after {time.monotonic() - started:.1f} s")
        time.sleep(_POLL_SECONDS)
    return Step("queryable", ok=False, detail=f"{found} of {_RECORDS} records after {_QUERYABLE_SECONDS:g} s")
