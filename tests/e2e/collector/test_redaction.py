"""No personal data that is sent reaches the disk, whichever way it comes; policies change what a running collector does."""

import base64
import json
import sqlite3
import time
import urllib.parse

import grpc
import pyarrow as pa
import pyarrow.parquet as pq
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import LogsServiceStub
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import MetricsServiceStub
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from muniment.tenancy import add_tenant, issue_key
from muniment.wiring import command_context
from warehouse.journal import read_segment

WAIT_SECONDS = 120
OLD = 30 * 86_400 * 1_000_000_000

RAW = {
    "email": ("quentin.harrow@mailhost.example", "q+tag_7@sub.mailhost.example"),
    "phone": ("+1 415 555 0173", "+44 20 7946 0958"),
    "card": ("4111 1111 1111 1111", "5500005555555559", "378282246310005"),
    "iban": ("DE89 3704 0044 0532 0130 00", "GB29NWBK60161331926819"),
    "ssn": ("536-90-4399",),
    "national_id": ("123.456.789-09",),
    "ip": ("203.0.113.77", "2001:db8:85a3::8a2e:370:7334"),
    "date_of_birth": ("1983-04-17",),
    "address": ("4821 Winding Creek Road",),
    "person": ("Quentin Harrow",),
    "secret": (
        "sk-proj-Zt8Qw3Er5Ty7Ui9Op1As3Df5Gh7Jk9Lz", "AKIAQ3EGRIJ7XHTPLWZA", "ghp_x8Kd02LmQpZv7Yt5Rw3Nc9Bf1Hs6Jg4Ae2Uo",
        "xoxb-482910374821-48291037482910-Qm3Zx8Lk2Vt7Rw9Pn5Yb1Gd4",
    ),
    "url_credentials": ("postgres://svc_app:Tr0ub4dor9x@db.mailhost.example/app",),
}  # fmt: skip
"""Values by detector, none of which stands anywhere but in what is sent."""

NARRATIVE = (
    "Hello, my name is Quentin Harrow, I live at 4821 Winding Creek Road, Springfield. Born 1983-04-17, SSN 536-90-4399. "
    "Mail quentin.harrow@mailhost.example or q+tag_7@sub.mailhost.example, call +1 415 555 0173 or +44 20 7946 0958. "
    "Card 4111 1111 1111 1111, then card 5500005555555559 or amex 378282246310005; IBAN DE89 3704 0044 0532 0130 00 and "
    "IBAN GB29NWBK60161331926819; CPF 123.456.789-09. From 203.0.113.77 and 2001:db8:85a3::8a2e:370:7334. "
    "Keys sk-proj-Zt8Qw3Er5Ty7Ui9Op1As3Df5Gh7Jk9Lz, AKIAQ3EGRIJ7XHTPLWZA, ghp_x8Kd02LmQpZv7Yt5Rw3Nc9Bf1Hs6Jg4Ae2Uo, "
    "xoxb-482910374821-48291037482910-Qm3Zx8Lk2Vt7Rw9Pn5Yb1Gd4; "
    "postgres://svc_app:Tr0ub4dor9x@db.mailhost.example/app ."
)
KEYED = {"password": "Pl4in-w0rd-kept-nowhere", "app.userPassword": "0ther-w0rd-kept-nowhere"}
USERS = ("harrow-q-88", 'odd"user\\é')
NEEDLES = [
    *(value for values in RAW.values() for value in values if not value.startswith("postgres://")),
    "Tr0ub4dor9x", *KEYED.values(), *USERS,
]  # fmt: skip


def nested():
    """The narrative in JSON, in JSON in JSON, and beside keys that say what their values are."""
    inner = json.dumps({"note": NARRATIVE, "user_id": USERS[0], "who": USERS and {"user.id": USERS[1]}})
    return json.dumps({"messages": [{"role": "user", "content": NARRATIVE}, {"arguments": inner}], **KEYED})


def pairs(target, values):
    """Add attributes of plain values."""
    for key, value in values.items():
        target.add(key=key, value=value if isinstance(value, AnyValue) else AnyValue(string_value=value))


def attributes():
    """Attributes of every form that hold everything."""
    within = AnyValue()
    pairs(within.kvlist_value.values, {"deep": NARRATIVE, "user.id": USERS[0], RAW["email"][0]: "as a key"})
    listed = AnyValue()
    listed.array_value.values.extend(
        [within, AnyValue(string_value=NARRATIVE), AnyValue(bytes_value=NARRATIVE.encode())]
    )
    return {
        "plain": NARRATIVE, "json": nested(), "within": within, "listed": listed, "user.id": USERS[0], "enduser.id": USERS[1],
        "number": AnyValue(int_value=5500005555555559), "raw": AnyValue(bytes_value=NARRATIVE.encode()),
        "agent.name": RAW["email"][0], **KEYED,
    }  # fmt: skip


def spans(now):
    """A span that holds everything everywhere, and one that is refused for its time."""
    request = ExportTraceServiceRequest()
    block = request.resource_spans.add()
    pairs(block.resource.attributes, {"service.name": "leaks", **attributes()})
    scope = block.scope_spans.add()
    scope.scope.name = f"scope {RAW['email'][0]}"
    pairs(scope.scope.attributes, attributes())
    for age in (0, OLD):
        span = scope.spans.add(
            trace_id=b"t" * 16, span_id=b"s" * 8, name=f"chat {NARRATIVE}",
            start_time_unix_nano=now - age, end_time_unix_nano=now - age + 5, trace_state=f"a={RAW['card'][1]}",
        )  # fmt: skip
        pairs(span.attributes, {**attributes(), "gen_ai.prompt": NARRATIVE, "gen_ai.input.messages": nested()})
        span.status.message = NARRATIVE
        event = span.events.add(name=f"exception {RAW['email'][1]}", time_unix_nano=now)
        pairs(event.attributes, {**attributes(), "exception.stacktrace": f"Traceback\n  File x\n{NARRATIVE}"})
        pairs(span.links.add(trace_id=b"l" * 16, span_id=b"k" * 8).attributes, attributes())
    return request


def logs(now):
    """Log records with text and nested bodies, audit events, and a record that is refused."""
    request = ExportLogsServiceRequest()
    records = request.resource_logs.add().scope_logs.add().log_records
    bodies = [AnyValue(string_value=NARRATIVE), AnyValue(string_value=nested()), attributes()["listed"]]
    for age, body in [*((0, body) for body in bodies), (OLD, bodies[0])]:
        record = records.add(time_unix_nano=now - age, severity_text=RAW["email"][0], body=body)
        pairs(record.attributes, attributes())
    for name in ("approval.granted", f"approval.{RAW['email'][0]}", "gone.by"):
        event = records.add(time_unix_nano=now - (OLD if name == "gone.by" else 0), event_name=name, body=bodies[0])
        pairs(event.attributes, {
            "audit.actor.id": USERS[0], "audit.on_behalf_of": USERS[1], "audit.subject.id": RAW["email"][0],
            "audit.reason": NARRATIVE, "audit.resource.id": RAW["email"][1], "audit.action": RAW["secret"][0],
            "audit.action.digest": RAW["email"][0], **attributes(),
        })  # fmt: skip
    return request


def metrics(now):
    """A metric point with an exemplar that holds everything."""
    request = ExportMetricsServiceRequest()
    metric = (
        request.resource_metrics.add()
        .scope_metrics.add()
        .metrics.add(name="tokens", description=NARRATIVE, unit=RAW["email"][0])
    )
    point = metric.gauge.data_points.add(time_unix_nano=now, as_double=1.5)
    pairs(point.attributes, attributes())
    pairs(point.exemplars.add(time_unix_nano=now, as_double=1).filtered_attributes, attributes())
    return request


def send_everything(collector):
    """Every signal by HTTP and by gRPC, and bodies that nobody can decode."""
    now = time.time_ns()
    requests = ((spans, "/v1/traces"), (logs, "/v1/logs"), (metrics, "/v1/metrics"))
    for make, path in requests:
        status, _ = collector.post(make(now).SerializeToString(), path=path)
        assert status == 200
    with grpc.insecure_channel(f"127.0.0.1:{collector.grpc_port}") as channel:
        for stub, (make, _) in zip((TraceServiceStub, LogsServiceStub, MetricsServiceStub), requests, strict=True):
            answer = stub(channel).Export(make(now + 1), metadata=[("x-api-key", collector.lake.key)], timeout=30)
            assert not any(needle in answer.partial_success.error_message for needle in NEEDLES)
    for body, kind in ((NARRATIVE.encode(), "application/x-protobuf"), (nested().encode()[:-1], "application/json")):
        assert collector.post(body, content_type=kind)[0] == 400
    wrong = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": NARRATIVE, "name": nested()}]}]}]})
    collector.post(wrong.encode(), content_type="application/json")


def forms(value):
    """A value as it may stand in a file: plain, in JSON once and twice, percent-encoded, in base64 at any offset."""
    once = json.dumps(value)[1:-1]
    yield from {value, once, json.dumps(once)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    yield urllib.parse.quote(value, safe="")
    raw = value.encode()
    for shift in range(3):
        text = base64.b64encode(b"\0" * shift + raw).decode()
        yield text[(shift * 8 + 5) // 6 : len(raw) * 8 // 6]


def texts_of(file):
    """A file's bytes, and every text of what it holds once decoded."""
    yield file.read_bytes()
    tables = []
    if file.suffix == ".parquet":
        tables = [pq.ParquetFile(file).read()]
    elif file.suffix == ".seg":
        tables = [
            batch for frame in read_segment(file, shard=file.parent.name).frames for batch in frame.tables.values()
        ]
    elif file.suffix == ".db":
        with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as database:
            yield "\n".join(database.iterdump()).encode(errors="surrogateescape")
    for table in tables:
        for column in table.columns:
            kind = column.type.value_type if pa.types.is_list(column.type) else column.type
            if pa.types.is_string(kind) or pa.types.is_binary(kind):
                yield "\n".join(str(value) for value in column.to_pylist() if value is not None).encode()


def leaks(folder):
    """(file, value) of every value of `NEEDLES` that stands in a file below a folder."""
    wanted = [(needle, form.encode()) for needle in NEEDLES for form in forms(needle)]
    return sorted({
        (file.relative_to(folder).as_posix(), needle)
        for file in folder.rglob("*") if file.is_file()
        for text in texts_of(file)
        for needle, form in wanted if form in text
    })  # fmt: skip


def test_values_are_found_where_they_stand(tmp_path):
    """The search itself finds what it looks for, in a file and in a compressed column, in every form."""
    needle = NEEDLES[0]
    for number, form in enumerate(forms(needle)):
        (tmp_path / f"{number}.jsonl").write_text(f"xx{form}yy")
    pq.write_table(pa.table({"a": [[f"it is {needle}"]]}), tmp_path / "t.parquet", compression="zstd")
    assert {name for name, _ in leaks(tmp_path)} == {file.name for file in tmp_path.iterdir()}


def test_no_personal_data_reaches_the_disk(lake):
    """Sent in every place over both protocols, killed in between, drained: no file of the lake holds any of it."""
    collector = lake.collect()
    send_everything(collector)
    assert leaks(lake.path) == []
    collector.kill()
    assert leaks(lake.path) == []
    collector = lake.collect()
    send_everything(collector)
    lake.muniment(
        "sql", f"select count(*) from spans where name = '{RAW['email'][0]}' -- {NARRATIVE}", "--tenant", "acme"
    )
    lake.muniment("sql", f"select '{NARRATIVE}' from nowhere_{RAW['card'][1]}", "--tenant", "acme", check=False)
    collector.flush()
    assert collector.stop() == 0
    assert leaks(lake.path) == []
    report = json.loads(lake.muniment("verify", "--json").stdout)
    assert report["result"] == "consistent", report
    rows = lake.sql("select redactions, data_class, redaction_policy, subjects from spans")
    assert len(rows) == 4
    for row in rows:
        assert set(json.loads(row["redactions"])) >= set(RAW) | {"identity"}
        assert row["data_class"] == "restricted"
        assert row["redaction_policy"].startswith("sha256:")
        assert row["subjects"]
    kept = json.loads(lake.muniment("quarantine", "list", "--json").stdout)
    assert {entry["reason"] for entry in kept} >= {"time-out-of-window", "undecodable"}


def another_tenant(lake, tenant):
    """Add a tenant; returns its key."""
    context = command_context(lake.path)
    acting = (context.control, context.access, context.principal, lambda *_, **__: None)
    add_tenant(*acting, tenant_id=tenant, name=None)
    key = issue_key(*acting, tenant_id=tenant).secret_text
    context.control.close()
    return key


def one_span(now, **values):
    """A request of one span."""
    request = ExportTraceServiceRequest()
    span = (
        request.resource_spans.add()
        .scope_spans.add()
        .spans.add(trace_id=b"t" * 16, span_id=b"s" * 8, name="chat", start_time_unix_nano=now, end_time_unix_nano=now)
    )
    pairs(span.attributes, {key.replace("__", "."): value for key, value in values.items()})
    return request.SerializeToString()


def test_a_person_has_another_token_in_another_tenant(lake):
    """The same person is joinable within a tenant and not beyond it."""
    key = another_tenant(lake, "globex")
    collector = lake.collect()
    for sender in (lake.key, key, lake.key):
        assert collector.post(one_span(time.time_ns(), user__id=USERS[0]), **{"x-api-key": sender})[0] == 200
    collector.flush()
    rows = json.loads(
        lake.muniment(
            "sql", "select tenant_id, user_id from spans", "-t", "acme", "-t", "globex", "--format", "json"
        ).stdout
    )
    tokens = {tenant: {row["user_id"] for row in rows if row["tenant_id"] == tenant} for tenant in ("acme", "globex")}
    assert [len(found) for found in tokens.values()] == [1, 1]
    assert not tokens["acme"] & tokens["globex"]
    assert all(token.startswith("sub_") for found in tokens.values() for token in found)


def apply_policy(lake, text):
    """Put a redaction policy in force, in place of all others."""
    folder = lake.path / "policies" / "redaction"
    for file in folder.glob("*.yaml"):
        file.unlink()
    (folder / "own.yaml").write_text(text)
    return lake.muniment("policy", "apply", "redaction", "--yes", check=False)


def policy_hash(collector):
    """The hash of the policy that a collector uses."""
    return collector.ask("state")["redaction_policy"]["hash"]


def wait_for_another_policy(collector, before):
    """Wait until a collector has taken over another policy."""
    deadline = time.monotonic() + WAIT_SECONDS
    while policy_hash(collector) == before:
        assert time.monotonic() < deadline, collector.ask("state")
        time.sleep(0.1)
    return policy_hash(collector)


KEEP_MAIL = "redaction:\n  - {name: own, tenants: ['*'], detectors: {email: keep}}\n"
BROKEN = "redaction:\n  - {name: own, tenants: ['*'], detectors: {email: kep}}\n"
REJECT_CARDS = "redaction:\n  - {name: own, tenants: ['*'], detectors: {card: reject}}\n"


def test_an_applied_policy_changes_a_running_collector(lake):
    """Rows name the policy that treated them; a broken policy is refused and the old one stays."""
    collector = lake.collect()
    first = policy_hash(collector)
    mail = RAW["email"][0]
    collector.post(one_span(time.time_ns(), note=f"1 {mail}"))
    assert apply_policy(lake, KEEP_MAIL).returncode == 0
    second = wait_for_another_policy(collector, first)
    collector.post(one_span(time.time_ns(), note=f"2 {mail}"))
    refused = apply_policy(lake, BROKEN)
    assert refused.returncode != 0
    assert "own.yaml:2" in refused.stderr
    collector.post(one_span(time.time_ns(), note=f"3 {mail}"))
    collector.flush()
    rows = lake.sql("select attributes, redaction_policy from spans order by attributes")
    assert [(json.loads(row["attributes"])["note"], row["redaction_policy"]) for row in rows] == [
        ("1 [EMAIL]", first), (f"2 {mail}", second), (f"3 {mail}", second),
    ]  # fmt: skip
    changes = lake.muniment("sql", "select event_name from audit_events", "--all-tenants", "--format", "json").stdout
    assert json.loads(changes).count({"event_name": "policy.changed"}) >= 1


def test_a_policy_rejects_records_and_replay_takes_them_in_later(lake):
    """What a policy rejects is counted, quarantined without what was found, on record, and let in once the policy allows it."""
    assert apply_policy(lake, REJECT_CARDS).returncode == 0
    collector = lake.collect()
    rejecting = policy_hash(collector)
    card, mail = RAW["card"][0], RAW["email"][0]
    now = time.time_ns()
    status, body = collector.post(one_span(now, note=f"card {card} of {mail}"))
    answer = ExportTraceServiceResponse.FromString(body)
    assert (status, answer.partial_success.rejected_spans) == (200, 1)
    assert "card" in answer.partial_success.error_message
    request = ExportLogsServiceRequest()
    records = request.resource_logs.add().scope_logs.add().log_records
    for reason in (f"card {card}", "fine"):
        event = records.add(time_unix_nano=now, event_name="approval.granted")
        pairs(event.attributes, {"audit.actor.id": "agent-1", "audit.actor.type": "agent", "audit.reason": reason})
    status, body = collector.post(request.SerializeToString(), path="/v1/logs")
    assert ExportLogsServiceResponse.FromString(body).partial_success.rejected_log_records == 1
    collector.flush()
    assert lake.sql("select count(*) as n from spans") == [{"n": 0}]
    events = lake.sql(
        "select event_name, resource_id, reason from audit_events "
        "where event_name in ('record.rejected', 'approval.granted')"
    )
    assert sorted(event["event_name"] for event in events) == ["approval.granted", "record.rejected"]
    (rejected,) = [event for event in events if event["event_name"] == "record.rejected"]
    assert rejected["resource_id"] == "approval.granted"
    assert "card" in rejected["reason"]
    entries = json.loads(lake.muniment("quarantine", "list", "--json").stdout)
    assert len(entries) == 2
    shown = [lake.muniment("quarantine", "show", entry["id"]).stdout for entry in entries]
    assert all(card not in text and mail not in text for text in shown)
    assert any("[CARD]" in text for text in shown)
    assert apply_policy(lake, KEEP_MAIL).returncode == 0
    wait_for_another_policy(collector, rejecting)
    done = json.loads(lake.muniment("quarantine", "replay", *(entry["id"] for entry in entries), "--json").stdout)
    assert (done["accepted"], done["refused"]) == (2, 0)
    collector.flush()
    (row,) = lake.sql("select attributes from spans")
    assert json.loads(row["attributes"])["note"] == "card [CARD] of [EMAIL]"
    assert collector.stop() == 0
    assert [found for found in leaks(lake.path) if found[1] != mail] == []
