"""The seeded troubles: what goes wrong, where and when.

Times are fixed shares of the window, moved to working days, with minutes from the seed. What the scenarios do about
them stands where it happens; here is only the plan, and the questions that the simulation asks of it.
"""

import random
from dataclasses import dataclass

from muniment.demo.calendar import DAY, HOUR, MINUTE, Calendar
from muniment.demo.fleet import (
    AURORA,
    CLAIMS,
    CLAUDE_HAIKU,
    FINANCE,
    HALDEN,
    INTAKE,
    IT_SERVICE,
    LENDING,
    NORTHWIND,
    PROCUREMENT,
    SUPPORT,
    Agent,
)  # fmt: skip
from muniment.demo.truth import Trouble

SECOND_ADDRESS = "198.51.100.73"
"""The second address that uses the stolen credential (RFC 5737)."""
SLOWDOWN = 2.8
"""Factor on model latency while the bad prompt runs."""


@dataclass(frozen=True)
class Troubles:
    """All seeded troubles of a run."""

    denied_then_executed: Trouble
    tool_failing: Trouble
    slow_prompt: Trouble
    late_approval: Trouble
    silence: Trouble
    health_data_abroad: Trouble
    model_switched: Trouble
    credential_twice: Trouble

    def listed(self) -> list[Trouble]:
        """All of them."""
        return list(vars(self).values())

    def silent(self, agent: Agent, at: int) -> bool:
        """Whether an agent says nothing at `at`; it falls silent ten minutes early so that no run reaches into its silence."""
        hushed = self.silence.covers(at) or self.silence.covers(at + 10 * MINUTE)
        return hushed and agent.id == self.silence.agent

    def failing(self, agent: Agent, tool: str, at: int) -> Trouble | None:
        """The trouble that makes this tool call fail, if one does."""
        trouble = self.tool_failing
        hit = agent.id == trouble.agent and tool == trouble.data["tool"] and trouble.covers(at)
        return trouble if hit else None

    def slowdown(self, agent: Agent, at: int) -> Trouble | None:
        """The trouble that slows this agent's model calls, if one does."""
        trouble = self.slow_prompt
        return trouble if agent.id == trouble.agent and trouble.covers(at) else None


def plan_troubles(calendar: Calendar, rng: random.Random) -> Troubles:
    """Place each trouble in the window."""

    def on(share: float, hour: int) -> int:
        return calendar.working_day(share) + hour * HOUR + rng.randrange(50) * MINUTE

    denied, failing, slow, late = on(0.22, 13), on(0.35, 9), on(0.45, 10), on(0.55, 12)
    abroad, switched, twice = on(0.72, 14), on(0.80, 11), on(0.90, 15)
    silent = calendar.working_day(0.63)
    return Troubles(
        denied_then_executed=Trouble(
            "denied-action-executed", NORTHWIND, PROCUREMENT.id, denied,
            "The buyer may not change a supplier's bank account: denied three times. It hands over to the finance agent, "
            "which does it without approval.",
            data={"tool": "change_supplier_bank_account", "executed_by": FINANCE.id, "denials": 3},
        ),
        tool_failing=Trouble(
            "tool-failing", HALDEN, CLAIMS.id, failing,
            "check_eligibility times out for two hours; every call fails, claims pile up with humans.",
            until=failing + 2 * HOUR,
            data={"tool": "check_eligibility", "error_type": "TimeoutError"},
        ),
        slow_prompt=Trouble(
            "latency-regression", NORTHWIND, SUPPORT.id, slow,
            "After an approved prompt change model calls take almost three times as long, until it is rolled back.",
            until=slow + 30 * HOUR,
            data={"factor": SLOWDOWN},
        ),
        late_approval=Trouble(
            "approval-after-expiry", HALDEN, CLAIMS.id, late,
            "A payout's approval expired after two hours; it was granted 47 minutes later all the same, and the claim was "
            "paid.",
        ),
        silence=Trouble(
            "agent-silent", HALDEN, INTAKE.id, silent,
            "The intake agent sends nothing for a whole working day.",
            until=silent + DAY,
        ),
        health_data_abroad=Trouble(
            "health-data-outside-region", HALDEN, CLAIMS.id, abroad,
            "One claim with health data was routed to a model in us-east-1; the tenant allows EU regions alone.",
            data={"region": "us-east-1", "allowed": "eu-"},
        ),
        model_switched=Trouble(
            "model-switched-without-approval", AURORA, LENDING.id, switched,
            "The loan agent's model was switched by hand: no gate, no approval. It was switched back a day later, with one.",
            until=switched + 26 * HOUR,
            data={"from_model": LENDING.model.name, "to_model": CLAUDE_HAIKU.name},
        ),
        credential_twice=Trouble(
            "credential-used-from-two-places", AURORA, IT_SERVICE.id, twice,
            "The service desk's credential is used from Dublin and from Singapore within twelve minutes.",
            until=twice + 12 * MINUTE,
            data={"addresses": [IT_SERVICE.source_address, SECOND_ADDRESS]},
        ),
    )  # fmt: skip
