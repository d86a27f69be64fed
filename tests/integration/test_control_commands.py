"""`muniment tenant` and `muniment key`: allowed, recorded, then made; what they print, and what they never print."""

import json
import sys
from dataclasses import dataclass, field
from types import ModuleType

import pytest
import typer
from typer.testing import CliRunner

from governance.access import Access
from governance.access.policy_compiler import default_bundle
from muniment import tenancy
from muniment.cli.tenants import parse_duration_seconds, register
from warehouse.clock import system_clock
from warehouse.control import ControlStore
from warehouse.errors import ConflictError, ControlUnavailableError, DeniedError, InputError, NotFoundError
from warehouse.principals import Principal, PrincipalKind

DAY = 86_400 * 1_000_000_000


@dataclass
class Context:
    """What a command works with: a real control store, and a list in the place of the lake's own log."""

    control: ControlStore
    principal: Principal = field(default_factory=lambda: Principal(PrincipalKind.LOCAL_USER, "alice"))
    access: Access = field(default_factory=lambda: Access(owner="alice", users={"auditor": ["bob"]}))
    events: list = field(default_factory=list)
    refusing: bool = False

    def record(self, event_name, tenant, **columns):
        """Keep the event, or refuse it."""
        if self.refusing:
            raise ControlUnavailableError("the lake cannot record")
        self.events.append({"event": event_name, "in": tenant, **columns})


@pytest.fixture
def context(sqlite_url):
    """A lake owned by alice, with one tenant."""
    with ControlStore.open(sqlite_url, clock=system_clock) as control:
        control.add_tenant("acme", "Acme [Ltd]")
        yield Context(control)


@pytest.fixture
def run(context, monkeypatch):
    """Runs a command line in that lake and returns its result."""
    wiring = ModuleType("muniment.wiring")
    wiring.command_context = lambda _lake: context
    monkeypatch.setitem(sys.modules, "muniment.wiring", wiring)
    app = typer.Typer()
    register(app)
    return lambda *arguments: CliRunner().invoke(app, arguments)


def test_tenant_add_and_list(run, context):
    """An added tenant is listed with id and name, and its addition is recorded in the lake's log."""
    added = run("tenant", "add", "globex", "--name", "Globex Corp", "--json")
    assert (added.exit_code, json.loads(added.stdout)["id"]) == (0, "globex")
    listed = json.loads(run("tenant", "list", "--json").stdout)
    assert [(tenant["id"], tenant["name"]) for tenant in listed] == [("acme", "Acme [Ltd]"), ("globex", "Globex Corp")]
    assert "Acme [Ltd]" in run("tenant", "list").stdout
    assert context.events == [
        {
            "event": "policy.changed", "in": "_lake", "action": "add", "resource_type": "tenant", "resource_id": "globex",
            "policy_id": "operator-does-everything", "policy_version": default_bundle().content_hash, "outcome": "success",
        }
    ]  # fmt: skip


@pytest.mark.parametrize("arguments", [("acme",), ("--tenant", "acme"), ("acme", "--tenant", "acme")])
def test_key_issue_prints_the_key(run, context, arguments):
    """`key issue --json` gives id, tenant and key; without it the key stands alone on standard output."""
    issued = json.loads(run("key", "issue", *arguments, "--json").stdout)
    assert issued.keys() == {"id", "tenant", "key"}
    assert context.control.authenticate(issued["key"]).key_id == issued["id"]
    printed = run("key", "issue", *arguments).stdout
    assert context.control.authenticate(printed.removesuffix("\n")).tenant_id == "acme"


def test_key_issue_takes_scope_and_expiry(run, context):
    """Agent, event patterns, label and length of life of the options are the key's, and the event names the scope."""
    before = system_clock()
    options = [
        "--agent",
        "desk",
        "--events",
        "approval.*",
        "--events",
        "tool.changed",
        "--expires",
        "90d",
        "--label",
        "x",
    ]
    issued = json.loads(run("key", "issue", "acme", *options, "--json").stdout)
    key = context.control.key(issued["id"])
    assert (key.agent, key.event_patterns, key.label) == ("desk", ("approval.*", "tool.changed"), "x")
    assert before + 90 * DAY <= key.expires_unix_nano <= system_clock() + 90 * DAY
    (event,) = context.events
    assert (event["event"], event["in"], event["resource_id"]) == ("key.issued", "acme", issued["id"])
    assert event["expires_unix_nano"] == key.expires_unix_nano
    assert event["reason"] == "scope: agent desk, events approval.*, tool.changed"
    assert issued["key"] not in str(context.events)


def test_rotation_tells_until_when_the_old_key_works(run, context):
    """The secret stands alone on standard output; id, that it is shown once, and the old key's end stand beside it."""
    run("tenant", "add", "acme")
    assert "`muniment key issue acme` issues one" in "".join(run("key", "list", "acme").output)
    old = json.loads(run("key", "issue", "acme", "--json").stdout)
    rotated = run("key", "rotate", old["id"], "--overlap", "2h")
    (secret,) = rotated.stdout.splitlines()
    assert secret.startswith("mun_")
    said = " ".join(rotated.stderr.split())
    known = {key["id"]: key for key in json.loads(run("key", "list", "acme", "--json").stdout)}
    assert f"follows {old['id']}, which works until {known[old['id']]['ends']}. It is shown this once" in said
    assert known[old["id"]]["rotated_to"] in said
    assert secret not in said


def test_key_rotate_and_revoke(run, context):
    """A rotated key's successor is printed once, both are listed with their states, and each change is recorded."""
    old = json.loads(run("key", "issue", "acme", "--json").stdout)
    new = json.loads(run("key", "rotate", old["id"], "--overlap", "2h", "--json").stdout)
    assert new["tenant"] == "acme"
    assert context.control.authenticate(new["key"]).key_id == new["id"]
    states = {key["id"]: key["state"] for key in json.loads(run("key", "list", "acme", "--json").stdout)}
    assert states == {old["id"]: "rotating", new["id"]: "active"}
    revoked = run("key", "revoke", old["id"], "--reason", "laptop lost")
    assert revoked.exit_code == 0
    assert f"successor {new['id']}" in revoked.stderr
    assert [(event["event"], event["resource_id"], event["reason"]) for event in context.events[1:]] == [
        ("key.rotated", old["id"], f"rotated to {new['id']}, overlap of 7200 seconds"),
        ("key.revoked", old["id"], "laptop lost"),
    ]
    listed = run("key", "list").stdout
    assert old["id"] in listed
    assert not any(key["key"].split("_")[2] in listed for key in (old, new))


CHANGES = [
    lambda c: tenancy.add_tenant(c.control, c.access, c.principal, c.record, tenant_id="new", name=None),
    lambda c: tenancy.issue_key(c.control, c.access, c.principal, c.record, tenant_id="acme"),
    lambda c: tenancy.rotate_key(
        c.control, c.access, c.principal, c.record, key_id=c.control.list_keys()[0].key_id, overlap_seconds=5
    ),
    lambda c: tenancy.revoke_key(
        c.control, c.access, c.principal, c.record, key_id=c.control.list_keys()[0].key_id, reason=None
    ),
]


@pytest.mark.parametrize("change", CHANGES)
def test_change_that_cannot_be_recorded_is_refused(context, change):
    """Where the event can't be recorded nothing changes."""
    context.control.issue_key("acme")
    before = context.control.list_tenants(), context.control.list_keys()
    context.refusing = True
    with pytest.raises(ControlUnavailableError, match="cannot record"):
        change(context)
    assert (context.control.list_tenants(), context.control.list_keys()) == before


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("who", ["bob", "mallory"])
def test_who_is_not_operator_changes_nothing(context, change, who):
    """An auditor and a stranger change neither tenants nor keys, and no event says that they did."""
    context.control.issue_key("acme")
    before = context.control.list_tenants(), context.control.list_keys()
    context.principal = Principal(PrincipalKind.LOCAL_USER, who)
    with pytest.raises(DeniedError, match=f"user:{who}"):
        change(context)
    assert (context.control.list_tenants(), context.control.list_keys(), context.events) == (*before, [])


def test_auditor_reads_and_stranger_does_not(context):
    """Keys and tenants are listed to an auditor and not to a user without a role, who can't tell if a key exists either."""
    key = context.control.issue_key("acme")
    bob, mallory = (Principal(PrincipalKind.LOCAL_USER, name) for name in ("bob", "mallory"))
    assert [found.key_id for found in tenancy.list_keys(context.control, context.access, bob, tenant_id=None)] == [
        key.id
    ]
    assert len(tenancy.list_tenants(context.control, context.access, bob)) == 1
    for read in (
        lambda: tenancy.list_keys(context.control, context.access, mallory, tenant_id="acme"),
        lambda: tenancy.list_tenants(context.control, context.access, mallory),
        lambda: tenancy.revoke_key(context.control, context.access, mallory, context.record, key_id="k0", reason=None),
    ):
        with pytest.raises(DeniedError):
            read()


def test_change_that_fails_after_its_event_is_recorded_as_failed(context, tmp_path):
    """When the database goes between event and change, a second event says that the change failed."""
    record = context.record

    def record_then_lose_the_database(event_name, tenant, **columns):
        record(event_name, tenant, **columns)
        (tmp_path / "control.db").unlink(missing_ok=True)

    with pytest.raises(ControlUnavailableError):
        tenancy.issue_key(
            context.control, context.access, context.principal, record_then_lose_the_database, tenant_id="acme"
        )
    assert [(event["event"], event["outcome"]) for event in context.events] == [
        ("key.issued", "success"),
        ("key.issued", "failure"),
    ]
    assert context.events[0]["resource_id"] == context.events[1]["resource_id"]
    assert "does not answer" in context.events[1]["reason"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("tenant", "add", "acme"), ConflictError),
        (("key", "issue", "nobody"), NotFoundError),
        (("key", "issue"), InputError),
        (("key", "issue", "acme", "--tenant", "globex"), InputError),
        (("key", "issue", "acme", "--expires", "soon"), InputError),
        (("key", "issue", "acme", "--expires", "0d"), InputError),
        (("key", "issue", "acme", "--events", ""), InputError),
        (("key", "list", "nobody"), NotFoundError),
        (("key", "rotate", "k000000000000"), NotFoundError),
        (("key", "rotate", "k000000000000", "--overlap", "-1h"), InputError),
        (("key", "revoke", "k000000000000"), NotFoundError),
    ],
)
def test_bad_command_is_refused_and_not_recorded(run, context, arguments, expected):
    """A command that can't be carried out raises the error that says so, prints nothing, and leaves no event."""
    result = run(*arguments)
    assert isinstance(result.exception, expected), result.exception
    assert (result.stdout, context.events) == ("", [])


@pytest.mark.parametrize(
    ("text", "seconds"), [("45s", 45), ("30m", 1800), ("24h", 86_400), ("90d", 7_776_000), ("2w", 1_209_600), ("0s", 0)]
)
def test_duration_is_read(text, seconds):
    """A duration is a whole number and one of s, m, h, d, w."""
    assert parse_duration_seconds(text, "--expires") == seconds


@pytest.mark.parametrize("text", ["", "90", "d", "1.5h", "-1h", "90 d", "90D", "1h30m", "9999999d", "1d\n", "\u0661d"])
def test_other_text_is_no_duration(text):
    """Anything else is refused, naming the option."""
    with pytest.raises(InputError, match="--expires: expected a duration"):
        parse_duration_seconds(text, "--expires")


@pytest.mark.parametrize("command", [("tenant", "add"), ("tenant", "list"), ("key", "issue"), ("key", "rotate")])
def test_help_shows_an_example(run, command):
    """Each command's help ends with a command line to copy."""
    result = run(*command, "--help")
    assert result.exit_code == 0
    assert f"muniment {' '.join(command)}" in result.stdout


def test_key_issued_by_the_store_ends_up_nowhere_else(context):
    """The event of an issued key and the list of keys hold neither its secret nor its hash."""
    issued = tenancy.issue_key(context.control, context.access, context.principal, context.record, tenant_id="acme")
    shown = str(context.events) + str(
        tenancy.list_keys(context.control, context.access, context.principal, tenant_id=None)
    )
    assert issued.secret_text.split("_")[2] not in shown
