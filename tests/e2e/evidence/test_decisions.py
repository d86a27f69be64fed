"""What people decide on exceptions: on record, counted once, shown alike everywhere, and proved in a pack."""

import datetime as dt
import hashlib
import json
import shutil
import warnings
from dataclasses import replace
from types import SimpleNamespace

import pytest

from governance.access import Access
from governance.evidence.decisions import Disposition, ExceptionId
from governance.evidence.files import note_text
from governance.evidence.standalone import BROKEN, MANIFEST, NOTE, PROVED
from muniment.assessing import Decision, dispose, read_findings, review
from muniment.cli.app import run
from muniment.desk import open_desk
from muniment.evidence import build_pack
from muniment.wiring import command_context
from tests.e2e.evidence.conftest import START, event
from tests.e2e.evidence.test_pack import contents, verified
from warehouse.clock import NANOS_PER_DAY, utc_date
from warehouse.errors import DeniedError, InputError, NotFoundError
from warehouse.ledger.note import sign_note
from warehouse.ledger.signing import read_signing_keys
from warehouse.principals import Principal, PrincipalKind

PERIOD = (START, 1_793_491_200_000_000_000)  # October 2026
DAYS = ["--from", "2026-10-01", "--to", "2026-10-31"]
PERSON = "anna.schmidt@example.org"


def asked(capfd, *words):
    """What a command prints as JSON."""
    capfd.readouterr()
    assert run([*words, "--json"]) == 0
    return json.loads(capfd.readouterr().out)


def listed(capfd, lake, *more):
    """The SOC 2 controls by id, with their exceptions, as the command lists them."""
    words = ["evidence", "exceptions", "--framework", "soc2", "--tenant", "acme", *DAYS, "--lake", str(lake), *more]
    return {each["control"]: each for each in asked(capfd, *words)["controls"]}


def changes(context):
    """The control of changes as `context` finds it."""
    found = read_findings(context, framework="soc2", tenant="acme", period=PERIOD)
    return next(each for each in found.assessments if each.control.id == "CC8.1")


@pytest.fixture(scope="module")
def decided(made, tmp_path_factory):
    """A copy of the lake in which one exception of two was decided on twice, one control reviewed; and its pack."""
    room = tmp_path_factory.mktemp("decided")
    lake = shutil.copytree(made.lake, room / "lake")
    context = command_context(lake)
    found = read_findings(context, framework="soc2", tenant="acme", period=PERIOD)
    changes = next(each for each in found.assessments if each.control.id == "CC8.1")
    chosen = changes.ids[1]
    words = ["--tenant", "acme", *DAYS, "--lake", str(lake)]
    first = ["--as", "accepted", "--reason", f"asked {PERSON}", "--ticket", "GRC-7", "--due", "2099-12-31"]
    assert run(["evidence", "dispose", str(chosen), *words, *first]) == 0
    assert run(["evidence", "dispose", str(chosen), *words, "--as", "remediated", "--reason", "approved since"]) == 0
    assert run(["evidence", "review", "CC8.1", "--framework", "soc2", *words, "--note", "looked at both"]) == 0
    assert made.build(lake, room / "pack.zip") == 0
    return SimpleNamespace(lake=lake, pack=room / "pack.zip", chosen=chosen, left=changes.ids[0])


def test_the_newest_decision_counts_and_the_others_stay(decided, capfd):
    """One exception is remediated, with both decisions as its history; the other one is open; the finding is what it was."""
    control = listed(capfd, decided.lake)["CC8.1"]
    assert control["dispositions"] == {"open": 1, "accepted": 0, "remediated": 1, "false positive": 0}
    assert control["finding"] == "not satisfied"
    assert control["reviewed"]["note"] == "looked at both"
    of = {each["exception"]: each for each in control["listed"]}
    history = of[str(decided.chosen)]["history"]
    assert [each["disposition"] for each in history] == ["accepted", "remediated"]
    assert (history[0]["ticket"], history[0]["due"]) == ("GRC-7", "2099-12-31")
    assert history[0]["by"].startswith("user:")
    open_ = listed(capfd, decided.lake, "--open", "--control", "CC8.1")
    assert [each["exception"] for each in open_["CC8.1"]["listed"]] == [str(decided.left)]


def test_a_person_in_a_reason_is_redacted(decided, capfd):
    """What was typed is treated as other typed text is: the address stands nowhere."""
    history = next(each["history"] for each in listed(capfd, decided.lake)["CC8.1"]["listed"] if each["history"])
    assert PERSON not in json.dumps(history)
    assert history[0]["reason"].startswith("asked ")


def test_a_decision_taken_back_leaves_an_exception_open(decided, capfd, tmp_path):
    """`open` is a decision too; all three stay on record."""
    lake = shutil.copytree(decided.lake, tmp_path / "lake")
    words = [str(decided.chosen), "--tenant", "acme", *DAYS, "--as", "open", "--reason", "not mended after all"]
    assert run(["evidence", "dispose", *words, "--lake", str(lake)]) == 0
    control = listed(capfd, lake)["CC8.1"]
    assert control["dispositions"]["open"] == 2
    assert sorted(len(each["history"]) for each in control["listed"]) == [0, 3]


def test_a_decision_holds_in_another_period(decided, capfd):
    """The same record is the same exception in the quarter that holds the month."""
    words = ["evidence", "exceptions", "--framework", "soc2", "--tenant", "acme", "--control", "CC8.1"]
    (control,) = asked(capfd, *words, "--from", "2026-08-01", "--to", "2026-10-31", "--lake", str(decided.lake))[
        "controls"
    ]
    assert control["dispositions"] == {"open": 3, "accepted": 0, "remediated": 1, "false positive": 0}
    assert control["reviewed"] is None


def test_what_changed_since_the_period_before(decided, capfd):
    """The model without approval goes on under another record, the prompt is new, the one of September is gone."""
    control = listed(capfd, decided.lake)["CC8.1"]
    assert control["before"] == {"finding": "not satisfied", "items": 2, "exceptions": 2}
    assert (control["new"], control["continuing"], control["gone"]) == (1, 1, 1)
    difference = json.loads(contents(decided.pack)["difference.json"])
    (changes,) = [each for each in difference["controls"] if each["control"] == "CC8.1"]
    assert difference["before"]["from"].startswith("2026-09-01")
    assert changes["continuing"] == [str(decided.chosen)]
    assert changes["new"] == [str(decided.left)]
    assert [each["why"] for each in changes["gone"]] == ["no approval is named"]


def test_a_pack_proves_its_decisions(decided, vkey):
    """The pack lists both decisions and the review, each with the proof of its record; reports say it in words."""
    files = contents(decided.pack)
    verdict = verified(files, vkey)
    assert (verdict.result, verdict.problems) == (PROVED, [])
    found = json.loads(files["decisions.json"])
    assert [each["disposition"] for each in found["dispositions"]] == ["accepted", "remediated"]
    assert [each["control"] for each in found["reviews"]] == ["CC8.1"]
    assert all(each["proof"] in files for kind in found.values() for each in kind)
    page = files["report.html"].decode()
    assert "remediated" in page
    assert "looked at both" in page
    assert "Findings that changed: " in page
    (figures,) = [each for each in json.loads(files[MANIFEST])["controls"] if each["id"] == "CC8.1"]
    assert figures["dispositions"]["remediated"] == 1
    assert figures["reviewed"] is True


def test_the_same_decisions_make_the_same_bytes(decided, made, tmp_path):
    """Two copies of the lake in which was decided, the same arguments: the same pack."""
    packs = []
    for name in ("one", "other"):
        lake = shutil.copytree(decided.lake, tmp_path / name)
        assert made.build(lake, tmp_path / f"{name}.zip") == 0
        packs.append((tmp_path / f"{name}.zip").read_bytes())
    assert packs[0] == packs[1]
    assert packs[0].count(b"remediated") > 2


def test_its_oscal_names_decisions_and_is_valid(decided):
    """Each decision is an observation of its own that the finding is related to."""
    text = contents(decided.pack)["assessment-results.json"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from trestle.oscal.assessment_results import Model
    Model.model_validate_json(text)
    result = json.loads(text)["assessment-results"]["results"][0]
    (decision,) = [each for each in result["observations"] if each["methods"] == ["EXAMINE"]]
    assert {"name": "disposition", "value": "remediated"} in decision["props"]
    related = [each["observation-uuid"] for finding in result["findings"] for each in finding["related-observations"]]
    assert decision["uuid"] in related


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda found: found["dispositions"][1].update(reason="the auditor agreed"), "expected a record of"),
        (lambda found: found["dispositions"][1].update(disposition="false positive"), "expected a record of"),
        (lambda found: found["dispositions"][1].update(by="user:somebody"), "expected a record of"),
        (lambda found: found["dispositions"].pop(), "expected exceptions"),
        (lambda found: found["dispositions"][1].update(proof=None), "no proof"),
        (lambda found: found["reviews"][0].update(exceptions=0), "expected a record of"),
    ],
)
def test_a_decision_that_no_record_holds_is_named(decided, vkey, change, says):
    """Whoever holds the lake's key signs a pack that says other than its records do: the proofs tell."""
    files = contents(decided.pack)
    found = json.loads(files["decisions.json"])
    change(found)
    manifest = json.loads(files[MANIFEST])
    files["decisions.json"] = json.dumps(found).encode()
    manifest["files"]["decisions.json"]["sha256"] = hashlib.sha256(files["decisions.json"]).hexdigest()
    content = json.dumps(manifest).encode()
    signers = read_signing_keys(decided.lake / "keys").signers(f"{manifest['lake']}/evidence", PERIOD[1])
    verdict = verified(files | {MANIFEST: content, NOTE: sign_note(note_text(content), signers)}, vkey)
    assert verdict.result == BROKEN
    assert any(says in problem for problem in verdict.problems), verdict.problems


def test_page_command_and_pack_give_the_same_figures(decided, capfd):
    """Every figure of every control, by each of the three ways."""
    desk = open_desk(decided.lake)
    viewer = desk.viewer(None)
    page = {each.control: each for each in desk.evidence.findings(viewer, "acme", "soc2", PERIOD)}
    pack = {each["id"]: each for each in json.loads(contents(decided.pack)[MANIFEST])["controls"]}
    command = listed(capfd, decided.lake)
    assert page.keys() == pack.keys() == command.keys()
    for name, said in command.items():
        shown, packed = page[name], pack[name]
        if packed["state"] == "mapping only":
            assert (shown.finding, said["finding"]) == ("mapping only", "mapping only")
            continue
        for figure in ("items", "exceptions", "new", "continuing", "gone"):
            assert getattr(shown, figure) == packed[figure] == said[figure], (name, figure)
        assert shown.finding == packed["state"] == said["finding"]
        assert shown.dispositions == packed["dispositions"] == said["dispositions"]
        assert shown.overdue == packed.get("overdue", 0) == said.get("overdue", 0)
        assert packed["before"] == said["before"]
        assert bool(shown.reviewed) == packed["reviewed"] == (said["reviewed"] is not None)
        assert len(shown.listed) == len(said["listed"]) == shown.exceptions


def test_nobody_sends_decisions_in(decided, capfd, tmp_path):
    """Events under both names from outside are kept under another name, and change nothing."""
    lake = shutil.copytree(decided.lake, tmp_path / "lake")
    before = listed(capfd, lake)["CC8.1"]["dispositions"]
    left = decided.left
    values = {
        "muniment.control.framework": "soc2",
        "muniment.control.id": "CC8.1",
        "muniment.exception.table": left.table,
        "muniment.exception.shard": left.shard,
        "muniment.exception.index": left.index,
        "muniment.exception.disposition": "accepted",
        "audit.actor.id": "mallory",
    }
    sent = [event(9, name, **values) for name in ("exception.disposed", "control.reviewed")]
    file = tmp_path / "sent.jsonl"
    file.write_text(json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": sent}]}]}) + "\n")
    assert run(["import", str(file), "--tenant", "acme", "--lake", str(lake)]) == 0
    assert listed(capfd, lake)["CC8.1"]["dispositions"] == before
    query = "select event_name from audit_events where event_name like 'external.%' order by 1"
    capfd.readouterr()
    assert run(["sql", query, "--tenant", "acme", "--lake", str(lake), "--format", "json"]) == 0
    rows = json.loads(capfd.readouterr().out)
    assert [row["event_name"] for row in rows] == ["external.control.reviewed", "external.exception.disposed"]


@pytest.mark.parametrize(
    ("decision", "exception", "error"),
    [
        (Decision(Disposition.ACCEPTED, "why"), "soc2/CC8.1/audit_events/nowhere/0", NotFoundError),
        (Decision(Disposition.ACCEPTED, "why"), "soc2/CC9.9/audit_events/nowhere/0", NotFoundError),
        (Decision(Disposition.ACCEPTED, "why"), "hipaa/164.312(b)/audit_events/nowhere/0", NotFoundError),
        (Decision(Disposition.ACCEPTED, "  "), None, InputError),
        (Decision(Disposition.FALSE_POSITIVE, "why", due=dt.date(2026, 1, 1)), None, InputError),
        (Decision(Disposition.ACCEPTED, "why", ticket="x" * 201), None, InputError),
    ],
)
def test_what_cannot_be_decided_is_refused(decided, decision, exception, error):
    """A record that is no exception, a control without findings, and texts that say nothing or too much."""
    context = command_context(decided.lake)
    chosen = decided.left if exception is None else ExceptionId.parse(exception)
    with pytest.raises(error):
        dispose(context, tenant="acme", exceptions=[chosen], period=PERIOD, decision=decision)


def test_what_was_accepted_until_a_day_is_open_again_after_it(decided, vkey, capfd, tmp_path):
    """Up to the end of its day it is accepted; then findings, command, page and pack count it as open, and say that it is overdue."""
    lake = shutil.copytree(decided.lake, tmp_path / "lake")
    context = command_context(lake)
    yesterday = utc_date(context.clock()) - dt.timedelta(1)
    then = replace(context, clock=lambda: context.clock() - 3 * NANOS_PER_DAY)
    words = Decision(Disposition.ACCEPTED, "for a while", due=yesterday)
    with pytest.raises(InputError, match="has not passed"):
        dispose(context, tenant="acme", exceptions=[decided.left], period=PERIOD, decision=words)
    dispose(then, tenant="acme", exceptions=[decided.left], period=PERIOD, decision=words)
    assert changes(then).dispositions["accepted"] == 1
    assert not changes(then).overdue
    found = changes(context)
    assert (found.dispositions["open"], found.dispositions["accepted"], found.overdue) == (1, 0, 1)
    (one,) = listed(capfd, lake, "--open", "--control", "CC8.1")["CC8.1"]["listed"]
    assert (one["exception"], one["disposition"], one["overdue"]) == (str(decided.left), "open", True)
    assert run(["evidence", "exceptions", "--framework", "soc2", "--tenant", "acme", *DAYS, "--lake", str(lake)]) == 0
    assert f"overdue, open again: accepted, until {yesterday}, which has passed" in capfd.readouterr().out
    desk = open_desk(lake)
    page = desk.evidence.findings(desk.viewer(None), "acme", "soc2", PERIOD)
    (shown,) = [each for each in page if each.control == "CC8.1"]
    assert (shown.dispositions["open"], shown.overdue) == (1, 1)
    assert any(each.decided.startswith("overdue, open again") for each in shown.listed)
    pack = tmp_path / "pack.zip"
    build_pack(context, framework="soc2", tenant="acme", from_unix_nano=PERIOD[0], to_unix_nano=PERIOD[1], out=pack)
    files = contents(pack)
    (packed,) = [each for each in json.loads(files[MANIFEST])["controls"] if each["id"] == "CC8.1"]
    assert (packed["dispositions"]["open"], packed["overdue"]) == (1, 1)
    assert "overdue, open again: accepted, until" in files["report.html"].decode()
    assert verified(files, vkey).result == PROVED


@pytest.mark.parametrize(("role", "may"), [("auditor", False), ("sre", False), ("compliance-officer", True)])
def test_who_may_decide(decided, tmp_path, role, may):
    """An officer decides and reviews; auditors and SREs do neither, and nothing is recorded of it but that they were denied."""
    lake = shutil.copytree(decided.lake, tmp_path / "lake")
    base = command_context(lake)
    principal = Principal(PrincipalKind.LOCAL_USER, "kim")
    context = type(base)(base.lake, base.settings, Access.for_lake(lake, {role: ["kim"]}), principal, base.clock)
    acts = [
        lambda: dispose(
            context,
            tenant="acme",
            exceptions=[decided.left],
            period=PERIOD,
            decision=Decision(Disposition.ACCEPTED, "why"),
        ),
        lambda: review(context, tenant="acme", framework="soc2", control="CC8.1", period=PERIOD, note="seen"),
    ]
    for act in acts:
        if may:
            act()
        else:
            with pytest.raises(DeniedError):
                act()
    found = read_findings(base, framework="soc2", tenant="acme", period=PERIOD)
    (changes,) = [each for each in found.assessments if each.control.id == "CC8.1"]
    assert changes.dispositions["accepted"] == int(may)
    assert (changes.review.by == "user:kim") == may
