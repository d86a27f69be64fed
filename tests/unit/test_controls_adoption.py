"""Shipped controls against those in force: what is adopted, and what somebody wrote that stays."""

from dataclasses import replace

import pytest

from governance.controls import adoption
from governance.controls.adoption import control_blocks
from governance.controls.framework import KIND, compile_controls, default_bundle, default_controls
from governance.controls.shipped import fingerprint, fingerprints, parts
from warehouse.policies import Bundle, PolicyError
from warehouse.policies.adoption import Standing
from warehouse.policies.adoption import plan_adoption as plan
from warehouse.policies.blocks import HEAD

OWN = """\
  # the board asked for it
  - id: H-1
    title: No agent pays out at night
    citation: Directive 12
    question: Was any payout made at night?
    evidence: population
    limits: Knows payouts by the name of their tool.
"""


def plan_adoption(bundle, seen):
    """What is planned for the controls."""
    return plan(adoption.FAMILY, bundle, seen)


def changed(**files):
    """The shipped bundle with some files put in place of others."""
    named = {f"{name.replace('_', '-')}.yaml": text for name, text in files.items()}
    return Bundle(KIND, {**default_bundle().files, **named})


def known(*bundles):
    """Every control that these bundles have."""
    return {where for each in bundles for where in parts(compile_controls(each))}


def differing(plan):
    """The standings that are not as shipped."""
    return {where: each.value for where, each in plan.standings.items() if each is not Standing.SAME}


@pytest.fixture
def once_shipped(monkeypatch):
    """Make the parts of a bundle count as shipped by an earlier version."""

    def ship(bundle):
        listed = dict(adoption.FAMILY.ever())
        for where, part in parts(compile_controls(bundle)).items():
            listed[where] = (fingerprint(part), *listed.get(where, ()))
        monkeypatch.setattr(adoption, "FAMILY", replace(adoption.FAMILY, ever=lambda: listed))
        return bundle

    return ship


PCI = default_bundle().files["pci-dss.yaml"]
OLD_PCI = PCI.replace("Each event says who", "Every event says who")


def test_everything_that_is_shipped_is_listed():
    """A control that is changed without a line in `shipped.yaml` would count as the organisation's own in lakes that adopted it."""
    missing = {
        f"{framework} {name or '(head)'}": fingerprint(part)
        for (framework, name), part in parts(default_controls()).items()
        if fingerprints().get((framework, name), ("",))[-1] != fingerprint(part)
    }
    assert missing == {}, "add these to the end of their lists in governance/controls/shipped.yaml"


def test_a_lake_without_controls_of_its_own_has_nothing_to_adopt():
    """What comes with the package holds there."""
    plan = plan_adoption(None, ())
    assert (plan.waits, differing(plan), plan.before) == (False, {}, plan.after)


def test_an_older_copy_is_replaced_whole(once_shipped):
    """A file in which nothing is anybody's own becomes the shipped one, byte for byte."""
    old = once_shipped(changed(pci_dss=OLD_PCI))
    plan = plan_adoption(old, known(old))
    assert differing(plan) == {("pci-dss", "10.2.2"): "changed"}
    assert plan.waits
    assert plan.after.content_hash == default_bundle().content_hash


def test_what_somebody_wrote_stays_to_the_byte(once_shipped):
    """Beside an own control and one changed here, an older copy is replaced; own lines and comments stay as they are."""
    once_shipped(changed(pci_dss=OLD_PCI))
    edited = OLD_PCI.replace("Controls are reviewed", "Controls are looked at")
    mine = changed(pci_dss=edited + OWN)
    plan = plan_adoption(mine, known(mine))
    assert differing(plan) == {
        ("pci-dss", "10.2.2"): "changed",
        ("pci-dss", "10.4.1"): "changed here",
        ("pci-dss", "H-1"): "own",
    }
    expected = PCI.replace("Controls are reviewed", "Controls are looked at") + OWN
    assert plan.after.files["pci-dss.yaml"] == expected


def test_new_controls_come_in_and_removed_ones_stay_out():
    """One never in force here comes in behind the control that it follows; one taken out here does not come back."""
    blocks = control_blocks("pci-dss.yaml", PCI)
    without = [name for name in blocks.items if name[1] not in {"10.3.1", "10.4.1"}]
    fewer = blocks.with_items(without).text()
    seen = blocks.with_items([*without, ("pci-dss", "10.4.1")]).text()
    plan = plan_adoption(changed(pci_dss=fewer), known(changed(pci_dss=seen)))
    assert differing(plan) == {("pci-dss", "10.3.1"): "new", ("pci-dss", "10.4.1"): "removed here"}
    after = list(control_blocks("pci-dss.yaml", plan.after.files["pci-dss.yaml"]).items)
    assert after == [name for name in blocks.items if name[1] != "10.4.1"]


def test_frameworks_come_in_or_stay_out_whole():
    """A framework never in force comes as a file; one that was taken out stays out, with what was added to it since."""
    files = dict(default_bundle().files)
    del files["gdpr.yaml"]
    fewer = Bundle(KIND, files)
    assert plan_adoption(fewer, known(fewer)).after.files == default_bundle().files
    plan = plan_adoption(fewer, {*known(fewer), ("gdpr", HEAD)})
    assert (plan.waits, set(differing(plan).values())) == (False, {"removed here"})


def test_controls_that_are_no_longer_shipped_go_unless_they_were_changed(once_shipped):
    """What came with an older version and no more goes; an own control in the same framework stays."""
    retired = "framework: old-rules\ntitle: Old\ncontrols:\n" + OWN.replace("H-1", "O-1")
    once_shipped(changed(old_rules=retired))
    plan = plan_adoption(changed(old_rules=retired), known(changed(old_rules=retired)))
    assert plan.named(Standing.WITHDRAWN) == ["old-rules (title and note)", "old-rules O-1"]
    assert "old-rules.yaml" not in plan.after.files
    plan = plan_adoption(changed(old_rules=retired + OWN), known(changed(old_rules=retired)))
    assert list(control_blocks("old-rules.yaml", plan.after.files["old-rules.yaml"]).items) == [("old-rules", "H-1")]


def test_a_head_is_adopted_like_a_control(once_shipped):
    """An older title and note of a framework are replaced, own ones stay."""
    old = PCI.replace("Covers the records", "Covers records")
    mine = changed(pci_dss=old + OWN)
    assert plan_adoption(mine, known(mine)).named(Standing.EDITED) == ["pci-dss (title and note)"]
    once_shipped(changed(pci_dss=old))
    assert plan_adoption(mine, known(mine)).after.files["pci-dss.yaml"] == PCI + OWN


@pytest.mark.parametrize("indent", [0, 4])
def test_another_indent_is_kept(once_shipped, indent):
    """A shipped control takes on the indent of the file that it comes into."""
    once_shipped(changed(pci_dss=OLD_PCI))
    blocks = control_blocks("pci-dss.yaml", OLD_PCI + OWN)
    moved = blocks.head + "".join(blocks.block(name, indent) for name in blocks.items)
    plan = plan_adoption(changed(pci_dss=moved), known(changed(pci_dss=moved)))
    after = compile_controls(plan.after).frameworks["pci-dss"].controls
    assert after[:-1] == default_controls().frameworks["pci-dss"].controls
    assert control_blocks("pci-dss.yaml", plan.after.files["pci-dss.yaml"]).indent == indent


def test_controls_within_a_line_are_refused(once_shipped):
    """Where lines cannot be taken apart nothing is guessed: the file and line are named."""
    flow = (
        "framework: gdpr\ntitle: T\ncontrols: [{id: A, title: t, citation: c, question: q, evidence: e, limits: l}]\n"
    )
    old = once_shipped(changed(gdpr=flow))
    own = flow.replace("}]", "}, {id: B, title: t, citation: c, question: q, evidence: e, limits: l}]")
    with pytest.raises(PolicyError, match=r"gdpr\.yaml:3: controls: got controls within a line"):
        plan_adoption(changed(gdpr=own), known(old))


@pytest.mark.parametrize("name", sorted(default_bundle().files))
def test_blocks_are_the_file(name):
    """Split and joined, a file is what it was."""
    text = default_bundle().files[name]
    assert control_blocks(name, text).text() == text


def test_adopting_twice_changes_nothing_more(once_shipped):
    """What adopting puts in force has nothing that waits."""
    old = once_shipped(changed(pci_dss=OLD_PCI))
    mine = changed(pci_dss=OLD_PCI + OWN)
    first = plan_adoption(mine, known(old, mine))
    second = plan_adoption(first.after, known(old, mine, first.after))
    assert (second.waits, second.after.files) == (False, first.after.files)
