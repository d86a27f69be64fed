"""The demo's agents in the registry."""

from fnmatch import fnmatchcase

from muniment.demo.fleet import AGENTS, TENANTS
from muniment.demo.registration import register_fleet
from muniment.demo.scenario.lifecycle import MODEL_SWITCHES
from warehouse.control import ControlStore


def test_every_agent_of_the_fleet_is_registered_with_what_it_uses(tmp_path):
    """Each tenant has its agents, and the models, providers and tools that the fleet works with are allowed."""
    with ControlStore.open(tmp_path / "control.db", clock=lambda: 1) as control:
        for tenant in TENANTS:
            control.add_tenant(tenant.id)
        register_fleet(control, by="user:a")
        registered = {(agent.tenant_id, agent.id): agent.profile for agent in control.list_agents()}
    assert registered.keys() == {(agent.tenant, agent.id) for agent in AGENTS}
    used = [(agent, agent.model) for agent in AGENTS] + list(MODEL_SWITCHES)
    for agent, model in used:
        profile = registered[agent.tenant, agent.id]
        assert any(fnmatchcase(model.name, pattern) for pattern in profile.models)
        assert model.provider in profile.providers
        assert set(profile.tools) == {tool.name for tool in agent.tools}
