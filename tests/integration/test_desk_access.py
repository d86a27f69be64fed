"""What people who signed in reach at the desk: their own tenants' things alone, nothing taken along unrecorded."""

import csv
import io
import time
from decimal import Decimal
from zipfile import ZipFile

import pyarrow as pa
import pytest

from dashboards.desk import Handed
from dashboards.export import Export, csv_of, hand_out, offer
from muniment.blast_radius import find_blast_radius
from muniment.cli.app import run
from muniment.desk import open_desk
from muniment.desk_views import Views
from muniment.erasing import approve_erasure
from muniment.erasure_notes import Note, drop_note, write_note
from muniment.holding import place_hold, read_hold, release_hold
from muniment.overview import facts
from muniment.tenancy import revoke_key
from retention.holds import HoldScope
from tests.template import init_lake
from warehouse.control import IncidentChange, IncidentRecord, IncidentRow, IncidentState
from warehouse.control.detection import FoundIncident
from warehouse.errors import DeniedError, NotFoundError, UnavailableError
from warehouse.questions.audit_events import EventFilter
from warehouse.questions.story import Bounds

GROUPS = """\
version: 1
grants:
  - {group: officers, role: compliance-officer, tenants: [acme]}
  - {group: auditors, role: auditor, tenants: [acme], until: '2999-12-31'}
  - {group: reliability, role: sre, tenants: [acme]}
  - {group: admins, role: tenant-admin, tenants: [acme]}
"""
PEOPLE = {"olga": "officers", "ines": "auditors", "sven": "reliability", "tara": "admins", "nora": "unknown"}
"""All of acme: whatever is globex's is nothing to them."""


class Door:
    """A provider whose tokens are people's names."""

    def claims(self, token, now):
        return {"sub": token, "iat": now, "exp": now + 60, "groups": [PEOPLE[token]]}


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """The desk of a lake in which acme and globex have an incident and a hold each."""
    folder = tmp_path_factory.mktemp("reach") / "lake"
    init_lake(folder, "acme", "globex")
    (folder / "policies" / "access" / "groups.yaml").write_text(GROUPS)
    assert run(["policy", "apply", "access", "--yes", "--lake", str(folder)]) == 0
    made = open_desk(folder)
    now = time.time_ns()
    for tenant in ("acme", "globex"):
        incident = IncidentRecord(
            f"i-{tenant}", tenant, "failing", "It fails", "high", "a.md", "sha256:0", "k1", "{}", "It failed.",
            IncidentState.OPENED, now, now, now, row_count=1,
        )  # fmt: skip
        found = FoundIncident(
            incident, None, (IncidentRow("spans", "x", 0, now, None, None),), {},
            [IncidentChange(now, "opened", "user:a", None)], [],
        )  # fmt: skip
        made._context.control.commit_round(tenant, [found], [], "{}", by="user:a")
    made._sessions.provider = Door()
    return made


@pytest.fixture(scope="module")
def holds(desk):
    """The id of each tenant's hold."""
    scope = HoldScope(everything=True)
    found = {}
    for tenant in ("acme", "globex"):
        found[tenant] = place_hold(desk._context, tenant=tenant, scope=scope, reason="a dispute").placed.hold.id
    return found


def events(desk, name, who):
    """What of one person stands in acme's log under a name."""
    found = desk.events(desk.viewer("ines"), "acme", EventFilter(names=(name,))).to_pylist()
    return [row for row in found if row["recorded_by"] == f"oidc:{who}"]


def context(desk, who):
    """The lake as somebody who signed in has it."""
    return desk._as(desk.viewer(who))


@pytest.mark.parametrize("who", ["olga", "ines", "sven", "tara"])
def test_who_is_bound_to_a_tenant_opens_its_incidents(desk, who):
    """Each role that reads incidents reads its own tenant's, and that it did is on record."""
    viewer = desk.viewer(who)
    assert [each.id for each in desk.incidents(viewer, "acme", closed=False)] == ["i-acme"]
    assert desk.incident(viewer, "acme", "i-acme").record.title == "It fails"
    desk.objectives(viewer, "acme")
    viewed = {(row["resource_type"], row["resource_id"]) for row in events(desk, "record.viewed", who)}
    assert viewed >= {("page", "incidents"), ("incident", "i-acme"), ("page", "objectives")}


def refusals(desk, holds):
    """Every question by an id: what is asked, and the id of globex's."""
    control = desk._context.control
    key = control.issue_key("globex").id
    note = Note("e1", "globex", "sub_x", "r", "asked", "oidc:otto", "two principals", request="r-globex")
    write_note(desk._context, note)
    asks = {
        "incident": (lambda who, one: desk.incident(desk.viewer(who), "acme", one), "i-globex"),
        "incident of the tenant itself": (lambda who, one: desk.incident(desk.viewer(who), "globex", one), "i-globex"),
        "handling": (lambda who, one: desk.handle_incident(desk.viewer(who), one, "acknowledge", "mine"), "i-globex"),
        "hold": (lambda who, one: read_hold(context(desk, who), one), holds["globex"]),
        "release": (lambda who, one: release_hold(context(desk, who), one, reason="over"), holds["globex"]),
        "key": (lambda who, one: revoke(context(desk, who), one), key),
        "erasure": (lambda who, one: approve_erasure(context(desk, who), one), "r-globex"),
    }
    yield from asks.items()
    drop_note(desk._context, note)


def revoke(found, key_id):
    return revoke_key(found.control, found.access, found.principal, found.record, key_id=key_id, reason=None)


def test_another_tenants_things_are_as_if_they_were_not_there(desk, holds):
    """By incident, hold, key and request one learns nothing of another tenant: not even that there is such a thing."""
    asked = 0
    for name, (ask, one) in refusals(desk, holds):
        for who in ("olga", "tara"):
            if (name, who) in {("release", "tara"), ("handling", "tara"), ("erasure", "tara")}:
                continue
            with pytest.raises(NotFoundError) as told:
                ask(who, one)
            with pytest.raises(NotFoundError) as absent:
                ask(who, nothing := "x" * len(one))
            assert str(told.value).replace(one, nothing) == str(absent.value), (name, who)
            assert "globex" not in str(told.value).replace(one, "")
            asked += 1
    assert asked == 11
    assert desk._context.control.incident("i-globex").state is IncidentState.OPENED


def test_a_credential_of_another_tenant_is_not_known(desk):
    """Whoever follows a key learns nothing of whose it is; who may not export is told so."""
    key = desk._context.control.issue_key("globex").id
    report = find_blast_radius(context(desk, "ines"), tenant="acme", agent=None, key=key, since_unix_nano=0)
    assert report.tenant == "acme"
    with pytest.raises(DeniedError, match=r"records\.export"):
        find_blast_radius(context(desk, "sven"), tenant="acme", agent="a", key=None, since_unix_nano=0)


def test_handling_takes_the_right(desk):
    """An auditor reads an incident and changes nothing; the page knows before."""
    assert [desk.may_handle(desk.viewer(who), "acme") for who in ("olga", "sven", "ines", "tara")] == [
        True,
        True,
        False,
        False,
    ]
    with pytest.raises(DeniedError, match=r"incident\.handle"):
        desk.handle_incident(desk.viewer("ines"), "i-acme", "close", "over")


class Button:
    """What stands in a page for a file to take along."""

    def __init__(self, monkeypatch):
        self.made = {}
        monkeypatch.setattr("streamlit.download_button", self)

    def __call__(self, label, data, **more):
        self.made[label] = data


def test_what_is_taken_along_is_decided_and_recorded_first(desk, monkeypatch):
    """Nobody without the right gets a button; with it, the file is made after the record of it, and not where there can be none."""
    button, made = Button(monkeypatch), []
    export = Export("events.csv", "text/csv", 7, lambda: made.append(1) or b"rows")
    offer(desk, desk.viewer("sven"), "acme", "take", export)
    assert button.made == {}
    with pytest.raises(DeniedError, match=r"records\.export"):
        desk.export(desk.viewer("sven"), "acme", "events.csv", 7)
    offer(desk, desk.viewer("ines"), "acme", "take", export)
    assert made == []
    with monkeypatch.context() as patch:
        patch.setattr(desk._context.recorder, "record", refuse)
        with pytest.raises(UnavailableError):
            button.made["take"]()
    assert made == []
    assert button.made["take"]() == b"rows"
    (row,) = events(desk, "data.exported", "ines")[:1]
    assert (row["action"], row["resource_type"], row["resource_id"]) == ("page", "page", "events.csv")
    decided = {row["outcome"] for row in events(desk, "access.decided", "ines")}
    assert decided == {"allowed"}
    assert {row["outcome"] for row in events(desk, "access.decided", "sven")} == {"denied"}


@pytest.mark.parametrize(
    ("kind", "who", "stranger", "action"),
    [
        (Handed.PACK, "ines", "sven", "records.export"),
        (Handed.PROOF, "tara", "sven", "records.export"),
        (Handed.REPORT, "olga", "ines", "subject.report"),
    ],
)
def test_a_file_that_was_made_before_is_decided_and_recorded_at_the_click(
    desk, monkeypatch, kind, who, stranger, action
):
    """The right that it takes is asked for again, and without the record of it nothing is given; each click is one."""
    button, before = Button(monkeypatch), len(events(desk, "data.exported", who))
    hand_out(desk, desk.viewer(stranger), "acme", "take", kind, "a.zip", lambda: b"file")
    with pytest.raises(DeniedError, match=action.replace(".", r"\.")):
        button.made["take"]()
    hand_out(desk, desk.viewer(who), "acme", "take", kind, "a.zip", lambda: b"file")
    assert len(events(desk, "data.exported", who)) == before
    with monkeypatch.context() as patch:
        patch.setattr(desk._context.recorder, "record", refuse)
        with pytest.raises(UnavailableError):
            button.made["take"]()
    for number in (1, 2):
        assert button.made["take"]() == b"file"
        assert len(events(desk, "data.exported", who)) == before + number
    row = events(desk, "data.exported", who)[0]
    assert (row["action"], row["resource_type"], row["resource_id"]) == ("page", kind.value, "a.zip")
    assert (action, "allowed") in {(each["action"], each["outcome"]) for each in events(desk, "access.decided", who)}


def test_packs_of_the_schedule_are_those_of_one_tenant_and_framework(desk):
    """Newest first by month; another tenant's is as if it were not there, and who may not export reads none."""
    for name in ("acme/soc2-2026-01.zip", "acme/soc2-2026-02.zip", "acme/gdpr-2026-02.zip", "globex/soc2-2026-03.zip"):
        file = desk.lake.path / "packs" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        with ZipFile(file, "w") as pack:
            pack.writestr("of", name)
    ines = desk.viewer("ines")
    kept = desk.evidence.kept_packs(ines, "acme", "soc2")
    assert list(kept.items()) == [("2026-02", "soc2-2026-02.zip"), ("2026-01", "soc2-2026-01.zip")]
    given = desk.evidence.read_pack(ines, "acme", kept["2026-01"])
    assert ZipFile(io.BytesIO(given)).read("of") == b"acme/soc2-2026-01.zip"
    for name in ("soc2-2026-03.zip", "../globex/soc2-2026-03.zip"):
        with pytest.raises(NotFoundError):
            desk.evidence.read_pack(ines, "acme", name)
    for ask in (
        lambda: desk.evidence.kept_packs(ines, "globex", "soc2"),
        lambda: desk.evidence.read_pack(desk.viewer("sven"), "acme", "soc2-2026-01.zip"),
    ):
        with pytest.raises(DeniedError, match=r"records\.export"):
            ask()


def refuse(*_args):
    raise UnavailableError("the disk is full")


def test_nothing_is_shown_that_cannot_be_recorded(desk, monkeypatch):
    """A full disk closes the pages: no view of a tenant's records comes without the record of it."""
    viewer = desk.viewer("olga")
    monkeypatch.setattr(desk._context.recorder, "record", refuse)
    monkeypatch.setattr(desk, "_views", Views())
    views = {
        "overview": lambda: desk.overview(viewer, "acme"),
        "activity": lambda: desk.activity(viewer, "acme", 7),
        "runs": lambda: desk.recent_traces(viewer, "acme", 5),
        "events": lambda: desk.events(viewer, "acme", EventFilter()),
        "names": lambda: desk.event_names(viewer, "acme"),
        "integrity": lambda: desk.integrity(viewer, "acme"),
        "retention": lambda: desk.retention(viewer, "acme"),
        "objectives": lambda: desk.objectives(viewer, "acme"),
        "incidents": lambda: desk.incidents(viewer, "acme", closed=True),
        "incident": lambda: desk.incident(viewer, "acme", "i-acme"),
        "agents": lambda: desk.agents(viewer, "acme", 7),
        "story": lambda: desk.search.story(viewer, "acme", "a-ticket-7", Bounds()),
        "findings": lambda: desk.evidence.findings(viewer, "acme", "soc2", (0, 1)),
    }
    for view in views.values():
        with pytest.raises(UnavailableError, match="the disk is full"):
            view()


def test_who_foresees_an_erasure_is_on_record(desk, monkeypatch):
    """What is held of a person is told to nobody unrecorded, also where nothing is erased."""
    viewer, asked = desk.viewer("olga"), "Ada Lovelace 1815"
    with monkeypatch.context() as patch:
        patch.setattr(desk._context.recorder, "record", refuse)
        with pytest.raises(UnavailableError):
            desk.requests.foresee(viewer, "acme", asked, texts=False)
    assert "subject.erase" not in {row["action"] for row in events(desk, "access.decided", "olga")}
    desk.requests.foresee(viewer, "acme", asked, texts=False)
    assert "subject.erase" in {row["action"] for row in events(desk, "access.decided", "olga")}


def test_a_viewer_of_other_rights_is_another_one(desk):
    """Roles, tenants and policies make a viewer: what a page kept for one is not shown once any of them changed."""
    before = desk.viewer("olga")
    assert before == desk.viewer("olga")
    assert before.policies == desk._context.control.policy_hash("access")
    assert before != desk.viewer("ines")


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("=cmd|' /C calc'!A0", False),
        ("+1", False),
        ("-1", False),
        ("@SUM(A1)", False),
        ("\t=1", False),
        ("\r=1", False),
        ("\n=1", False),
        ("  =1", False),
        ("\uff1dcmd", False),
        ("a=1", True),
        ("", True),
    ],
)
def test_no_text_in_an_export_is_a_formula(text, kept):
    """Whatever kind of column holds it; numbers, negative ones too, stay what they are."""
    plain = pa.array([text], pa.string())
    columns = [plain, plain.cast(pa.large_string()), plain.dictionary_encode()]
    written = csv_of(pa.table([*columns, pa.array([-5]), pa.array([Decimal("-1.5")])], list("abcde")))
    (row,) = list(csv.reader(io.StringIO(written.decode(), newline="")))[1:]
    assert row == [text if kept else f"'{text}"] * 3 + ["-5", "-1.5"]


def test_an_overview_tells_of_its_own_tenant_alone(desk, monkeypatch):
    """Another tenant's seals make a tenant's neither there nor fresh, and what is wrong with a policy may name other tenants."""
    owner = desk._context
    owner.control.add_tenant("fresh", None)
    desk.integrity(desk.viewer("olga"), "acme")  # that somebody looks is a record of the tenant's
    wrong = [{"kind": "slo", "hash": None, "problem": "slo/globex.yaml: no such tenant", "folder_differs": None}]
    monkeypatch.setattr("muniment.policies.policy_status", lambda *_: wrong)
    told = {tenant: {fact.what: fact.said for fact in facts(owner, tenant)} for tenant in ("acme", "fresh")}
    assert told["acme"]["Seal"].endswith("ago")
    assert told["fresh"]["Seal"] == "no record has been sealed yet"
    assert told["acme"]["Policy slo"] == wrong[0]["problem"]
    officer = {fact.what: fact.said for fact in desk.overview(desk.viewer("olga"), "acme")}
    assert officer["Policy slo"] == "something in it cannot be used"
    assert "globex" not in str(officer)
