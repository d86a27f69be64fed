"""Registered agents in the control database, on SQLite and on PostgreSQL: the same rules on both."""

from dataclasses import replace

import pytest

from warehouse.control import AgentProfile, AgentState, ControlStore
from warehouse.errors import ConflictError, InputError, NotFoundError

PROFILE = AgentProfile("Claims", "claims-team", "#claims", "settles claims", "high", models=("a*",), keys=("k1",))


@pytest.fixture
def store(control_url):
    """An open store with two tenants, whose clock counts up."""
    ticks = iter(range(100, 10_000))
    with ControlStore.open(control_url, clock=lambda: next(ticks)) as opened:
        for tenant in ("acme", "globex"):
            opened.add_tenant(tenant)
        yield opened


def test_an_agent_is_kept_by_tenant_and_id(store):
    """Two tenants may have an agent of the same id, and each reads back what it registered."""
    first = store.register_agent("acme", "claims", PROFILE, by="user:a")
    other = store.register_agent("globex", "claims", replace(PROFILE, models=(), silent_after_seconds=600), by="user:b")
    assert store.agent("acme", "claims") == first
    assert store.list_agents() == [first, other]
    assert store.list_agents("globex") == [other]
    assert (first.revision, first.state, first.profile.models) == (1, AgentState.ACTIVE, ("a*",))
    assert first.registered_by == first.updated_by == "user:a"


@pytest.mark.parametrize(
    ("tenant", "agent", "by", "expected"),
    [
        ("nobody", "claims", "user:a", NotFoundError),
        ("acme", "", "user:a", InputError),
        ("acme", "claims", "", InputError),
        ("acme", "known", "user:a", ConflictError),
    ],
)
def test_what_cannot_be_registered_is_refused(store, tenant, agent, by, expected):
    """An unknown tenant, an id or principal without text, and an id that is taken."""
    store.register_agent("acme", "known", PROFILE, by="user:a")
    with pytest.raises(expected):
        store.register_agent(tenant, agent, PROFILE, by=by)
    assert [each.id for each in store.list_agents()] == ["known"]


def test_a_change_counts_and_says_by_whom(store):
    """A change keeps who registered the agent, and one that changes nothing leaves no trace."""
    before = store.register_agent("acme", "claims", PROFILE, by="user:a")
    announced = []
    same = store.change_agent("acme", "claims", lambda agent: agent, by="user:b", announce=announced.append)
    assert (same, announced) == (before, [])
    after = store.change_agent(
        "acme", "claims", lambda agent: replace(agent, state=AgentState.SUSPENDED), by="user:b",
        announce=announced.append,
    )  # fmt: skip
    assert announced == [after] == [store.agent("acme", "claims")]
    assert (after.revision, after.updated_by, after.registered_by) == (2, "user:b", "user:a")
    assert after.updated_unix_nano > after.registered_unix_nano == before.registered_unix_nano


def test_a_retired_agent_stays_and_can_only_be_registered_again(store):
    """It is listed on request, is not changed any more, and comes back by being registered."""
    store.register_agent("acme", "claims", PROFILE, by="user:a")
    store.change_agent("acme", "claims", lambda agent: replace(agent, state=AgentState.RETIRED), by="user:a")
    assert store.list_agents("acme") == []
    assert [each.state for each in store.list_agents("acme", retired=True)] == [AgentState.RETIRED]
    with pytest.raises(ConflictError, match="expected one in service"):
        store.change_agent("acme", "claims", lambda agent: replace(agent, profile=PROFILE), by="user:a")
    again = store.register_agent("acme", "claims", PROFILE, by="user:c")
    assert (again.state, again.revision, again.registered_by) == (AgentState.ACTIVE, 3, "user:c")
    with pytest.raises(NotFoundError, match="expected the id of a registered one of tenant acme"):
        store.agent("acme", "other")


def test_of_two_changes_at_once_one_is_refused(store):
    """What somebody else changed between reading and writing is not overwritten."""
    store.register_agent("acme", "claims", PROFILE, by="user:a")

    def suspend(_announced):
        store.change_agent("acme", "claims", lambda agent: replace(agent, state=AgentState.SUSPENDED), by="user:b")

    with pytest.raises(ConflictError, match="changed meanwhile"):
        store.change_agent(
            "acme", "claims", lambda agent: replace(agent, state=AgentState.RETIRED), by="user:a", announce=suspend
        )
    assert store.agent("acme", "claims").state is AgentState.SUSPENDED


def test_a_change_that_cannot_be_announced_is_not_made(store):
    """Where its event cannot be recorded, neither is an agent registered nor changed."""

    def refuse(_change):
        raise InputError("no")

    with pytest.raises(InputError):
        store.register_agent("acme", "claims", PROFILE, by="user:a", announce=refuse)
    assert store.list_agents() == []
    before = store.register_agent("acme", "claims", PROFILE, by="user:a")
    with pytest.raises(InputError):
        store.change_agent(
            "acme", "claims", lambda agent: replace(agent, state=AgentState.RETIRED), by="user:a", announce=refuse
        )
    assert store.agent("acme", "claims") == before
