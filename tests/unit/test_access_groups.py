"""`groups.yaml` and who stands how: groups, local users, bounds, ends; and the explanation that names the policy."""

import pytest

from governance.access import Access, Action, Role
from governance.access.policy_compiler import compile_policy, default_bundle, example_files
from governance.access.role_table import describe_changes
from warehouse.errors import DeniedError
from warehouse.policies import Bundle, PolicyError
from warehouse.principals import Principal, PrincipalKind

DAY = 86_400 * 10**9
END = 1_806_537_600  # 2027-04-01T00:00:00Z
EXAMPLE = example_files()["groups.yaml"].decode()


def policy(text=EXAMPLE):
    return compile_policy(Bundle("access", {**default_bundle().files, "groups.yaml": text}))


def access(text=EXAMPLE, *, now=0):
    made = policy(text)
    return Access(owner="alice", users={"sre": ["dora"]}, policies=lambda: made, clock=lambda: now * 10**9)


def user(*groups):
    return Principal(PrincipalKind.OIDC_USER, "u-1", groups=frozenset(groups))


AUDITOR = user("auditors-of-acme")


@pytest.mark.parametrize(
    ("principal", "action", "tenant", "expected"),
    [
        (AUDITOR, Action.RECORDS_READ, "acme", "auditor-reads"),
        (AUDITOR, Action.RECORDS_READ, "globex", "bound-to-tenants"),
        (AUDITOR, Action.STATUS_READ, None, "bound-to-tenants"),
        (AUDITOR, Action.HOLD_PLACE, "acme", "default-deny"),
        (user("compliance"), Action.HOLD_PLACE, "globex", "compliance-officer-reads-and-answers"),
        (user("acme-platform"), Action.KEY_MANAGE, "acme", "tenant-admin-runs-a-tenant"),
        (user("acme-platform"), Action.KEY_MANAGE, "globex", "bound-to-tenants"),
        (user("nobody-knows"), Action.STATUS_READ, "acme", "default-deny"),
        (user(), Action.STATUS_READ, "acme", "default-deny"),
        (user("auditors-of-acme", "compliance"), Action.HOLD_PLACE, "acme", "compliance-officer-reads-and-answers"),
        (user("auditors-of-acme", "compliance"), Action.HOLD_PLACE, "globex", "compliance-officer-reads-and-answers"),
        (user("auditors-of-acme", "acme-platform"), Action.KEY_MANAGE, "globex", "bound-to-tenants"),
        (Principal(PrincipalKind.LOCAL_USER, "dora"), Action.KEY_MANAGE, "acme", "tenant-admin-runs-a-tenant"),
        (Principal(PrincipalKind.LOCAL_USER, "dora"), Action.KEY_MANAGE, "globex", "default-deny"),
        (Principal(PrincipalKind.LOCAL_USER, "auditors-of-acme"), Action.RECORDS_READ, "acme", "default-deny"),
    ],
)
def test_what_groups_give_holds_in_their_tenants_alone(principal, action, tenant, expected):
    """A role reaches the tenants of its grant, never those of another grant that the same person has."""
    decision = access().decide(principal, action, tenant)
    assert decision.policy_id == expected
    assert decision.allowed == (expected not in {"default-deny", "bound-to-tenants"})


def test_an_auditor_s_time_ends_with_its_last_day():
    """The last day is the auditor's, the first second after it is not, and the denial says why."""
    assert access(now=END - 1).decide(AUDITOR, Action.RECORDS_READ, "acme").allowed
    ended = access(now=END).decide(AUDITOR, Action.RECORDS_READ, "acme")
    assert (ended.allowed, ended.policy_id, ended.reason) == (False, "a-role-of-a-group-that-ended", "the role ended")
    assert [access(now=now).roles(AUDITOR) for now in (END - 1, END)] == [{Role.AUDITOR}, frozenset()]


def test_who_has_another_role_that_goes_on_keeps_it_when_one_ends():
    """What ended takes nothing away from what holds."""
    both = user("auditors-of-acme", "compliance")
    decision = access(now=END).decide(both, Action.RECORDS_READ, "acme")
    assert (decision.allowed, decision.policy_id) == (True, "compliance-officer-reads-and-answers")


def test_a_principal_bound_to_tenants_is_bound_whatever_its_grants_say():
    """The bounds of the principal itself cut those of its grants."""
    bound = Principal(PrincipalKind.LOCAL_USER, "alice", frozenset({"acme"}))
    for tenant, allowed in (("acme", True), ("globex", False), (None, False)):
        assert access().decide(bound, Action.KEY_MANAGE, tenant).allowed is allowed


REFUSED = [
    ("version", "version: 2\ngrants: []", "groups.yaml:1: version: got 2, expected 1"),
    ("unknown key", "version: 1\ngrants:\n  - {role: sre, grup: x}", "groups.yaml:3: grants[0].grup"),
    ("role of keys", "version: 1\ngrants:\n  - {role: sender, group: x}", "groups.yaml:3: grants[0].role: got 'sender'"),
    ("neither", "version: 1\ngrants:\n  - {role: sre}", "grants[0]: got neither, expected group or user"),
    ("both", "version: 1\ngrants:\n  - {role: sre, group: x, user: y}", "grants[0]: got both, expected group or user"),
    ("no tenant", "version: 1\ngrants:\n  - {role: sre, group: x, tenants: []}", "grants[0].tenants: got none"),
    ("tenant's name", "version: 1\ngrants:\n  - {role: sre, group: x, tenants: [A]}", "grants[0].tenants[0]"),
    ("no day", "version: 1\ngrants:\n  - {role: sre, group: x, until: soon}", "grants[0].until: got 'soon', expected the"),
    ("admin of all", "version: 1\ngrants:\n  - {role: tenant-admin, user: x}", "expected the tenants that a tenant admin"),
    ("auditor of two", "version: 1\ngrants:\n  - {role: auditor, group: x, tenants: [a, b], until: '2027-01-01'}", "exactly one"),
    ("auditor for ever", "version: 1\ngrants:\n  - {role: auditor, group: x, tenants: [a]}", "expected the last day for"),
    ("no list", "version: 1", "groups.yaml:1: grants"),
    ("one account", "version: 1\ngrants: []\nsame_person:\n  - [user:a, user:a]", "groups.yaml:4: same_person[0]: got 1, expected two"),
    ("a key", "version: 1\ngrants: []\nsame_person:\n  - [user:a, key:k1]", "same_person[0][1]: got 'key:k1', expected user:NAME"),
    ("no kind", "version: 1\ngrants: []\nsame_person:\n  - [a, 'user:']", "same_person[0][1]: got 'user:', expected user:NAME"),
    ("two persons", "version: 1\ngrants: []\nsame_person:\n  - [user:a, oidc:b]\n  - [oidc:b, oidc:c]", "same_person[1][0]: got oidc:b twice"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "problem"), [pytest.param(*case[1:], id=case[0]) for case in REFUSED])
def test_what_cannot_be_used_is_named_by_line_and_key(text, problem):
    """Mistakes in the file are refused with line and key, before it is in force."""
    with pytest.raises(PolicyError) as refused:
        policy(text)
    assert problem in str(refused.value)


PERSONS = """\
version: 1
grants:
  - {user: dora, role: compliance-officer}
  - {user: emil, role: compliance-officer}
  - {group: officers, role: compliance-officer}
same_person:
  - [user:dora, user:emil, oidc:u-1]
"""


def test_accounts_of_one_person_are_one():
    """Each leads to all of them, they count once among those who hold a right, and a change of them is told."""
    asked = access(PERSONS)
    assert asked.accounts(user("officers")) == {"user:dora", "user:emil", "oidc:u-1"}
    assert asked.accounts(Principal(PrincipalKind.OIDC_USER, "u-2")) == {"oidc:u-2"}
    holders = asked.holders(Action.HOLD_RELEASE, "acme")
    assert holders == {"user:alice", "user:dora", "user:emil", "group:officers"}
    assert asked.persons(holders) == 3
    changes = describe_changes(policy("version: 1\ngrants: []"), policy(PERSONS))
    assert "from now on: oidc:u-1 and user:dora and user:emil are one person" in changes
    explained = asked.explain(user("officers"), Action.HOLD_RELEASE, "acme").to_json()
    assert explained["same_person"] == ["user:dora", "user:emil"]


def test_a_change_of_grants_is_told_in_words():
    """What applying the file would change is said person by person."""
    changes = describe_changes(policy("version: 1\ngrants: []"), policy())
    assert changes[0] == "from now on: group acme-platform is tenant-admin in acme"
    assert "from now on: group auditors-of-acme is auditor in acme until 2027-04-01T00:00:00Z" in changes


@pytest.mark.parametrize(
    ("claims", "groups"),
    [
        ({"sub": "u-1", "roles": ["a", "b"]}, {"a", "b"}),
        ({"sub": "u-1"}, set()),
        ({"sub": "u-1", "roles": "a"}, set()),
        ({"sub": "u-1", "roles": ["a", 1, "", None]}, {"a"}),
        ({"sub": "u-1", "roles": ["a", "\ud800", "b\udfffc", ["d"]]}, {"a"}),
        ({"sub": "u-1", "groups": ["a"]}, set()),
    ],
)
def test_groups_come_from_the_claim_that_the_file_names(claims, groups):
    """Only a list of texts in the claim named by the file gives groups."""
    asked = access(EXAMPLE.replace("claim: groups", "claim: roles"))
    principal = asked.signed_in(claims | {"iat": 0}, session_hours=8)
    assert principal == Principal(PrincipalKind.OIDC_USER, "u-1", groups=frozenset(groups))


@pytest.mark.parametrize("claims", [{}, {"sub": ""}, {"sub": 1}, {"sub": "a\nb"}, {"sub": "x" * 256}])
def test_claims_that_do_not_say_who_are_denied(claims):
    """Without a usable subject nobody is signed in."""
    with pytest.raises(DeniedError, match="expected a claim sub"):
        access().signed_in(claims | {"iat": 0}, session_hours=8)


@pytest.mark.parametrize(
    ("issued", "now", "held"),
    [
        (1_000, 1_000, True),
        (1_000, 1_000 + 8 * 3600 - 1, True),
        (1_000, 1_000 + 8 * 3600, False),
        (1_200, 1_000, True),
        (9_000, 1_000, False),
        (None, 1_000, False),
        ("1000", 1_000, False),
        (True, 1, False),
    ],
)
def test_a_session_ends_after_its_hours_whatever_the_cookie_says(issued, now, held):
    """Claims hold for the hours of the setting from when they were issued; without that time, or from the future, never."""
    claims = {"sub": "u-1"} | ({} if issued is None else {"iat": issued})
    asked = access(now=now)
    if held:
        assert asked.signed_in(claims, session_hours=8).id == "u-1"
    else:
        with pytest.raises(DeniedError, match="the session ends 8 hours after it began"):
            asked.signed_in(claims, session_hours=8)


def test_an_explanation_names_policy_file_and_line_and_what_is_held():
    """The deciding policy is named by id, file and line, with its text and the grants that were looked at."""
    found = access().explain(AUDITOR, Action.RECORDS_READ, "acme").to_json()
    text = default_bundle().files["roles.cedar"].splitlines()
    (by,) = found["policies"]
    assert (by["id"], by["file"], found["allowed"]) == ("auditor-reads", "roles.cedar", True)
    assert text[by["line"] - 1] == '@id("auditor-reads")'
    assert by["text"].startswith('@id("auditor-reads")')
    assert found["grants"] == [
        {
            "role": "auditor",
            "tenants": ["acme"],
            "until": "2027-04-01T00:00:00Z",
            "source": "groups.yaml: group auditors-of-acme",
        }
    ]
    denied = access().explain(user(), Action.RECORDS_READ, "acme").to_json()
    assert (denied["allowed"], denied["policies"], denied["roles"]) == (False, [], [])


def test_everybody_whom_the_lake_names_is_listed_with_the_source():
    """Owner, settings, users and groups of the file, and root: each with what gives it the role."""
    held = [(who, grant.role, grant.source) for who, grant in access().held()]
    assert ("user:alice", Role.OPERATOR, "owns the lake's folder") in held
    assert ("user:dora", Role.SRE, "setting users") in held
    assert ("user:dora", Role.TENANT_ADMIN, "groups.yaml: user dora") in held
    assert ("user:root", Role.OPERATOR, "root") in held
    assert held[-1][0] == "group:acme-platform"
    assert "user:dora" not in access().holders(Action.KEY_MANAGE)


def test_who_holds_a_right_in_a_tenant_is_told_apart_from_who_holds_it_everywhere():
    """A grant for one tenant counts there, beside those for the whole lake, and nowhere else."""
    asked = access()
    assert {"user:dora", "group:acme-platform", "user:alice"} <= asked.holders(Action.KEY_MANAGE, "acme")
    assert asked.holders(Action.KEY_MANAGE, "globex") == asked.holders(Action.KEY_MANAGE)
