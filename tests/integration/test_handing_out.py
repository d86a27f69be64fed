"""Who may not read all of a record gets none handed out whole: no proof, no finding, no pack, no incident's records."""

import json
import time

import pytest

from governance.access import Action
from muniment.assessing import read_findings
from muniment.cli.app import run
from muniment.evidence import build_pack
from muniment.incident_export import export_incident
from muniment.proving import prove_one
from muniment.wiring import CommandContext, command_context
from tests.template import init_lake
from warehouse.control import IncidentChange, IncidentRecord, IncidentRow, IncidentState
from warehouse.control.detection import FoundIncident
from warehouse.errors import DeniedError
from warehouse.principals import Principal, PrincipalKind

OWN = """\
@id("auditors-read-no-texts")
forbid (principal in Role::"auditor", action == Action::"columns.read", resource) when { resource.holds == "texts" };
@id("admins-see-no-restricted-rows")
forbid (principal in Role::"tenant-admin", action == Action::"rows.read", resource) when { resource.name == "restricted" };
@id("officers-of-acme-read-no-prompts")
forbid (principal == User::"otto", action == Action::"contents.read", resource);
"""
GROUPS = """\
version: 1
grants:
  - {user: ines, role: auditor}
  - {user: tara, role: tenant-admin, tenants: [acme]}
  - {user: otto, role: compliance-officer}
  - {user: olga, role: compliance-officer}
"""
PERIOD = (1_790_812_800_000_000_000, 1_793_491_200_000_000_000)
SPAN = {
    "traceId": "1" * 32, "spanId": "1" * 16, "name": "chat", "startTimeUnixNano": "1", "endTimeUnixNano": "2",
    "attributes": [{"key": "gen_ai.prompt", "value": {"stringValue": "hello"}}],
}  # fmt: skip


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """The lake as somebody has it, under policies of its own: one span with a prompt, and an incident that names it."""
    folder = init_lake(tmp_path_factory.mktemp("whole") / "lake", "acme")
    (folder / "policies" / "access" / "own.cedar").write_text(OWN)
    (folder / "policies" / "access" / "groups.yaml").write_text(GROUPS)
    assert run(["policy", "apply", "access", "--yes", "--lake", str(folder)]) == 0
    file, now = folder.parent / "spans.jsonl", time.time_ns()
    times = {"startTimeUnixNano": str(now), "endTimeUnixNano": str(now + 1)}
    file.write_text(json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [SPAN | times]}]}]}) + "\n")
    assert run(["import", str(file), "--tenant", "acme", "--lake", str(folder)]) == 0
    owner = command_context(folder)
    with owner.session(["acme"]) as session:
        (span,) = session.run_trusted("select shard, log_index from spans").to_pylist()
    incident = IncidentRecord(
        "i-1", "acme", "failing", "It fails", "high", "a.md", "sha256:0", "k1", "{}", "It failed.",
        IncidentState.OPENED, now, now, now, row_count=1,
    )  # fmt: skip
    rows = (IncidentRow("contents", span["shard"], span["log_index"], now, None, None),)
    found = FoundIncident(incident, None, rows, {}, [IncidentChange(now, "opened", "user:a", None)], [])
    owner.control.commit_round("acme", [found], [], "{}", by="user:a")

    def as_(name):
        context = CommandContext(owner.lake, owner.settings, owner.access, Principal(PrincipalKind.LOCAL_USER, name))
        for shared in ("control", "claims", "redactor", "vault", "recorder", "keys"):
            vars(context)[shared] = getattr(owner, shared)
        return context

    yield as_, span
    owner.control.close()


def asks(lake, out):
    """Everything that hands out whole records, by name."""
    _, span = lake
    first, last = PERIOD
    return {
        "proof": lambda one: prove_one(one, "acme", span["log_index"], span["shard"]),
        "findings": lambda one: read_findings(one, framework="gdpr", tenant="acme", period=PERIOD),
        "pack": lambda one: build_pack(
            one, framework="gdpr", tenant="acme", from_unix_nano=first, to_unix_nano=last, out=out
        ),
        "incident": lambda one: export_incident(one, "i-1", out),
    }


@pytest.mark.parametrize("name", ["proof", "findings", "pack", "incident"])
def test_whole_records_are_for_who_may_read_all_of_them(lake, tmp_path, name):
    """Hidden columns and hidden classes are named in the refusal, nothing is written or on record as exported; others get it."""
    as_, _ = lake
    ask, out = asks(lake, tmp_path / "out.zip")[name], tmp_path / "out.zip"
    for who, hidden in (("ines", r"\d+ columns of"), ("tara", "rows of the class restricted")):
        assert as_(who).access.decide(as_(who).principal, Action.RECORDS_EXPORT, "acme").allowed
        with pytest.raises(
            DeniedError, match=f"user:{who} may not have .*: it holds whole records, and policy hides .*{hidden}"
        ):
            ask(as_(who))
        assert not out.exists()
    assert ask(as_("olga"))
    with as_("olga").session(["acme"]) as session:
        told = session.run_trusted(
            "select distinct recorded_by from audit_events where event_name in ('data.exported', 'record.viewed')"
        )
    assert {"user:ines", "user:tara"}.isdisjoint(told.column(0).to_pylist())


def test_that_contents_are_handed_out_is_decided_and_on_record(lake, tmp_path):
    """An incident's records can be prompts: the right to read these is asked for, and either answer stands in the log."""
    as_, _ = lake
    with pytest.raises(DeniedError, match=r"contents\.read"):
        export_incident(as_("otto"), "i-1", tmp_path / "out.zip")
    export_incident(as_("olga"), "i-1", tmp_path / "out.zip")
    with as_("olga").session(["acme"]) as session:
        rows = session.run_trusted(
            "select recorded_by, outcome, policy_id from audit_events where event_name = 'access.decided' "
            "and action = 'contents.read'"
        ).to_pylist()
    assert {(row["recorded_by"], row["outcome"], row["policy_id"]) for row in rows} >= {
        ("user:otto", "denied", "officers-of-acme-read-no-prompts"),
        ("user:olga", "allowed", "readers-read-every-table"),
    }
