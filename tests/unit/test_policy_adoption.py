"""Shipped policies of every kind against those in force: what is adopted, and what somebody wrote that stays."""

from dataclasses import replace

import pytest

from muniment.policy_kinds import KINDS
from warehouse.policies import Bundle, PolicyError
from warehouse.policies.adoption import Standing, entries, plan_adoption
from warehouse.policies.blocks import document_blocks

FAMILIES = {name: kind.family() for name, kind in KINDS.items()}
FILES = [
    pytest.param(kind, file, text, id=f"{kind}-{file}")
    for kind, family in FAMILIES.items()
    for file, text in family.shipped().files.items()
]
# kind: a file, words of one entry there in the text of an older version, its name, and an own entry to stand behind the others
CASES = {
    "incidents": (
        "lake.yaml",
        ("Policy files were changed on disk", "Policies were changed on disk"),
        "rule policy-changed-on-disk",
        "  # ours\n  - id: night-shift\n    title: Somebody worked at night\n",
        "rule night-shift",
    ),
    "slo": (
        "tool-calls.yaml",
        ("At most one tool call in 100 fails.", "One tool call in 100 may fail."),
        "SLO tool-calls",
        "---\n# ours\napiVersion: openslo/v1\nkind: Service\nmetadata:\n  name: night-shift\n",
        "Service night-shift",
    ),
    "redaction": (
        "strict.yaml",
        ("default_class: internal", "default_class: public"),
        "policy strict",
        "  # ours\n  - name: bank\n    tenants: [bank]\n",
        "policy bank",
    ),
    "retention": (
        "defaults.yaml",
        ("keep: P3Y", "keep: P2Y"),
        "rule audit-trail",
        "  # ours\n  - name: bank\n    tenants: [bank]\n    keep: P5Y\n",
        "rule bank",
    ),
    "access": (
        "roles.cedar",
        ('    Action::"control.review"\n', '    Action::"control.dispose"\n'),
        "policy compliance-officer-reads-and-answers",
        '\n// ours\n@id("night-shift")\npermit (principal in Role::"sre", action, resource);\n',
        "policy night-shift",
    ),
}


def with_file(family, file, text):
    """What ships, with one file put in place."""
    return Bundle(family.kind, {**family.shipped().files, file: text})


def once_shipped(family, bundle):
    """The family to which the entries of a bundle came with an older version."""
    listed = dict(family.ever())
    for where, entry in entries(family, bundle).items():
        listed[where] = (entry.said, *listed.get(where, ()))
    return replace(family, ever=lambda: listed)


def older(kind):
    """A kind's family, the older bundle that once came with the package, and its file that differs."""
    file, (now, then), _, _, _ = CASES[kind]
    family = FAMILIES[kind]
    assert now in family.shipped().files[file]
    text = family.shipped().files[file].replace(now, then, 1)
    bundle = with_file(family, file, text)
    return once_shipped(family, bundle), bundle, text


def differing(plan):
    """The entries that are not as shipped, with their standing."""
    return {name: each.value for each in Standing for name in plan.named(each) if each is not Standing.SAME}


@pytest.mark.parametrize("kind", FAMILIES)
def test_everything_that_is_shipped_is_listed(kind):
    """A policy that is changed without a line in the `shipped.yaml` of its kind would count as the organisation's own later."""
    family = FAMILIES[kind]
    missing = {
        " ".join(where): entry.said
        for where, entry in entries(family, family.shipped()).items()
        if family.ever().get(where, ("",))[-1] != entry.said
    }
    assert missing == {}, f"add these to the end of their lists in the shipped.yaml of {kind}"


@pytest.mark.parametrize(("kind", "file", "text"), FILES)
def test_blocks_are_the_file(kind, file, text):
    """Split and joined, a file is what it was; its blocks are its entries."""
    blocks = FAMILIES[kind].blocks(file, text)
    assert blocks.text() == text
    assert {*blocks.items} == {where for where in FAMILIES[kind].parts(file, text) if where[1]}


@pytest.mark.parametrize("kind", CASES)
def test_an_older_copy_is_replaced_whole(kind):
    """A file in which nothing is anybody's own becomes the shipped one, byte for byte."""
    family, bundle, _ = older(kind)
    plan = plan_adoption(family, bundle, set(entries(family, bundle)))
    assert differing(plan) == {CASES[kind][2]: "changed"}
    assert plan.after.content_hash == family.shipped().content_hash
    assert not plan_adoption(family, plan.after, set(entries(family, bundle))).waits


@pytest.mark.parametrize("kind", CASES)
def test_what_somebody_wrote_stays_to_the_byte(kind):
    """An own entry behind an older copy stays with its comment; the copy before it is replaced."""
    family, _, text = older(kind)
    file, _, changed, own, name = CASES[kind]
    mine = with_file(family, file, text + own)
    plan = plan_adoption(family, mine, set(entries(family, mine)))
    assert differing(plan) == {changed: "changed", name: "own"}
    assert plan.after.files[file] == family.shipped().files[file] + own


@pytest.mark.parametrize("kind", CASES)
def test_what_was_changed_here_is_left_and_named(kind):
    """The same words without their having been shipped are the organisation's own."""
    file, (now, then), changed, _, _ = CASES[kind]
    family = FAMILIES[kind]
    mine = with_file(family, file, family.shipped().files[file].replace(now, then, 1))
    plan = plan_adoption(family, mine, set(entries(family, mine)))
    assert (differing(plan), plan.waits, plan.after.files) == ({changed: "changed here"}, False, mine.files)


@pytest.mark.parametrize("kind", CASES)
def test_new_ones_come_in_and_removed_ones_stay_out(kind):
    """What was never in force comes with its file, what was taken out here does not; an own entry under its name is left."""
    family = FAMILIES[kind]
    file, _, _, _, _ = CASES[kind]
    fewer = Bundle(kind, {name: text for name, text in family.shipped().files.items() if name != file})
    gone = set(entries(family, family.shipped())) - set(entries(family, fewer))
    plan = plan_adoption(family, fewer, set(entries(family, fewer)))
    assert set(differing(plan).values()) == {"new"}
    assert plan.after.files == family.shipped().files
    plan = plan_adoption(family, fewer, {*entries(family, fewer), *gone})
    assert (set(differing(plan).values()), plan.after.files) == ({"removed here"}, fewer.files)


def test_one_of_a_file_comes_into_the_file_that_holds_the_others():
    """A shipped entry beside others of its file comes in behind the one that it follows, also where the file has another name."""
    family = FAMILIES["retention"]
    text = family.shipped().files["defaults.yaml"]
    blocks = family.blocks("defaults.yaml", text)
    without = blocks.with_items(where for where in blocks.items if where[1] != "audit-trail")
    files = {name: each for name, each in family.shipped().files.items() if name != "defaults.yaml"}
    own = "  - name: bank\n    tenants: [bank]\n    keep: P5Y\n"
    mine = Bundle("retention", {**files, "ours.yaml": without.text() + own})
    plan = plan_adoption(family, mine, set(entries(family, mine)))
    assert differing(plan) == {"rule audit-trail": "new", "rule bank": "own"}
    assert plan.after.files == {**files, "ours.yaml": text + own}


def test_what_is_shipped_no_more_goes_with_its_file():
    """An older version's rule goes; a file that held nothing else goes too."""
    family = FAMILIES["incidents"]
    retired = Bundle(
        "incidents", {**family.shipped().files, "old.yaml": "version: 1\nrules:\n  - id: old\n    title: Old\n"}
    )
    plan = plan_adoption(once_shipped(family, retired), retired, set(entries(family, retired)))
    assert differing(plan) == {"rule old": "no longer shipped"}
    assert plan.after.files == family.shipped().files


def test_groups_are_nobody_elses():
    """Who is in which role stands beside the access policies, and is neither compared nor touched."""
    family, bundle, _ = older("access")
    mine = Bundle("access", {**bundle.files, "groups.yaml": "groups: {}\n"})
    plan = plan_adoption(family, mine, set(entries(family, mine)))
    assert plan.after.files == {**family.shipped().files, "groups.yaml": "groups: {}\n"}


def test_documents_that_lines_do_not_part_are_refused():
    """Where joining would change a byte, the file is named and nothing is guessed."""
    with pytest.raises(PolicyError, match=r"odd\.yaml:1: got documents that cannot be told apart"):
        document_blocks("odd.yaml", "kind: A\n--- # next\nkind: B\n", lambda value: ("x", value["kind"]))


@pytest.mark.parametrize(
    ("kind", "text"), [("incidents", "version: 1\n"), ("slo", "kind: SLO\n"), ("redaction", "redaction: [7]\n")]
)
def test_entries_without_a_name_are_named_by_file(kind, text):
    """What was written for another version is a problem with its file, not a crash."""
    with pytest.raises(PolicyError, match=r"x\.yaml:1"):
        FAMILIES[kind].parts("x.yaml", text)
