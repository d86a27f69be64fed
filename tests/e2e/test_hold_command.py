"""`muniment hold` on a real lake: what it prints, its exit codes, what is on record afterwards, and what it stands against."""

import hashlib
import io
import json
import threading
import time

import pytest

from muniment.cli.app import run
from muniment.cli.holds import parse_instant
from muniment.wiring import command_context
from tests.template import init_lake
from warehouse.control import ControlStore
from warehouse.errors import InputError
from warehouse.principals import Principal, PrincipalKind

NO, USAGE = 1, 2
VALUE = "ada.lovelace@example.org"
TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture
def lake(tmp_path):
    """A lake as `init` makes it, with two tenants."""
    return init_lake(tmp_path / "lake", "acme", "globex")


@pytest.fixture
def muniment(lake, capfd, monkeypatch):
    """Run a command on the lake: exit code, standard output, messages on one line."""

    def command(*words, given="", by=None):
        if by is not None:
            principal = Principal(PrincipalKind.LOCAL_USER, by)
            monkeypatch.setattr("muniment.wiring.local_principal", lambda: principal)
        monkeypatch.setattr("sys.stdin", io.StringIO(given))
        capfd.readouterr()
        code = run([*map(str, words), "--lake", str(lake)])
        said = capfd.readouterr()
        return code, said.out, " ".join(said.err.split())

    return command


@pytest.fixture
def events(muniment):
    """Events of a name in a tenant's log, oldest first, with their attributes read."""

    def read(name, tenant="acme"):
        query = (
            "select recorded_by, action, resource_type, resource_id, outcome, reason, approval_id, policy_id, attributes "
            f"from audit_events where event_name = '{name}' order by log_index"
        )
        code, out, err = muniment("sql", query, "--tenant", tenant, "--format", "json")
        assert code == 0, err
        return [{**row, "attributes": json.loads(row["attributes"])} for row in json.loads(out)]

    return read


def settings(lake, text):
    (lake / "muniment.yaml").write_text(f"lake: lake\n{text}")


def place(muniment, *words, **options):
    code, out, err = muniment("hold", "place", "--tenant", "acme", "--reason", "claim", *words, "--json", **options)
    assert code == 0, err
    return json.loads(out)


def test_a_hold_is_recorded_listed_shown_and_released(muniment, events):
    """From placing to release by the one who may: every command tells the same, and the log tells it first."""
    code, out, err = muniment(
        "hold", "place", "--tenant", "acme", "--reason", "claim of 3 May", "--case", "2026-17", "--owner", "legal",
        "--agent", "b", "--agent", "a", "--trace", TRACE.upper(), "--conversation", "c1", "--from", "2026-01-31",
        "--to", "2026-02-28", "--table", "spans", "--class", "restricted", "--event", "approval.*",
    )  # fmt: skip
    hold = out.strip()
    assert code == 0
    assert "In force since" in err
    scope = {
        "agents": ["a", "b"], "conversations": ["c1"], "data_classes": ["restricted"], "events": ["approval.*"],
        "tables": ["spans"], "traces": [TRACE], "from": "2026-01-31T00:00:00.000000000Z",
        "to": "2026-02-28T23:59:59.999999999Z",
    }  # fmt: skip
    (placed,) = events("hold.placed")
    assert (placed["resource_type"], placed["resource_id"], placed["action"]) == ("hold", hold, "place")
    assert (placed["reason"], placed["outcome"], placed["policy_id"]) == (
        "claim of 3 May",
        "success",
        "operator-does-everything",
    )
    assert placed["attributes"] == {
        "muniment.hold.case": "2026-17", "muniment.hold.owner": "legal", "muniment.hold.scope": scope,
    }  # fmt: skip
    (listed,) = json.loads(muniment("hold", "list", "--json")[1])
    assert listed == json.loads(muniment("hold", "show", hold, "--json")[1])
    assert (listed["state"], listed["case"], listed["scope"]) == ("in force", "2026-17", scope)
    shown = muniment("hold", "show", hold)[1]
    assert f"agents a or b; traces {TRACE}; conversations c1; from 2026-01-31" in shown
    assert hold in muniment("hold", "list", "--tenant", "acme")[1]
    assert muniment("hold", "list", "--tenant", "globex")[1:] == ("", "no holds in force")
    assert "holds in force: 1\n" in muniment("status")[1]
    assert json.loads(muniment("status", "--json")[1])["holds"] == {"in_force": 1, "release_asked": 0}
    code, _, err = muniment("hold", "release", hold, "--reason", "settled")
    assert (code, f"Hold {hold} of tenant acme is released" in err) == (0, True)
    (released,) = events("hold.released")
    assert (released["resource_id"], released["reason"], released["outcome"]) == (hold, "settled", "success")
    assert released["attributes"]["muniment.four_eyes"] == "one principal: no other holds the right"
    assert released["attributes"]["muniment.hold.scope"] == scope
    assert muniment("hold", "list")[2] == "no holds in force"
    (gone,) = json.loads(muniment("hold", "list", "--all", "--json")[1])
    assert (gone["state"], gone["release_reason"], gone["released_by"]) == (
        "released",
        "settled",
        placed["recorded_by"],
    )
    assert muniment("hold", "release", hold, "--reason", "again")[0] == NO
    assert len(events("hold.released")) == 1


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ((), USAGE, "expected something that it keeps, got nothing"),
        (("--everything-of-tenant", "--agent", "a"), USAGE, "got both"),
        (("--agent", "a", "--tenant", "nobody"), USAGE, "expected one of this lake's, got 'nobody'"),
        (("--from", "2026-02-30"), USAGE, "--from: expected 2026-01-31"),
        (("--from", "2026-02-03", "--to", "2026-02-01"), USAGE, "an end at or after its beginning"),
        (("--to", "2026-02-01T00:00:00"), USAGE, "a time with its zone"),
        (("--table", "span"), USAGE, "expected a table"),
        (("--subject", "-"), USAGE, "expected a value a line on standard input, got nothing"),
        (("--subject", VALUE), USAGE, "expected - or a token"),
        (("--subject", "sub_" + "a" * 26), USAGE, "got 1 that the vault does not know"),
        (("--agent", "a", "--reason", " "), USAGE, "reason: expected 1 to 1000 printable"),
    ],
)
def test_what_cannot_be_placed_is_said(muniment, events, words, code, message):
    """Each mistake has its message and exit code, and leaves neither a hold nor an event."""
    got = muniment("hold", "place", "--tenant", "acme", "--reason", "claim", *words)
    assert (got[0], message in got[2]) == (code, True), got
    assert VALUE not in got[2]
    assert muniment("hold", "list", "--all")[2] == "no holds"
    assert events("hold.placed") == []


def test_everything_of_a_tenant_is_said_in_so_many_words(muniment):
    """A hold without criteria needs its own option, and says what it is."""
    hold = place(muniment, "--everything-of-tenant")
    assert hold["scope"] == {"everything": True}
    assert "everything of the tenant" in muniment("hold", "show", hold["id"])[1]


def test_a_person_is_kept_under_a_token_and_named_nowhere(lake, muniment, events):
    """A value from standard input becomes its token in the control database; the event has it under a nonce shown once."""
    token = command_context(lake).vault.tokens("acme", [VALUE])[0]
    hold = place(muniment, "--subject", "-", given=f" {VALUE.upper()} \nnew.person@example.org\n")
    assert hold["new_subjects"] == 1
    assert token in hold["scope"]["subjects"]
    assert len(hold["scope"]["subjects"]) == 2
    (placed,) = events("hold.placed")
    nonce = bytes.fromhex(hold["nonce"])
    assert hashlib.sha256(nonce + VALUE.encode()).hexdigest() in placed["attributes"]["muniment.hold.subject_refs"]
    assert hashlib.sha256(nonce + token.encode()).hexdigest() in placed["attributes"]["muniment.hold.token_refs"]
    assert placed["attributes"]["muniment.hold.subjects"] == 2
    assert token not in json.dumps(placed)
    for file in lake.rglob("*"):
        content = file.read_bytes() if file.is_file() else b""
        assert VALUE.encode() not in content.lower(), file
        assert hold["nonce"].encode() not in content, file
    by_token = place(muniment, "--subject", token)
    assert by_token["scope"] == {"subjects": [token]}


def test_a_reason_that_names_the_person_is_refused(muniment, events):
    """What is recorded outlives the person's erasure, so reason, case and owner may not say who it is."""
    for option in ("--case", "--owner", "--reason"):
        code, _, err = muniment(
            "hold", "place", "--tenant", "acme", "--reason", "claim", "--subject", "-", option, f"of {VALUE.title()}",
            given=f"{VALUE}\n",
        )  # fmt: skip
        assert (code, "do not name the subject" in err) == (USAGE, True)
    assert events("hold.placed") == []


def test_two_holders_of_the_right_release_together(lake, muniment, events):
    """With two operators the first asks and another approves; the hold stays in force between, and the log names both."""
    settings(lake, "users: {operator: [alice, bob], auditor: [carol]}\n")
    hold = place(muniment, "--agent", "a", by="alice")["id"]
    code, _, err = muniment("hold", "release", hold, "--reason", "settled", by="alice")
    assert (code, f"muniment hold release {hold} --approve" in err) == (0, True)
    assert "holds in force: 1, 1 waiting for a second principal to release it" in muniment("status")[1]
    assert json.loads(muniment("hold", "list", "--json")[1])[0]["state"] == "release asked"
    code, _, err = muniment("hold", "release", hold, "--approve", by="alice")
    assert (code, "expected another principal than user:alice" in err) == (NO, True)
    assert muniment("hold", "release", hold, "--reason", "settled", by="bob")[0] == NO
    assert muniment("hold", "release", hold, "--approve", by="carol")[0] == NO
    assert events("hold.released") == []
    code, out, _ = muniment("hold", "release", hold, "--approve", "--json", by="bob")
    answer = json.loads(out)
    assert (code, answer["state"], answer["release_asked_by"], answer["released_by"]) == (
        0, "released", "user:alice", "user:bob",
    )  # fmt: skip
    (asked,), (granted,), (released,) = map(events, ("approval.requested", "approval.granted", "hold.released"))
    assert (asked["recorded_by"], granted["recorded_by"], released["recorded_by"]) == (
        "user:alice", "user:bob", "user:bob",
    )  # fmt: skip
    assert asked["approval_id"] == granted["approval_id"] == released["approval_id"] == f"release-{hold}"
    assert released["attributes"]["muniment.four_eyes"] == "two principals"
    assert released["attributes"]["muniment.hold.release_asked_by"] == "user:alice"


def test_root_is_no_second_pair_of_eyes(lake, muniment, monkeypatch):
    """Where two are needed, root counts only where the lake names it: one person may be both."""
    monkeypatch.setattr("governance.access.authorizer.user_name", lambda uid: "root" if uid == 0 else f"uid-{uid}")
    settings(lake, "users: {operator: [bob]}\n")
    owner = command_context(lake).access.owner
    hold = place(muniment, "--agent", "a", by="bob")["id"]
    assert muniment("hold", "release", hold, "--reason", "settled", by="bob")[0] == 0
    monkeypatch.setattr("governance.access.Access.for_lake", lambda _lake, users: _access("alice", users))
    code, _, err = muniment("hold", "release", hold, "--approve", by="root")
    assert (code, "user:root is none of them" in err) == (NO, True), (owner, err)
    assert muniment("hold", "release", hold, "--approve", by="alice")[0] == 0


def _access(owner, users):
    from governance.access import Access

    return Access(owner=owner, users=users)


@pytest.mark.parametrize(
    ("setting", "users", "state", "why"),
    [
        ("never", "[bob]", "released", "one principal: four_eyes is never"),
        ("auto", "[]", "released", "one principal: no other holds the right"),
        ("always", "[]", "release asked", None),
        ("auto", "[bob]", "release asked", None),
    ],
)
def test_the_setting_says_when_two_are_needed(lake, muniment, events, setting, users, state, why):
    """`four_eyes`: never, always, or as soon as two hold the right; the event says what it was."""
    settings(lake, f"four_eyes: {setting}\nusers: {{operator: {users}}}\n")
    hold = place(muniment, "--agent", "a")["id"]
    code, out, _ = muniment("hold", "release", hold, "--reason", "settled", "--json")
    assert (code, json.loads(out)["state"]) == (0, state)
    assert [each["attributes"]["muniment.four_eyes"] for each in events("hold.released")] == ([why] if why else [])


def test_rights_are_asked_first(lake, muniment):
    """An auditor reads holds and places none; a stranger learns nothing, not even whether a hold exists."""
    settings(lake, "users: {auditor: [carol]}\n")
    hold = place(muniment, "--agent", "a")["id"]
    for by, words, code in (
        ("carol", ("list",), 0),
        ("carol", ("show", hold), 0),
        ("carol", ("place", "--tenant", "acme", "--reason", "r", "--agent", "a"), NO),
        ("carol", ("release", hold, "--reason", "r"), NO),
        ("mallory", ("list",), NO),
        ("mallory", ("show", hold), NO),
        ("mallory", ("show", "h0"), NO),
    ):
        assert muniment("hold", *words, by=by)[0] == code, (by, words)


def test_release_takes_a_reason_or_an_approval(muniment):
    """Neither and both are usage errors, and an unknown hold is named."""
    hold = place(muniment, "--agent", "a")["id"]
    for words in ((), ("--reason", "r", "--approve")):
        assert muniment("hold", "release", hold, *words)[0] == USAGE
    code, _, err = muniment("hold", "release", "h0", "--reason", "r")
    assert (code, "got 'h0'" in err) == (USAGE, True)
    assert muniment("hold", "release", hold, "--approve")[0] == NO


def test_a_hold_that_came_too_late_says_for_what(lake, muniment, monkeypatch):
    """Placed while a deletion runs, a hold waits for its end and names it."""
    from muniment.settings import control_url, read_settings
    from warehouse.clock import system_clock
    from warehouse.lake import find_lake

    opened = find_lake(lake)
    entered, leave = threading.Event(), threading.Event()

    def delete():
        with (
            ControlStore.open(control_url(opened, read_settings(opened)), clock=system_clock) as store,
            store.deleting("plan sha256:0123", ["acme"]),
        ):
            entered.set()
            leave.wait(120)

    from warehouse.control.holds import Holds

    original = Holds.place_hold

    def place_while_deleting(self, *arguments, **options):
        announce = options.pop("announce")

        def announced(hold):
            # Its event is recorded; from here on the deletion is ahead.
            announce(hold)
            thread.start()
            assert entered.wait(120)
            threading.Thread(target=lambda: (time.sleep(0.3), leave.set())).start()

        return original(self, *arguments, announce=announced, **options)

    thread = threading.Thread(target=delete)
    monkeypatch.setattr(Holds, "place_hold", place_while_deleting)
    code, out, err = muniment("hold", "place", "--tenant", "acme", "--reason", "claim", "--agent", "a")
    thread.join(120)
    assert code == 0
    assert "Too late for plan sha256:0123, which deleted from" in err
    assert json.loads(muniment("hold", "show", out.strip(), "--json")[1])["state"] == "in force"


@pytest.mark.parametrize("words", [("--subject", "TOKEN"), ("--everything-of-tenant",), ("--agent", "a")])
def test_a_held_subject_is_not_shredded(lake, muniment, events, words):
    """A hold on the subject, on the tenant, or on records that may name it, refuses by its id, until it is released."""
    token = command_context(lake).vault.tokens("acme", [VALUE])[0]
    hold = place(muniment, "--case", "17", *[token if word == "TOKEN" else word for word in words])["id"]
    shred = ("subject", "shred", token, "--tenant", "acme", "--reason", "request 12")
    for more in ((), ("--yes",)):
        code, _, err = muniment(*shred, *more)
        assert (code, f"hold {hold} (case 17) keeps" in err) == (NO, True), err
    assert command_context(lake).vault.reveal("acme", token) == VALUE
    assert events("erasure.requested") == []
    assert muniment("hold", "release", hold, "--reason", "settled")[0] == 0
    assert muniment(*shred, "--yes")[0] == 0
    (deletion,) = command_context(lake).control.list_deletions()
    assert (deletion.what.startswith("subject key "), deletion.tenants) == (True, ("acme",))


def test_holds_on_others_do_not_keep_a_subject(lake, muniment):
    """Another subject's hold, and another tenant's, stand against nothing."""
    token, other = command_context(lake).vault.tokens("acme", [VALUE, "bob@example.org"])
    place(muniment, "--subject", other)
    place(muniment, "--tenant", "globex", "--everything-of-tenant")
    assert muniment("subject", "shred", token, "--tenant", "acme", "--reason", "request 12", "--yes")[0] == 0


def test_a_hold_placed_between_asking_and_shredding_wins(lake, muniment, monkeypatch):
    """A hold that comes after the first look and before the key is destroyed is seen under the lock."""
    context = command_context(lake)
    token = context.vault.tokens("acme", [VALUE])[0]
    from muniment.wiring import CommandContext

    record = CommandContext.record

    def place_meanwhile(self, event, tenant, **fields):
        record(self, event, tenant, **fields)
        if event == "erasure.requested":
            context.control.place_hold("acme", '{"everything":true}', reason="r", owner="o", by="user:bob")

    monkeypatch.setattr(CommandContext, "record", place_meanwhile)
    code, _, err = muniment("subject", "shred", token, "--tenant", "acme", "--reason", "request 12", "--yes")
    assert (code, "keeps records of its tenant" in err) == (NO, True)
    assert context.vault.reveal("acme", token) == VALUE
    assert not list((lake / "keys").glob("shredding-*"))
    assert context.control.list_deletions() == []


@pytest.mark.parametrize(
    ("text", "end", "nano"),
    [
        ("2024-02-29", False, 1_709_164_800_000_000_000),  # date -u -d 2024-02-29 +%s
        ("2024-02-29", True, 1_709_251_199_999_999_999),
        ("2024-02-29T00:00:00Z", True, 1_709_164_800_000_000_000),
        ("2024-02-29T01:00:00.000001+01:00", False, 1_709_164_800_000_001_000),
    ],
)
def test_instants_are_days_or_times(text, end, nano):
    """A day is taken whole, from its first nanosecond to its last, in UTC; a time is taken as it is."""
    assert parse_instant(text, "--from", end=end) == nano


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2023-02-29",
        "2024-02-29T00:00:00",
        "2024-02-29 24:30",
        "9999-12-31",
        "2262-01-01",
        "1969-12-31",
    ],
)
def test_what_is_no_instant_is_refused(text):
    """Neither a day nor a time with its zone, or none that nanoseconds since 1970 hold."""
    with pytest.raises(InputError, match="--to: expected"):
        parse_instant(text, "--to")


def test_what_people_type_is_redacted_before_it_is_kept(lake, muniment, events):
    """A reason and a case are kept as a record would be: nothing that a detector knows lies in the control database."""
    hold = place(muniment, "--agent", "bot-1", "--case", "mail of jo.doe@example.org")["id"]
    assert muniment("hold", "release", hold, "--reason", "asked by ann.roe@example.org")[0] == 0
    shown = json.loads(muniment("hold", "show", hold, "--json")[1])
    assert json.dumps(shown).count("[EMAIL]") == 2
    assert [file.name for file in lake.glob("control.db*") if b"example.org" in file.read_bytes()] == []
    assert "example.org" not in json.dumps([*events("hold.placed"), *events("hold.released")])
