"""Health insurance claims: documents, eligibility, routing of health data, payout."""

from muniment.demo.approvals import (
    Approval,
    Decision,
    decide_later,
    end_workflow,
    record_decision,
    request_approval,
    resume_run,
    workflow_event,
)  # fmt: skip
from muniment.demo.audit import Event
from muniment.demo.calendar import HOUR, MINUTE, SECOND
from muniment.demo.fleet import Agent
from muniment.demo.run import Run, start_run
from muniment.demo.world import World

_WORKFLOW = "claim-assessment"
_FREE_PAYOUT_EUR = 2000
_ROUTING = ("health-data-routing", "4")
_TREATMENTS = (
    "physiotherapy, 6 sessions",
    "MRI of the knee",
    "dental crown",
    "psychotherapy, 5 sessions",
    "eye surgery",
)


def assess(world: World, agent: Agent, at: int) -> None:
    """A claim comes in: read its documents, check eligibility, decide, pay."""
    claim = f"CL-{world.rng.randrange(10**7):07d}"
    _assess(world, agent, at, claim, world.rng.randrange(60, 2400), region=None, late=False)


def assess_abroad(world: World, agent: Agent, at: int) -> None:
    """The seeded trouble: one claim's model call goes to a region outside the EU."""
    _assess(world, agent, at, "CL-7300001", 420, region=world.troubles.health_data_abroad.data["region"], late=False)


def assess_with_late_approval(world: World, agent: Agent, at: int) -> None:
    """The seeded trouble: a payout whose approval comes after its expiry."""
    _assess(world, agent, at, "CL-5500001", 6900, region=None, late=True)


def _assess(world: World, agent: Agent, at: int, claim: str, total: int, *, region: str | None, late: bool) -> None:
    patient, treatment = world.subject(agent), world.rng.choice(_TREATMENTS)
    text = f"Claim {claim} of {patient.name} ({patient.email}): {treatment}, {total} EUR. Diagnosis: {patient.health_note}."
    with start_run(world, agent, at, workflow=_WORKFLOW, text=text, user=patient.id) as run:
        if late:
            world.troubles.late_approval.seen_in(run.trace_id, run.now)
        run.act(
            text,
            "I read the documents.",
            run.plan(
                "extract_documents",
                {"claim": claim},
                {"treatment": treatment, "total_eur": total, "iban": patient.iban},
            ),
        )
        _route(run, region)
        eligible = run.act(
            "Is the treatment covered?",
            "I ask the insurer's system.",
            run.plan("check_eligibility", {"claim": claim, "patient": patient.id}, {"covered": True, "share": 0.8}),
        )
        run.log("INFO", f"{claim} eligibility {'known' if eligible else 'unknown'}")
        if not eligible:
            run.fail("TimeoutError", f"eligibility of {claim} is unknown")
            run.escalate("the insurer's system does not answer")
            return
        use = run.plan("settle_claim", {"claim": claim, "amount_eur": total, "iban": patient.iban}, {"state": "paid"})
        run.chat(f"Pay {total} EUR?", f"{treatment} is covered; the documents are complete.", wants=use)
        if world.chance(0.2):
            run.evaluated("coverage-correctness", min(1.0, world.around(0.9, 0.1)))
        if late:
            _wait_too_long(
                run, request_approval(run, use, ("claim", claim), reason="payout over the limit", lasts=2 * HOUR)
            )
        elif total <= _FREE_PAYOUT_EUR:
            run.decided("settle_claim", ("claim", claim), allowed=True, policy=("payouts", "11"), use=use)
            done = run.call(use)
            run.chat(
                "Write to the patient.", f"Dear {patient.name}, your claim {claim} is {'paid' if done else 'delayed'}."
            )
            if world.chance(0.25):
                run.message("letter", patient.name, f"Your claim {claim} was settled.")
        else:
            workflow_event(run, "started")
            decide_later(
                world, request_approval(run, use, ("claim", claim), reason="payout over the limit"), _after_decision
            )


def _route(run: Run, region: str | None) -> None:
    """Record where the model call with health data goes."""
    model = run.world.state(run.agent).model
    if region is not None:
        run.world.troubles.health_data_abroad.seen_in(run.trace_id, run.now)
    run.record(
        Event(
            "route.decided", run.actor, "route", "model", f"{model.provider}/{model.name}", policy=_ROUTING,
            reason="capacity" if region else "home region",
            extra={
                "gen_ai.provider.name": model.provider,
                "gen_ai.request.model": model.name,
                "audit.data_class": "health",
                "audit.region": region or run.agent.home_region,
            },
        )
    )  # fmt: skip


def _after_decision(world: World, approval: Approval, decision: Decision, at: int) -> None:
    text = f"Payout of {approval.resource[1]}: {decision.value}"
    with resume_run(world, approval, text, at) as run:
        if decision is Decision.GRANTED:
            done = run.call(approval.use)
            run.chat(text, f"{approval.resource[1]} is {'paid' if done else 'delayed'}.")
            end_workflow(run, done=done)
        else:
            run.chat(text, "I ask the patient for more documents.")
            workflow_event(run, "compensated", reason=f"approval {decision.value}")


def _wait_too_long(run: Run, approval: Approval) -> None:
    """Expired after two hours, granted 47 minutes later, paid."""
    world, trouble = run.world, run.world.troubles.late_approval
    granted = approval.expires + 47 * MINUTE
    trouble.time = granted
    trouble.data |= {"approval_id": approval.id, "expires_unix_nano": approval.expires}
    world.at(approval.expires, lambda now: record_decision(world, approval, Decision.EXPIRED, now))
    world.at(granted, lambda now: record_decision(world, approval, Decision.GRANTED, now))

    def pay(world: World, _agent: Agent, now: int) -> None:
        with start_run(
            world, approval.agent, now, workflow=approval.workflow, text=f"Pay {approval.resource[1]}", user=approval.user,
            links=(approval.asked_in,), conversation=approval.conversation,
        ) as paying:  # fmt: skip
            trouble.seen_in(paying.trace_id, paying.now)
            paying.call(approval.use)
            paying.chat("Confirm.", "The claim is paid.")

    world.work(approval.agent, granted + 5 * SECOND, pay)
