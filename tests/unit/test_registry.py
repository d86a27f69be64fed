"""What an entry of the registry may say, how files of agents are read, and the rows that rules ask."""

import msgspec
import pytest

from governance.registry import AgentEntry, check_entry, entry_of, read_agents, registry_table
from warehouse.control import AgentRecord, AgentState
from warehouse.errors import InputError

ENTRY = AgentEntry(id="claims", owner="claims-team", on_call="#claims", purpose="settles claims", risk="high")
FILE = """\
version: 1
agents:
  - id: claims
    owner: claims-team
    on_call: "#claims"
    purpose: settles claims
    risk: high
    models: [mistral-large*, gpt-4.1]
    silent_after: P1DT2H
"""


def changed(**fields):
    return msgspec.structs.replace(ENTRY, **fields)


def test_an_entry_is_read_whole():
    """Names are sorted and stand once, a name left out is the id, and a duration is seconds."""
    profile = check_entry(changed(tools=["b", "a", "b"], silent_after="P1DT2H"))
    assert (profile.name, profile.tools, profile.silent_after_seconds) == ("claims", ("a", "b"), 93_600)
    assert (profile.models, profile.risk_class) == ((), "high")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"id": ""}, "id: got '', expected 1 to 200 printable"),
        ({"owner": " x"}, "owner: got ' x'"),
        ({"on_call": "a\nb"}, "on_call: got"),
        ({"purpose": "x" * 1001}, "expected 1 to 1,000 printable"),
        ({"risk": "unacceptable"}, "risk: got 'unacceptable', expected minimal, limited, high"),
        ({"models": ["gpt-?"]}, r"models: got 'gpt-\?', expected a name, with"),
        ({"tools": ["[a]"]}, "tools: got"),
        ({"keys": ["k*"]}, "keys: got 'k.', expected the id of a key"),
        ({"providers": ["p"] * 501}, "providers: got 501 names, expected at most 500"),
        ({"silent_after": "6h"}, "silent_after: got '6h', expected an ISO 8601 duration"),
        ({"silent_after": "P"}, "silent_after: got 'P'"),
        ({"silent_after": "PT4M59S"}, "silent_after: got"),
        ({"silent_after": "P367D"}, "silent_after: got"),
    ],
)
def test_what_cannot_be_said_is_refused_by_key(fields, expected):
    """A wrong value is named with its key, what was got and what was expected."""
    with pytest.raises(InputError, match=expected):
        check_entry(changed(**fields))


def test_everything_wrong_is_named_at_once():
    """One mistake does not hide another."""
    with pytest.raises(InputError, match=r"owner: .*; risk: .*; silent_after: "):
        check_entry(changed(owner="", risk="x", silent_after="y"))


@pytest.mark.parametrize("silence", ["PT5M", "P1W", "P366D", "PT1H30M", "P1DT2H3M4S"])
def test_an_entry_survives_being_registered(silence):
    """What is registered can be written as an entry that says the same."""
    profile = check_entry(changed(models=["a*"], keys=["k1"], silent_after=silence))
    assert check_entry(entry_of("claims", profile)) == profile


def test_yaml_and_json_say_the_same():
    """A file is YAML or JSON, tabs between the values of the latter included."""
    document = msgspec.yaml.decode(FILE)
    json_text = msgspec.json.format(msgspec.json.encode(document), indent=1).decode().replace("\n ", "\n\t")
    assert read_agents("a.json", json_text) == read_agents("a.yaml", FILE)
    assert read_agents("a.yaml", FILE)["claims"].models == ("gpt-4.1", "mistral-large*")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (FILE.replace("version: 1", "version: 2"), "a.yaml:1: version"),
        (FILE.replace("risk: high", "risk: big"), r"a.yaml:7: agents\[0\].risk: got 'big'"),
        (FILE.replace("owner:", "ownr:"), r"a.yaml:4: agents\[0\].ownr: got an unknown key"),
        (FILE.replace("    purpose: settles claims\n", ""), r"agents\[0\].purpose: got nothing, expected this key"),
        (FILE + FILE.partition("agents:\n")[2], r"a.yaml:10: agents\[1\].id: got 'claims' twice"),
        ("version: 1\nagents: []\n", "agents: got 0 entries"),
        ("version: 1\nagents: [", "got no YAML"),
    ],
)
def test_a_wrong_file_is_refused_with_file_line_and_key(text, expected):
    """Whoever wrote the file is told where to look."""
    with pytest.raises(InputError, match=expected):
        read_agents("a.yaml", text)


def test_the_view_has_one_row_an_agent():
    """Retired agents are rows too; what is not said is an empty list or NULL."""
    profile = check_entry(changed(models=["m*"]))
    records = [AgentRecord("acme", name, profile, state, 1, 5, "user:a", 7, "user:b") for name, state in
               (("a", AgentState.ACTIVE), ("b", AgentState.RETIRED))]  # fmt: skip
    rows = registry_table(records).to_pylist()
    assert [(row["tenant_id"], row["id"], row["state"]) for row in rows] == [
        ("acme", "a", "active"),
        ("acme", "b", "retired"),
    ]
    assert (rows[0]["allowed_models"], rows[0]["allowed_tools"], rows[0]["silent_after_seconds"]) == (["m*"], [], None)
    assert registry_table([]).num_rows == 0
