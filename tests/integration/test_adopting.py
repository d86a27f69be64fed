"""Shipped controls adopted by a lake that an older version made: what is said of it, what changes, and what is on record."""

import json
import shutil
from dataclasses import replace
from functools import partial

import pytest

import governance.access.adoption
import retention.policy_compiler
from governance.access import Access, policy_compiler
from governance.controls import adoption, framework
from governance.controls.adoption import control_blocks
from governance.controls.framework import KIND, compile_controls, default_bundle
from governance.controls.shipped import fingerprint, parts
from muniment import overview
from muniment.adopting import adopt_shipped, read_adoption
from muniment.cli.app import run
from muniment.desk import open_desk
from muniment.policy_kinds import ACCESS, CONTROLS, KINDS
from muniment.wiring import command_context
from pipelines.incidents import compiler
from tests.unit import test_policy_adoption as policy_adoption
from tests.unit.test_controls_adoption import OLD_PCI, OWN, PCI
from warehouse.errors import ConflictError, DeniedError
from warehouse.policies import Bundle, in_force, read_folder
from warehouse.principals import Principal, PrincipalKind

USAGE = 2


def older():
    """What an older version shipped: one control in other words, and one fewer."""
    blocks = control_blocks("pci-dss.yaml", OLD_PCI)
    text = blocks.with_items(name for name in blocks.items if name[1] != "10.3.1").text()
    return Bundle(KIND, {**default_bundle().files, "pci-dss.yaml": text})


def older_kind(kind):
    """What an older version shipped of another kind."""
    return policy_adoption.older(kind)[1]


OTHERS = {
    "incidents": compiler,
    "access": policy_compiler,
    "retention": retention.policy_compiler,
}
"""Modules whose `default_bundle` an older version had otherwise, by kind."""
FAMILIES = {"incidents": compiler, "access": governance.access.adoption, "retention": retention.policy_compiler}


@pytest.fixture(scope="module", autouse=True)
def once_shipped():
    """The lists of what was ever shipped, with that older version."""
    listed = dict(adoption.FAMILY.ever())
    for where, part in parts(compile_controls(older())).items():
        listed[where] = (fingerprint(part), *listed.get(where, ()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(adoption, "FAMILY", replace(adoption.FAMILY, ever=lambda: listed))
        for kind, module in FAMILIES.items():
            patch.setattr(module, "FAMILY", policy_adoption.older(kind)[0])
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A lake as an older version made it, with a tenant, and with an own control applied since."""
    folder = tmp_path_factory.mktemp("older") / "lake"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(framework, "default_bundle", older)
        for kind, module in OTHERS.items():
            patch.setattr(module, "default_bundle", partial(older_kind, kind))
        assert run(["init", "--lake", str(folder)]) == 0
    assert run(["tenant", "add", "acme", "--lake", str(folder)]) == 0
    with (folder / "policies/controls/pci-dss.yaml").open("a") as file:
        file.write(OWN)
    assert run(["policy", "apply", "controls", "--yes", "--lake", str(folder)]) == 0
    return folder


@pytest.fixture
def lake(made, tmp_path):
    """A copy of it."""
    return shutil.copytree(made, tmp_path / "lake", ignore=shutil.ignore_patterns("*.sock"))


def printed(capfd, *words):
    """Exit code and standard output of a command."""
    capfd.readouterr()
    code = run([*map(str, words)])
    return code, capfd.readouterr().out


def test_what_waits_is_named_on_the_command_line_and_the_pages(lake, capfd):
    """A new and a changed control wait, an own one is named; Overview and Evidence say so."""
    code, out = printed(capfd, "evidence", "controls", "--lake", lake)
    assert code == 0
    assert "pci-dss 10.3.1: new" in out
    assert "pci-dss 10.2.2: changed" in out
    assert "pci-dss H-1: own" in out
    _, out = printed(capfd, "evidence", "controls", "--json", "--lake", lake)
    found = json.loads(out)
    assert found["waits"]
    assert '+  - id: "10.3.1"' in found["diff"]
    context = command_context(lake)
    (fact,) = [each for each in overview.facts(context, "acme") if each.what == "Controls"]
    assert (fact.state, fact.page) == (overview.UNKNOWN, "evidence")
    assert fact.said.endswith("1 new, 1 changed, 1 own")
    desk = open_desk(lake)
    viewer = desk.viewer(None)
    assert desk.evidence.differing(viewer, "acme", "pci-dss").endswith("1 new, 1 changed, 1 own")
    assert desk.evidence.differing(viewer, "acme", "gdpr") == ""


def test_adopting_keeps_the_own_control_and_is_on_record(lake, capfd):
    """What is in force and in the folder is the shipped file with the own control behind; the event names what was adopted."""
    old = command_context(lake).control.policy_hash(KIND)
    assert printed(capfd, "evidence", "adopt", "--json", "--lake", lake)[0] == USAGE
    code, out = printed(capfd, "evidence", "adopt", "--yes", "--json", "--lake", lake)
    assert (code, json.loads(out)["applied"]) == (0, True)
    context = command_context(lake)
    assert in_force(context.control, KIND).bundle.files == {**default_bundle().files, "pci-dss.yaml": PCI + OWN}
    assert read_folder(context.lake, KIND).content_hash == context.control.policy_hash(KIND)
    query = "select policy_version, attributes from audit_events where event_name = 'policy.changed' and resource_id = 'controls' order by time desc limit 1"
    _, out = printed(capfd, "sql", query, "--tenant", "_lake", "--format", "json", "--lake", lake)
    (event,) = json.loads(out)
    assert event["policy_version"] == context.control.policy_hash(KIND)
    assert json.loads(event["attributes"]) == {
        "muniment.policy.old_hash": old,
        "muniment.policy.source": "shipped",
        "muniment.policy.adopted": ["pci-dss 10.2.2", "pci-dss 10.3.1"],
    }
    code, out = printed(capfd, "evidence", "adopt", "--json", "--lake", lake)
    assert (code, json.loads(out)["applied"]) == (0, False)
    assert not [each for each in overview.facts(context, "acme") if each.what == "Controls"]


def test_changes_in_the_folder_that_were_not_applied_are_not_overwritten(lake):
    """Somebody's unfinished edit stays; nothing is put in force beside it."""
    file = lake / "policies/controls/gdpr.yaml"
    file.write_text(file.read_text().replace("title:", "title: Draft of", 1))
    context = command_context(lake)
    before = context.control.policy_hash(KIND)
    with pytest.raises(ConflictError, match="changes in it that were not applied"):
        adopt_shipped(context, CONTROLS)
    assert (context.control.policy_hash(KIND), "Draft of" in file.read_text()) == (before, True)


def test_a_write_to_the_folder_that_a_crash_left_is_finished(lake):
    """The folder holds what would be adopted already: adopting again puts it in force."""
    context = command_context(lake)
    for name, text in read_adoption(context, CONTROLS).after.files.items():
        (lake / "policies/controls" / name).write_text(text)
    assert adopt_shipped(context, CONTROLS).applied.revision == 3


def test_who_may_not_apply_policies_changes_nothing(lake):
    """Refused before the folder is touched."""
    context = command_context(lake)
    before = read_folder(context.lake, KIND).content_hash
    mallory = Principal(PrincipalKind.LOCAL_USER, "mallory")
    context.principal, context.access = mallory, Access(owner="nobody-else")
    with pytest.raises(DeniedError):
        adopt_shipped(context, CONTROLS)
    assert read_folder(context.lake, KIND).content_hash == before


def test_every_kind_says_what_waits_and_is_adopted_alike(lake, capfd):
    """An older copy of an incident rule is named by the command and Overview, and replaced on record."""
    code, out = printed(capfd, "policy", "shipped", "--lake", lake)
    assert code == 0
    assert "rule policy-changed-on-disk: changed" in out
    assert "rule audit-trail: changed" in out
    _, out = printed(capfd, "policy", "shipped", "incidents", "--json", "--lake", lake)
    (found,) = json.loads(out)
    assert (found["kind"], found["waits"], found["adoptable"]) == ("incidents", True, True)
    context = command_context(lake)
    facts = {each.what: each for each in overview.facts(context, "acme")}
    assert facts["Policy incidents"].state == overview.UNKNOWN
    assert "muniment policy adopt incidents" in facts["Policy incidents"].advice
    assert printed(capfd, "policy", "adopt", "incidents", "--json", "--lake", lake)[0] == USAGE
    code, out = printed(capfd, "policy", "adopt", "incidents", "--yes", "--json", "--lake", lake)
    assert (code, json.loads(out)["applied"]) == (0, True)
    assert context.control.policy_hash("incidents") == KINDS["incidents"].defaults().content_hash
    assert read_folder(context.lake, "incidents").content_hash == context.control.policy_hash("incidents")
    assert "Policy incidents" not in {each.what for each in overview.facts(context, "acme")}


def test_retention_is_shown_and_never_adopted(lake, capfd):
    """Nobody has their records deleted sooner by an update: the difference is shown, the command says why it does nothing."""
    before = command_context(lake).control.policy_hash("retention")
    assert run(["policy", "adopt", "retention", "--yes", "--lake", str(lake)]) != 0
    assert "no update may shorten it" in capfd.readouterr().err
    _, out = printed(capfd, "policy", "shipped", "retention", "--diff", "--lake", lake)
    assert "+    keep: P3Y" in out
    context = command_context(lake)
    assert context.control.policy_hash("retention") == before
    (fact,) = [each for each in overview.facts(context, "acme") if each.what == "Policy retention"]
    assert (fact.state, "adopt" in fact.advice) == (overview.GOOD, False)


def test_access_takes_two_where_two_hold_the_right(lake):
    """One asks, with the files in the folder; another approves the very same, and what was adopted is on record with it."""
    context = command_context(lake)
    alice, bert = (Principal(PrincipalKind.LOCAL_USER, name) for name in ("alice", "bert"))
    context.access, context.principal = Access(owner="alice", users={"operator": ["bert"]}), alice
    before = context.control.policy_hash("access")
    done = adopt_shipped(context, ACCESS)
    assert (done.applied, context.control.policy_hash("access")) == (None, before)
    assert done.asked is not None
    with pytest.raises(DeniedError, match="another principal"):
        adopt_shipped(context, ACCESS, approve=True)
    context.principal = bert
    assert adopt_shipped(context, ACCESS, approve=True).applied is not None
    assert context.control.policy_hash("access") == ACCESS.defaults().content_hash
    assert context.control.list_requests() == []
