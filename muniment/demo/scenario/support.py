"""Customer support of the retailer: orders, refunds, contact data, angry customers."""

from collections.abc import Callable

from muniment.demo.approvals import (
    Approval,
    Decision,
    decide_later,
    end_workflow,
    request_approval,
    resume_run,
    workflow_event,
)
from muniment.demo.fleet import Agent
from muniment.demo.people import Subject
from muniment.demo.run import Run, start_run
from muniment.demo.world import World

_WORKFLOW = "support-ticket"
_POLICY = ("refunds", "14")
_FREE_REFUND_GBP = 150
_GOODS = ("rain jacket", "espresso grinder", "desk lamp", "trail shoes", "duvet", "carry-on case", "air fryer")


def answer_ticket(world: World, agent: Agent, at: int) -> None:
    """A customer writes; the agent finds the order and helps, refunds, corrects or escalates."""
    customer, rng = world.subject(agent), world.rng
    order, goods = f"NW-{rng.randrange(10**6):06d}", rng.choice(_GOODS)
    need = rng.choices(("status", "refund", "contact", "complaint"), (46, 30, 14, 10))[0]
    # Made on demand: a value that is read counts as planted.
    texts: dict[str, Callable[[], str]] = {
        "status": lambda: f"Hi, this is {customer.name}. Where is my {goods}? Order {order}.",
        "refund": lambda: (
            f"The {goods} from order {order} arrived broken. Please refund me. {customer.name}, {customer.email}"
        ),
        "contact": lambda: (
            f"Please change my phone number to {customer.phone}. Account {customer.email}, order {order}."
        ),
        "complaint": lambda: (
            f"Third time I write about {order}! Nobody calls me back on {customer.phone}. {customer.name}"
        ),
    }
    text = texts[need]()
    with start_run(world, agent, at, workflow=_WORKFLOW, text=text, user=customer.id) as run:
        run.log("INFO", f"ticket for {order} taken, topic {need}")
        found = run.act(
            text,
            "I look at the order first.",
            run.plan(
                "lookup_order",
                {"order": order},
                {"order": order, "item": goods, "state": "delivered", "total_gbp": rng.randrange(15, 240)},
            ),
        )
        if not found:
            run.escalate("the order system has no such order")
            run.chat("Tell the customer.", "I could not find this order and have asked a colleague to help you.")
        elif need == "refund":
            _refund(run, customer, order, goods)
        elif need == "contact":
            _change_contact(run, customer)
        elif need == "complaint":
            run.chat(text, f"Dear {customer.name}, I am sorry for this. A colleague calls you today.")
            run.escalate("customer is upset, third contact")
            run.message("email", customer.email, f"Dear {customer.name}, a colleague calls you today.")
        else:
            run.chat("Answer the customer.", f"Your {goods} was handed over to the courier and arrives tomorrow.")
        if world.chance(0.12):
            run.evaluated("helpfulness", min(1.0, world.around(0.86, 0.12)))
        run.log("INFO", f"ticket for {order} done")


def _refund(run: Run, customer: Subject, order: str, goods: str) -> None:
    amount = run.world.rng.randrange(12, 190)
    use = run.plan("issue_refund", {"order": order, "amount_gbp": amount, "to": customer.iban}, {"refund": "booked"})
    run.chat(f"Refund {amount} GBP for the {goods}?", "Broken on arrival: the policy allows a refund.", wants=use)
    if amount <= _FREE_REFUND_GBP:
        run.decided("issue_refund", ("order", order), allowed=True, policy=_POLICY, use=use)
        if run.call(use):
            run.message("email", customer.email, f"Dear {customer.name}, we refunded {amount} GBP to {customer.iban}.")
            run.chat("Confirm.", f"I refunded {amount} GBP to your account. It takes three working days.")
        else:
            run.escalate("the payment provider refuses the refund")
        return
    workflow_event(run, "started")
    approval = request_approval(run, use, ("order", order), reason=f"refund over {_FREE_REFUND_GBP} GBP")
    run.chat("Tell the customer to wait.", "A colleague has to confirm this refund. You hear from me today.")
    decide_later(run.world, approval, _after_decision)


def _after_decision(world: World, approval: Approval, decision: Decision, at: int) -> None:
    text = f"Refund {approval.resource[1]}: {decision.value}"
    with resume_run(world, approval, text, at) as run:
        if decision is Decision.GRANTED:
            done = run.call(approval.use)
            run.chat(text, "Your refund is on its way." if done else "There is a delay, a colleague takes over.")
            end_workflow(run, done=done)
        else:
            run.chat(text, "I am sorry: we cannot refund this order, but I can offer you a replacement.")
            workflow_event(run, "compensated", reason=f"approval {decision.value}")


def _change_contact(run: Run, customer: Subject) -> None:
    use = run.plan("update_contact", {"customer": customer.id, "phone": customer.phone}, {"updated": True})
    run.chat("Change the phone number?", "The request comes from the account's own address.", wants=use)
    allowed = not run.world.chance(0.08)
    run.decided(
        "update_contact", ("customer", customer.id), allowed=allowed, policy=("contact-data", "3"), use=use,
        reason=None if allowed else "address does not match the account",
    )  # fmt: skip
    if allowed and run.call(use):
        run.message("email", customer.email, "Your contact data was changed. If this was not you, answer this mail.")
        run.chat("Confirm.", f"Done, {customer.name}: your number is now {customer.phone}.")
    else:
        run.chat("Refuse.", "I cannot change this here. Please log in to your account and change it there.")
