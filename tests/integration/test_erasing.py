"""Erasing a person: what goes, what stays and why, who may, and what a crash leaves to be carried on."""

import io
import json
import shutil
import time
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from governance.access import Access
from muniment.cli.app import run
from muniment.erasing import approve_erasure, carry_out, finish_erasures, order_erasure
from muniment.erasure_notes import read_notes
from muniment.erasure_plan import Person, find_person, plan_erasure
from muniment.holding import place_hold, release_hold
from muniment.wiring import command_context
from retention.holds import HoldScope
from retention.policy_compiler import KIND
from tests.grids import strided
from tests.template import init_lake
from warehouse.control import FoundIncident, IncidentChange, IncidentRecord, IncidentRow, IncidentState
from warehouse.errors import ConflictError, CorruptionError, DeniedError, InputError, NotFoundError
from warehouse.ledger.key_destruction import reference
from warehouse.ledger.verify import verify_lake
from warehouse.policies import Bundle, apply
from warehouse.principals import Principal, PrincipalKind
from warehouse.tables import TABLES

ANN, BOB = "ann@mail.example", "bob@mail.example"
DAYS = 3
DAY_NANOS = 86_400_000_000_000
NO_MINIMUMS = 'retention:\n  - {name: base, tables: ["*"], keep: 400}\n'
WITH_MINIMUM = NO_MINIMUMS + "  - {name: floor, tables: [spans], minimum: P6M, citation: a law}\n"


def text(name, value):
    return {"key": name, "value": {"stringValue": value}}


def exports():
    """A span with a prompt, a log and two audit events of each person on each of three days."""
    start = time.time_ns() - DAYS * DAY_NANOS
    spans, logs = [], []
    for number in range(DAYS * 2):
        person, at = (ANN, BOB)[number % 2], start + number // 2 * DAY_NANOS
        spans.append({
            "traceId": f"{number + 1:032x}", "spanId": f"{number + 1:016x}", "name": "chat",
            "startTimeUnixNano": str(at), "endTimeUnixNano": str(at + 1),
            "attributes": [text("user.id", person), text("gen_ai.prompt", f"I am {person}, call me")],
        })  # fmt: skip
        logs.append({"timeUnixNano": str(at), "body": {"stringValue": "done"}, "attributes": [text("user.id", person)]})
        logs += [
            {
                "timeUnixNano": str(at), "eventName": "approval.granted", "body": {"stringValue": "yes"},
                "attributes": [text("audit.actor.id", person), text("audit.actor.type", "human"), *more],
            }
            for more in ([], [text("audit.subject.id", person)])
        ]  # fmt: skip
    yield {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}
    yield {"resourceLogs": [{"scopeLogs": [{"logRecords": logs}]}]}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A lake with these records, made once."""
    folder = tmp_path_factory.mktemp("erasing")
    lake = str(folder / "lake")
    init_lake(lake, "acme")
    for number, export in enumerate(exports()):
        (folder / f"{number}.json").write_text(json.dumps(export))
        assert run(["import", str(folder / f"{number}.json"), "--tenant", "acme", "--lake", lake]) == 0
    return folder / "lake"


@pytest.fixture
def context(made, tmp_path):
    """A copy of it, under a policy without minimums."""
    context = command_context(Path(shutil.copytree(made, tmp_path / "lake")))
    use_policy(context, NO_MINIMUMS)
    yield context
    context.control.close()


def use_policy(context, content):
    bundle = Bundle(KIND, {"test.yaml": content})
    apply(context.control, bundle, "user:test", replacing=context.control.policy_hash(KIND))


def live_rows(context, table):
    handle = DeltaTable(str(context.lake.table(table)))
    paths = handle.get_add_actions().column("path").to_pylist()
    wanted = [context.lake.table(table) / path for path in paths if "tenant_id=acme" in path]
    return pl.concat([pl.DataFrame(pq.ParquetFile(path).read()) for path in wanted]) if wanted else pl.DataFrame()


def rows_with(context, word):
    """Rows by table in which a word stands anywhere, asked row by row."""
    found = {}
    for table in TABLES:
        count = sum(word in repr(row) for row in live_rows(context, table).iter_rows())
        if count:
            found[table] = count
    return found


def order(context, subject=ANN):
    person = find_person(context, "acme", subject)
    nonces = []
    note, request = order_erasure(context, person, reason="request 12", announce_nonce=nonces.append)
    return person, note, request, nonces[0]


def test_a_person_leaves_every_table_and_others_stay(context):
    """Spans, logs, contents and events about the person go; events in which they only acted stay and mean nothing any more."""
    others = rows_with(context, find_person(context, "acme", BOB).token)
    person, note, _, nonce = order(context)
    before = rows_with(context, person.token)
    assert before == {"spans": DAYS, "logs": DAYS, "audit_events": 2 * DAYS}
    parts = len(live_rows(context, "contents"))
    done = carry_out(context, note, value=ANN)
    assert rows_with(context, person.token) == {"audit_events": DAYS}
    assert rows_with(context, ANN) == {}
    assert len(live_rows(context, "contents")) == parts - DAYS
    assert rows_with(context, find_person(context, "acme", BOB).token) == others
    assert [(each.by, each.table, each.rows) for each in done.staying] == [("only acted", "audit_events", DAYS)]
    assert done.key_certificate is not None
    assert not context.vault.known("acme", [person.token])
    assert note.subject_ref == reference(bytes.fromhex(nonce), ANN)
    assert read_notes(context) == []


def open_incident(context, token):
    """An incident that names a person wherever one can."""
    record = IncidentRecord(
        "i77", "acme", "loud", f"{token} is loud", "high", "a.md", "sha256:0", "k1", json.dumps({"actor_id": token}),
        f"said by {token}", IncidentState.OPENED, 1, 1, 1, row_count=1,
    )  # fmt: skip
    found = FoundIncident(
        record, None, (IncidentRow("spans", "x", 0, 1, None, token),), {"agent": [token, "a"]},
        [IncidentChange(1, "opened", "user:a", f"ask {token}")], [],
    )  # fmt: skip
    context.control.commit_round("acme", [found], [], json.dumps({"seen": token}), by="user:a")


def test_incidents_keep_their_records_and_lose_the_person(context):
    """The token in an incident gives way to the reference, on its timeline; without that no erasure would end."""
    person, note, _, _ = order(context)
    open_incident(context, person.token)
    done = carry_out(context, note, value=ANN)
    assert done.key_certificate is not None
    found = context.control.incident_details("i77")
    assert (found.record.title, found.record.detail) == (f"{note.subject_ref} is loud", f"said by {note.subject_ref}")
    assert json.loads(found.record.key) == {"actor_id": note.subject_ref}
    assert (found.rows[0].agent_id, set(found.affected["agent"])) == (note.subject_ref, {"a", note.subject_ref})
    assert [(each.change, each.note) for each in found.changes] == [
        ("opened", f"ask {note.subject_ref}"),
        ("person erased", None),
    ]
    assert found.record.revision == 2
    assert person.token.encode() not in (context.lake.path / "control.db").read_bytes()


def test_a_hold_keeps_incidents_as_they_are(context):
    """While a hold in force names the person, what they are accused of stays readable."""
    person, note, _, _ = order(context)
    open_incident(context, person.token)
    place_hold(context, tenant="acme", scope=HoldScope(subjects=(person.token,), tables=("spans",)), reason="court")
    carry_out(context, note, value=ANN)
    assert context.control.incident("i77").title == f"{person.token} is loud"


def test_the_log_proves_what_remains_and_names_what_went(context):
    """After an erasure `verify` finds nothing missing, and counts exactly the certified rows as purged."""
    _, note, _, _ = order(context)
    carry_out(context, note, value=ANN)
    report = verify_lake(context.lake, lake_name=context.settings.lake, tenants=["acme"])
    assert [finding for log in report.logs for finding in log.findings] == []
    assert sum(log.purged for log in report.logs) == 3 * DAYS
    assert sum(log.missing + log.altered for log in report.logs) == 0


def test_nobody_is_named_in_what_outlives_the_erasure(context):
    """Certificates, events, control data and notes hold neither the value nor the token."""
    person, note, _, _ = order(context)
    carry_out(context, note, value=ANN)
    for file in (*context.lake.certificates.iterdir(), context.lake.control_file, *context.lake.keys.glob("*.json")):
        content = file.read_bytes() if file.is_file() else b""
        assert ANN.encode() not in content
        assert person.token.encode() not in content
    own = live_rows(context, "audit_events").filter(pl.col("event_name").str.starts_with("erasure."))
    assert len(own) >= 2
    assert not any(ANN in repr(row) or person.token in repr(row) for row in own.iter_rows())


def test_what_a_law_asks_for_stays_and_the_erasure_is_carried_on(context):
    """Under a minimum spans stay with their citation and the key with them; contents go. Once it has passed, so do the rest."""
    use_policy(context, WITH_MINIMUM)
    person, note, _, _ = order(context)
    done = carry_out(context, note, value=ANN)
    kept = [(each.by, each.name, each.table, each.rows, each.reason) for each in done.staying if each.by == "minimum"]
    assert kept == [("minimum", "floor", "spans", DAYS, "a law")]
    assert done.key_certificate is None
    assert rows_with(context, person.token) == {"spans": DAYS, "audit_events": DAYS}
    assert context.vault.known("acme", [person.token])
    (waiting,) = read_notes(context)
    assert waiting.kept_since_unix_nano is not None
    use_policy(context, NO_MINIMUMS)
    (done,) = finish_erasures(context)
    assert rows_with(context, person.token) == {"audit_events": DAYS}
    assert done.key_certificate is not None
    assert read_notes(context) == []


def test_a_hold_wins_and_is_named(context):
    """What a hold on the person covers stays until it is released; then the erasure goes on."""
    person = find_person(context, "acme", ANN)
    placed = place_hold(
        context, tenant="acme", scope=HoldScope(subjects=(person.token,), tables=("spans",)), reason="inquiry"
    )
    _, note, _, _ = order(context)
    done = carry_out(context, note, value=ANN)
    held = [(each.name, each.table) for each in done.staying if each.by == "hold"]
    assert held == [(placed.placed.hold.id, "spans")]
    assert rows_with(context, person.token)["spans"] == DAYS
    release_hold(context, placed.placed.hold.id, reason="closed")
    finish_erasures(context)
    assert rows_with(context, person.token) == {"audit_events": DAYS}


def test_a_hold_on_records_to_come_keeps_the_key(context):
    """A hold on a person of whom nothing is left keeps the key, so that it covers what comes; once released the key goes."""
    person = find_person(context, "acme", ANN)
    placed = place_hold(
        context,
        tenant="acme",
        scope=HoldScope(subjects=(person.token,), first_unix_nano=1, last_unix_nano=2),
        reason="inquiry",
    )
    _, note, _, _ = order(context)
    assert plan_erasure(context, person).erasure.keeps_key
    done = carry_out(context, note, value=ANN)
    assert done.key_certificate is None
    assert [(each.by, each.name, each.rows) for each in done.staying if each.by == "hold"] == [
        ("hold", placed.placed.hold.id, 0)
    ]
    assert context.vault.known("acme", [person.token])
    release_hold(context, placed.placed.hold.id, reason="closed")
    (done,) = finish_erasures(context)
    assert done.key_certificate is not None


def test_a_hold_keeps_events_that_name_the_person_as_what_they_were_about(context):
    """An event whose thing is the person, such as a look at their records, is one that names them: a hold keeps it."""
    person = find_person(context, "acme", ANN)
    context.record("record.viewed", "acme", resource_type="subject", resource_id=person.token)
    place_hold(context, tenant="acme", scope=HoldScope(subjects=(person.token,)), reason="inquiry")
    before = rows_with(context, person.token)
    _, note, _, _ = order(context)
    carry_out(context, note, value=ANN)
    assert rows_with(context, person.token)["audit_events"] == before["audit_events"] > DAYS


class Killed(BaseException):
    """The end of the process, as far as a test can have it in its own."""


@pytest.mark.parametrize("step", strided(range(1, 16, 2), 3, 13))
def test_a_crash_is_carried_on(context, step):
    """Cut off after any durable step, the erasure ends as an undisturbed one: one certificate a purge, nothing left."""
    person, note, _, _ = order(context)
    heard = []

    def die(_tenant, what):
        heard.append(what)
        if len(heard) == step:
            raise Killed

    with pytest.raises(Killed):
        carry_out(context, note, value=ANN, step=die)
    finish_erasures(context)
    assert rows_with(context, person.token) == {"audit_events": DAYS}
    assert not context.vault.known("acme", [person.token])
    assert read_notes(context) == []
    report = verify_lake(context.lake, lake_name=context.settings.lake, tenants=["acme"])
    assert [finding for log in report.logs for finding in log.findings] == []


def test_two_principals_where_two_hold_the_right(context):
    """The one who ordered cannot approve; another one can, and the certificate names both."""
    context.access = Access(owner="alice", users={"operator": ["bert"]})
    alice, bert = (Principal(PrincipalKind.LOCAL_USER, name) for name in ("alice", "bert"))
    context.principal = alice
    _, note, request, _ = order(context)
    with pytest.raises(DeniedError, match="waits for a second principal"):
        carry_out(context, note, value=ANN)
    with pytest.raises(DeniedError, match="another principal"):
        approve_erasure(context, request.id)
    context.principal = bert
    approved = approve_erasure(context, request.id)
    done = carry_out(context, approved)
    document = done.purges[0].certificate.document
    assert (document.ordered_by, document.approved_by) == ("user:alice", "user:bert")
    with pytest.raises(NotFoundError, match="no request"):
        approve_erasure(context, request.id)


def test_a_job_carries_on_and_never_orders(context):
    """A scheduled job may finish what a person ordered, and nothing else."""
    person, note, _, _ = order(context)
    context.principal = Principal(PrincipalKind.JOB, "dagster")
    with pytest.raises(DeniedError, match="a person to order it"):
        order_erasure(context, person, reason="x", announce_nonce=lambda _: None)
    assert len(finish_erasures(context)) == 1
    assert note.tenant == "acme"


def test_auditors_and_others_may_not(context):
    """Neither an auditor nor an SRE can plan or order an erasure."""
    context.access = Access(owner="nobody-else", users={"auditor": ["bob"], "sre": ["carol"]})
    for name in ("bob", "carol"):
        context.principal = Principal(PrincipalKind.LOCAL_USER, name)
        with pytest.raises(DeniedError):
            find_person(context, "acme", ANN)
        with pytest.raises(DeniedError):
            plan_erasure(context, Person("acme", "sub_" + "b" * 25 + "a", None))


def test_an_erasure_is_ordered_once(context):
    """A second order for the same person is refused while the first has not ended, and a reason may not name the person."""
    person, _, _, _ = order(context)
    with pytest.raises(ConflictError, match="ordered before"):
        order(context)
    bob = find_person(context, "acme", BOB)
    with pytest.raises(InputError, match="does not name the subject"):
        order_erasure(context, bob, reason=f"request of {BOB}", announce_nonce=lambda _: None)
    assert person.token != bob.token


def test_short_values_are_not_looked_for_in_texts_unless_ordered():
    """`42` means others too: in texts only the token is searched, and the value where it is an address or somebody says so."""
    token = "sub_" + "b" * 25 + "a"
    assert Person("acme", token, "42").words_in_texts == [token]
    assert Person("acme", token, "42", texts=True).words_in_texts == [token, "42"]
    assert Person("acme", token, ANN).words_in_texts == [token, ANN]


def test_a_person_is_looked_for_in_every_spelling(context):
    """In upper case, decomposed, or as JSON escapes it: wherever the value stands, an erasure does not end."""
    _, note, _, _ = order(context)
    folder = context.lake.path / "dagster"
    folder.mkdir()
    spellings = ("ZOË@EXAMPLE.ORG", "zoe\u0308@example.org", '{"to": "zo\\u00eb@example.org"}', "ZOE\u0308@example.org")
    for number, left in enumerate(spellings):
        (folder / f"{number}.txt").write_text(left)
    with pytest.raises(CorruptionError) as caught:
        carry_out(context, note, value="zoë@example.org")
    found = {f"dagster/{number}.txt" for number in range(len(spellings))}
    assert {name for name in found if name in str(caught.value)} == found


def test_an_erasure_does_not_end_while_the_person_is_found(context):
    """A file with the token that nothing can erase keeps the erasure open, and is named."""
    person, note, _, _ = order(context)
    (context.lake.path / "dagster").mkdir()
    (context.lake.path / "dagster" / "left.txt").write_text(person.token.upper())
    with pytest.raises(CorruptionError, match=r"dagster/left\.txt"):
        carry_out(context, note, value=ANN)
    assert context.vault.known("acme", [person.token])
    (context.lake.path / "dagster" / "left.txt").unlink()
    finish_erasures(context)
    assert read_notes(context) == []


def test_the_command_shows_first_and_erases_when_told(context, capfd, monkeypatch):
    """Without --yes nothing is deleted; with it the answer names certificates; the value comes by standard input."""
    lake = ["--lake", str(context.lake.path), "--json"]
    token = find_person(context, "acme", ANN).token
    capfd.readouterr()
    monkeypatch.setattr("sys.stdin", io.StringIO(ANN + "\n"))
    assert run(["erase", "--tenant", "acme", "--subject", "-", *lake]) == 0
    shown = json.loads(capfd.readouterr().out)
    assert shown["erased"] is False
    assert shown["rows_going"] == {"audit_events": DAYS, "contents": DAYS, "logs": DAYS, "spans": DAYS}
    assert rows_with(context, token)["spans"] == DAYS
    assert run(["erase", "--tenant", "acme", "--subject", token, "--yes", *lake]) == 0
    done = json.loads(capfd.readouterr().out)
    assert done["erased"] is True
    assert len(done["certificates"]) == 1
    assert run(["retention", "verify", done["certificates"][0], "--lake", str(context.lake.path)]) == 0
    assert run(["erase", "--tenant", "acme", "--subject", token, *lake]) == 2


def test_a_backup_made_by_name_does_not_bring_the_person_back(context, tmp_path, capfd):
    """A folder that was named once is told of every erasure since, so that a restore from it forgets too."""
    target, back = tmp_path / "backup", tmp_path / "back"
    assert run(["backup", str(target), "--lake", str(context.lake.path)]) == 0
    person, note, _, _ = order(context)
    carry_out(context, note, value=ANN)
    assert run(["restore", str(target), "--to", str(back)]) == 0, capfd.readouterr().err
    restored = command_context(back)
    assert rows_with(restored, person.token) == {"audit_events": DAYS}
    assert rows_with(restored, ANN) == {}
    restored.control.close()
