"""Access policies of a lake: in force once applied, from the next question on, in every process."""

import sqlite3

import pytest

from governance.access import Action
from governance.access.in_force import PolicyInForce, shipped_policy
from governance.access.policy_compiler import default_bundle
from muniment.cli.app import run
from muniment.wiring import command_context
from tests.template import init_lake
from warehouse.policies import Bundle, PolicyError, apply
from warehouse.principals import Principal, PrincipalKind

USAGE = 2
BOB = Principal(PrincipalKind.LOCAL_USER, "bob")
EXTRA = (
    '@id("auditor-places-holds")\npermit (principal in Role::"auditor", action == Action::"hold.place", resource);\n'
)


@pytest.fixture
def lake(tmp_path, capfd):
    """A lake as `init` makes it, with bob as auditor."""
    folder = tmp_path / "lake"
    init_lake(folder)
    (folder / "muniment.yaml").write_text("lake: lake\nusers: {auditor: [bob]}\nfour_eyes: never\n")
    capfd.readouterr()
    return folder


def with_extra(text=EXTRA):
    return Bundle("access", {**default_bundle().files, "own.cedar": text})


def allowed(lake, principal=BOB, action=Action.HOLD_PLACE):
    return command_context(lake).access.decide(principal, action, "acme").allowed


def test_init_puts_the_shipped_policies_and_the_schema_into_the_lake(lake):
    """A new lake holds the package's policies, in force, and the schema beside them for editors to use."""
    assert {file.name for file in (lake / "policies/access").glob("*.cedar")} == set(default_bundle().files)
    assert (lake / "policies/access/examples/schema.cedarschema").exists()
    assert command_context(lake).control.policy_hash("access") == default_bundle().content_hash


def test_a_file_in_the_folder_decides_once_it_is_applied(lake, capfd):
    """What lies in the folder changes nothing until it is applied; then the next command decides by it."""
    (lake / "policies/access/own.cedar").write_text(EXTRA)
    assert not allowed(lake)
    assert run(["policy", "diff", "access", "--lake", str(lake)]) == 0
    assert "auditor gains: hold.place" in capfd.readouterr().out
    assert run(["policy", "apply", "access", "--yes", "--lake", str(lake)]) == 0
    assert allowed(lake)


def test_a_lake_from_before_policies_opens_with_the_shipped_ones(lake):
    """Where no access policy was ever applied, the package's own hold; `init`, which is safe to repeat, applies them."""
    with sqlite3.connect(lake / "control.db") as connection:
        connection.execute("delete from applied_policies where kind = 'access'")
    connection.close()
    context = command_context(lake)
    decision = context.access.decide(BOB, Action.RECORDS_READ, "acme")
    assert (decision.policy_id, decision.policy_version) == ("auditor-reads", default_bundle().content_hash)
    assert context.control.policy_hash("access") is None
    assert run(["init", "--lake", str(lake)]) == 0
    assert command_context(lake).control.policy_hash("access") == default_bundle().content_hash


def test_a_process_that_runs_on_takes_new_policies_over_and_parses_each_once(lake):
    """The control database is asked when the interval is over, not before; the same hash is the same parsed policies."""
    control, now = command_context(lake).control, [0.0]
    policies = PolicyInForce(lambda: control, poll_seconds=2.0, monotonic=lambda: now[0])
    first = policies()
    assert first is policies() is shipped_policy()
    apply(control, with_extra(), "user:alice", replacing=first.content_hash)
    now[0] = 1.9
    assert policies() is first
    now[0] = 2.0
    second = policies()
    assert second.content_hash == with_extra().content_hash
    now[0] = 4.0
    assert policies() is second


def test_where_what_is_in_force_cannot_be_used_only_the_owner_may_replace_it(lake, capfd):
    """Policies of another version deny everything to everybody, except that the lake's owner may apply others."""
    context = command_context(lake)
    broken = with_extra('@id("x")\npermit (principal, action == Action::"lake.sell", resource);\n')
    apply(context.control, broken, "user:alice", replacing=default_bundle().content_hash)
    for principal, action in ((context.principal, Action.STATUS_READ), (BOB, Action.POLICY_READ)):
        with pytest.raises(PolicyError, match=r"own.cedar:2: x: unrecognized action") as refused:
            command_context(lake).access.check(principal, action)
        assert "muniment policy apply access" in refused.value.hint
    assert run(["tenant", "list", "--lake", str(lake)]) == USAGE
    assert run(["policy", "apply", "access", "--yes", "--lake", str(lake)]) == 0
    capfd.readouterr()
    assert run(["tenant", "list", "--lake", str(lake)]) == 0


@pytest.mark.parametrize(
    "text",
    [
        '@id("stop")\nforbid (principal, action == Action::"policy.apply", resource);\n',
        '@id("stop")\nforbid (principal, action == Action::"policy.apply", resource)\nunless { principal == User::"ghost" };\n',
    ],
)
def test_policies_that_lock_this_lake_s_people_out_are_not_applied(lake, capfd, text):
    """Applying policies after which nobody whom the lake names could apply any is refused, and what was in force stays."""
    (lake / "policies/access/own.cedar").write_text(text)
    assert run(["policy", "apply", "access", "--yes", "--lake", str(lake)]) == USAGE
    assert "let nobody apply policies again" in capfd.readouterr().err
    assert command_context(lake).control.policy_hash("access") == default_bundle().content_hash
