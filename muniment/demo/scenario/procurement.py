"""Buying for the retailer: offers, budget, approval, order, handed over to finance."""

from functools import partial

from muniment.demo.approvals import (
    Approval,
    Decision,
    decide_later,
    end_workflow,
    request_approval,
    resume_run,
    workflow_event,
)
from muniment.demo.calendar import MINUTE, SECOND
from muniment.demo.calls import ToolUse
from muniment.demo.fleet import FINANCE, Agent
from muniment.demo.run import Run, start_run
from muniment.demo.scenario import finance
from muniment.demo.world import World

_WORKFLOW = "purchase-request"
_SMALL_ORDER_GBP = 2900
_ANNOUNCED_ORDER_GBP = 2400
_THINGS = ("shelf labels", "till rolls", "hand scanners", "safety boots", "LED panels", "packing tape", "pallets")
_SUPPLIERS = ("Brackwell Supplies", "Ostrow Industrial", "Penhallow & Sons", "Tamarisk Trading", "Verdant Packaging")


def buy(world: World, agent: Agent, at: int) -> None:
    """A store asks for something; the agent compares offers and orders, with approval above a limit."""
    rng, employee = world.rng, world.employee(agent)
    thing, quantity = rng.choice(_THINGS), rng.randrange(10, 400, 10)
    first, second = rng.sample(_SUPPLIERS, 2)
    total = rng.randrange(60, 4200)
    request = f"PR-{rng.randrange(10**6):06d}"
    text = f"{request}: {employee.name} needs {quantity} {thing} for store {rng.randrange(10, 90)} by next week."
    with start_run(world, agent, at, workflow=_WORKFLOW, text=text, user=employee.id) as run:
        run.log("INFO", f"purchase request {request} taken")
        run.look_up(
            "supplier-catalogue",
            f"{quantity} {thing}",
            [(first, 0.92, f"{thing}, {total} GBP, 4 days"), (second, 0.87, f"{thing}, {total + 31} GBP, 2 days")],
        )
        offers = {"offers": [{"supplier": first, "gbp": total}, {"supplier": second, "gbp": total + 31}]}
        run.act(
            text, "Two suppliers have it.", run.plan("search_suppliers", {"item": thing, "count": quantity}, offers)
        )
        run.act(
            "Is there budget?",
            "I check the cost centre.",
            run.plan("check_budget", {"request": request}, {"left_gbp": 9000}),
        )
        use = run.plan(
            "create_purchase_order",
            {"request": request, "supplier": first, "total_gbp": total},
            {"order": f"PO{request[2:]}"},
        )
        run.chat(f"Order from {first}?", f"{first} is cheaper and in time.", wants=use)
        if total <= _SMALL_ORDER_GBP:
            run.decided(
                "create_purchase_order", ("purchase-request", request), allowed=True, policy=("spend", "7"), use=use
            )
            _order(run, use)
            return
        workflow_event(run, "started")
        approval = request_approval(run, use, ("purchase-request", request), reason=f"{total} GBP is over the limit")
        decide_later(world, approval, _after_decision)


def _order(run: Run, use: ToolUse) -> bool:
    """Place the order, and let finance expect the invoice of a large one; False when the ERP fails."""
    request = use.arguments["request"]
    if not run.call(use):
        run.fail("ErpError", f"order for {request} was not placed")
        run.escalate("the ERP refuses the order")
        return False
    run.chat("Summarise.", f"Ordered for {request}; finance expects the invoice.")
    if use.arguments["total_gbp"] < _ANNOUNCED_ORDER_GBP:
        return True
    handoff = run.world.ids.name("hnd")
    run.handoff("requested", handoff, FINANCE.id, reason="invoice to expect")
    later = run.now + int(run.world.around(40)) * SECOND
    run.world.work(FINANCE, later, finance.expect_invoice(request, run.context, handoff))
    return True


def _after_decision(world: World, approval: Approval, decision: Decision, at: int) -> None:
    text = f"Purchase {approval.resource[1]}: {decision.value}"
    with resume_run(world, approval, text, at) as run:
        if decision is Decision.GRANTED:
            ordered = _order(run, approval.use)
            end_workflow(run, done=ordered)
        else:
            run.chat(text, "The order was not approved; I tell the store.")
            workflow_event(run, "failed", outcome="failure", reason=f"approval {decision.value}")


def denied_then_handed_over(world: World, agent: Agent, at: int) -> None:
    """The seeded trouble: a change of bank account, denied three times, done by the finance agent in the end."""
    trouble = world.troubles.denied_then_executed
    supplier = world.subject(agent)
    arguments = {"supplier": "Ostrow Industrial", "iban": supplier.iban, "contact": supplier.email}
    trouble.data["arguments"] = arguments
    employee = world.employee(agent).id
    text = (
        f"Supplier Ostrow Industrial ({supplier.name}) has a new bank account: {supplier.iban}. Please change it today."
    )

    def attempt(world: World, agent: Agent, now: int, *, number: int) -> None:
        with start_run(world, agent, now, workflow="supplier-change", text=text, user=employee) as run:
            trouble.seen_in(run.trace_id, run.now)
            use = run.plan("change_supplier_bank_account", arguments, {"changed": True})
            run.chat(text, "I change the account." if number == 1 else "I try once more.", wants=use)
            run.decided(
                use.tool.name, ("supplier", "Ostrow Industrial"), allowed=False, policy=("supplier-master-data", "5"), use=use,
                reason="bank accounts are changed by two humans",
            )  # fmt: skip
            run.log("WARN", "denied: change_supplier_bank_account")
            if number == trouble.data["denials"]:
                handoff, context = world.ids.name("hnd"), run.context
                run.handoff("requested", handoff, FINANCE.id, reason="I may not do this myself")
                execute = finance.change_account(use, text, employee, context, handoff)
                world.work(FINANCE, run.now + 25 * SECOND, execute)

    for number in range(1, trouble.data["denials"] + 1):
        world.work(agent, at + (number - 1) * 4 * MINUTE, partial(attempt, number=number))
