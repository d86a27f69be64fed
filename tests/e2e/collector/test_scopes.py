"""Keys over the wire: the tenant they decide, their scope, and what refusals leave behind."""

import hashlib
import json
import time

import pyarrow.parquet as pq
import pytest

from warehouse.ledger.certificates import Deleted, PurgeCertificate, Run, sign_document
from warehouse.ledger.note import Ed25519Signer
from warehouse.ledger.signing import read_signing_keys


def event(name, agent="buyer", **attributes):
    pairs = {"gen_ai.agent.id": agent, "audit.actor.id": "u1", "audit.actor.type": "human", **attributes}
    return {
        "timeUnixNano": str(time.time_ns()),
        "eventName": name,
        "attributes": [{"key": key, "value": {"stringValue": value}} for key, value in pairs.items()],
    }


def logs(*records):
    return json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": list(records)}]}]})


def scoped_key(lake, *arguments):
    return json.loads(lake.muniment("key", "issue", "--tenant", "acme", *arguments, "--json").stdout)["key"]


def test_scoped_key_keeps_to_its_agent_and_events(lake):
    """An event outside the key's scope is refused, named in the answer, quarantined, and leaves record.rejected."""
    collector = lake.collect()
    lake.key = scoped_key(lake, "--agent", "buyer", "--events", "approval.*")
    body = logs(event("approval.granted"), event("model.switched"), event("approval.granted", agent="other"))
    status, answer = collector.post(body, path="/v1/logs", content_type="application/json")
    assert status == 200
    partial = json.loads(answer)["partialSuccess"]
    assert int(partial["rejectedLogRecords"]) == 2
    assert "scope" in partial["errorMessage"]
    collector.flush()
    kept = lake.sql("select event_name, assurance from audit_events where recorded_by like 'key:%'")
    assert kept == [{"event_name": "approval.granted", "assurance": "key-bound"}]
    rejected = lake.sql("select resource_id, outcome from audit_events where event_name = 'record.rejected' order by 1")
    assert rejected == [
        {"resource_id": "approval.granted", "outcome": "denied"},
        {"resource_id": "model.switched", "outcome": "denied"},
    ]
    reasons = {entry["reason"] for entry in json.loads(lake.muniment("quarantine", "list", "--json").stdout)}
    assert reasons == {"out-of-scope"}


def test_own_families_from_outside_are_marked(lake):
    """An event of Muniment's own families that arrives from outside is kept as external.<name>."""
    collector = lake.collect()
    collector.post(logs(event("retention.purged")), path="/v1/logs", content_type="application/json")
    collector.flush()
    rows = lake.sql("select event_name from audit_events where recorded_by like 'key:%'")
    assert rows == [{"event_name": "external.retention.purged"}]


def test_tenant_in_the_payload_changes_nothing(lake):
    """The key decides the tenant, whatever the attributes claim."""
    lake.muniment("tenant", "add", "victim")
    collector = lake.collect()
    claim = event("message.sent", **{"tenant_id": "victim", "muniment.tenant": "victim"})
    assert collector.post(logs(claim), path="/v1/logs", content_type="application/json")[0] == 200
    collector.flush()
    assert lake.sql("select count(*) as n from audit_events where event_name = 'message.sent'") == [{"n": 1}]
    lake.tenant = "victim"
    assert lake.sql("select count(*) as n from audit_events where event_name = 'message.sent'") == [{"n": 0}]


@pytest.mark.parametrize("key", ["", "mun_0_0", "nonsense", "mun_" + "a" * 500])
def test_wrong_keys_are_unauthenticated(lake, key):
    """No key, or a wrong one: 401, and nothing is stored."""
    collector = lake.collect()
    lake.key = key
    assert collector.post(logs(event("message.sent")), path="/v1/logs", content_type="application/json")[0] == 401


def test_revoked_and_rotated_keys(lake):
    """A revoked key stops within seconds; a rotated one works beside its successor until the overlap ends."""
    collector = lake.collect()
    old = lake.key
    listed = json.loads(lake.muniment("key", "list", "--tenant", "acme", "--json").stdout)
    rotated = json.loads(lake.muniment("key", "rotate", listed[0]["id"], "--overlap", "1h", "--json").stdout)
    for key in (old, rotated["key"]):
        lake.key = key
        assert collector.post(logs(event("message.sent")), path="/v1/logs", content_type="application/json")[0] == 200
    lake.muniment("key", "revoke", rotated["id"])
    deadline = time.monotonic() + 120
    lake.key = rotated["key"]
    while collector.post(logs(event("message.sent")), path="/v1/logs", content_type="application/json")[0] != 401:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_doctor_names_the_step(lake):
    """The doctor passes on a healthy lake and names the step at which a broken one stops."""
    stopped = lake.muniment("doctor", check=False)
    assert stopped.returncode == 1
    assert "receiver answers" in stopped.stdout
    lake.collect()
    healthy = json.loads(lake.muniment("doctor", "--json").stdout)
    assert healthy["ok"], healthy
    assert healthy["steps"][-1]["name"] == "queryable"
    wrong = lake.muniment("doctor", "--key", "mun_wrong_key", "--json", check=False)
    assert wrong.returncode == 1
    last = json.loads(wrong.stdout)["steps"][-1]
    assert not last["ok"]
    assert "401" in last["detail"]


def test_out_of_window_is_quarantined_and_can_be_replayed(lake):
    """A record from 1970 never makes a partition; one from last month is refused live and kept by a replay."""
    collector = lake.collect()
    ancient = {**event("message.sent"), "timeUnixNano": "1"}
    month = {**event("handoff.requested"), "timeUnixNano": str(time.time_ns() - 30 * 86_400 * 10**9)}
    future = {**event("handoff.accepted"), "timeUnixNano": str(18_446_744_073_709_551_615)}
    status, answer = collector.post(logs(ancient, month, future), path="/v1/logs", content_type="application/json")
    assert status == 200
    assert int(json.loads(answer)["partialSuccess"]["rejectedLogRecords"]) == 3
    done = json.loads(lake.muniment("quarantine", "replay", "--reason", "time-out-of-window", "--json").stdout)
    assert done["accepted"] == 1
    assert lake.sql("select event_name from audit_events where event_name like 'handoff.%'") == [
        {"event_name": "handoff.requested"}
    ]
    days = {folder.name for folder in (lake.path / "tables" / "audit_events" / "tenant_id=acme").iterdir()}
    assert all(day.startswith("day=20") for day in days)
    assert len(days) <= 3


def test_metrics_endpoint_and_status(lake, spans):
    """Prometheus text counts what was accepted; `status` shows the collector and its rows."""
    import urllib.request

    collector = lake.collect()
    collector.post(spans("counted"))
    collector.flush()
    with urllib.request.urlopen(f"http://127.0.0.1:{collector.http_port}/metrics", timeout=60) as response:
        text = response.read().decode()
    assert "muniment_records_accepted_total{" in text
    assert "muniment_commit_lag" in text
    status = json.loads(lake.muniment("status", "--senders", "--json").stdout)
    assert status["collectors"][0]["ok"]
    spans_row = [row for row in status["tables"] if row["table"] == "spans"]
    assert [row["rows"] for row in spans_row] == [8]
    assert [row["spans"] for row in status["senders"]] == [8]


def test_a_certificate_posted_by_an_agents_key_excuses_nothing(lake, spans):
    """Through the real receiver: event, attributes and a file that the lake's own key signed do not make a missing row purged."""
    collector = lake.collect()
    assert collector.post(spans("evidence", spans=20))[0] == 200
    collector.flush()
    (log,) = (folder for folder in (lake.path / "ledger/acme").iterdir() if folder.name.startswith("main-"))
    run = Run("spans", "acme", log.name, 0, 19)
    certificate = PurgeCertificate(
        lake="e2e", purge_id="p1", time_unix_nano="1", intent_sha256="0" * 64, plan_sha256="0" * 64,
        policy_sha256="0" * 64, ordered_by="user:officer", deleted=Deleted(runs=(run,)),
    )  # fmt: skip
    (key,) = read_signing_keys(lake.path / "keys").keys
    content = sign_document(certificate, [Ed25519Signer("e2e/certificates", key.private_key)])
    digest = hashlib.sha256(content).hexdigest()
    (lake.path / "certificates").mkdir(exist_ok=True)
    (lake.path / "certificates" / digest).write_bytes(content)
    for name in ("retention.purged", "retention.intended"):
        claim = event(name, certificate_sha256=digest, recorded_by="muniment:retention", tenant_id="_lake")
        assert collector.post(logs(claim), path="/v1/logs", content_type="application/json")[0] == 200
    collector.flush()
    told = lake.sql(f"select recorded_by from audit_events where contains(attributes::varchar, '{digest}')")
    assert len(told) == 2
    assert all(row["recorded_by"].startswith("key:") for row in told)
    assert collector.stop() == 0

    files = list((lake.path / "tables/spans/tenant_id=acme").rglob("*.parquet"))
    for file in files:
        pq.write_table(pq.ParquetFile(file).read().slice(0, 0), file)
    report = json.loads(lake.muniment("verify", "--tenant", "acme", "--json", check=False).stdout)
    (main,) = (entry for entry in report["logs"] if (entry["tenant"], entry["shard"]) == ("acme", log.name))
    assert report["result"] == "broken"
    assert (main["purged"], main["missing"]) == (0, 20)
    assert report["findings"] == {"missing": 20}
