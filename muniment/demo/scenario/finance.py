"""Finance of the retailer: invoices against orders, payments, what other agents hand over."""

from opentelemetry.trace import SpanContext

from muniment.demo.approvals import (
    Approval,
    Decision,
    decide_later,
    end_workflow,
    request_approval,
    resume_run,
    workflow_event,
)
from muniment.demo.calls import ToolUse
from muniment.demo.fleet import PROCUREMENT, Agent
from muniment.demo.run import start_run
from muniment.demo.world import Scenario, World

_WORKFLOW = "invoice-settlement"
_FREE_PAYMENT_GBP = 2300


def settle_invoice(world: World, agent: Agent, at: int) -> None:
    """An invoice comes in: read, match, pay; large payments wait for a human."""
    rng, payee = world.rng, world.subject(agent)
    invoice, total = f"INV-{rng.randrange(10**6):06d}", rng.randrange(40, 2600)
    text = f"Settle {invoice}: {total} GBP to {payee.name}, {payee.iban}."
    with start_run(world, agent, at, workflow=_WORKFLOW, text=text, user=world.employee(agent).id) as run:
        lines = {"invoice": invoice, "total_gbp": total, "payee": payee.name, "iban": payee.iban}
        run.act(text, "I read the invoice.", run.plan("fetch_invoice", {"invoice": invoice}, lines))
        run.step("parse invoice lines", {"invoice.lines": rng.randrange(1, 14)}, 0.05)
        matched = run.act(
            "Does it match its order?",
            "I compare it with the order.",
            run.plan("match_purchase_order", {"invoice": invoice}, {"match": "full", "difference_gbp": 0}),
        )
        run.log("INFO", f"{invoice} {'matched' if matched else 'not matched'}")
        if not matched:
            run.fail("ErpError", f"{invoice} could not be matched")
            run.escalate("no match, the ERP fails")
            return
        use = run.plan(
            "schedule_payment", {"invoice": invoice, "amount_gbp": total, "iban": payee.iban}, {"payment": "scheduled"}
        )
        run.chat(f"Pay {total} GBP?", "Invoice and order match in full.", wants=use)
        if total <= _FREE_PAYMENT_GBP:
            run.decided("schedule_payment", ("invoice", invoice), allowed=True, policy=("payments", "21"), use=use)
            if run.call(use):
                run.chat("Summarise.", f"{invoice} is paid on its due date.")
            else:
                run.escalate("the bank gateway refuses the payment")
            return
        workflow_event(run, "started")
        decide_later(
            world,
            request_approval(run, use, ("invoice", invoice), reason=f"{total} GBP needs two eyes more"),
            _after_decision,
        )


def _after_decision(world: World, approval: Approval, decision: Decision, at: int) -> None:
    text = f"Payment of {approval.resource[1]}: {decision.value}"
    with resume_run(world, approval, text, at) as run:
        if decision is Decision.GRANTED:
            paid = run.call(approval.use)
            run.chat(text, f"{approval.resource[1]} is {'paid' if paid else 'on hold'}.")
            end_workflow(run, done=paid)
        else:
            run.chat(text, "I put the invoice on hold and tell the buyer.")
            workflow_event(run, "failed", outcome="failure", reason=f"approval {decision.value}")


def expect_invoice(request: str, asked_in: SpanContext, handoff: str) -> Scenario:
    """Take over an order from procurement: note the invoice that will come."""

    def expect(world: World, agent: Agent, at: int) -> None:
        text, user = f"Expect an invoice for {request}.", world.employee(agent).id
        with start_run(
            world, agent, at, workflow="invoice-expectation", text=text, user=user, links=(asked_in,)
        ) as run:
            run.handoff("accepted", handoff, agent.id, from_agent=PROCUREMENT.id)
            run.act(text, "I note it.", run.plan("match_purchase_order", {"request": request}, {"expected": True}))
            run.handoff("completed", handoff, agent.id, from_agent=PROCUREMENT.id)

    return expect


def change_account(denied: ToolUse, text: str, employee: str, asked_in: SpanContext, handoff: str) -> Scenario:
    """The end of the seeded trouble: this agent's policy does not know the tool, so it goes ahead."""

    def execute(world: World, agent: Agent, at: int) -> None:
        with start_run(
            world, agent, at, workflow="supplier-change", text=text, user=employee, links=(asked_in,)
        ) as run:
            world.troubles.denied_then_executed.seen_in(run.trace_id, run.now)
            run.handoff("accepted", handoff, agent.id, from_agent=PROCUREMENT.id)
            run.act(text, "I change the account.", run.plan(denied.tool.name, denied.arguments, denied.result))
            run.handoff("completed", handoff, agent.id, from_agent=PROCUREMENT.id)

    return execute
