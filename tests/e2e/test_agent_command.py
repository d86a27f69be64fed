"""`muniment agent` on a real lake: what it prints, its exit codes, and what is on record afterwards."""

import json

import pytest

from muniment.cli.app import run
from tests.template import init_lake
from warehouse.principals import Principal, PrincipalKind

NO, USAGE = 1, 2
SAID = ("--owner", "claims-team", "--on-call", "#claims", "--purpose", "settles claims", "--risk", "high")
FILE = """\
version: 1
agents:
  - {id: claims, owner: claims-team, on_call: "#claims", purpose: settles claims, risk: high}
  - {id: intake, owner: intake-team, on_call: "#intake", purpose: talks, risk: limited, silent_after: PT6H}
"""


@pytest.fixture
def muniment(tmp_path, capfd, monkeypatch):
    """Run a command on a lake with a tenant: exit code, standard output, messages on one line."""
    folder = init_lake(tmp_path / "lake", "acme")

    def command(*words, by=None):
        if by is not None:
            monkeypatch.setattr("muniment.wiring.local_principal", lambda: Principal(PrincipalKind.LOCAL_USER, by))
        capfd.readouterr()
        code = run([*map(str, words), "--lake", str(folder)])
        said = capfd.readouterr()
        return code, said.out, " ".join(said.err.split())

    return command


def events(muniment):
    query = (
        "select event_name, action, resource_type, resource_id, outcome, reason, attributes from audit_events "
        "where event_name like 'agent.%' order by log_index"
    )
    _, out, _ = muniment("sql", query, "--tenant", "acme", "--format", "json")
    return [{**row, "attributes": json.loads(row["attributes"])} for row in json.loads(out)]


def test_an_agent_lives_from_registration_to_retirement(muniment):
    """Each step prints the same as is shown afterwards, and is on record under its own name."""
    registered = json.loads(
        muniment("agent", "register", "claims", "--tenant", "acme", *SAID, "--model", "m*", "--tool", "pay", "--json")[
            1
        ]
    )
    assert (registered["state"], registered["models"], registered["change"]) == ("active", ["m*"], "registered")
    assert muniment("agent", "register", "claims", "--tenant", "acme", *SAID)[0] == NO
    assert muniment("agent", "update", "claims", "--tenant", "acme", "--any-tool", "--silent-after", "PT6H")[0] == 0
    shown = json.loads(muniment("agent", "show", "claims", "--tenant", "acme", "--json")[1])
    assert (shown["tools"], shown["silent_after_seconds"], shown["revision"]) == ([], 21_600, 2)
    assert "claims-team" in muniment("agent", "list")[1]
    assert "is suspended" in muniment("agent", "suspend", "claims", "--tenant", "acme", "--reason", "odd")[2]
    assert muniment("agent", "suspend", "claims", "--tenant", "acme", "--reason", "odd")[0] == NO
    assert muniment("agent", "resume", "claims", "--tenant", "acme", "--reason", "fine")[0] == 0
    assert muniment("agent", "retire", "claims", "--tenant", "acme", "--reason", "replaced")[0] == 0
    assert muniment("agent", "update", "claims", "--tenant", "acme", "--owner", "x")[0] == NO
    assert json.loads(muniment("agent", "list", "--json")[1]) == []
    assert json.loads(muniment("agent", "list", "--all", "--json")[1])[0]["state"] == "retired"
    found = events(muniment)
    assert [(each["event_name"], each["action"], each["reason"]) for each in found] == [
        ("agent.registered", "register", None), ("agent.updated", "update", None), ("agent.suspended", "suspend", "odd"),
        ("agent.updated", "resume", "fine"), ("agent.retired", "retire", "replaced"),
    ]  # fmt: skip
    assert {(each["resource_type"], each["resource_id"], each["outcome"]) for each in found} == {
        ("agent", "claims", "success")
    }
    assert found[0]["attributes"] == {
        "gen_ai.agent.id": "claims", "gen_ai.agent.name": "claims", "muniment.agent.owner": "claims-team",
        "muniment.agent.on_call": "#claims", "muniment.agent.purpose": "settles claims",
        "muniment.agent.risk_class": "high", "muniment.agent.models": ["m*"], "muniment.agent.tools": ["pay"],
    }  # fmt: skip
    assert found[1]["attributes"]["muniment.agent.changed"] == ["tools", "silent_after_seconds"]


def test_an_import_registers_updates_and_leaves_alone(muniment, tmp_path):
    """The same file twice changes nothing; a file with one wrong entry changes nothing either."""
    file = tmp_path / "agents.yaml"
    file.write_text(FILE)
    assert muniment("agent", "import", file, "--tenant", "acme", "--dry-run")[2].startswith("agents.yaml: 2 agents")
    assert events(muniment) == []
    assert muniment("agent", "import", file, "--tenant", "acme")[2] == "2 registered, 0 updated, 0 as they were"
    assert muniment("agent", "import", file, "--tenant", "acme")[2] == "0 registered, 0 updated, 2 as they were"
    file.write_text(FILE.replace("claims-team", "other-team"))
    assert muniment("agent", "import", file, "--tenant", "acme")[2] == "0 registered, 1 updated, 1 as they were"
    assert [each["event_name"] for each in events(muniment)] == ["agent.registered"] * 2 + ["agent.updated"]
    file.write_text(FILE.replace("risk: limited", "risk: none").replace("claims-team", "third-team"))
    code, _, err = muniment("agent", "import", file, "--tenant", "acme")
    assert (code, "agents.yaml:4: agents[1].risk: got 'none'" in err) == (USAGE, True)
    assert len(events(muniment)) == 3


def test_names_of_people_are_not_kept_as_typed(muniment):
    """What is typed passes redaction before control database and log have it, and the command says so."""
    said = ("--on-call", "call +49 30 901820", "--purpose", "helps ada.lovelace@example.org", "--risk", "limited")
    code, _, err = muniment("agent", "register", "desk", "--tenant", "acme", "--owner", "desk", *said)
    assert code == 0
    assert "redaction changed what you typed: on_call is kept as" in err
    shown = muniment("agent", "show", "desk", "--tenant", "acme")[1] + json.dumps(events(muniment))
    assert "901820" not in shown
    assert "lovelace" not in shown


def test_keys_of_another_tenant_are_refused(muniment):
    """A key that looks like one of this lake must be a key of the agent's tenant."""
    assert muniment("tenant", "add", "globex")[0] == 0
    own, other = (json.loads(muniment("key", "issue", tenant, "--json")[1])["id"] for tenant in ("acme", "globex"))
    code, _, err = muniment("agent", "register", "a", "--tenant", "acme", *SAID, "--key", other)
    assert (code, f"expected keys of tenant acme, got {other}" in err) == (USAGE, True)
    code, _, _ = muniment("agent", "register", "a", "--tenant", "acme", *SAID, "--key", own, "--key", "vault:claims")
    assert code == 0


def test_who_may_not_is_told_so(muniment):
    """Somebody without a role neither sees nor changes agents."""
    assert muniment("agent", "register", "claims", "--tenant", "acme", *SAID)[0] == 0
    code, _, err = muniment("agent", "retire", "claims", "--tenant", "acme", "--reason", "x", by="mallory")
    assert (code, "user:mallory may not agent.manage in tenant acme" in err) == (NO, True)
    assert muniment("agent", "list", by="mallory")[0] == NO
