"""A lake with approvals, changes and denials, and a pack built of it."""

import json
import shutil
from types import SimpleNamespace

import pytest

from muniment.cli.app import run
from tests.template import init_lake

START = 1_790_812_800_000_000_000  # 2026-10-01T00:00:00Z
HOUR = 3_600_000_000_000
MARKUP = '#panic("typst") $x$ <script>alert(1)</script> *bold* \\u{202e} "quoted"'


def event(number, name, **attributes):
    """One OTLP log record that is an audit event."""
    values = {"event.name": name, "audit.outcome": "success", "audit.actor.type": "human", **attributes}
    return {
        "timeUnixNano": str(START + number * HOUR),
        "eventName": name,
        "attributes": [{"key": key, "value": {"stringValue": str(value)}} for key, value in values.items()],
    }


def events():
    """Two changes: one approved before by somebody else, one without approval; a decision; a credential; all asserted."""
    yield event(
        1, "approval.granted", **{"audit.actor.id": "ann", "audit.approval.id": "apr-1", "audit.reason": MARKUP}
    )
    yield event(
        2, "prompt.changed", **{"audit.actor.id": "bob", "audit.approval.id": "apr-1", "audit.resource.id": "desk"}
    )
    yield event(
        3, "model.switched", **{"audit.actor.id": "bob", "audit.resource.id": MARKUP, "audit.resource.type": "model"}
    )
    yield event(
        4,
        "access.decided",
        **{
            "audit.actor.id": "agt-1",
            "audit.actor.type": "agent",
            "audit.action": "refund",
            "audit.policy.id": "limits",
            "audit.policy.version": "3",
        },
    )
    yield event(5, "credential.issued", **{"audit.actor.id": "ann", "audit.resource.id": "cred-1"})
    # in September: the same model without approval as in October, and a prompt that nobody changed since
    yield event(
        -48, "model.switched", **{"audit.actor.id": "bob", "audit.resource.id": MARKUP, "audit.resource.type": "model"}
    )
    yield event(-24, "prompt.changed", **{"audit.actor.id": "bob", "audit.resource.id": "old desk"})


@pytest.fixture(scope="package")
def lake(tmp_path_factory):
    """The lake's folder."""
    folder = tmp_path_factory.mktemp("evidence") / "lake"
    init_lake(folder, "acme")
    file = folder.parent / "events.jsonl"
    body = {"resourceLogs": [{"resource": {"attributes": []}, "scopeLogs": [{"logRecords": list(events())}]}]}
    file.write_text(json.dumps(body) + "\n")
    assert run(["import", str(file), "--tenant", "acme", "--lake", str(folder)]) == 0
    return folder


def build(lake, out, framework="soc2"):
    """Run the command as an officer would."""
    words = ["--framework", framework, "--tenant", "acme", "--from", "2026-10-01", "--to", "2026-10-31"]
    return run(["evidence", "build", *words, "--out", str(out), "--lake", str(lake)])


@pytest.fixture(scope="package")
def made(lake, tmp_path_factory):
    """A SOC 2 pack of a copy of the lake, the lake's key, and how to build another."""
    room = tmp_path_factory.mktemp("pack")
    copy = shutil.copytree(lake, room / "lake")
    assert build(copy, room / "pack.zip") == 0
    return SimpleNamespace(lake=lake, pack=room / "pack.zip", build=build)


@pytest.fixture(scope="package")
def vkey(made):
    """The public key of the lake, as its operator gives it away."""
    from muniment.proving import public_keys
    from muniment.wiring import command_context

    return public_keys(command_context(made.lake))[0].vkey
