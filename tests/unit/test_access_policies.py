"""Access policies as files: what is refused and where, what a change says, and what the engine makes of them."""

import subprocess
import sys

import pytest

from governance.access import Access, Action, engine
from governance.access.actions import resource_of
from governance.access.asking import Question, ask
from governance.access.grants import Grant, Role, stand
from governance.access.in_force import parsed, shipped_policy
from governance.access.policy_compiler import compile_policy, default_bundle, schema_text
from governance.access.role_table import describe_changes, require_appliers
from governance.access.statements import split_statements
from warehouse.policies import Bundle, PolicyError
from warehouse.principals import Principal, PrincipalKind

USER, OIDC = PrincipalKind.LOCAL_USER, PrincipalKind.OIDC_USER
ALL = '@id("all")\npermit (principal in Role::"operator", action, resource);\n'


def bundle(text=ALL, **files):
    return Bundle("access", {"a.cedar": text, **{name.replace("_", "."): content for name, content in files.items()}})


def test_shipped_policies_are_valid_and_let_somebody_apply_policies():
    """The package's own policies, which are used without asking the schema again, pass every check."""
    policy = compile_policy(default_bundle())
    require_appliers(policy)
    assert policy == shipped_policy()


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("tenant", [None, "acme"])
def test_every_action_has_a_place_in_the_schema(action, tenant):
    """For each action, in a tenant and for the whole lake, the schema knows the kind of thing that it is done to."""
    kind, _ = resource_of(action, tenant)
    text = f'@id("x") permit (principal, action == Action::"{action.value}", resource is {kind});'
    assert engine.validate([text], schema_text()) == []


def test_an_action_that_the_schema_does_not_know_is_refused():
    """The check above can fail."""
    text = '@id("x") permit (principal, action == Action::"lake.sell", resource is Lake);'
    assert "lake.sell" in engine.validate([text], schema_text())[0].message


@pytest.mark.parametrize(
    "principal",
    [
        Principal(USER, "alice"),
        Principal(OIDC, "u-1", groups=frozenset({"staff"})),
        Principal(PrincipalKind.API_KEY, "k1", frozenset({"acme"})),
        Principal(PrincipalKind.JOB, "compaction"),
    ],
)
def test_what_the_engine_is_told_is_what_the_schema_says(principal):
    """Principals of every kind are entities of the schema, bound and time-boxed or not."""
    for grant in (Grant(Role.AUDITOR), Grant(Role.AUDITOR, frozenset({"acme"}), 100)):
        engine.check_entities([stand(principal, [grant], "acme", 0).entity()], schema_text())


REFUSED = [
    ("no policy", "// nothing\n", "access/*.cedar:1: got no policy"),
    ("no id", "permit (principal, action, resource);", "a.cedar:1: @id: got ''"),
    ("id with a comma", '@id("a,b") permit (principal, action, resource);', "a.cedar:1: @id: got 'a,b'"),
    ("id twice", f"{ALL}\n{ALL}", "a.cedar:4: @id: got all twice, expected an id of its own: a.cedar:1 has it"),
    ("no Cedar", f'{ALL}\n@id("b")\npermit (principal, action', "a.cedar:4: b: got no Cedar policy: unexpected end"),
    ("two in one", '@id("b") permit (principal, action, resource) permit', "a.cedar:1: b: got no Cedar policy"),
    (
        "unknown action",
        f'{ALL}\n@id("b")\npermit (principal, action in [\n  Action::"hold.read",\n  Action::"hold.eat"\n], resource);',
        'a.cedar:7: b: unrecognized action `Action::"hold.eat"`',
    ),
    ("unknown role", f'{ALL}\n@id("b")\npermit (principal in Role::"boss", action, resource);', "a.cedar:4: b:"),
    (
        "unknown attribute",
        f'{ALL}\n@id("b")\npermit (principal, action, resource)\nwhen {{ principal.age > 3 }};',
        "a.cedar:6: b: attribute `age` on entity type",
    ),
    (
        "wrong thing",
        f'{ALL}\n@id("b") permit (principal, action == Action::"hold.read", resource is Policy);',
        "a.cedar:4: b: unable to find an applicable action",
    ),
    (
        "template",
        f'{ALL}\n@id("b") permit (principal == ?principal, action, resource);',
        "a.cedar:4: b: got no Cedar policy: got a template",
    ),
]


@pytest.mark.parametrize(("text", "problem"), [pytest.param(*case[1:], id=case[0]) for case in REFUSED])
def test_what_cannot_be_used_is_named_by_file_and_line(text, problem):
    """Each mistake is refused with the file, the line and the policy's own id, never the engine's name for it."""
    with pytest.raises(PolicyError) as refused:
        compile_policy(bundle(text))
    assert problem in str(refused.value)
    assert "policy0" not in str(refused.value)


def test_a_file_that_nothing_reads_is_refused():
    """A file beside the policies that would be in their hash and mean nothing is a mistake."""
    with pytest.raises(PolicyError, match=r"roles.yaml:1: got a file that nothing reads"):
        compile_policy(bundle(roles_yaml="x: 1"))


@pytest.mark.parametrize(
    "text",
    [
        '@id("nobody")\nforbid (principal, action == Action::"policy.apply", resource);\n' + ALL,
        '@id("reading")\npermit (principal in Role::"operator", action == Action::"policy.read", resource);',
        '@id("outside")\npermit (principal is OidcUser, action, resource);',
    ],
)
def test_policies_that_lock_everybody_out_are_refused(text):
    """Where no local user could apply policies again, the refusal says so and gives a policy that lets somebody."""
    with pytest.raises(PolicyError, match="let nobody apply policies again") as refused:
        require_appliers(compile_policy(bundle(text)))
    assert 'action == Action::"policy.apply"' in str(refused.value)


def test_somebody_named_may_apply_policies():
    """A policy that names a person is enough: it need not be a role."""
    require_appliers(compile_policy(bundle('@id("a") permit (principal == User::"ann", action, resource);')))


def test_statements_are_cut_at_semicolons_outside_of_strings_and_comments():
    """Semicolons and slashes in strings and comments end nothing; lines count from the policy's first word."""
    text = '// a; b\n\n@id("a;//b")\npermit (principal, action, resource); // c;\n@id("c")\nforbid (principal, action, resource);'
    found = list(split_statements("x.cedar", text))
    assert [(each.line, each.id) for each in found] == [(3, "a;//b"), (5, "c")]
    assert found[1].line_of("forbid") == 6


def test_deciding_policies_are_named_by_their_own_ids_in_any_number():
    """The policy that decided is named by its @id, beyond the tenth too, where names and places sort apart."""
    texts = [f'@id("p{number}") permit (principal == User::"u{number}", action, resource);\n' for number in range(30)]
    policy = parsed(bundle("".join(texts)))
    access = Access(owner="nobody", policies=lambda: policy)
    for number in (0, 2, 10, 29):
        decision = access.decide(Principal(USER, f"u{number}"), Action.HOLD_READ, "acme")
        assert (decision.allowed, decision.policy_id) == (True, f"p{number}")


def test_a_policy_that_fails_denies():
    """Where a policy fails while it is evaluated nothing is allowed: it may be one that forbids."""
    failing = (
        '@id("x") forbid (principal is User, action, resource)\n'
        "when { principal has until && principal.until + 9223372036854775807 > 0 };"
    )
    policy = compile_policy(bundle(ALL + failing))
    somebody = Principal(USER, "alice")
    for until, allowed in ((None, True), (100, False)):
        standing = stand(somebody, [Grant(Role.OPERATOR, until=until)], None, 0)
        decision = ask(policy, standing, [Question(Action.HOLD_READ)], 0)[0]
        assert decision.allowed is allowed
    assert "failed" in decision.reason


def test_a_forbid_beats_every_permit_and_says_why_in_its_own_words():
    """The reason of a denial is the forbidding policy's @says, else its id."""
    texts = ALL + '@id("b") @says("closed for stock-taking") forbid (principal, action, resource is Hold);\n'
    for text, reason in (
        (texts, "closed for stock-taking"),
        (texts.replace('@says("closed for stock-taking") ', ""), "policy b forbids it"),
    ):
        policy = compile_policy(bundle(text))
        access = Access(owner="alice", policies=lambda policy=policy: policy)
        decision = access.decide(Principal(USER, "alice"), Action.HOLD_READ, "acme")
        assert (decision.allowed, decision.reason, decision.policy_id) == (False, reason, "b")
        assert access.decide(Principal(USER, "alice"), Action.KEY_READ, "acme").allowed


def test_many_questions_are_answered_as_each_alone():
    """A batch gives what single questions give, in their order, whatever tenants they are about."""
    access = Access(owner="alice", users={"auditor": ["bob"]})
    bound = Principal(USER, "bob", frozenset({"acme"}))
    questions = [Question(action, tenant) for tenant in ("acme", None, "globex") for action in reversed(Action)]
    together = access.decide_all(bound, questions + questions[:3])
    assert together == [access.decide(bound, each.action, each.tenant) for each in questions + questions[:3]]
    assert {decision.allowed for decision in together} == {True, False}


def test_a_change_is_told_by_role_and_by_policy():
    """What applying would change: who gains and loses what, and which policies are new, gone or other."""
    files = dict(default_bundle().files)
    files["roles.cedar"] = (
        files["roles.cedar"].replace('    Action::"hold.place",\n', "")
        + '\n@id("auditor-plays")\npermit (principal in Role::"auditor", action == Action::"hold.place", resource);\n'
    )
    assert describe_changes(shipped_policy(), parsed(Bundle("access", files))) == [
        "compliance-officer loses: hold.place",
        "auditor gains: hold.place",
        "policy auditor-plays added",
        "policy compliance-officer-reads-and-answers changed",
    ]
    assert describe_changes(shipped_policy(), shipped_policy()) == []


def test_asking_does_not_load_the_engine_s_syntax_trees_and_leaves_them_to_whoever_wants_them():
    """A decision loads the engine without its classes for syntax trees, and no database; a later import finds them whole."""
    code = (
        "import sys; from governance.access import Access, Action, local_principal\n"
        "assert 'cedarpy' not in sys.modules and 'duckdb' not in sys.modules\n"
        "assert Access(owner='x').decide(local_principal(0), Action.LAKE_INIT).allowed\n"
        "assert 'cedarpy' in sys.modules and 'cedarpy.pst' not in sys.modules and 'duckdb' not in sys.modules\n"
        "import cedarpy.pst\n"
        "assert cedarpy.pst.PolicySet\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=240)
