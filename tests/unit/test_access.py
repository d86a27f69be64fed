"""Who may do what: the shipped policies as a written-out matrix, and denial wherever nothing allows."""

import os

import pytest

from governance.access import Access, Action, Decision, Role, local_principal, user_name
from governance.access.in_force import shipped_policy
from governance.access.policy_compiler import default_bundle
from governance.access.role_table import role_table
from warehouse.errors import DeniedError, SettingsError
from warehouse.principals import Principal, PrincipalKind

USER, KEY, JOB, OIDC = PrincipalKind.LOCAL_USER, PrincipalKind.API_KEY, PrincipalKind.JOB, PrincipalKind.OIDC_USER

# One line an action: the roles that have it, by first letters (operator, compliance officer, auditor, SRE, tenant admin, job; k for
# the sender behind a key).
MATRIX = """
lake.init          o . . . . . .
lake.demo          o . . . . . .
lake.backup        o . . . . . .
lake.restore       o . . . . . .
tenant.read        o c a s t j .
tenant.manage      o . . . . . .
key.read           o c a . t . .
key.manage         o . . . t . .
records.write      o . . . . j k
records.read       o c a s t j .
records.export     o c a . t j .
contents.read      o c a . t j .
import.write       o . . . . . .
collector.run      o . . s . . .
quarantine.read    o c a s t . .
quarantine.replay  o . . s t . .
maintenance.run    o . . s . j .
status.read        o c a s t j .
policy.read        o c a s t j .
policy.apply       o . . . . . .
subject.reveal     o c . . . . .
subject.report     o c . . . . .
subject.shred      o . . . . . .
subject.erase      o c . . . j .
hold.read          o c a . t j .
hold.place         o c . . . . .
hold.release       o c . . . . .
retention.plan     o c a . t j .
retention.apply    o . . . . j .
agent.read         o c a s t j .
agent.manage       o . . . t . .
slo.read           o c a s t j .
slo.compute        o . . s . j .
quality.read       o c a s t j .
quality.run        o . . s . j .
alert.read         o c a s t j .
alert.send         o . . s . j .
incident.read      o c a s t j .
incident.handle    o c . s . . .
incident.detect    o . . s . j .
control.dispose    o c . . t . .
control.review     o c . . t . .
"""
PRINCIPALS = {
    "o": Principal(USER, "alice"),
    "a": Principal(USER, "bob"),
    "c": Principal(USER, "cleo"),
    "s": Principal(USER, "carol"),
    "k": Principal(KEY, "k1", frozenset({"acme"})),
    "j": Principal(JOB, "compaction"),
}
ROLES = {
    "o": Role.OPERATOR, "c": Role.COMPLIANCE_OFFICER, "a": Role.AUDITOR, "s": Role.SRE, "t": Role.TENANT_ADMIN, "j": Role.JOB,
    "k": Role.SENDER,
}  # fmt: skip


@pytest.fixture
def access():
    """A lake owned by alice, with bob as auditor, cleo as compliance officer and carol as SRE."""
    return Access(owner="alice", users={"auditor": ["bob"], "sre": ["carol"], "compliance-officer": ["cleo"]})


@pytest.mark.parametrize("line", MATRIX.strip().splitlines())
def test_roles_have_the_actions_written_here(access, line):
    """Each role may do exactly the actions of the matrix, in a tenant."""
    action, *roles = line.split()
    for letter, principal in PRINCIPALS.items():
        assert access.decide(principal, Action(action), "acme").allowed == (letter in roles), (letter, action)
    may = {ROLES[letter] for letter in roles if letter != "."}
    assert {role for role, actions in role_table(shipped_policy()).items() if Action(action) in actions} == may


@pytest.mark.parametrize("line", MATRIX.strip().splitlines())
def test_of_the_whole_lake_a_role_may_do_the_same_unless_bound_to_tenants(access, line):
    """What a role may do in every tenant it may do about the whole lake; a key is bound to its tenant."""
    action, *roles = line.split()
    for letter, principal in PRINCIPALS.items():
        expected = letter in roles and letter != "k"
        assert access.decide(principal, Action(action)).allowed == expected, (letter, action)


def test_matrix_names_every_action():
    """No action or role exists that the matrix above leaves out."""
    assert set(ROLES.values()) == set(Role)
    assert {line.split()[0] for line in MATRIX.strip().splitlines()} == {action.value for action in Action}


@pytest.mark.parametrize(
    ("principal", "action", "tenant", "reason"),
    [
        (Principal(USER, "mallory"), Action.STATUS_READ, None, "no role"),
        (Principal(OIDC, "alice"), Action.STATUS_READ, None, "no role"),
        (Principal(KEY, "k1", frozenset({"acme"})), Action.RECORDS_WRITE, "globex", "bound to other tenants: acme"),
        (Principal(KEY, "k1", frozenset({"acme"})), Action.RECORDS_WRITE, None, "bound to other tenants: acme"),
        (Principal(KEY, "k1", frozenset({"acme"})), Action.RECORDS_READ, "acme", "no policy permits it to sender"),
        (Principal(KEY, "k1"), Action.RECORDS_WRITE, "acme", "no role"),
        (Principal(KEY, "k1", frozenset()), Action.RECORDS_WRITE, "acme", "no role"),
        (Principal(KEY, "alice", frozenset({"acme"})), Action.TENANT_MANAGE, "acme", "no policy permits it"),
        (Principal(JOB, "alice"), Action.TENANT_MANAGE, None, "no policy permits it to job"),
        (Principal(USER, "alice", frozenset({"acme"})), Action.RECORDS_READ, "globex", "bound to other tenants: acme"),
        (Principal(USER, "alice", frozenset()), Action.RECORDS_READ, "acme", "bound to other tenants: none"),
        (Principal(USER, ""), Action.STATUS_READ, None, "no role"),
    ],
)
def test_what_nothing_allows_is_denied(access, principal, action, tenant, reason):
    """Without a rule that allows it the answer is no, and the error says who, what, where, why and what to do."""
    decision = access.decide(principal, action, tenant)
    assert (decision.allowed, reason in decision.reason) == (False, True)
    with pytest.raises(DeniedError) as denied:
        access.check(principal, action, tenant)
    for part in (principal.recorded_by, action.value, tenant or "the whole lake", reason):
        assert part in str(denied.value)
    assert denied.value.hint


def test_allowed_check_returns_the_decision(access):
    """Where the answer is yes the decision names the policy that permits it and the version of them all."""
    decision = access.check(Principal(USER, "bob"), Action.RECORDS_READ, "acme")
    version = default_bundle().content_hash
    assert decision == Decision(True, "policy auditor-reads permits it", "auditor-reads", version)
    assert len(version) == len("sha256:") + 64


def test_owner_of_the_folder_and_root_are_operators(tmp_path):
    """Who owns the lake's folder, and root, may do everything; nobody else may do anything."""
    lake = tmp_path / "lake"
    lake.mkdir()
    access = Access.for_lake(lake)
    other = local_principal(uid=54321)
    for principal, expected in ((local_principal(), True), (local_principal(uid=0), True), (other, False)):
        assert access.decide(principal, Action.KEY_MANAGE, "acme").allowed is expected
    if os.geteuid() == 0:
        os.chown(lake, 54321, 54321)
        assert Access.for_lake(lake).decide(other, Action.KEY_MANAGE, "acme").allowed


def test_lake_that_is_not_there_belongs_to_whoever_makes_it(tmp_path):
    """A lake's folder that does not exist yet may be made by the user who asks."""
    assert Access.for_lake(tmp_path / "none").decide(local_principal(), Action.LAKE_INIT).allowed


@pytest.mark.parametrize("role", ["job", "sender", "admin", ""])
def test_roles_of_keys_and_jobs_are_not_given_to_users(role):
    """Settings that give a local user the role of a key or job, or one that there is not, are refused."""
    with pytest.raises(SettingsError, match=f"expected auditor, compliance-officer, operator, sre, got {role}"):
        Access(owner="alice", users={role: ["bob"]})


def test_user_without_a_name_is_named_by_number():
    """A user id without an entry, as in a container, still makes a principal, different from any other."""
    assert user_name(54321) == "uid-54321"
    assert local_principal(uid=0).recorded_by == "user:root"
