"""Loans and fraud alerts of the bank; the loan officer asks the fraud agent inside its own trace."""

from muniment.demo.approvals import (
    Approval,
    Decision,
    decide_later,
    end_workflow,
    request_approval,
    resume_run,
    workflow_event,
)
from muniment.demo.fleet import FRAUD, Agent
from muniment.demo.run import Run, start_run
from muniment.demo.world import World

_WORKFLOW = "loan-application"
_SCORE_FLOOR = 540


def prepare_loan(world: World, agent: Agent, at: int) -> None:
    """An application comes in: credit report, fraud check by another agent, score, approval by a human, payout."""
    rng, client = world.rng, world.subject(agent)
    amount, score = rng.randrange(2, 60) * 500, rng.randrange(480, 820)
    application = f"LN-{rng.randrange(10**6):06d}"
    text = f"{application}: {client.name} ({client.phone}) asks for {amount} EUR, account {client.iban}."
    with start_run(world, agent, at, workflow=_WORKFLOW, text=text, user=client.id) as run:
        report = {"score": score, "defaults": 0, "name": client.name}
        if not run.act(text, "I ask the bureau.", run.plan("pull_credit_report", {"client": client.id}, report)):
            run.fail("BureauTimeout", f"no credit report for {application}")
            run.escalate("the credit bureau does not answer")
            return
        _ask_fraud(run, client.id, application)
        run.act(
            "Score it.",
            "I compute the score.",
            run.plan("score_application", {"application": application}, {"score": score}),
        )
        run.log("INFO", f"{application} scored {score}")
        if world.chance(0.15):
            run.evaluated("fair-lending", min(1.0, world.around(0.88, 0.1)))
        if score < _SCORE_FLOOR:
            run.chat("Decline it.", f"Dear {client.name}, we cannot offer you a loan at present.")
            run.decided(
                "approve_loan",
                ("application", application),
                allowed=False,
                policy=("credit", "32"),
                reason="score too low",
            )
            run.message("letter", client.name, "We cannot offer you a loan at present.")
            return
        use = run.plan(
            "disburse_loan", {"application": application, "amount_eur": amount, "iban": client.iban}, {"state": "paid"}
        )
        run.chat("Prepare the payout.", "Score and fraud check are fine. A human has to approve.", wants=use)
        workflow_event(run, "started")
        decide_later(
            world, request_approval(run, use, ("application", application), reason="each payout"), _after_decision
        )


def _ask_fraud(run: Run, client: str, application: str) -> None:
    """Ask the fraud agent: a part of the same trace, recorded by the other agent's service."""
    text = f"Any alert on client {client} for {application}?"
    with start_run(run.world, FRAUD, run.now, workflow=_WORKFLOW, text=text, user=client, within=run) as asked:
        asked.act(text, "I look at the account.", asked.plan("fetch_transactions", {"client": client}, {"alerts": 0}))
        asked.chat("Judge it.", "No open alert.")


def _after_decision(world: World, approval: Approval, decision: Decision, at: int) -> None:
    text = f"Payout of {approval.resource[1]}: {decision.value}"
    with resume_run(world, approval, text, at) as run:
        if decision is Decision.GRANTED:
            done = run.call(approval.use)
            run.chat(text, f"{approval.resource[1]} is {'paid out' if done else 'delayed'}.")
            end_workflow(run, done=done)
        else:
            run.chat(text, "I tell the client that we need more time.")
            workflow_event(run, "failed", outcome="failure", reason=f"approval {decision.value}")


def screen_alert(world: World, agent: Agent, at: int) -> None:
    """A card alert comes in: release it, watch it, or freeze the card."""
    rng, client = world.rng, world.subject(agent)
    alert, score = f"AL-{rng.randrange(10**7):07d}", rng.random()
    text = f"Alert {alert}: {client.name}, {rng.randrange(20, 900)} EUR at a merchant abroad, phone {client.phone}."
    with start_run(world, agent, at, workflow="card-alert", text=text, user=client.id) as run:
        transactions = {"count": rng.randrange(3, 40), "iban": client.iban}
        run.act(text, "I read the account.", run.plan("fetch_transactions", {"client": client.id}, transactions))
        run.call(run.plan("score_device", {"alert": alert}, {"score": round(score, 3)}))
        if score > 0.93:  # noqa: PLR2004 - the share of alerts that are real
            use = run.plan("freeze_card", {"client": client.id, "alert": alert}, {"frozen": True})
            run.chat("Decide.", "Two countries within an hour: freeze.", wants=use)
            run.decided("freeze_card", ("card", client.id), allowed=True, policy=("fraud-response", "9"), use=use)
            if run.call(use):
                run.message("sms", client.phone, "We froze your card. Please call us.")
            else:
                run.escalate("the card system does not freeze")
        else:
            run.chat("Decide.", f"Known device and merchant: {'watch' if score > 0.7 else 'release'}.")  # noqa: PLR2004 - as above
        run.log("INFO", f"{alert} closed")
