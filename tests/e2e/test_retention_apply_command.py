"""`muniment retention apply|verify|certificates` on a real lake: what they print, what they ask for, and how they end."""

import json
import time

import pytest

from muniment.cli.app import run
from muniment.wiring import command_context
from tests.template import init_lake, made_once
from warehouse.principals import Principal, PrincipalKind

NO, USAGE, UNAVAILABLE = 1, 2, 3
DAY = 86_400_000_000_000
POLICY = "retention:\n  - {name: all, tables: ['*'], keep: 2}\n  - {name: audit, tables: [audit_events], keep: 900}\n"


def span(number, days):
    start = time.time_ns() - int(days * DAY)
    return {
        "traceId": f"4bf92f3577b34da6a3ce929d0e0e47{number:02x}",
        "spanId": f"00f067aa0ba902{number:02x}",
        "name": "chat",
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(start + 1),
        "attributes": [{"key": "gen_ai.prompt", "value": {"stringValue": "hello"}}],
    }


def make_lake(folder):
    """A lake with two old spans and a young one, and a policy by which the old ones are due."""
    init_lake(folder, "acme")
    for name in ("eu_ai_act", "contents_30_days"):
        (folder / f"policies/retention/{name}.yaml").unlink()
    (folder / "policies/retention/defaults.yaml").write_text(POLICY)
    spans = [span(1, 5), span(2, 4), span(3, 1)]
    body = {"resourceSpans": [{"resource": {"attributes": []}, "scopeSpans": [{"spans": spans}]}]}
    file = folder.parent / "spans.jsonl"
    file.write_text(json.dumps(body) + "\n")
    for words in (("policy", "apply", "retention", "--yes"), ("import", str(file), "--tenant", "acme")):
        assert run([*words, "--lake", str(folder)]) == 0


@pytest.fixture
def muniment(tmp_path, capfd, monkeypatch):
    """Run a command on such a lake: exit code, standard output, messages on one line."""
    lake = made_once(make_lake, tmp_path / "lake")

    def command(*words, by=None):
        if by is not None:
            principal = Principal(PrincipalKind.LOCAL_USER, by)
            monkeypatch.setattr("muniment.wiring.local_principal", lambda: principal)
        capfd.readouterr()
        code = run([*map(str, words), "--lake", str(lake)])
        said = capfd.readouterr()
        return code, said.out, " ".join(said.err.split())

    return command


def count(muniment, table="spans"):
    return json.loads(muniment("sql", f"select count(*) as n from {table}", "--tenant", "acme", "--format", "json")[1])[
        0
    ]["n"]


def events(muniment, name):
    query = (
        "select recorded_by, action, resource_id, approval_id, attributes from audit_events "
        f"where event_name = '{name}' order by time_unix_nano"
    )
    return json.loads(muniment("sql", query, "--tenant", "acme", "--format", "json")[1])


def test_apply_shows_first_and_deletes_when_told(muniment, tmp_path):
    """Without --yes nothing goes; with it what is due, certified, listed, verified, and found again where it is put back."""
    code, out, err = muniment("retention", "apply", "--tenant", "acme")
    assert (code, "nothing was deleted" in out + err, count(muniment)) == (0, True, 3)
    assert muniment("retention", "apply", "--yes", "--dry-run")[0] == 0
    assert count(muniment) == 3
    code, out, err = muniment("retention", "apply", "--tenant", "acme", "--yes", "--json")
    assert code == 0, err
    (purge,) = json.loads(out)["purges"]
    assert (purge["rows"], purge["kept_by_holds"], purge["resumed"]) == ({"contents": 2, "spans": 2}, [], False)
    assert count(muniment) == 1
    assert count(muniment, "contents") == 1
    assert muniment("verify")[0] == 0
    assert "nothing was due" in "".join(muniment("retention", "apply", "--yes")[1:])
    (listed,) = json.loads(muniment("retention", "certificates", "--json")[1])
    assert (listed["sha256"], listed["finished"], listed["rows"]) == (purge["certificate"], True, purge["rows"])
    assert purge["certificate"][:12] in muniment("retention", "certificates", "--tenant", "acme")[1]
    code, out, err = muniment("retention", "verify", purge["certificate"][:8])
    assert (code, "none of it is there" in out + err) == (0, True)
    (event,) = events(muniment, "retention.purged")
    assert event["recorded_by"] == "muniment:retention"
    assert json.loads(event["attributes"])["muniment.certificate"] == purge["certificate"]
    details = json.loads((tmp_path / "lake/certificates" / purge["certificate"]).read_text().splitlines()[1])["details"]
    assert details["four_eyes"] == "one principal: no other holds the right"
    (tmp_path / "lake/tables/spans" / details["files"][-1]["before"]).write_bytes(b"")
    code, out, err = muniment("retention", "verify", purge["certificate"])
    assert (code, "on the disk" in " ".join((out + err).split())) == (NO, True)
    assert json.loads(muniment("retention", "verify", purge["certificate"], "--json")[1])["clean"] is False


def test_two_operators_approve_each_others_plans(muniment, tmp_path):
    """A plan waits for a second one; not for the first again, nor for somebody without the right; the certificate names both."""
    settings = tmp_path / "lake/muniment.yaml"
    settings.write_text(settings.read_text() + "\nusers: {operator: [alice, bob], auditor: [carol]}\n")
    plan = tmp_path / "plan.json"
    assert muniment("retention", "plan", "--tenant", "acme", "--out", plan, by="alice")[0] == 0
    code, _, err = muniment("retention", "apply", "--tenant", "acme", "--yes", by="alice")
    assert (code, "expected a plan that a second principal approves" in err) == (NO, True)
    code, _, err = muniment("retention", "apply", "--plan", plan, "--approve", by="bob")
    assert (code, "expected a request that waits for approval" in err) == (USAGE, True)
    code, out, err = muniment("retention", "apply", "--plan", plan, by="alice")
    assert (code, "waits for a second principal; nothing was deleted" in out + err) == (0, True)
    request = json.loads(muniment("retention", "apply", "--plan", plan, "--json", by="alice")[1])["request"]
    for who, said in (("alice", "another principal than user:alice"), ("carol", "carol")):
        code, _, err = muniment("retention", "apply", "--plan", plan, "--approve", by=who)
        assert (code, said in err) == (NO, True), err
    code, _, err = muniment("retention", "apply", "--plan", plan, by="bob")
    assert (code, "user:alice asked for it already" in err) == (NO, True)
    assert count(muniment) == 3
    code, out, err = muniment("retention", "apply", "--plan", plan, "--approve", "--json", by="bob")
    assert code == 0, err
    (purge,) = json.loads(out)["purges"]
    (listed,) = json.loads(muniment("retention", "certificates", "--json")[1])
    assert (listed["ordered_by"], listed["approved_by"]) == ("user:alice", "user:bob")
    assert listed["sha256"] == purge["certificate"]
    (asked,), (granted,) = events(muniment, "approval.requested"), events(muniment, "approval.granted")
    assert (asked["recorded_by"], granted["recorded_by"]) == ("user:alice", "user:bob")
    assert (asked["approval_id"], granted["approval_id"]) == (request, request)
    (purged,) = events(muniment, "retention.purged")
    said = json.loads(purged["attributes"])
    assert (said["muniment.purge.ordered_by"], said["muniment.purge.approved_by"]) == ("user:alice", "user:bob")
    assert count(muniment) == 1
    code, _, err = muniment("retention", "apply", "--plan", plan, "--approve", by="bob")
    assert (code, "expected a request that waits for approval" in err) == (USAGE, True)


WRONG = [
    ("both", ("apply", "--plan", "p", "--tenant", "acme"), USAGE, "expected --plan or --tenant, got both"),
    ("approve alone", ("apply", "--approve"), USAGE, "expected --plan beside --approve"),
    ("no plan", ("apply", "--plan", "/nowhere/p"), USAGE, "cannot be read"),
    ("nobody", ("apply", "--yes", "--tenant", "nobody"), USAGE, "nobody"),
    ("no certificate", ("verify", "77"), USAGE, "expected one by '77', got 0"),
]


def test_what_cannot_be_applied_is_said(muniment, tmp_path):
    """Each wrong question is answered with what was expected; a file that this lake did not sign proves nothing."""
    for name, words, expected_code, message in WRONG:
        code, _, err = muniment("retention", *words)
        assert (code, message in err) == (expected_code, True), (name, err)
    forged = tmp_path / "forged"
    forged.write_text("muniment/purge-certificate@v1\n{}\n")
    code, _, err = muniment("retention", "verify", forged)
    assert (code != 0, "it is not what this lake signed" in err) == (True, True)


def test_a_shard_that_does_not_commit_ends_it(muniment, tmp_path, monkeypatch):
    """Exit code 3, which shard it is, and nothing deleted."""
    from muniment import draining, purging

    monkeypatch.setattr(
        purging, "drain_journals", lambda context: draining.drain_journals(context, timeout_seconds=0.5)
    )
    context = command_context(tmp_path / "lake")
    writer = context.open_writer("stuck")
    (tmp_path / "lake/journal" / writer.shard / "0000000099.seg").touch()
    try:
        code, _, err = muniment("retention", "apply", "--yes")
        assert (code, "shard stuck" in err, count(muniment)) == (UNAVAILABLE, True, 3)
    finally:
        writer.stop()
        context.control.close()
