"""IT tickets of the bank's employees."""

from collections.abc import Callable
from contextlib import AbstractContextManager

from muniment.demo.fleet import Agent
from muniment.demo.people import Subject
from muniment.demo.run import Run, start_run
from muniment.demo.troubles import SECOND_ADDRESS
from muniment.demo.world import World

_WORKFLOW = "it-ticket"
_POLICY = ("directory-access", "18")
_GROUPS = ("treasury-readers", "payments-operators", "hr-reports", "vpn-users", "data-lab")
_RESTRICTED = "payments-operators"
_SERVICES = ("print-gateway", "mail-relay", "file-share-7", "vpn-edge-2")


def solve(world: World, agent: Agent, at: int) -> None:
    """An employee has a problem; the agent finds the runbook and does what it says, where policy lets it."""
    employee = world.employee(agent)
    kind = world.rng.choices(("password", "group", "service"), (45, 35, 20))[0]
    # Made on demand: a value that is read counts as planted.
    texts: dict[str, Callable[[], str]] = {
        "password": lambda: f"I am locked out. {employee.name}, {employee.email}, call me on {employee.phone}.",
        "group": lambda: f"Please add {employee.email} to a group; my manager agreed.",
        "service": lambda: f"Printing hangs again on my floor, says {employee.name}.",
    }
    text = texts[kind]()
    with _ticket(world, agent, at, employee, text) as run:
        if kind == "password":
            use = run.plan("reset_password", {"employee": employee.id, "mail": employee.email}, {"reset": True})
            run.chat(text, "The runbook says: reset it and force a new one.", wants=use)
            run.decided("reset_password", ("account", employee.id), allowed=True, policy=_POLICY, use=use)
            if run.call(use):
                run.chat("Answer.", f"Your password is reset, {employee.name}. You choose a new one at the next login.")
            else:
                run.escalate("the directory refuses the reset")
        elif kind == "group":
            _grant(run, employee, world.rng.choice(_GROUPS))
        else:
            service = world.rng.choice(_SERVICES)
            done = run.act(
                text, f"I restart {service}.", run.plan("restart_service", {"service": service}, {"up": True})
            )
            if done:
                run.chat("Answer.", f"{service} is back.")
            else:
                run.fail("OrchestratorError", f"{service} does not come back")
                run.escalate(f"{service} does not restart")
        run.log("INFO", f"ticket closed, kind {kind}")


def solve_from_elsewhere(world: World, agent: Agent, at: int) -> None:
    """The seeded trouble: the same credential, used from another continent."""
    trouble, employee = world.troubles.credential_twice, world.employee(agent)
    trouble.data["credential_id"] = world.state(agent).credential_id
    with _ticket(world, agent, at, employee, "Add me to vpn-users.") as run:
        run.use_source(SECOND_ADDRESS)
        trouble.seen_in(run.trace_id, run.now)
        _grant(run, employee, "vpn-users")


def solve_from_home(world: World, agent: Agent, at: int) -> None:
    """Work in the same minutes at the agent's own address."""
    employee = world.employee(agent)
    with _ticket(world, agent, at, employee, "Add me to data-lab.") as run:
        _grant(run, employee, "data-lab")


def _ticket(world: World, agent: Agent, at: int, employee: Subject, text: str) -> AbstractContextManager[Run]:
    return start_run(world, agent, at, workflow=_WORKFLOW, text=text, user=employee.id)


def _grant(run: Run, employee: Subject, group: str) -> None:
    run.call(run.plan("search_runbooks", {"query": f"add to {group}"}, {"runbook": "RB-114"}))
    use = run.plan("grant_group", {"employee": employee.id, "group": group}, {"member": True})
    run.chat(f"Add to {group}?", "The runbook allows it where policy does.", wants=use)
    allowed = group != _RESTRICTED
    run.decided(
        "grant_group", ("group", group), allowed=allowed, policy=_POLICY, use=use,
        reason=None if allowed else "members of this group are added by its owner",
    )  # fmt: skip
    if allowed and run.call(use):
        run.chat("Answer.", f"You are a member of {group} now.")
    else:
        run.chat("Answer.", "I may not do this. I have told the group's owner.")
