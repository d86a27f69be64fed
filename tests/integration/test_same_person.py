"""Two accounts that `groups.yaml` calls one person's are no two pairs of eyes, whatever waits for the second."""

import pytest

from governance.access import Action
from muniment.approvals import Approvable, approve, ask
from muniment.cli.app import run
from muniment.desk_requests import LakeRequests
from muniment.erasing import KIND, approve_erasure
from muniment.erasure_notes import Note, drop_note, write_note
from muniment.four_eyes import four_eyes
from muniment.holding import approve_release, place_hold, release_hold
from muniment.wiring import CommandContext, command_context
from retention.holds import HoldScope
from tests.template import init_lake
from warehouse.errors import DeniedError
from warehouse.principals import Principal, PrincipalKind

GROUPS = """\
version: 1
grants:
  - {user: dora, role: operator}
  - {group: operators, role: operator}
same_person:
  - [user:dora, oidc:d-1]
"""
DORA = Principal(PrincipalKind.LOCAL_USER, "dora")
DORA_TOO = Principal(PrincipalKind.OIDC_USER, "d-1", groups=frozenset({"operators"}))
EMIL = Principal(PrincipalKind.OIDC_USER, "e-1", groups=frozenset({"operators"}))
SAME = "user:dora, who asked for it, to approve it: oidc:d-1 is the same person"


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """The lake as each of them has it."""
    folder = init_lake(tmp_path_factory.mktemp("person") / "lake", "acme")
    (folder / "policies" / "access" / "groups.yaml").write_text(GROUPS)
    assert run(["policy", "apply", "access", "--yes", "--lake", str(folder)]) == 0
    owner = command_context(folder)

    def as_(principal):
        context = CommandContext(owner.lake, owner.settings, owner.access, principal)
        for name in ("control", "claims", "redactor", "vault", "recorder", "keys"):
            vars(context)[name] = getattr(owner, name)
        return context

    yield as_
    owner.control.close()


def waiting(lake, principal):
    """What waits, as the page shows it: whether it is the viewer's own."""
    return [
        each.own for each in LakeRequests(lambda _viewer: lake(principal), lambda *_args: None).waiting(None, "acme")
    ]


def test_a_release_takes_another_person(lake):
    """Asked for by a local account, refused to the same person's account of the provider, approved by somebody else."""
    hold = place_hold(lake(DORA), tenant="acme", scope=HoldScope(everything=True), reason="a dispute").placed.hold
    release_hold(lake(DORA), hold.id, reason="over")
    assert [waiting(lake, each) for each in (DORA, DORA_TOO, EMIL)] == [[True], [True], [False]]
    with pytest.raises(DeniedError, match=SAME):
        approve_release(lake(DORA_TOO), hold.id)
    assert approve_release(lake(EMIL), hold.id).released_by == "oidc:e-1"


def test_an_erasure_takes_another_person(lake):
    """The note stays as it was, unapproved."""
    control = lake(DORA).control
    request = control.ask(KIND, "e1", by="user:dora", tenant_id="acme")
    note = Note("e1", "acme", "sub_x", "r", "asked", "user:dora", "two principals", request=request.id)
    write_note(lake(DORA), note)
    assert [waiting(lake, each) for each in (DORA_TOO, EMIL)] == [[True], [False]]
    with pytest.raises(DeniedError, match=SAME):
        approve_erasure(lake(DORA_TOO), request.id)
    assert control.open_request(KIND, "e1").approved_by is None
    assert approve_erasure(lake(EMIL), request.id).approved_by == "oidc:e-1"
    drop_note(lake(DORA), note)


def test_whatever_else_waits_takes_another_person(lake):
    """Policies and plans wait in one way: who asks again by another account has asked already, and may not approve."""
    what = Approvable("policy.apply", "access sha256:0", "policy")
    decision = lake(DORA).check(Action.POLICY_APPLY)
    asked = ask(lake(DORA), what, decision)
    assert ask(lake(DORA_TOO), what, decision) == asked
    with pytest.raises(DeniedError, match=SAME):
        approve(lake(DORA_TOO), what, decision)
    assert approve(lake(EMIL), what, decision).approved_by == "oidc:e-1"


def test_one_person_with_two_accounts_needs_no_second_where_nobody_else_is(lake, monkeypatch):
    """Of accounts that are one person's nobody waits for the other: it would never come."""
    context = lake(DORA)
    monkeypatch.setattr(context.access, "holders", lambda *_args: frozenset({"user:dora", "oidc:d-1"}))
    assert not four_eyes(context.settings, context.access, Action.HOLD_RELEASE, DORA, "acme").needed
    monkeypatch.setattr(context.access, "holders", lambda *_args: frozenset({"user:dora", "oidc:d-1", "user:emil"}))
    assert four_eyes(context.settings, context.access, Action.HOLD_RELEASE, DORA, "acme").needed
