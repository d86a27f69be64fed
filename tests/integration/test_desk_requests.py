"""Requests at the desk: erasure, access request and hold by people who signed in, two of them where it takes two."""

import io
import json
import time
import zipfile

import pytest

from dashboards.request_desk import HoldForm, Matter, Right
from muniment.cli.app import run
from muniment.desk import open_desk
from retention.policy_compiler import KIND
from tests.template import init_lake, made_once
from warehouse.errors import ConflictError, DeniedError, InputError, NotFoundError, UnavailableError
from warehouse.names import LAKE_TENANT
from warehouse.policies import Bundle, apply
from warehouse.questions.audit_events import EventFilter

PERSON = "ada.lovelace@example.org"
GROUPS = """\
version: 1
grants:
  - {group: officers, role: compliance-officer, tenants: [acme]}
  - {group: everywhere, role: compliance-officer}
  - {group: auditors, role: auditor, tenants: [acme], until: '2999-12-31'}
  - {group: reliability, role: sre}
"""
NO_MINIMUMS = 'retention:\n  - {name: base, tables: ["*"], keep: 400}\n'
PEOPLE = {"olga": "officers", "odile": "everywhere", "otto": "everywhere", "ines": "auditors", "sven": "reliability"}


class Door:
    """A provider whose tokens are people's names."""

    def claims(self, token, now):
        return {"sub": token, "iat": now, "exp": now + 60, "groups": [PEOPLE[token]]}


def text(name, value):
    return {"key": name, "value": {"stringValue": value}}


def make_lake(folder):
    """A lake in which acme and globex each have a span about the person and one about nobody."""
    init_lake(folder, "acme", "globex")
    where = ("--lake", str(folder))
    start = str(time.time_ns() - 10**12)
    spans = [
        {
            "traceId": f"{number:032x}", "spanId": f"{number:016x}", "name": "chat", "startTimeUnixNano": start,
            "endTimeUnixNano": start, "attributes": [text("gen_ai.operation.name", "chat"), *about],
        }
        for number, about in ((1, [text("user.id", PERSON)]), (2, []))
    ]  # fmt: skip
    file = folder.parent / "spans.json"
    file.write_text(json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}))
    for tenant in ("acme", "globex"):
        assert run(["import", str(file), "--tenant", tenant, *where]) == 0
    (folder / "policies" / "access" / "groups.yaml").write_text(GROUPS)
    assert run(["policy", "apply", "access", "--yes", *where]) == 0
    control = open_desk(folder)._context.control
    apply(control, Bundle(KIND, {"test.yaml": NO_MINIMUMS}), "user:test", replacing=control.policy_hash(KIND))
    control.close()


@pytest.fixture
def desk(tmp_path):
    """The desk of such a lake."""
    made = open_desk(made_once(make_lake, tmp_path / "lake"))
    made._sessions.provider = Door()
    return made


def names(desk, viewer, name):
    """Who recorded events of a name in acme's log."""
    found = desk.events(viewer, "acme", EventFilter(names=(name,))).to_pylist()
    return [row["recorded_by"] for row in found]


ALL = frozenset(Right)


@pytest.mark.parametrize(
    ("person", "tenant", "rights"),
    [
        ("olga", "acme", ALL),
        ("olga", "globex", frozenset()),
        ("odile", "globex", ALL),
        ("odile", LAKE_TENANT, frozenset()),
        ("ines", "acme", frozenset()),
        ("sven", "acme", frozenset()),
    ],
)
def test_forms_are_for_those_who_may_use_them(desk, person, tenant, rights):
    """Officers of a tenant ask for everything there; others, other tenants and the lake itself: nothing."""
    assert desk.requests.rights(desk.viewer(person), tenant) == rights


@pytest.mark.parametrize(("person", "tenant"), [("olga", "globex"), ("ines", "acme"), ("sven", "acme")])
def test_who_may_not_is_refused_whatever_the_page_draws(desk, person, tenant):
    """Each request is decided where it is carried out."""
    ask, viewer = desk.requests, desk.viewer(person)
    held = ask.place_hold(desk.viewer("odile"), tenant, HoldForm("a case", agents=("a",)))
    for call in (
        lambda: ask.foresee(viewer, tenant, PERSON, texts=False),
        lambda: ask.erase(viewer, tenant, PERSON, "asked", texts=False),
        lambda: ask.report(viewer, tenant, PERSON, texts=False),
        lambda: ask.place_hold(viewer, tenant, HoldForm("a case", everything=True)),
        lambda: ask.release_hold(viewer, tenant, held.id, "over"),
        lambda: ask.approve(viewer, tenant, Matter.ERASURE, "r1"),
        lambda: ask.approve(viewer, tenant, Matter.RELEASE, held.id),
    ):
        with pytest.raises(DeniedError):
            call()
    assert ask.waiting(viewer, tenant) == []


def test_an_erasure_takes_two_and_ends_with_certificates(desk):
    """One person asks, who cannot approve it; another does; then nothing is found, and both stand on the certificate."""
    ask, olga, odile = desk.requests, desk.viewer("olga"), desk.viewer("odile")
    outlook = ask.foresee(olga, "acme", PERSON, texts=False)
    assert (dict(outlook.going), outlook.key_goes, outlook.staying) == ({"spans": 1}, True, ())
    asked = ask.erase(olga, "acme", PERSON, "their request", texts=False)
    assert asked.waits
    assert asked.nonce
    assert not asked.certificates
    (own,), (others,) = ask.waiting(olga, "acme"), ask.waiting(odile, "acme")
    assert (own.own, others.own, others.asked_by, others.reason) == (True, False, "oidc:olga", "their request")
    assert PERSON not in repr((own, asked, outlook))
    with pytest.raises(DeniedError, match="another principal"):
        ask.approve(olga, "acme", Matter.ERASURE, own.id)
    with pytest.raises(NotFoundError):
        ask.approve(odile, "globex", Matter.ERASURE, own.id)
    done = ask.approve(odile, "acme", Matter.ERASURE, others.id)
    assert (done.waits, dict(done.erased), len(done.certificates)) == (False, {"spans": 1}, 1)
    assert done.key_certificate
    assert ask.waiting(odile, "acme") == []
    assert dict(ask.foresee(olga, "acme", PERSON, texts=False).going) == {}
    assert dict(ask.foresee(odile, "globex", PERSON, texts=False).going) == {"spans": 1}, "another tenant's are others"
    (certificate,) = (each for each in desk.retention(odile, "acme").certificates if each.sha256 in done.certificates)
    assert (certificate.ordered_by, certificate.approved_by) == ("oidc:olga", "oidc:odile")
    assert "oidc:olga" in names(desk, odile, "erasure.requested")
    assert names(desk, odile, "approval.granted") == ["oidc:odile"]


def test_a_hold_keeps_what_an_erasure_would_take(desk):
    """A held person stays, and it is said why; released by two, they can be erased."""
    ask, olga, odile = desk.requests, desk.viewer("olga"), desk.viewer("odile")
    held = ask.place_hold(olga, "acme", HoldForm("a dispute", case="2026-1", persons=(PERSON,)))
    assert held.nonce
    assert PERSON not in held.keeps
    outlook = ask.foresee(olga, "acme", PERSON, texts=False)
    assert (dict(outlook.going), outlook.key_goes) == ({}, False)
    assert held.id in outlook.staying[0]
    with pytest.raises(NotFoundError):
        ask.release_hold(odile, "globex", held.id, "over")
    assert ask.release_hold(olga, "acme", held.id, "the dispute is over") is False
    (waiting,) = ask.waiting(odile, "acme")
    assert (waiting.matter, waiting.id, waiting.reason) == (Matter.RELEASE, held.id, "the dispute is over")
    with pytest.raises(DeniedError):
        ask.approve(olga, "acme", Matter.RELEASE, held.id)
    assert ask.approve(odile, "acme", Matter.RELEASE, held.id) is None
    assert ask.holds(odile, "acme") == ()
    assert dict(ask.foresee(olga, "acme", PERSON, texts=False).going) == {"spans": 1}


def test_an_access_request_gives_one_file_of_one_tenant(desk, tmp_path):
    """The file holds what acme has about the person, with proofs; on record first; nothing of it is left in the lake's folder."""
    olga = desk.viewer("olga")
    made = desk.requests.report(olga, "acme", PERSON, texts=False)
    assert dict(made.rows) == {"spans": 1}
    assert (made.proofs, made.problems) == (1, ())
    with zipfile.ZipFile(io.BytesIO(made.content)) as archive:
        assert {"README.txt", "report.html", "tables/spans.json", "manifest.json"} <= set(archive.namelist())
    assert names(desk, olga, "data.exported") == ["oidc:olga"]
    assert list((tmp_path / "lake" / "spill").iterdir()) == []
    nobody = desk.requests.report(olga, "acme", "nobody@example.org", texts=True)
    assert dict(nobody.rows) == {}


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda ask, who: ask.foresee(who, "acme", "", texts=False), InputError),
        (lambda ask, who: ask.erase(who, "acme", PERSON, f"forget {PERSON}", texts=False), InputError),
        (lambda ask, who: ask.report(who, "acme", " ", texts=False), InputError),
        (lambda ask, who: ask.report(who, "acme", "sub_" + "a" * 26, texts=False), NotFoundError),
        (lambda ask, who: ask.place_hold(who, "acme", HoldForm("why")), InputError),
        (lambda ask, who: ask.place_hold(who, "acme", HoldForm(f"of {PERSON}", persons=(PERSON,))), InputError),
        (lambda ask, who: ask.release_hold(who, "acme", "h-none", "over"), NotFoundError),
    ],
)
def test_what_a_form_cannot_mean_is_said(desk, call, error):
    """Empty forms, names in reasons, and ids that are nobody's are refused with what to do, before anything is done."""
    with pytest.raises(error):
        call(desk.requests, desk.viewer("olga"))


def test_who_asks_twice_is_told(desk):
    """A person's erasure runs once at a time."""
    olga = desk.viewer("olga")
    desk.requests.erase(olga, "acme", PERSON, "asked", texts=False)
    with pytest.raises(ConflictError):
        desk.requests.erase(olga, "acme", PERSON, "asked", texts=False)


def test_what_waits_and_what_is_held_is_shown_once_it_is_on_record(desk, monkeypatch):
    """Who waits to be forgotten and what a case keeps is told to nobody of whom it cannot be recorded that they looked."""
    ask, olga, odile = desk.requests, desk.viewer("olga"), desk.viewer("odile")
    held = ask.place_hold(olga, "acme", HoldForm("a dispute", agents=("a",)))
    ask.release_hold(olga, "acme", held.id, "over")

    def refuse(*_args):
        raise UnavailableError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(desk._context.recorder, "record", refuse)
        for look in (ask.waiting, ask.holds):
            with pytest.raises(UnavailableError, match="the disk is full"):
                look(odile, "acme")
    assert [each.id for each in ask.waiting(odile, "acme")] == [held.id]
    assert [each.id for each in ask.holds(odile, "acme")] == [held.id]
