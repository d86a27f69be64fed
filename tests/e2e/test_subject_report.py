"""`muniment subject report` and `find --where` on a real lake: what is in the file, that every proof holds, and what is on record."""

import hashlib
import io
import json
import stat
import time
import zipfile

import pyarrow.parquet as pq
import pytest

from muniment.cli.app import run
from muniment.wiring import command_context
from tests.template import init_lake, made_once
from warehouse.principals import Principal, PrincipalKind

NO, USAGE = 1, 2
VALUE, OTHER = "ada.lovelace@example.org", "charles.babbage@example.org"
START = time.time_ns() - 3 * 86_400_000_000_000


def text(key, value):
    """An attribute as OTLP writes it."""
    return {"key": key, "value": {"stringValue": value}}


def span(number, *attributes, day=0):
    """A span of its own trace."""
    start = START + day * 86_400_000_000_000 + number
    return {
        "traceId": f"{number + 1:032x}", "spanId": f"{number + 1:016x}", "name": "chat",
        "startTimeUnixNano": str(start), "endTimeUnixNano": str(start + 5),
        "attributes": [text("gen_ai.agent.name", "desk-bot"), text("gen_ai.operation.name", "chat"), *attributes],
    }  # fmt: skip


def spans(*records):
    """An export request of spans."""
    return {"resourceSpans": [{"resource": {"attributes": []}, "scopeSpans": [{"spans": list(records)}]}]}


def log(event, *attributes, body="done"):
    """An export request of one log record."""
    record = {
        "timeUnixNano": str(START), "eventName": event, "body": {"stringValue": body}, "attributes": list(attributes),
    }  # fmt: skip
    return {"resourceLogs": [{"resource": {"attributes": []}, "scopeLogs": [{"logRecords": [record]}]}]}


REQUESTS = [
    spans(
        span(0, text("user.id", VALUE), text("gen_ai.prompt", "refund <b>42</b> please")),
        span(1, text("user.id", OTHER), text("gen_ai.prompt", "nothing of hers")),
        span(2, text("user.id", VALUE), text("gen_ai.prompt", f"write to {OTHER}"), day=1),
        span(3, text("employee.number", "4711")),
    ),
    log(
        "approval.granted",
        text("audit.actor.id", "desk-bot"),
        text("audit.actor.type", "agent"),
        text("audit.on_behalf_of", VALUE),
        text("audit.action", "pay"),
    ),
    log("desk.note", text("user.id", VALUE), text("manager.user_id", OTHER)),
]


def make_lake(folder):
    """A lake with two persons in the records of one tenant."""
    init_lake(folder, "acme", "globex")
    file = folder.parent / "requests.jsonl"
    file.write_text("".join(json.dumps(each) + "\n" for each in REQUESTS))
    assert run(["import", str(file), "--tenant", "acme", "--lake", str(folder)]) == 0


@pytest.fixture
def lake(tmp_path):
    """Such a lake."""
    return made_once(make_lake, tmp_path / "lake")


@pytest.fixture
def muniment(lake, capfd, monkeypatch):
    """Run a command on the lake: exit code, standard output, messages on one line."""

    def command(*words, given=""):
        monkeypatch.setattr("sys.stdin", io.StringIO(given))
        capfd.readouterr()
        code = run([*map(str, words), "--lake", str(lake)])
        said = capfd.readouterr()
        return code, said.out, " ".join(said.err.split())

    return command


@pytest.fixture
def token(lake):
    """The token of the person who asks."""
    return command_context(lake).vault.find("acme", VALUE)


def exports(muniment, tenant="acme"):
    """The reports on record in a tenant's log."""
    query = "select action, actor_id, resource_id, attributes from audit_events where event_name = 'data.exported'"
    code, out, _ = muniment("sql", query, "--tenant", tenant, "--format", "json")
    assert code == 0
    return [each for each in json.loads(out) if each["action"] == "report"]


def read(archive, name):
    """Rows of a table of the report."""
    return [json.loads(line) for line in archive.read(f"tables/{name}.json").splitlines()]


def test_report(muniment, lake, token, tmp_path, capfd):
    """All that names the person is in the file and nothing of others; each record's proof holds offline; on record beforehand."""
    out = tmp_path / "person.zip"
    code, said, _ = muniment("subject", "report", "--tenant", "acme", "--subject", token, "--out", out, "--json")
    assert code == 0
    answer = json.loads(said)
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert hashlib.sha256(out.read_bytes()).hexdigest() == answer["sha256"]
    with zipfile.ZipFile(out) as archive:
        names = set(archive.namelist())
        manifest = json.loads(archive.read("manifest.json"))["files"]
        assert set(manifest) == names - {"manifest.json"}
        for name, about in manifest.items():
            assert hashlib.sha256(archive.read(name)).hexdigest() == about["sha256"]
        assert [row["span_id"] for row in read(archive, "spans")] == [f"{1:016x}", f"{3:016x}"]
        assert [row["event_name"] for row in read(archive, "audit_events")] == ["approval.granted"]
        assert [row["event_name"] for row in read(archive, "logs")] == ["desk.note"]
        bodies = [row["body"] for row in read(archive, "contents")]
        assert len(bodies) == 2
        assert any("refund" in body for body in bodies)
        for table in ("spans", "audit_events", "logs", "contents"):
            rows = pq.read_table(io.BytesIO(archive.read(f"tables/{table}.parquet")))
            assert rows.num_rows == len(read(archive, table))
        page, readme = archive.read("report.html").decode(), archive.read("README.txt").decode()
        everything = b"".join(archive.read(name) for name in names if not name.endswith(".parquet"))
        proofs = [name for name in names if name.endswith(".tlog-proof")]
        archive.extractall(tmp_path / "report")
    assert "refund &lt;b&gt;42&lt;/b&gt; please" in page
    assert "spans: 2 from" in readme
    assert "spans, agent_name: desk-bot (2)" in readme
    # another person's token stays a token; nobody stands there in the clear
    assert OTHER.encode() not in everything
    assert command_context(lake).vault.find("acme", OTHER).encode() in everything
    assert len(proofs) == answer["proofs"] == 4
    assert run(["ledger", "vkey", "--lake", str(lake)]) == 0
    (tmp_path / "lake.vkey").write_text(capfd.readouterr().out)
    for proof in proofs:
        for keys in (tmp_path / "lake.vkey", tmp_path / "report" / "vkeys.txt"):
            assert run(["verify-proof", str(tmp_path / "report" / proof), "--vkey", str(keys)]) == 0
    (event,) = exports(muniment)
    said = json.loads(event["attributes"])
    assert said["muniment.subject_ref"] == hashlib.sha256(bytes.fromhex(answer["nonce"]) + VALUE.encode()).hexdigest()
    assert said["muniment.report.sha256"] == answer["sha256"]
    assert token not in json.dumps(event)
    assert exports(muniment, "globex") == []


def test_same_lake_same_files(muniment, token, tmp_path):
    """Two reports differ in the checkpoints alone, which the event of the first one moved on."""
    contents = []
    for number in range(2):
        out = tmp_path / f"{number}.zip"
        assert muniment("subject", "report", "--tenant", "acme", "--value", "-", "--out", out, given=VALUE)[0] == 0
        with zipfile.ZipFile(out) as archive:
            contents.append({name: archive.read(name) for name in archive.namelist()})
    first, second = contents
    assert first.keys() == second.keys()
    differing = {name.partition("/")[0] for name in first if first[name] != second[name]}
    assert differing <= {"proofs", "checkpoints", "manifest.json"}


def test_altered_record_has_no_proof(muniment, lake, token, tmp_path):
    """A record that is not what was recorded is in the report, without a proof, by name; exit code 4."""
    file = next((lake / "tables" / "logs").rglob("tenant_id=acme/*/*.parquet"))
    rows = pq.read_table(file)
    place = rows.schema.get_field_index("event_name")
    pq.write_table(rows.set_column(place, rows.schema.field(place), [["desk.changed"] * rows.num_rows]), file)
    out = tmp_path / "person.zip"
    code, said, _ = muniment("subject", "report", "--tenant", "acme", "--subject", token, "--out", out, "--json")
    answer = json.loads(said)
    assert code == 4
    assert answer["proofs"] == 3
    assert "altered" in answer["without_proof"][0]
    with zipfile.ZipFile(out) as archive:
        assert "Records without a proof" in archive.read("README.txt").decode()


def test_not_recorded_is_not_given_out(muniment, token, tmp_path, monkeypatch):
    """Where the export cannot be recorded no file is left behind, under any name."""
    from muniment.recorder import Recorder
    from warehouse.errors import UnavailableError

    def refuse(*_):
        raise UnavailableError("nobody records")

    monkeypatch.setattr(Recorder, "record", refuse)
    folder = tmp_path / "out"
    folder.mkdir()
    assert muniment("subject", "report", "--tenant", "acme", "--subject", token, "--out", folder / "a.zip")[0] == 3
    assert list(folder.iterdir()) == []


def test_where(muniment, token):
    """`find --where` counts what is where; an attribute that the policy keeps is found by its exact value."""
    code, out, _ = muniment("subject", "find", "--tenant", "acme", "--where", "--json", given=VALUE)
    counts = {each["table"]: each for each in json.loads(out)["where"]}
    assert code == 0
    assert {table: each["rows"] for table, each in counts.items()} == {
        "spans": 2,
        "audit_events": 2,
        "logs": 1,
        "contents": 2,
    }
    # besides the approval the asking itself is there: who looked for a person is told with what is held about them
    assert counts["audit_events"]["only_actor"] == 1
    code, out, said = muniment("subject", "find", "--tenant", "acme", "--where", given=VALUE)
    assert f"{token}\n" in out
    assert "in 1 the person only acted" in out
    assert "--search-texts" in said
    find = ("subject", "find", "--tenant", "acme", "--where", "--attribute", 'employee.number="4711"')
    assert "spans: 3 rows" in muniment(*find, given=VALUE)[1]


WRONG = [
    ("nobody given", (), "", "one of the two"),
    ("both given", ("--subject", "sub_x", "--value", "v"), "", "one of the two"),
    ("no token", ("--subject", "ada"), "", "expected sub_ and 26 characters"),
    ("unknown token", ("--subject", "sub_" + "b" * 25 + "a"), "", "the vault does not know"),
    ("empty value", ("--value", "-"), "\n", "expected one, got nothing"),
    ("attribute", ("--value", "v", "--attribute", "x"), "", "expected NAME=VALUE"),
]


@pytest.mark.parametrize(("name", "words", "given", "message"), WRONG, ids=[case[0] for case in WRONG])
def test_refusals(muniment, tmp_path, name, words, given, message):
    """What is given wrong is said, and no file is made."""
    out = tmp_path / "a.zip"
    code, _, said = muniment("subject", "report", "--tenant", "acme", "--out", out, *words, given=given)
    assert (code, out.exists()) == (USAGE, False)
    assert message in said


def test_nobody(muniment, tmp_path):
    """Of somebody whom no record names there is a report too, which says so, on record; no token is made for them."""
    out = tmp_path / "nobody.zip"
    code, said, _ = muniment(
        "subject",
        "report",
        "--tenant",
        "acme",
        "--value",
        "-",
        "--out",
        out,
        "--search-texts",
        given="nobody@example.org",
    )
    assert code == 0
    assert "nothing in" in said
    with zipfile.ZipFile(out) as archive:
        assert set(archive.namelist()) == {"README.txt", "report.html", "vkeys.txt", "manifest.json"}
        assert "  nothing\n" in archive.read("README.txt").decode()
    assert len(exports(muniment)) == 1
    assert muniment("subject", "find", "--tenant", "acme", given="nobody@example.org")[0] == NO


def test_file_that_is_there(muniment, token, tmp_path):
    """A file that is there is not replaced."""
    out = tmp_path / "a.zip"
    out.write_text("mine")
    assert muniment("subject", "report", "--tenant", "acme", "--subject", token, "--out", out)[0] == USAGE
    assert out.read_text() == "mine"


def test_who_may_not(muniment, token, tmp_path, monkeypatch):
    """Who has no such right gets nothing, and is told so."""
    monkeypatch.setattr("muniment.wiring.local_principal", lambda: Principal(PrincipalKind.LOCAL_USER, "mallory"))
    code, _, said = muniment("subject", "report", "--tenant", "acme", "--subject", token, "--out", tmp_path / "a.zip")
    assert code == NO
    assert "may not subject.report" in said
