"""`muniment access` and what decisions leave behind, on a real lake."""

import json

import pytest

from governance.access import Access
from muniment import wiring
from muniment.cli.app import run
from tests.template import init_lake
from warehouse.principals import Principal, PrincipalKind

NO, USAGE = 1, 2


@pytest.fixture
def lake(tmp_path):
    """A lake with the tenant acme, bob as auditor and carol as SRE."""
    folder = init_lake(tmp_path / "lake", "acme")
    (folder / "muniment.yaml").write_text("lake: lake\nusers: {auditor: [bob], sre: [carol]}\n")
    return folder


@pytest.fixture
def muniment(lake, capfd, monkeypatch):
    """Runs a command as a local user and returns exit code, output and errors."""

    def call(*words, by=None):
        if by is not None:
            monkeypatch.setattr(wiring, "local_principal", lambda: Principal(PrincipalKind.LOCAL_USER, by))
        code = run([*words, "--lake", str(lake)])
        monkeypatch.undo()
        out, err = capfd.readouterr()
        return code, out, err

    return call


def decided(muniment):
    """Every recorded decision but those that this reading makes, oldest first."""
    sql = (
        "select tenant_id, action, outcome, recorded_by, policy_id from audit_events "
        "where event_name = 'access.decided' and recorded_by <> 'user:root' order by tenant_id, log_index"
    )
    code, out, err = muniment("sql", sql, "--format", "json", "--all-tenants")
    assert code == 0, err
    return [tuple(row.values()) for row in json.loads(out)]


def test_explain_says_what_of_the_tables_is_shown_and_by_which_policy(muniment):
    """Of the three actions that sessions ask, each thing of a tenant with yes or no; all of it shown is exit code 0."""
    ask = ("access", "explain", "--tenant", "acme", "--action")
    code, out, _ = muniment(*ask, "columns.read", "--as", "carol", "--json")
    things = json.loads(out)["things"]
    assert (code, things["measures of spans"]["policies"]) == (NO, ["sre-reads-measures"])
    assert things["texts of spans"] == {
        "allowed": False, "reason": "no policy permits it to sre", "policies": ["default-deny"],
    }  # fmt: skip
    assert muniment(*ask, "columns.read", "--as", "bob")[0] == 0
    code, out, _ = muniment(*ask, "rows.read", "--as", "carol")
    assert (code, "restricted: yes, policy rows-of-every-class permits it (rows-of-every-class)" in out) == (0, True)
    code, out, _ = muniment(*ask, "table.read", "--as", "nobody")
    assert (code, "spans: no, has no role in this lake (default-deny)" in out) == (NO, True)
    code, _, err = muniment("access", "explain", "--as", "carol", "--action", "rows.read")
    assert (code, "expected --tenant too" in err) == (USAGE, True)


def test_a_refused_record_is_shown_without_its_contents_to_who_may_not_read_them(muniment, tmp_path):
    """An SRE sees why it was refused and how long it waits, never the prompt in it; both answers are on record."""
    span = {
        "traceId": "0" * 32, "spanId": "1" * 16, "name": "chat", "startTimeUnixNano": "1", "endTimeUnixNano": "2",
        "attributes": [{"key": "gen_ai.prompt", "value": {"stringValue": "words of a prompt"}}],
    }  # fmt: skip
    file = tmp_path / "bad.jsonl"
    file.write_text(json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}) + "\n")
    assert muniment("import", str(file), "--tenant", "acme")[0] == 0
    (entry,) = json.loads(muniment("quarantine", "list", "--json")[1])
    code, out, err = muniment("quarantine", "show", entry["id"], by="carol")
    assert (code, json.loads(out)["reason"], json.loads(out)["record"]) == (0, "bad-trace-id", None)
    assert "words of a prompt" not in out + err
    assert "it may hold what policy hides from you: " in err
    assert "words of a prompt" in muniment("quarantine", "show", entry["id"], by="bob")[1]
    assert [each[:4] for each in decided(muniment)] == [
        ("acme", "contents.read", "denied", "user:carol"),
        ("acme", "contents.read", "allowed", "user:bob"),
    ]


def test_who_may_export_nothing_is_not_told_that_there_are_no_packs(muniment):
    """Whether packs were built is said to those who may have them."""
    assert muniment("evidence", "packs")[0] == 0
    code, _, err = muniment("evidence", "packs", by="carol")
    assert (code, "user:carol may not records.export" in err) == (NO, True)


def test_explain_names_the_deciding_policy_by_id_file_and_line(muniment):
    """Yes is exit code 0 and no is 1; both name the policy, its file and line."""
    code, out, _ = muniment("access", "explain", "--as", "bob", "--action", "records.export", "--tenant", "acme")
    assert (code, "user:bob may records.export in tenant acme" in out, "by auditor-reads, roles.cedar:" in out) == (
        0, True, True,
    )  # fmt: skip
    code, out, _ = muniment("access", "explain", "--as", "carol", "--action", "records.export", "--json")
    answer = json.loads(out)
    assert (code, answer["allowed"], answer["policies"], answer["roles"]) == (NO, False, [], ["sre"])
    code, out, _ = muniment(
        "access", "explain", "--as", "key:k1", "--action", "records.write", "--tenant", "acme", "--json"
    )
    assert (code, json.loads(out)["policies"][0]["id"]) == (0, "sender-sends")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--as", "bob", "--action", "records.eat"), "--action: expected one of agent.manage"),
        (("--as", "robot:bob", "--action", "hold.read"), "--as: expected a user, or one of user, key, oidc, muniment"),
        (("--as", "bob", "--group", "x", "--action", "hold.read"), "--group: expected --as oidc:SUBJECT"),
    ],
)
def test_what_cannot_be_asked_is_bad_input(muniment, words, said):
    """An unknown action, kind of principal, or groups of a local user are named."""
    code, _, err = muniment("access", "explain", *words)
    assert (code, said in err) == (USAGE, True), err


def test_list_shows_who_holds_what_and_from_where(muniment):
    """Each grant is a line: who, role, tenants, end, and what gives it."""
    code, out, _ = muniment("access", "list", "--json")
    rows = json.loads(out)
    assert code == 0
    assert {"who": "user:carol", "role": "sre", "tenants": None, "until": None, "source": "setting users"} in rows
    assert "user:carol  sre in every tenant  (setting users)" in muniment("access", "list")[1]


def test_a_group_has_its_role_once_the_file_is_applied(lake, muniment):
    """`groups.yaml` is in force like any policy: applied, from the next question on."""
    ask = ("access", "explain", "--as", "oidc:u-1", "--group", "officers", "--action", "hold.place", "--tenant", "acme")
    (lake / "policies/access/groups.yaml").write_text(
        "version: 1\ngrants:\n  - {group: officers, role: compliance-officer}\n"
    )
    assert muniment(*ask)[0] == NO
    code, out, _ = muniment("policy", "apply", "access", "--yes")
    assert (code, "from now on: group officers is compliance-officer in every tenant" in out) == (0, True)
    assert muniment(*ask)[0] == 0


def test_decisions_to_export_and_to_read_contents_are_on_record_one_each(muniment):
    """Allowed and denied, with who and by which policy; one event a decision, however many records it is about."""
    assert muniment("sql", "select * from spans", "--tenant", "acme", "--format", "csv", by="bob")[0] == 0
    assert muniment("sql", "select * from contents", "--tenant", "acme", "--format", "csv", by="bob")[0] == 0
    assert muniment("sql", "select * from spans", "--tenant", "acme", "--format", "csv", by="carol")[0] == NO
    code, _, err = muniment("sql", "select * from contents", "--tenant", "acme", by="carol")
    assert (code, "may not contents.read in tenant acme" in err) == (NO, True)
    assert muniment("sql", "select name, attributes from spans", "--tenant", "acme", by="carol")[0] == 0
    assert decided(muniment) == [
        ("acme", "records.export", "allowed", "user:bob", "auditor-reads"),
        ("acme", "records.export", "allowed", "user:bob", "auditor-reads"),
        ("acme", "contents.read", "allowed", "user:bob", "readers-read-every-table"),
        ("acme", "records.export", "denied", "user:carol", "default-deny"),
        ("acme", "contents.read", "denied", "user:carol", "default-deny"),
    ]


def test_decisions_to_hold_are_on_record_and_one_about_no_tenant_in_the_lake_s_own_log(muniment):
    """A denial is recorded at once; about a tenant that there is not it goes into the lake's log and makes no other."""
    place = ("hold", "place", "--reason", "a claim", "--owner", "legal", "--trace", "a" * 32)
    assert muniment(*place, "--tenant", "acme", by="bob")[0] == NO
    assert muniment(*place, "--tenant", "nowhere", by="bob")[0] == NO
    assert decided(muniment) == [
        ("_lake", "hold.place", "denied", "user:bob", "default-deny"),
        ("acme", "hold.place", "denied", "user:bob", "default-deny"),
    ]


def test_access_of_a_context_is_that_of_its_lake(lake):
    """No context decides by anything but what is in force in its lake."""
    context = wiring.command_context(lake)
    assert isinstance(context.access, Access)
    assert context.access.owner == context.principal.id
