"""The simulated world: a queue of things to do in order of time, and the state of each agent.

A discrete-event simulation. Scenarios schedule what comes later; what falls after the window's end is forgotten, as it
has not happened yet. One random generator, drawn from in the order of simulated time, decides everything.
"""

import heapq
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from opentelemetry.trace import SpanContext

from muniment.demo.audit import Event, record_event
from muniment.demo.calendar import HOUR, MINUTE, Calendar
from muniment.demo.fleet import AGENTS, TENANTS, Agent, Model, Tenant, tenant_of
from muniment.demo.ids import SeededIds
from muniment.demo.people import Population, Subject
from muniment.demo.recorder import OutletFor, Recorder
from muniment.demo.troubles import Troubles, plan_troubles
from muniment.demo.truth import Tally

Scenario = Callable[["World", Agent, int], None]
"""One piece of an agent's work that begins at an instant."""

LONGEST_RUN = 8 * MINUTE
"""No run begins later than this before the window's end; run times are capped so that none takes longer."""

METRICS_EVERY = 6 * HOUR
"""Length of a metric point's interval."""


@dataclass
class AgentState:
    """What changes about an agent while time passes."""

    model: Model
    version: str
    credential_id: str
    source_address: str
    prompt_version: int = 1


class World:
    """Everything that scenarios see and change."""

    def __init__(self, seed: int, calendar: Calendar, outlet_for: OutletFor) -> None:
        self.calendar = calendar
        self.rng = random.Random(f"world/{seed}")  # noqa: S311 - a simulation, and it must repeat
        self.ids = SeededIds(random.Random(f"ids/{seed}/{calendar.end}"))  # noqa: S311 - as above
        self.people = Population(seed)
        self.tally = Tally()
        self.troubles: Troubles = plan_troubles(calendar, random.Random(f"troubles/{seed}"))  # noqa: S311 - as above
        self._queue: list[tuple[int, int, Callable[[int], None]]] = []
        self._scheduled = 0
        self._recorders: dict[tuple[str, str], Recorder] = {}
        for tenant in TENANTS:
            for service in (tenant.runtime, *tenant.agents):
                self._recorders[tenant.id, service.service_name] = Recorder(
                    service, self.ids, outlet_for(service), self.tally, start=calendar.start
                )
        self.states = {
            agent.id: AgentState(agent.model, agent.version, self.ids.name("cred", 8), agent.source_address)
            for agent in AGENTS
        }

    def recorder(self, agent: Agent) -> Recorder:
        """The SDK of an agent."""
        return self._recorders[agent.tenant, agent.service_name]

    def runtime(self, tenant: Tenant) -> Recorder:
        """The SDK of a tenant's orchestration runtime."""
        return self._recorders[tenant.id, tenant.runtime.service_name]

    def state(self, agent: Agent) -> AgentState:
        """What is true of an agent now."""
        return self.states[agent.id]

    def at(self, time: int, action: Callable[[int], None]) -> None:
        """Do something at an instant; outside the window it never happens."""
        if self.calendar.start <= time <= self.calendar.end - LONGEST_RUN:
            heapq.heappush(self._queue, (time, self._scheduled, action))
            self._scheduled += 1

    def work(self, agent: Agent, time: int, scenario: Scenario) -> None:
        """Let an agent begin a scenario at an instant, unless it is silent then."""
        if not self.troubles.silent(agent, time):
            self.at(time, lambda now: scenario(self, agent, now))

    def runs_until_empty(self) -> Iterable[int]:
        """Do everything in order of time; yields each instant after what happened then."""
        while self._queue:
            time, _, action = heapq.heappop(self._queue)
            action(time)
            yield time

    def event(self, tenant: Tenant, event: Event, at: int, within: SpanContext | None = None) -> None:
        """Record an audit event of a tenant's runtime."""
        record_event(self.runtime(tenant), self.ids, event, at, within)

    def subject(self, agent: Agent) -> Subject:
        """Somebody the agent deals with: a customer, a patient, a client."""
        return self.people.pick(self.rng, agent.tenant)

    def employee(self, agent: Agent) -> Subject:
        """An employee of the agent's tenant."""
        return self.people.employee(self.rng, agent.tenant)

    def approver(self, agent: Agent) -> str:
        """The e-mail address of a human who may approve for the agent's tenant."""
        tenant = tenant_of(agent)
        return self.people.staff(tenant, self.rng.choice(tenant.approvers))

    def chance(self, share: float) -> bool:
        """True in `share` of the cases."""
        return self.rng.random() < share

    def around(self, median: float, sigma: float = 0.35) -> float:
        """A value of the log-normal distribution with this median."""
        return median * self.rng.lognormvariate(0.0, sigma)

    def flush_metrics(self, at: int) -> None:
        """Let every service send its metric points up to `at`."""
        for recorder in self._recorders.values():
            recorder.measure_until(at)

    def close(self) -> None:
        """Send everything that is still held, as of the window's end."""
        for recorder in self._recorders.values():
            recorder.close(self.calendar.end)
