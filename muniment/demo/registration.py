"""The fleet's entries in the registry: who answers for each agent, and what it may use.

That they were registered is on record already: each tenant's runtime sends `agent.registered` at the beginning of the window, as
what is simulated is a month in which it happened. So the control database is told, and nothing is recorded a second time.
"""

from governance.registry import AgentEntry, RiskClass, check_entry
from muniment.demo.fleet import AGENTS, CLAIMS, HR, INTAKE, LENDING, Agent
from muniment.demo.scenario.lifecycle import MODEL_SWITCHES
from warehouse.control import ControlStore

_HIGH_RISK = {agent.id for agent in (CLAIMS, INTAKE, HR, LENDING)}
"""Health, employment and credit: the areas that Annex III of the EU AI Act names."""


def register_fleet(control: ControlStore, *, by: str) -> None:
    """Register every agent of the fleet with its tenant; the tenants are there."""
    for agent in AGENTS:
        control.register_agent(agent.tenant, agent.id, check_entry(_entry(agent)), by=by)


def _entry(agent: Agent) -> AgentEntry:
    models = [agent.model, *(model for switched, model in MODEL_SWITCHES if switched is agent)]
    return AgentEntry(
        id=agent.id,
        name=agent.name,
        owner=f"{agent.service_name} team",
        on_call=f"#{agent.service_name}-oncall",
        purpose=agent.instructions,
        risk=RiskClass.HIGH if agent.id in _HIGH_RISK else RiskClass.LIMITED,
        models=[f"{model.name.split('-')[0]}-*" for model in models],
        providers=[model.provider for model in models],
        tools=[tool.name for tool in agent.tools],
    )
